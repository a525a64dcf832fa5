"""Holds: items that people keep from being written, while someone works on the file or has to approve the tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from ..errors import invalid
from ..storage import catalogs, items
from ..storage.catalogs import Catalog
from ..storage.changeset import Changeset
from ..storage.item import Item
from ..storage.items import Selection
from . import item_state
from .bulk import Bulk
from .item_state import READ_ONLY_ROOT
from .items import select
from .principal import Principal

NOTE_LENGTH = 1_000


def hold(tx: Connection, who: Principal, catalog: Catalog, selection: Selection, reason: str, note: str) -> Bulk:
    """Keep items from being written; the new reason and note replace those of an earlier hold.

    A file that is being written at this moment is finished, no other is begun. What a read-only root holds stays held
    by that, and is not counted.
    """
    if len(note) > NOTE_LENGTH:
        raise invalid("note", f"is longer than {NOTE_LENGTH:,} characters")
    ids = select(tx, catalog.catalog_id, selection)
    why = {"reason": reason, "note": note, "by": who.name, "for": who.on_behalf_of}
    return Bulk(len(ids), ids, partial(_hold, catalog_id=catalog.catalog_id, why=why))


def release(tx: Connection, catalog: Catalog, selection: Selection) -> Bulk:
    """Let held items be written again: those with an edit are due at once."""
    ids = select(tx, catalog.catalog_id, selection)
    return Bulk(
        len(ids), items.with_hold(tx, catalog.catalog_id, ids), partial(_release, catalog_id=catalog.catalog_id)
    )


def _hold(tx: Connection, ids: Sequence[int], *, catalog_id: int, why: Mapping[str, str]) -> int:
    changeset = Changeset(tx, catalog_id)
    items.lock(tx, catalog_id, ids)
    found = [item for item in items.get_many(tx, catalog_id, ids) if not _by_server(item)]
    for item in found:
        changeset.update(item, item_state.held(item, {**why, "at": changeset.now}))
    changeset.save()
    return len(found)


def _release(tx: Connection, ids: Sequence[int], *, catalog_id: int) -> int:
    changeset = Changeset(tx, catalog_id)
    items.lock(tx, catalog_id, ids)
    found = [item for item in items.get_many(tx, catalog_id, ids) if item.hold is not None and not _by_server(item)]
    catalog = catalogs.get(tx, catalog_id)
    read_only = {root.root_id for root in catalog.roots if root.read_only} if catalog is not None else set()
    for item in found:
        after = item_state.released(item, changeset.now)
        if item.unsynced and item.root_id in read_only:
            after = item_state.held(item, {"reason": READ_ONLY_ROOT})
        changeset.update(item, after)
    changeset.save()
    return len(found)


def _by_server(item: Item) -> bool:
    return item.hold is not None and item.hold["reason"] == READ_ONLY_ROOT
