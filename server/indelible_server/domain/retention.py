"""Retention: what has been kept for long enough is let go, a small part at a time."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Connection

from ..storage import catalogs, history, tombstones, writes
from ..storage.database import Database

ITEMS_A_STEP = 500


class Kept(Protocol):
    """Rows of items that are kept for a time: what the stores of writes and of history have in common."""

    def some_items(self, tx: Connection, /, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        """The next items that have such rows."""

    def outdated(self, tx: Connection, /, after: tuple[int, int], last: tuple[int, int]) -> list[Any]:
        """The rows that are past retention, of the items behind `after` up to `last`."""

    def delete(self, tx: Connection, rows: Any, /) -> None:
        """Remove these rows."""


class Walk:
    """Over all items of which something is kept, again and again."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self._database = database
        self._kept = kept
        self._after = (0, 0)

    def step(self) -> int:
        """Take off what is past retention of the next items; returns how many rows went."""
        after = self._after
        keys = self._database.read(self._kept.some_items, after, ITEMS_A_STEP)
        self._after = keys[-1] if len(keys) == ITEMS_A_STEP else (0, 0)
        gone = self._database.read(self._kept.outdated, after, keys[-1]) if keys else []
        if gone:
            self._database.write(self._kept.delete, gone)
        return len(gone)


class Retention:
    """Walks over all that is kept for a time, and takes off what is past it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._walks = [Walk(database, writes), Walk(database, history)]

    def step(self) -> int:
        """Look at the next of everything; returns how many rows went."""
        return sum(walk.step() for walk in self._walks) + self._tombstones()

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
