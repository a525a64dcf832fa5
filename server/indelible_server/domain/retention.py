"""Retention: what has been kept for long enough is let go, a small part at a time."""

from __future__ import annotations

from ..storage import writes
from ..storage.database import Database

ITEMS_A_STEP = 500


class WriteRetention:
    """Walks over all items with writes on record, again and again, and takes off what is past retention."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = (0, 0)

    def step(self) -> int:
        """Look at the next items; returns how many rows went. The last write of an item stays."""
        keys = self._database.read(writes.some_items, self._after, ITEMS_A_STEP)
        self._after = keys[-1] if len(keys) == ITEMS_A_STEP else (0, 0)
        gone = self._database.read(writes.outdated, keys) if keys else []
        if gone:
            self._database.write(writes.delete, keys, gone)
        return len(gone)
