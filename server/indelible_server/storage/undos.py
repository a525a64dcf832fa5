"""Wanted undos: the items of a job of the kind UNDO that no writer has dealt with yet.

A catalog has one such job at a time, so that an item is wanted once; which write it is about, the job says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import now_ms
from .parts import parts
from .tables import undos


@dataclass(frozen=True)
class Undo:
    """An item that waits for a writer. `below` is the write that was taken back last: the next one is older."""

    catalog_id: int
    item_id: int
    job_id: str
    below: str | None = None
    attempts: int = 0
    due_at: int = 0


def insert(tx: Connection, catalog_id: int, job_id: str, item_ids: Sequence[int]) -> None:
    """Want an undo of each of these items."""
    row = {"catalog_id": catalog_id, "job_id": job_id, "attempts": 0, "due_at": now_ms(tx)}
    for some in parts(item_ids):
        tx.execute(sa.insert(undos), [row | {"item_id": item_id} for item_id in some])


def of_items(tx: Connection, catalog_id: int, item_ids: Sequence[int]) -> dict[int, Undo]:
    """What is wanted of these items."""
    query = sa.select(undos).where(undos.c.catalog_id == catalog_id, undos.c.item_id.in_(item_ids))
    return {row.item_id: Undo(**row._mapping) for row in tx.execute(query)}


def any_left(tx: Connection, catalog_id: int, job_id: str) -> bool:
    """Whether a job has items left."""
    query = sa.select(undos.c.item_id).where(undos.c.catalog_id == catalog_id, undos.c.job_id == job_id)
    return tx.execute(query.limit(1)).first() is not None


def go_on(tx: Connection, undo: Undo, below: str) -> None:
    """An item is still wanted: for its next older write."""
    tx.execute(sa.update(undos).where(*_key(undo)).values(below=below, attempts=0))


def put_off(tx: Connection, undo: Undo, due_at: int) -> None:
    """Try an item again later."""
    tx.execute(sa.update(undos).where(*_key(undo)).values(attempts=undo.attempts + 1, due_at=due_at))


def delete(tx: Connection, undo: Undo) -> None:
    """An item is dealt with."""
    tx.execute(sa.delete(undos).where(*_key(undo)))


def delete_all(tx: Connection, catalog_id: int, job_id: str) -> None:
    """A job has ended: nothing of it is wanted any more."""
    tx.execute(sa.delete(undos).where(undos.c.catalog_id == catalog_id, undos.c.job_id == job_id))


def _key(undo: Undo) -> tuple[sa.ColumnElement[bool], ...]:
    return undos.c.catalog_id == undo.catalog_id, undos.c.item_id == undo.item_id
