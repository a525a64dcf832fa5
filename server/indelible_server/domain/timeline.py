"""What happened to an item: edits of its tags and writes into its files, the newest first."""

from __future__ import annotations

from sqlalchemy import Connection

from ..storage import history, writes
from ..storage.history import Entry
from ..storage.writes import Write

# A write is newer than an edit of the same millisecond: the files follow the catalog.
_AFTER_ALL_EDITS = 2**62
Position = tuple[int, int, str]
"""Where a listing goes on: behind this time, revision and id of a write."""


def newest(
    tx: Connection, catalog_id: int, item_id: int, limit: int, before: Position | None = None
) -> list[Entry | Write]:
    """Up to `limit` entries, older than `before` if that is given."""
    before_edit = None if before is None else (before[0], before[1])
    before_write = None if before is None else (before[0], before[2])
    found: list[Entry | Write] = []
    found += history.of_item(tx, catalog_id, item_id, limit, before_edit)
    found += writes.page(tx, catalog_id, item_id, limit, before_write)
    return sorted(found, key=position, reverse=True)[:limit]


def position(entry: Entry | Write) -> Position:
    """The place of an entry."""
    if isinstance(entry, Entry):
        return entry.at, entry.revision, ""
    return entry.at, _AFTER_ALL_EDITS, entry.write_id


def count(tx: Connection, catalog_id: int, item_id: int) -> int:
    """How many entries there are."""
    return history.count(tx, catalog_id, item_id) + writes.count(tx, catalog_id, item_id)
