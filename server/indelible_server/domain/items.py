"""Finding, counting, removing and retrying items."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import Connection

from ..errors import InvalidArgument, NotFound, Unavailable, invalid
from ..storage import catalogs, items
from ..storage.catalogs import Catalog
from ..storage.changeset import Changeset
from ..storage.item import Item, ItemState
from ..storage.items import SavedSearch, Selection
from ..storage.parts import parts
from . import item_state
from .bulk import Bulk

# Which kept count answers a listing without further conditions.
KEPT = {
    SavedSearch.ALL: "total",
    SavedSearch.UNSYNCED: "unsynced",
    SavedSearch.FAILED: "failed",
    SavedSearch.CONFLICTED: "conflicted",
    SavedSearch.HELD: "held",
    SavedSearch.MISSING: "missing",
}


def by_id(tx: Connection, catalog: Catalog, item_id: int) -> Item:
    """The item of this id."""
    item = items.get(tx, catalog.catalog_id, item_id)
    if item is None:
        raise NotFound("ITEM_NOT_FOUND", f"There is no item {item_id} in {catalog.name!r}.", item=str(item_id))
    return item


def by_path(tx: Connection, catalog: Catalog, path: str, root_id: str) -> Item:
    """The item shown under this path; refused when several roots hold it and none is named."""
    found = items.by_path(tx, catalog.catalog_id, path, root_id)
    if not found:
        raise NotFound("ITEM_NOT_FOUND", f"There is no item {path!r} in {catalog.name!r}.", item=path)
    if len(found) > 1:
        roots = ", ".join(item.root_id for item in found)
        raise InvalidArgument(
            "PATH_AMBIGUOUS",
            f"{path!r} is in several roots: say which ({roots}).",
            field="root_id",
            path=path,
            root_ids=roots,
        )
    return found[0]


def size(tx: Connection, catalog_id: int, search: SavedSearch, prefix: str, root_id: str) -> int:
    """How many items a listing has; from the kept counts where they answer it."""
    if not prefix and not root_id:
        return int(getattr(catalogs.counts(tx, catalog_id), KEPT[search]))
    return items.count(tx, catalog_id, search, prefix, root_id)


def unsynced_size(tx: Connection, catalog_id: int, search: SavedSearch, prefix: str, root_id: str) -> int:
    """How many of them are not synchronized."""
    if search is SavedSearch.ALL:
        return size(tx, catalog_id, SavedSearch.UNSYNCED, prefix, root_id)
    if search is SavedSearch.MISSING:
        return items.count(tx, catalog_id, search, prefix, root_id, unsynced=True)
    return size(tx, catalog_id, search, prefix, root_id)


def select(tx: Connection, catalog_id: int, selection: Selection) -> list[int]:
    """The ids of the items that a selection matches; refused if it matches none."""
    ids = items.selected_ids(tx, catalog_id, selection)
    if not ids:
        raise invalid("selection", "matches no item", reason="EMPTY_SELECTION")
    return ids


def removal(tx: Connection, catalog: Catalog, selection: Selection) -> Bulk:
    """Take items out of the catalog; their files stay. Refused while a writer has one of them in hand."""
    ids = select(tx, catalog.catalog_id, selection)
    for some in parts(ids):
        _check_not_in_hand(tx, catalog.catalog_id, some)
    return Bulk(len(ids), ids, partial(_remove, catalog_id=catalog.catalog_id))


def retrial(tx: Connection, catalog: Catalog, selection: Selection | None, reasons: Collection[str]) -> Bulk:
    """Let failed items be tried again at once, or only those of a selection.

    `reasons` empty: whatever they failed for.
    """
    failed = Selection(saved_search=SavedSearch.FAILED)
    ids = select(tx, catalog.catalog_id, selection) if selection else items.selected_ids(tx, catalog.catalog_id, failed)
    waiting = items.in_state(tx, catalog.catalog_id, ids, ItemState.FAILED)
    return Bulk(len(ids), waiting, partial(_retry, catalog_id=catalog.catalog_id, reasons=reasons))


def _remove(tx: Connection, ids: Sequence[int], *, catalog_id: int) -> int:
    changeset = Changeset(tx, catalog_id)
    items.lock(tx, catalog_id, ids)
    _check_not_in_hand(tx, catalog_id, ids)
    found = items.get_many(tx, catalog_id, ids)
    for item in found:
        changeset.remove(item)
    changeset.save()
    return len(found)


def _retry(tx: Connection, ids: Sequence[int], *, catalog_id: int, reasons: Collection[str]) -> int:
    changeset = Changeset(tx, catalog_id)
    found = [
        item
        for item in items.get_many(tx, catalog_id, ids)
        if item.state is ItemState.FAILED and (not reasons or item.failure in reasons)
    ]
    for item in found:
        changeset.update(item, item_state.retried(item, changeset.now))
    changeset.save()
    return len(found)


def _check_not_in_hand(tx: Connection, catalog_id: int, ids: Sequence[int]) -> None:
    if items.in_flight(tx, catalog_id, ids):
        raise Unavailable(
            "CATALOG_BUSY",
            "A file of the selection is being written at this moment. Try again in a second.",
            catalog_id=str(catalog_id),
        )
