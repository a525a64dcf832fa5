"""Intents: what a writer is about to do to a file, durable before the file is touched. Only settlement removes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from .database import now_ms
from .tables import intents, late_writers, writers, writes

VERIFIED, FOREIGN = "VERIFIED", "FOREIGN"
WRITES_KEPT = 10


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
    taken = tx.execute(dialect_insert(intents).values(rows).on_conflict_do_nothing().returning(intents.c.intent_id))
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


def settle(tx: Connection, settled: Sequence[Intent], outcome: str, bytes_written: int) -> None:
    """Move an item's intents to its write history: VERIFIED, or FOREIGN with our old bytes kept."""
    now = now_ms(tx)
    rows = [
        {
            "catalog_id": intent.catalog_id,
            "item_id": intent.item_id,
            "intent_id": intent.intent_id,
            "at": now,
            "run_id": intent.run_id,
            "outcome": outcome,
            "bytes_written": bytes_written,
            "plan": intent.plan,
        }
        for intent in settled
    ]
    if rows:
        tx.execute(sa.insert(writes), rows)
        drop(tx, [intent.intent_id for intent in settled])
        _forget_old(tx, settled[0].catalog_id, settled[0].item_id)


def _forget_old(tx: Connection, catalog_id: int, item_id: int) -> None:
    of_item = sa.and_(writes.c.catalog_id == catalog_id, writes.c.item_id == item_id)
    ids = sa.select(writes.c.intent_id).where(of_item).order_by(writes.c.intent_id.desc())
    oldest_kept = tx.scalar(ids.offset(WRITES_KEPT - 1).limit(1))
    if oldest_kept is not None:
        tx.execute(sa.delete(writes).where(of_item, writes.c.intent_id < oldest_kept))
