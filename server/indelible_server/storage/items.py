"""Reading items: by id, by path, by selection, in pages. They are changed through a Changeset only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from . import globs
from .item import Item, ItemState, from_row
from .parts import parts
from .tables import intents, items, leases, tombstones

AFTER_ALL_TEXT = "\U0010ffff"
LAST_ID = 2**62


class SavedSearch(Enum):
    """The searches that every client offers."""

    ALL = "ALL"
    UNSYNCED = "UNSYNCED"
    FAILED = "FAILED"
    CONFLICTED = "CONFLICTED"
    HELD = "HELD"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Selection:
    """Which items a call is about: exactly one of ids, globs, a saved search."""

    ids: tuple[int, ...] = ()
    globs: tuple[str, ...] = ()
    saved_search: SavedSearch | None = None
    root_id: str = ""


@dataclass(frozen=True)
class Page:
    """Where a listing goes on: behind this path and id."""

    path: str = ""
    item_id: int = 0


def get(tx: Connection, catalog_id: int, item_id: int) -> Item | None:
    """The item, or None."""
    return next(iter(get_many(tx, catalog_id, [item_id])), None)


def get_many(tx: Connection, catalog_id: int, ids: Sequence[int]) -> list[Item]:
    """The items of these ids that exist, in the order of their ids."""
    query = sa.select(items).where(items.c.catalog_id == catalog_id, items.c.item_id.in_(ids)).order_by(items.c.item_id)
    return [from_row(row) for row in tx.execute(query)]


def by_path(tx: Connection, catalog_id: int, path: str, root_id: str = "") -> list[Item]:
    """The items shown under this path: more than one when several roots hold the same path."""
    where = [items.c.catalog_id == catalog_id, items.c.path == path]
    if root_id:
        where.append(items.c.root_id == root_id)
    return [from_row(row) for row in tx.execute(sa.select(items).where(*where))]


def by_keys(tx: Connection, catalog_id: int, root_id: str, keys: Sequence[bytes]) -> dict[bytes, Item]:
    """The items at these keys of a root."""
    query = sa.select(items).where(items.c.catalog_id == catalog_id, items.c.root_id == root_id, items.c.key.in_(keys))
    return {row.key: from_row(row) for row in tx.execute(query)}


def keys_in_root(
    tx: Connection, catalog_id: int, root_id: str, after: int, limit: int
) -> list[tuple[int, bytes, bool]]:
    """The next items of a root behind the id `after`: id, key, and whether it is known to be missing."""
    query = sa.select(items.c.item_id, items.c.key, items.c.missing_since.is_not(None))
    query = query.where(items.c.catalog_id == catalog_id, items.c.root_id == root_id, items.c.item_id > after)
    return [tuple(row) for row in tx.execute(query.order_by(items.c.item_id).limit(limit))]


def page(
    tx: Connection,
    catalog_id: int,
    search: SavedSearch,
    prefix: str,
    root_id: str,
    after: Page,
    limit: int,
    failures: Collection[str] = (),
) -> list[Item]:
    """Up to `limit` items by path and id, behind `after`; only those that failed for `failures`, if given."""
    query = (
        sa.select(items)
        .where(*_where(catalog_id, search, prefix, root_id))
        .where(sa.tuple_(items.c.path, items.c.item_id) > sa.tuple_(sa.literal(after.path), sa.literal(after.item_id)))
        .order_by(items.c.path, items.c.item_id)
        .limit(limit)
    )
    if failures:
        query = query.where(items.c.failure.in_(failures))
    return [from_row(row) for row in tx.execute(query)]


def count_failures(tx: Connection, catalog_id: int) -> dict[str, int]:
    """How many items failed for each reason, the commonest first."""
    query = sa.select(items.c.failure, sa.func.count()).where(*_where(catalog_id, SavedSearch.FAILED, "", ""))
    query = query.group_by(items.c.failure).order_by(sa.func.count().desc(), items.c.failure)
    return {str(reason): int(number) for reason, number in tx.execute(query)}


def count(
    tx: Connection, catalog_id: int, search: SavedSearch, prefix: str, root_id: str, *, unsynced: bool = False
) -> int:
    """How many items the same listing has in all, or how many of them are not synchronized."""
    query = sa.select(sa.func.count()).select_from(items).where(*_where(catalog_id, search, prefix, root_id))
    return int(tx.scalar(query.where(items.c.unsynced_since.is_not(None)) if unsynced else query) or 0)


def first_unsynced(tx: Connection, catalog_id: int, limit: int) -> list[int]:
    """The ids of the items that have waited longest for their write."""
    query = sa.select(items.c.item_id).where(items.c.catalog_id == catalog_id, items.c.due_at.is_not(None))
    return list(tx.scalars(query.order_by(items.c.due_at, items.c.item_id).limit(limit)))


def unsynced_paths(tx: Connection, catalog_id: int) -> list[tuple[str, int]]:
    """Path and id of all items that are not synchronized, in this order."""
    query = sa.select(items.c.path, items.c.item_id).where(*_where(catalog_id, SavedSearch.UNSYNCED, "", ""))
    return [(path, item_id) for path, item_id in tx.execute(query.order_by(items.c.path, items.c.item_id))]


def paths_of(tx: Connection, catalog_id: int, ids: Sequence[int]) -> list[tuple[str, int]]:
    """Path and id of these items, in this order."""
    columns = sa.select(items.c.path, items.c.item_id).where(items.c.catalog_id == catalog_id)
    found = (tx.execute(columns.where(items.c.item_id.in_(part))) for part in parts(ids))
    return sorted((path, item_id) for rows in found for path, item_id in rows)


def selected_ids(tx: Connection, catalog_id: int, selection: Selection) -> list[int]:
    """The ids of the items that a selection matches now, in ascending order."""
    if selection.ids:
        return sorted({id_ for part in parts(selection.ids) for id_ in _existing(tx, catalog_id, part)})
    if selection.globs:
        found = {id_ for glob in selection.globs for id_ in _matching(tx, catalog_id, glob, selection.root_id)}
        return sorted(found)
    search = selection.saved_search or SavedSearch.ALL
    query = sa.select(items.c.item_id).where(*_where(catalog_id, search, "", selection.root_id))
    return sorted(tx.scalars(query))


def in_state(tx: Connection, catalog_id: int, ids: Sequence[int], state: ItemState) -> list[int]:
    """Those of these items that are in this state."""
    return _those(tx, catalog_id, ids, items.c.state == int(state))


def with_hold(tx: Connection, catalog_id: int, ids: Sequence[int]) -> list[int]:
    """Those of these items that are held, whether they have an edit or not."""
    return _those(tx, catalog_id, ids, items.c.hold.is_not(None))


def newest_edit(tx: Connection, catalog_id: int, ids: Sequence[int]) -> int:
    """The highest revision of a tag edit among these items; 0 for none."""
    highest = 0
    for part in parts(ids):
        query = sa.select(sa.func.max(items.c.revision)).where(
            items.c.catalog_id == catalog_id, items.c.item_id.in_(part)
        )
        highest = max(highest, tx.scalar(query) or 0)
    return highest


def lock(tx: Connection, catalog_id: int, ids: Sequence[int]) -> None:
    """Take these items: no writer claims them any more, and one that has just done so is seen from now on."""
    query = sa.select(items.c.item_id).where(items.c.catalog_id == catalog_id, items.c.item_id.in_(ids))
    tx.execute(query.order_by(items.c.item_id).with_for_update())


def in_flight(tx: Connection, catalog_id: int, ids: Sequence[int]) -> set[int]:
    """Those of these items that a writer has in hand, or had when it died: what their files hold is not settled."""
    found: set[int] = set()
    for table in (leases, intents):
        query = sa.select(table.c.item_id).where(table.c.catalog_id == catalog_id, table.c.item_id.in_(ids))
        found.update(tx.scalars(query))
    return found


def changed_after(
    tx: Connection, catalog_id: int, revision: int, item_id: int, up_to: int, limit: int
) -> list[tuple[int, int, Item | str]]:
    """What changed behind (revision, item): `(revision, item_id, item)` or `(…, path of a removed item)`, in order.

    Up to the revision `up_to`, which was read before: what is committed between the two queries is for the next call.
    """

    def behind(table: sa.Table) -> ColumnElement[bool]:
        position = sa.tuple_(table.c.change_revision, table.c.item_id)
        return sa.and_(
            position > sa.tuple_(sa.literal(revision), sa.literal(item_id)), table.c.change_revision <= up_to
        )

    def first(table: sa.Table) -> Iterator[Any]:
        query = sa.select(table).where(table.c.catalog_id == catalog_id, behind(table))
        return iter(tx.execute(query.order_by(table.c.change_revision, table.c.item_id).limit(limit)))

    changed = [(row.change_revision, row.item_id, from_row(row)) for row in first(items)]
    removed = [(row.change_revision, row.item_id, str(row.path)) for row in first(tombstones)]
    both: list[tuple[int, int, Item | str]] = [*changed, *removed]
    return sorted(both, key=lambda entry: entry[:2])[:limit]


def names_in_folder(tx: Connection, catalog_id: int, root_id: str, folder: bytes) -> list[bytes]:
    """The keys of the items directly in a folder."""
    start = folder + b"/" if folder else b""
    where = [items.c.catalog_id == catalog_id, items.c.root_id == root_id, items.c.key >= start]
    if start:
        where.append(items.c.key < folder + b"0")  # "0" is the byte behind "/"
    keys = tx.scalars(sa.select(items.c.key).where(*where))
    return [key for key in keys if b"/" not in key[len(start) :]]


def _existing(tx: Connection, catalog_id: int, ids: Sequence[int], *where: ColumnElement[bool]) -> Iterable[int]:
    these = sa.and_(items.c.catalog_id == catalog_id, items.c.item_id.in_(ids))
    return tx.scalars(sa.select(items.c.item_id).where(these, *where).order_by(items.c.item_id))


def _those(tx: Connection, catalog_id: int, ids: Sequence[int], condition: ColumnElement[bool]) -> list[int]:
    return [id_ for part in parts(ids) for id_ in _existing(tx, catalog_id, part, condition)]


def _matching(tx: Connection, catalog_id: int, glob: str, root_id: str) -> Iterator[int]:
    literal = globs.literal_prefix(glob)
    if literal == glob:
        where = [*_where(catalog_id, SavedSearch.ALL, "", root_id), items.c.path == glob]
        yield from tx.scalars(sa.select(items.c.item_id).where(*where))
        return
    matches = globs.translate(glob).fullmatch
    query = sa.select(items.c.item_id, items.c.path).where(*_where(catalog_id, SavedSearch.ALL, literal, root_id))
    for item_id, path in tx.execute(query):
        # A path matches itself, whatever signs are in it.
        if path == glob or matches(path):
            yield item_id


_STATES = {
    SavedSearch.FAILED: ItemState.FAILED,
    SavedSearch.CONFLICTED: ItemState.CONFLICTED,
    SavedSearch.HELD: ItemState.HELD,
}


def _where(catalog_id: int, search: SavedSearch, prefix: str, root_id: str) -> list[ColumnElement[bool]]:
    where = [items.c.catalog_id == catalog_id]
    if search is SavedSearch.UNSYNCED:
        where.append(items.c.unsynced_since.is_not(None))
    elif search is SavedSearch.MISSING:
        where.append(items.c.missing_since.is_not(None))
    elif search in _STATES:
        where += [items.c.state == int(_STATES[search]), items.c.state != 0]
    if prefix:
        where += [items.c.path >= prefix, items.c.path < prefix + AFTER_ALL_TEXT]
    if root_id:
        where.append(items.c.root_id == root_id)
    return where
