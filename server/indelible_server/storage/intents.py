"""Intents: what a writer is about to do to a file, durable before the file is touched. Only settlement removes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from .database import now_ms
from .tables import intents, late_writers, writers
from .tables import writes as write_rows
from .writes import Note, expire_beyond, row_values


@dataclass(frozen=True)
class Intent:
    """One file that is to be changed: the plan holds the old and the new bytes."""

    intent_id: str
    catalog_id: int
    item_id: int
    root_id: str
    target: bytes
    revision: int
    run_id: str | None
    plan: bytes
    expected: str


def insert(tx: Connection, new: Sequence[Intent]) -> set[str]:
    """Store intents; returns the ids of those that were taken. One whose target has a live intent is not (I5)."""
    if not new:
        return set()
    now = now_ms(tx)
    rows = [
        {name: getattr(intent, name) for name in Intent.__dataclass_fields__} | {"created_at": now} for intent in new
    ]
    dialect_insert = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    taken = tx.execute(dialect_insert(intents).on_conflict_do_nothing().returning(intents.c.intent_id), rows)
    return set(taken.scalars())


def of_items(tx: Connection, catalog_id: int, item_ids: Sequence[int]) -> dict[int, list[Intent]]:
    """The live intents of these items."""
    query = sa.select(intents).where(intents.c.catalog_id == catalog_id, intents.c.item_id.in_(item_ids))
    found: dict[int, list[Intent]] = {}
    for row in tx.execute(query.order_by(intents.c.intent_id)):
        values = {name: getattr(row, name) for name in Intent.__dataclass_fields__}
        found.setdefault(row.item_id, []).append(Intent(**values))
    return found


@dataclass(frozen=True)
class Late:
    """The writers whose lease ended while they had an intent in hand."""

    number: int
    may_live: bool


def late(tx: Connection, intent_ids: Sequence[str]) -> dict[str, Late]:
    """Those of these intents that were left by writers whose lease ended.

    Such a writer may still be about to write, until its supervisor has said that it is dead.
    """
    columns = late_writers.c.intent_id, sa.func.count().label("number"), sa.func.count(writers.c.writer_id).label("on")
    query = sa.select(*columns).outerjoin(writers, writers.c.writer_id == late_writers.c.writer_id)
    query = query.where(late_writers.c.intent_id.in_(intent_ids)).group_by(late_writers.c.intent_id)
    return {row.intent_id: Late(row.number, bool(row.on)) for row in tx.execute(query)}


def any_live(tx: Connection, catalog_id: int) -> bool:
    """Whether the catalog has an intent that is not settled."""
    return (
        tx.execute(sa.select(intents.c.intent_id).where(intents.c.catalog_id == catalog_id).limit(1)).first()
        is not None
    )


def drop(tx: Connection, intent_ids: Sequence[str]) -> None:
    """Remove intents that were settled as never carried out."""
    for table in (late_writers, intents):
        tx.execute(sa.delete(table).where(table.c.intent_id.in_(intent_ids)))


@dataclass(frozen=True)
class Settled:
    """The intents of one write of an item, and how it ended: VERIFIED, or FOREIGN with our old bytes kept."""

    intents: Sequence[Intent]
    outcome: str
    bytes_written: int
    note: Note


def settle(tx: Connection, catalog_id: int, settled: Sequence[Settled]) -> None:
    """Move intents of a catalog to the write history of their items."""
    now = now_ms(tx)
    rows: list[dict[str, Any]] = [
        {
            "catalog_id": catalog_id,
            "item_id": intent.item_id,
            "intent_id": intent.intent_id,
            "at": now,
            "plan": intent.plan,
        }
        | row_values(write.note, min(each.intent_id for each in write.intents), write.outcome, write.bytes_written)
        for write in settled
        for intent in write.intents
    ]
    if rows:
        tx.execute(sa.insert(write_rows), rows)
        drop(tx, [row["intent_id"] for row in rows])
        expire_beyond(tx, catalog_id, sorted({row["item_id"] for row in rows}))
