"""Writers that live, as their supervisors see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from .database import now_ms
from .tables import writers

ALIVE_MS = 45_000


@dataclass(frozen=True)
class Writer:
    """A writer process."""

    writer_id: str
    host: str
    pid: int
    started_at: int
    heartbeat_at: int


def insert(tx: Connection, writer_id: str, host: str, pid: int) -> None:
    """Register a writer that was just started; may be repeated."""
    now = now_ms(tx)
    values = {"writer_id": writer_id, "host": host, "pid": pid, "started_at": now, "heartbeat_at": now}
    insert_row = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    tx.execute(insert_row(writers).values(values).on_conflict_do_nothing())


def beat(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Note that these writers live."""
    tx.execute(sa.update(writers).where(writers.c.writer_id.in_(writer_ids)).values(heartbeat_at=now_ms(tx)))


def delete(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Forget writers that have ended."""
    tx.execute(sa.delete(writers).where(writers.c.writer_id.in_(writer_ids)))


def of_host(tx: Connection, host: str) -> list[str]:
    """The ids of all writers of a host that are on record, dead or alive."""
    return list(tx.scalars(sa.select(writers.c.writer_id).where(writers.c.host == host)))


def alive(tx: Connection) -> list[Writer]:
    """All writers with a recent heartbeat."""
    query = sa.select(writers).where(writers.c.heartbeat_at > now_ms(tx) - ALIVE_MS).order_by(writers.c.writer_id)
    return [Writer(**dict(row._mapping)) for row in tx.execute(query)]
