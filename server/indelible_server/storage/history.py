"""The history of tag edits: who, for whom, from what to what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import now_ms
from .parts import between, delete_rows, some_keys
from .tables import history, items

UNDO = "UNDO"
# Of an item these many entries stay however old they are, and all that are younger.
ENTRIES_KEPT = 10
KEPT_MS = 90 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Entry:
    """One transaction's change of one item."""

    item_id: int
    revision: int
    at: int
    principal: str
    on_behalf_of: str
    source: str
    run_id: str | None
    changes: dict[str, list[Any]]


def of_item(
    tx: Connection, catalog_id: int, item_id: int, limit: int, before: tuple[int, int] | None = None
) -> list[Entry]:
    """Entries of an item, the newest first, older than `before` if that is given: a time and a revision."""
    query = sa.select(history).where(history.c.catalog_id == catalog_id, history.c.item_id == item_id)
    if before is not None:
        at, revision = before
        query = query.where(
            sa.or_(history.c.at < at, sa.and_(history.c.at == at, history.c.revision < revision)),
        )
    rows = tx.execute(query.order_by(history.c.at.desc(), history.c.revision.desc()).limit(limit))
    return [
        Entry(
            **{name: getattr(row, name) for name in Entry.__dataclass_fields__} | {"changes": json.loads(row.changes)}
        )
        for row in rows
    ]


def count(tx: Connection, catalog_id: int, item_id: int) -> int:
    """How many entries an item has."""
    query = sa.select(sa.func.count()).select_from(history)
    return int(tx.scalar(query.where(history.c.catalog_id == catalog_id, history.c.item_id == item_id)) or 0)


def fields_since(tx: Connection, catalog_id: int, item_id: int, revision: int) -> set[str]:
    """The fields of an item that were edited after a revision, otherwise than by an undo."""
    query = sa.select(history.c.changes).where(
        history.c.catalog_id == catalog_id,
        history.c.item_id == item_id,
        history.c.revision > revision,
        history.c.source != UNDO,
    )
    return {name for changes in tx.scalars(query) for name in json.loads(changes)}


def first_edit_after(tx: Connection, catalog_id: int, revisions: Sequence[tuple[int, int]]) -> dict[int, int]:
    """For pairs (item, revision): the item's first edit behind that revision, where there is one."""
    found = {}
    for item_id, revision in revisions:
        first = tx.scalar(
            sa.select(sa.func.min(history.c.revision)).where(
                history.c.catalog_id == catalog_id,
                history.c.item_id == item_id,
                history.c.revision > revision,
            )
        )
        if first is not None:
            found[item_id] = int(first)
    return found


def some_items(tx: Connection, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """The next items, by catalog and id, that have a history."""
    return some_keys(tx, history, after, limit)


def outdated(tx: Connection, after: tuple[int, int], last: tuple[int, int]) -> list[tuple[int, int, int]]:
    """The entries that are past retention, of the items behind `after` up to `last`: old, none of the item's last ones.

    What is not verified in its file needs its edits: of such an item nothing goes.
    """
    key = history.c.catalog_id, history.c.item_id
    newest_first = history.c.at.desc(), history.c.revision.desc()
    place = sa.func.row_number().over(partition_by=key, order_by=newest_first).label("place")
    some = between(sa.tuple_(*key), after, last)
    placed = sa.select(*key, history.c.revision, history.c.at, place).where(some).subquery()
    its_item = sa.and_(items.c.catalog_id == placed.c.catalog_id, items.c.item_id == placed.c.item_id)
    there, waits = sa.exists().where(its_item), sa.exists().where(its_item, items.c.unsynced_since.is_not(None))
    query = sa.select(placed.c.catalog_id, placed.c.item_id, placed.c.revision).where(
        placed.c.at < now_ms(tx) - KEPT_MS, sa.or_(placed.c.place > ENTRIES_KEPT, ~there), ~waits
    )
    return [tuple(row) for row in tx.execute(query)]


def delete(tx: Connection, entries: Sequence[tuple[int, int, int]]) -> None:
    """Remove entries, each by its catalog, item and revision."""
    delete_rows(tx, history, ("catalog_id", "item_id", "revision"), entries)
