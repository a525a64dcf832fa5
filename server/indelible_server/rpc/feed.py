"""The feed of a catalog's items: every change once, in order, from a resume token on."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from indelible.v1 import item_service_pb2
from sqlalchemy import Connection

from ..errors import InvalidArgument, NotFound, OutOfRange
from ..storage import catalogs, items
from ..storage.item import Item
from .app import App
from .convert import item_message

AT_ONCE = 200
BOOKMARK_EVERY_S = 20.0


@dataclass(frozen=True)
class Place:
    """A place in the feed: behind this item's change at this revision."""

    store_id: str
    catalog_id: int
    revision: int
    item_id: int

    def token(self) -> str:
        """The place as an opaque text."""
        values = [self.store_id, self.catalog_id, self.revision, self.item_id]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


async def feed(app: App, catalog_id: int, token: str) -> AsyncIterator[item_service_pb2.WatchItemsResponse]:
    """Changes behind the token, or from the present on; bookmarks while nothing happens. It ends by an error only."""
    place = await app.read(_start, catalog_id, token)
    loop = asyncio.get_running_loop()
    seen, bookmark_at = 0, loop.time() if not token else loop.time() + BOOKMARK_EVERY_S
    while True:
        # Taken before the look, so that a change during it is not slept over.
        number = seen
        place, messages = await app.read(_step, place)
        for message in messages:
            yield message
        if not messages and loop.time() >= bookmark_at:
            yield _message(place, bookmark=item_service_pb2.Bookmark())
            bookmark_at = loop.time() + BOOKMARK_EVERY_S
        if len(messages) < AT_ONCE:
            seen = await app.hub.changed(catalog_id, number)


def _start(tx: Connection, catalog_id: int, token: str) -> Place:
    store_id = catalogs.store_id(tx)
    counts = catalogs.counts(tx, catalog_id)
    if not token:
        return Place(store_id, catalog_id, counts.revision, items.LAST_ID)
    try:
        place = Place(*json.loads(base64.urlsafe_b64decode(token)))
        mine = isinstance(place.revision, int) and isinstance(place.item_id, int) and isinstance(place.store_id, str)
    except (ValueError, TypeError):
        mine = False
    if not mine or place.catalog_id != catalog_id:
        raise InvalidArgument(
            "RESUME_TOKEN_INVALID",
            "resume_token: is not a token of this catalog's feed",
            field="resume_token",
        )
    # Of a revision whose removals are forgotten, whoever has not seen all of it has missed some.
    seen = place.revision if place.item_id == items.LAST_ID else place.revision - 1
    if place.store_id != store_id or seen < counts.compacted_revision or place.revision > counts.revision:
        raise OutOfRange(
            "REVISION_COMPACTED",
            "The feed can't be continued from there: watch without a token, and list again.",
            catalog_id=str(catalog_id),
            oldest_revision=str(counts.compacted_revision),
        )
    return place


def _step(tx: Connection, place: Place) -> tuple[Place, list[item_service_pb2.WatchItemsResponse]]:
    """The next changes, and the place behind them."""
    catalog = catalogs.get(tx, place.catalog_id)
    if catalog is None or catalog.deleted_at is not None:
        raise NotFound("CATALOG_NOT_FOUND", "The catalog was deleted.", catalog=str(place.catalog_id))
    revision = catalogs.counts(tx, place.catalog_id).revision
    changed = items.changed_after(tx, place.catalog_id, place.revision, place.item_id, revision, AT_ONCE)
    messages = []
    for at, item_id, change in changed:
        place = Place(place.store_id, place.catalog_id, at, item_id)
        messages.append(_changed(place, change))
    if not changed and revision > place.revision:
        place = Place(place.store_id, place.catalog_id, revision, items.LAST_ID)
    return place, messages


def _changed(place: Place, change: Item | str) -> item_service_pb2.WatchItemsResponse:
    if isinstance(change, Item):
        return _message(place, item_changed=item_service_pb2.ItemChanged(item=item_message(change)))
    removed = item_service_pb2.ItemRemoved(item_id=str(place.item_id), path=change)
    return _message(place, item_removed=removed)


def _message(place: Place, **event: Any) -> item_service_pb2.WatchItemsResponse:
    return item_service_pb2.WatchItemsResponse(resume_token=place.token(), revision=place.revision, **event)
