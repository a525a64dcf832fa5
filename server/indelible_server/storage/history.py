"""The history of tag edits: who, for whom, from what to what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from .tables import history

UNDO = "UNDO"


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
