"""Hosts: the servers and writer hosts that share the database, and which roots they reach.

A host is taken to reach every root until it has tried in vain. A root is offline when no living host reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from .catalogs import Root, root_from_row, set_root_offline
from .database import insert_into, now_ms
from .tables import hosts, roots, unreached

ALIVE_MS = 45_000


@dataclass(frozen=True)
class Host:
    """A server or a writer host. `host_id` is kept in its data folder, which it has for itself."""

    host_id: str
    name: str
    version: str


def begin(tx: Connection, host: Host) -> None:
    """Put a host on record that has just started; what it did not reach before is tried again."""
    now = now_ms(tx)
    values = {"name": host.name, "version": host.version, "started_at": now, "heartbeat_at": now}
    query = insert_into(tx, hosts).values(values | {"host_id": host.host_id})
    tx.execute(query.on_conflict_do_update(index_elements=[hosts.c.host_id], set_=values))
    _forget_unreached(tx, host.host_id)


def lives_elsewhere(tx: Connection, host: Host) -> bool:
    """Whether another machine lives under the host's id: then the data folder is a copy of that one's."""
    query = sa.select(hosts.c.host_id).where(hosts.c.host_id == host.host_id, hosts.c.name != host.name)
    return tx.execute(query.where(is_alive(tx))).first() is not None


def beat(tx: Connection, host_id: str) -> None:
    """Note that the host lives."""
    tx.execute(sa.update(hosts).where(hosts.c.host_id == host_id).values(heartbeat_at=now_ms(tx)))


def end(tx: Connection, host_id: str) -> None:
    """Forget a host that stops."""
    tx.execute(sa.delete(hosts).where(hosts.c.host_id == host_id))
    _forget_unreached(tx, host_id)


def is_alive(tx: Connection) -> ColumnElement[bool]:
    """The rows of `hosts` with a recent heartbeat."""
    return hosts.c.heartbeat_at > now_ms(tx) - ALIVE_MS


def reached_by(host_id: ColumnElement[str]) -> ColumnElement[bool]:
    """The rows of `roots` that a host has not found out of reach."""
    found_so = sa.exists().where(
        unreached.c.catalog_id == roots.c.catalog_id,
        unreached.c.root_id == roots.c.root_id,
        unreached.c.host_id == host_id,
    )
    return ~found_so.correlate_except(unreached)


def unreached_by(tx: Connection, host_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Which of these hosts does not reach which root: pairs of host and root."""
    query = sa.select(unreached.c.host_id, unreached.c.root_id).where(unreached.c.host_id.in_(host_ids))
    return {(row.host_id, row.root_id) for row in tx.execute(query)}


def in_doubt(tx: Connection) -> list[Root]:
    """The roots that some living host does not reach, or that are offline."""
    not_reached = sa.select(unreached.c.root_id).join(hosts, hosts.c.host_id == unreached.c.host_id)
    not_reached = not_reached.where(is_alive(tx))
    query = sa.select(roots).where(sa.or_(roots.c.offline_since.is_not(None), roots.c.root_id.in_(not_reached)))
    return [root_from_row(row) for row in tx.execute(query.order_by(roots.c.root_id))]


def note_reach(tx: Connection, host_id: str, root: Root, reached: bool) -> None:
    """Note whether a host reaches a root, and whether the root is offline now; may be repeated."""
    row = {"catalog_id": root.catalog_id, "root_id": root.root_id, "host_id": host_id}
    if reached:
        tx.execute(sa.delete(unreached).where(*(unreached.c[name] == value for name, value in row.items())))
    else:
        tx.execute(insert_into(tx, unreached).values(row).on_conflict_do_nothing())
    not_by = sa.select(unreached.c.host_id).where(unreached.c.root_id == root.root_id)
    reaching = sa.select(hosts.c.host_id).where(is_alive(tx), hosts.c.host_id.not_in(not_by))
    set_root_offline(tx, root.root_id, tx.execute(reaching.limit(1)).first() is None)


def _forget_unreached(tx: Connection, host_id: str) -> None:
    tx.execute(sa.delete(unreached).where(unreached.c.host_id == host_id))
