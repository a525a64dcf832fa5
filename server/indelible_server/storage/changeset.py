"""A changeset: all changes of one transaction to the items of one catalog.

The one lock order of the store: it takes the catalog's counter row first, so no revision is ever seen out of
order, and keeps the counts exact in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from . import item as items_
from .database import now_ms, touch
from .item import Item, ItemState
from .parts import parts
from .tables import counters, history, items, roots, tombstones, undos

COUNTED_STATES = {ItemState.FAILED: "failed", ItemState.CONFLICTED: "conflicted", ItemState.HELD: "held"}


class Changeset:
    """Collects changes and writes them with `save`; nothing slow may happen between the two.

    `revision` is the catalog's new revision: every item that is saved gets it as its `change_revision`.
    """

    def __init__(self, tx: Connection, catalog_id: int) -> None:
        self.tx = tx
        self.catalog_id = catalog_id
        self.now = now_ms(tx)
        row = tx.execute(
            sa.update(counters)
            .where(counters.c.catalog_id == catalog_id)
            .values(revision=counters.c.revision + 1)
            .returning(counters.c.revision, counters.c.next_item_id)
        ).one()
        self.revision: int = row.revision
        self._next_item_id: int = row.next_item_id
        self._first_item_id = self._next_item_id
        self._counts: Counter[str] = Counter()
        self._root_unsynced: Counter[str] = Counter()
        self._new: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._removed: list[dict[str, Any]] = []
        self._history: list[dict[str, Any]] = []
        touch(tx, catalog_id)

    def add(self, item: Item) -> Item:
        """Add a new item; it is given its id here."""
        added = replace(item, item_id=self._next_item_id, change_revision=self.revision)
        self._next_item_id += 1
        self._count(added, 1)
        self._new.append(items_.to_row(added))
        return added

    def update(self, before: Item, after: Item) -> Item:
        """Change an item that this transaction has read."""
        changed = replace(after, change_revision=self.revision)
        self._count(before, -1)
        self._count(changed, 1)
        self._changed.append(items_.to_row(changed))
        return changed

    def remove(self, item: Item) -> None:
        """Remove an item and leave a tombstone for those who watch. Its intents must be settled."""
        self._count(item, -1)
        self._removed.append(
            {
                "catalog_id": self.catalog_id,
                "change_revision": self.revision,
                "item_id": item.item_id,
                "path": item.path,
                "removed_at": self.now,
            }
        )

    def note(
        self,
        item: Item,
        changes: Mapping[str, list[Any]],
        *,
        principal: str,
        on_behalf_of: str = "",
        source: str = "EDIT",
        run_id: str | None = None,
    ) -> None:
        """Put on record who changed which fields from what to what."""
        self._history.append(
            {
                "catalog_id": self.catalog_id,
                "item_id": item.item_id,
                "revision": self.revision,
                "at": self.now,
                "principal": principal,
                "on_behalf_of": on_behalf_of,
                "source": source,
                "run_id": run_id,
                "changes": items_.dump(changes),
            }
        )

    def save(self) -> None:
        """Write everything. Call it once, as the transaction's last step."""
        # First what goes: its key may be that of a new item.
        for some in parts(self._removed):
            ids = [row["item_id"] for row in some]
            for table in (items, undos):
                self.tx.execute(sa.delete(table).where(table.c.catalog_id == self.catalog_id, table.c.item_id.in_(ids)))
            self.tx.execute(sa.insert(tombstones), some)
        if self._changed:
            self.tx.execute(_UPDATE, [_named(row) for row in self._changed])
        if self._new:
            self.tx.execute(sa.insert(items), self._new)
        if self._history:
            self.tx.execute(sa.insert(history), self._history)
        self._save_counts()

    def _count(self, item: Item, sign: int) -> None:
        self._counts["total"] += sign
        if item.unsynced:
            self._counts["unsynced"] += sign
            self._root_unsynced[item.root_id] += sign
        if item.state in COUNTED_STATES:
            self._counts[COUNTED_STATES[item.state]] += sign
        if item.missing_since is not None:
            self._counts["missing"] += sign

    def _save_counts(self) -> None:
        values: dict[str, Any] = {name: counters.c[name] + delta for name, delta in self._counts.items() if delta}
        if self._next_item_id != self._first_item_id:
            values["next_item_id"] = self._next_item_id
        if values:
            self.tx.execute(sa.update(counters).where(counters.c.catalog_id == self.catalog_id).values(**values))
        for root_id, delta in self._root_unsynced.items():
            if delta:
                self.tx.execute(
                    sa.update(roots).where(roots.c.root_id == root_id).values(unsynced=roots.c.unsynced + delta)
                )


# What an update never touches; a column that is not named costs no index.
_FIXED = ("catalog_id", "item_id", "root_id", "key", "path")
_IN_UPDATE = [name for name in Item.__slots__ if name not in _FIXED[2:]]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {f"_{name}": row[name] for name in _IN_UPDATE}


_UPDATE = (
    sa.update(items)
    .where(items.c.catalog_id == sa.bindparam("_catalog_id"), items.c.item_id == sa.bindparam("_item_id"))
    .values({column: sa.bindparam(f"_{column.name}") for column in items.c if column.name not in _FIXED})
)
