"""Writers: the processes that write, each of a host. A row goes only when its writer is known to be dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from . import hosts
from .database import now_ms
from .tables import hosts as host_rows
from .tables import leases, roots, writers

ALIVE_MS = hosts.ALIVE_MS


@dataclass(frozen=True)
class Writer:
    """A writer process. `host` is the name of its host, `root_ids` are the roots that it reaches."""

    writer_id: str
    host: str
    pid: int
    started_at: int
    heartbeat_at: int
    version: str = ""
    root_ids: tuple[str, ...] = ()
    in_flight: int = 0


def insert(tx: Connection, writer_id: str, host_id: str) -> None:
    """Register a writer that is about to be started."""
    now = now_ms(tx)
    values = {"writer_id": writer_id, "host": host_id, "pid": 0, "started_at": now, "heartbeat_at": now}
    tx.execute(sa.insert(writers).values(values))


def set_pid(tx: Connection, writer_id: str, pid: int) -> None:
    """Note the process of a writer that was started."""
    tx.execute(sa.update(writers).where(writers.c.writer_id == writer_id).values(pid=pid))


def beat(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Note that these writers live."""
    tx.execute(sa.update(writers).where(writers.c.writer_id.in_(writer_ids)).values(heartbeat_at=now_ms(tx)))


def delete(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Forget writers that are known to be dead."""
    tx.execute(sa.delete(writers).where(writers.c.writer_id.in_(writer_ids)))


def of_host(tx: Connection, host_id: str) -> list[str]:
    """The ids of all writers of a host that are on record, dead or alive."""
    return list(tx.scalars(sa.select(writers.c.writer_id).where(writers.c.host == host_id)))


def count_for(tx: Connection, catalog_id: int) -> int:
    """How many living writers reach a root of the catalog."""
    query = sa.select(sa.func.count()).select_from(writers)
    reached = sa.exists().where(roots.c.catalog_id == catalog_id, hosts.reached_by(writers.c.host))
    return int(tx.scalar(query.where(_is_alive(tx), reached)) or 0)


def alive(tx: Connection) -> list[Writer]:
    """All writers with a recent heartbeat, with what they reach and have in hand."""
    query = sa.select(writers, host_rows.c.name, host_rows.c.version)
    query = query.outerjoin(host_rows, host_rows.c.host_id == writers.c.host)
    found = list(tx.execute(query.where(_is_alive(tx)).order_by(writers.c.writer_id)))
    root_ids = list(tx.scalars(sa.select(roots.c.root_id).order_by(roots.c.root_id)))
    not_reached = hosts.unreached_by(tx, list({row.host for row in found}))
    in_flight = _in_flight(tx)
    return [
        Writer(
            writer_id=row.writer_id,
            host=row.name or row.host,
            pid=row.pid,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at,
            version=row.version or "",
            root_ids=tuple(root_id for root_id in root_ids if (row.host, root_id) not in not_reached),
            in_flight=in_flight.get(row.writer_id, 0),
        )
        for row in found
    ]


def _is_alive(tx: Connection) -> sa.ColumnElement[bool]:
    return writers.c.heartbeat_at > now_ms(tx) - ALIVE_MS


def _in_flight(tx: Connection) -> dict[str, int]:
    query = sa.select(leases.c.writer_id, sa.func.count().label("number")).where(leases.c.deadline > now_ms(tx))
    return {row.writer_id: row.number for row in tx.execute(query.group_by(leases.c.writer_id))}
