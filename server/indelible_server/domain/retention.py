"""Retention: what has been kept for long enough is let go, a small part at a time."""

from __future__ import annotations

from sqlalchemy import Connection

from ..storage import catalogs, history, tombstones, writes
from ..storage.database import Database

ITEMS_A_STEP = 500


class Retention:
    """Walks over all that is kept for a time, again and again, and takes off what is past it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after_write = (0, 0)
        self._after_entry = (0, 0)

    def step(self) -> int:
        """Look at the next of everything; returns how many rows went."""
        return self._writes() + self._history() + self._tombstones()

    def _writes(self) -> int:
        """The last write of an item stays."""
        after = self._after_write
        keys = self._database.read(writes.some_items, after, ITEMS_A_STEP)
        self._after_write = keys[-1] if len(keys) == ITEMS_A_STEP else (0, 0)
        gone = self._database.read(writes.outdated, after, keys[-1]) if keys else []
        if gone:
            self._database.write(writes.delete, gone)
        return len(gone)

    def _history(self) -> int:
        after = self._after_entry
        keys = self._database.read(history.some_items, after, ITEMS_A_STEP)
        self._after_entry = keys[-1] if len(keys) == ITEMS_A_STEP else (0, 0)
        gone = self._database.read(history.outdated, after, keys[-1]) if keys else []
        if gone:
            self._database.write(history.delete, gone)
        return len(gone)

    def _tombstones(self) -> int:
        found = self._database.read(_outdated_removals)
        return sum(self._database.write(_compact, catalog_id, up_to) for catalog_id, up_to in found.items())


def _outdated_removals(tx: Connection) -> dict[int, int]:
    """By catalog, up to which revision the next of its removals are past retention."""
    found = {each.catalog_id: tombstones.outdated(tx, each.catalog_id, ITEMS_A_STEP) for each in catalogs.list_all(tx)}
    return {catalog_id: up_to for catalog_id, up_to in found.items() if up_to is not None}


def _compact(tx: Connection, catalog_id: int, up_to: int) -> int:
    catalogs.lock(tx, catalog_id)
    return tombstones.compact(tx, catalog_id, up_to)
