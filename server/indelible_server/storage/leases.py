"""Leases: which writer has which item in hand, until when.

A lease fences the acknowledgement, not the file: what keeps a late writer from a file is in `writeback`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from . import hosts
from .database import insert_into, now_ms, touch
from .ids import new_id
from .item import Item, ItemState, from_row
from .runs import RUNNING, Run, members
from .tables import catalogs, intents, items, late_writers, leases, roots, runs, undos, writers

LEASE_MS = 60_000


@dataclass(frozen=True)
class Claim:
    """An item in a writer's hand. `token` proves it when the result is acknowledged."""

    token: str
    item: Item
    run_id: str | None
    job_id: str | None = None
    """The undo that it was claimed for; None: to be written."""
    until: int | None = None
    """When the catalog's schedule shuts: nothing is begun after it. None: it does not."""


def claim_due(
    tx: Connection,
    catalog_id: int,
    writer_id: str,
    run: Run | None,
    limit: int,
    *,
    not_below: Collection[str] = (),
) -> list[Claim]:
    """Lease up to `limit` items that may be written now: of the run, or by auto-sync where `run` is None.

    Those below the roots `not_below` are left for later.
    """
    now = now_ms(tx)
    if run is not None:
        may_be_written = sa.and_(members(run), sa.or_(items.c.state == int(ItemState.PENDING), items.c.due_at <= now))
    else:
        may_be_written = items.c.due_at <= now
    query = (
        sa.select(items)
        .join(roots, sa.and_(roots.c.catalog_id == items.c.catalog_id, roots.c.root_id == items.c.root_id))
        .where(items.c.catalog_id == catalog_id, may_be_written, _is_free(), _takes_writes(writer_id))
        .order_by(items.c.due_at)
        .limit(limit)
    )
    if not_below:
        query = query.where(items.c.root_id.not_in(not_below))
    return _lease(tx, catalog_id, writer_id, query, None if run is None else run.run_id)


def catalogs_with_work(tx: Connection, writer_id: str) -> list[tuple[int, bool]]:
    """The catalogs in which `claim_due` may find something, and whether for a run.

    One question, whatever the number of catalogs: it is what a writer asks that has nothing to do.
    """
    running = sa.exists().where(runs.c.catalog_id == catalogs.c.catalog_id, runs.c.state == RUNNING)
    its_roots = (
        sa.select(roots.c.root_id)
        .where(roots.c.catalog_id == catalogs.c.catalog_id, _takes_writes(writer_id))
        .correlate(catalogs)
    )
    ready = sa.exists().where(
        items.c.catalog_id == catalogs.c.catalog_id,
        items.c.due_at <= now_ms(tx),
        items.c.root_id.in_(its_roots),
        _is_free(),
    )
    query = sa.select(catalogs.c.catalog_id, running).where(
        catalogs.c.deleted_at.is_(None),
        its_roots.exists(),
        sa.or_(running, sa.and_(catalogs.c.auto_sync.is_(True), ready.correlate(catalogs))),
    )
    return [(int(catalog_id), bool(for_a_run)) for catalog_id, for_a_run in tx.execute(query)]


def claim_undo(tx: Connection, catalog_id: int, writer_id: str, job_id: str, limit: int) -> list[Claim]:
    """Lease up to `limit` items of an undo, whatever their catalog's switch says: it was asked for."""
    query = (
        sa.select(items)
        .join(undos, sa.and_(undos.c.catalog_id == items.c.catalog_id, undos.c.item_id == items.c.item_id))
        .join(roots, sa.and_(roots.c.catalog_id == items.c.catalog_id, roots.c.root_id == items.c.root_id))
        .where(
            undos.c.catalog_id == catalog_id,
            undos.c.job_id == job_id,
            undos.c.due_at <= now_ms(tx),
            roots.c.offline_since.is_(None),
            hosts.reached_by(_host_of(writer_id)),
            ~_exists(leases),
            ~_exists(intents),
        )
        .order_by(items.c.item_id)
        .limit(limit)
    )
    return [replace(claim, job_id=job_id) for claim in _lease(tx, catalog_id, writer_id, query, None)]


def claim_unsettled(tx: Connection, writer_id: str, limit: int) -> list[Claim]:
    """Lease items whose intent outlived its writer, whatever their catalog's switch says: they are settled first.

    Those on an offline root wait for it, and those whose settlement failed for their next try.
    """
    now = now_ms(tx)
    query = (
        sa.select(items)
        .join(intents, sa.and_(intents.c.catalog_id == items.c.catalog_id, intents.c.item_id == items.c.item_id))
        .join(roots, sa.and_(roots.c.catalog_id == items.c.catalog_id, roots.c.root_id == items.c.root_id))
        .where(
            roots.c.offline_since.is_(None),
            hosts.reached_by(_host_of(writer_id)),
            sa.or_(items.c.failure.is_(None), items.c.due_at <= now),
            ~_exists(leases),
        )
    )
    catalog_id = tx.scalar(query.with_only_columns(items.c.catalog_id).limit(1))
    if catalog_id is None:
        return []
    return _lease(tx, catalog_id, writer_id, query.where(items.c.catalog_id == catalog_id).limit(limit), None)


# Asked before every file, so they are put together once.
_STANDS = sa.and_(
    leases.c.catalog_id == sa.bindparam("catalog_id"),
    leases.c.item_id == sa.bindparam("item_id"),
    leases.c.token == sa.bindparam("token"),
    leases.c.deadline > sa.bindparam("now"),
)
_IS_VALID = sa.select(leases.c.token).where(_STANDS)
_MAY_BEGIN = (
    sa.select(leases.c.token)
    .join(items, sa.and_(items.c.catalog_id == leases.c.catalog_id, items.c.item_id == leases.c.item_id))
    .join(catalogs, catalogs.c.catalog_id == leases.c.catalog_id)
    .where(
        _STANDS,
        items.c.hold.is_(None),
        catalogs.c.deleted_at.is_(None),
        sa.or_(
            catalogs.c.auto_sync.is_(True),
            sa.exists().where(runs.c.catalog_id == leases.c.catalog_id, runs.c.state == RUNNING),
        ),
    )
)


def is_valid(tx: Connection, claim: Claim) -> bool:
    """Whether the claim's lease still stands."""
    return tx.scalar(_IS_VALID, _named(tx, claim)) is not None


def may_begin(tx: Connection, claim: Claim) -> bool:
    """Whether the claim's lease still stands, its catalog's switch or a run still wants writes, nobody holds it, and
    its time is not over.
    """
    named = _named(tx, claim)
    return (claim.until is None or named["now"] < claim.until) and tx.scalar(_MAY_BEGIN, named) is not None


def _named(tx: Connection, claim: Claim) -> dict[str, Any]:
    item = claim.item
    return {"catalog_id": item.catalog_id, "item_id": item.item_id, "token": claim.token, "now": now_ms(tx)}


def valid(tx: Connection, claims: Sequence[Claim]) -> set[str]:
    """The tokens of those claims whose lease still stands."""
    query = sa.select(leases.c.token).where(
        leases.c.token.in_([claim.token for claim in claims]),
        leases.c.catalog_id.in_({claim.item.catalog_id for claim in claims}),
        leases.c.item_id.in_([claim.item.item_id for claim in claims]),
        leases.c.deadline > now_ms(tx),
    )
    return set(tx.scalars(query))


def release(tx: Connection, claims: Sequence[Claim]) -> None:
    """End the leases of these claims, where they still stand."""
    catalog_ids = {claim.item.catalog_id for claim in claims}
    tx.execute(
        sa.delete(leases).where(
            leases.c.catalog_id.in_(catalog_ids),
            leases.c.item_id.in_([claim.item.item_id for claim in claims]),
            leases.c.token.in_([claim.token for claim in claims]),
        )
    )
    for catalog_id in catalog_ids:
        touch(tx, catalog_id)


def renew(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Keep the leases of writers that are known to live. One that has ended stays ended."""
    now = now_ms(tx)
    theirs = sa.and_(leases.c.writer_id.in_(writer_ids), leases.c.deadline > now)
    # In one order, and past those that are being acknowledged at this moment.
    keys = sa.select(leases.c.catalog_id, leases.c.item_id).where(theirs)
    keys = keys.order_by(leases.c.catalog_id, leases.c.item_id).with_for_update(skip_locked=True)
    found = [tuple(row) for row in tx.execute(keys)]
    if found:
        these = sa.tuple_(leases.c.catalog_id, leases.c.item_id).in_(found)
        tx.execute(sa.update(leases).where(these).values(deadline=now + LEASE_MS))


def drop(tx: Connection, writer_ids: Sequence[str]) -> None:
    """Drop the leases of writers that are known to be dead."""
    query = sa.delete(leases).where(leases.c.writer_id.in_(writer_ids)).returning(leases.c.catalog_id)
    for catalog_id in set(tx.execute(query).scalars()):
        touch(tx, catalog_id)


def drop_expired(tx: Connection) -> None:
    """Drop leases that nobody renewed. Their writers may still be alive: that is noted with the intents they had."""
    query = sa.delete(leases).where(leases.c.deadline < now_ms(tx))
    for lease in tx.execute(query.returning(leases.c.catalog_id, leases.c.item_id, leases.c.writer_id)).all():
        had = intents.c.catalog_id == lease.catalog_id, intents.c.item_id == lease.item_id
        rows = sa.select(intents.c.intent_id, sa.literal(lease.writer_id)).where(*had)
        query_in = insert_into(tx, late_writers).from_select(["intent_id", "writer_id"], rows)
        tx.execute(query_in.on_conflict_do_nothing())
        touch(tx, lease.catalog_id)


def next_due(tx: Connection) -> int | None:
    """When the next item becomes due that auto-sync may write; None if none is on its way."""
    # The near end of an index, once for each catalog.
    first = sa.select(sa.func.min(items.c.due_at)).where(
        items.c.catalog_id == catalogs.c.catalog_id, items.c.due_at > now_ms(tx)
    )
    query = sa.select(sa.func.min(first.scalar_subquery())).where(catalogs.c.auto_sync.is_(True))
    due_at: int | None = tx.scalar(query)
    return due_at


def count(tx: Connection, catalog_id: int) -> int:
    """How many items of the catalog are in a writer's hand."""
    query = sa.select(sa.func.count()).select_from(leases)
    return int(tx.scalar(query.where(leases.c.catalog_id == catalog_id, leases.c.deadline > now_ms(tx))) or 0)


def _is_free() -> ColumnElement[bool]:
    """The rows of `items` that are to be written some time, and that nobody has in hand."""
    return sa.and_(
        items.c.due_at.is_not(None),
        items.c.missing_since.is_(None),
        ~_exists(leases),
        ~_exists(intents),
        # What is to be taken back is found as it was when that was asked for.
        ~_exists(undos),
    )


def _takes_writes(writer_id: str) -> ColumnElement[bool]:
    """The rows of `roots` in which this writer may write."""
    return sa.and_(roots.c.offline_since.is_(None), roots.c.read_only.is_(False), hosts.reached_by(_host_of(writer_id)))


def _host_of(writer_id: str) -> ColumnElement[str]:
    return sa.select(writers.c.host).where(writers.c.writer_id == writer_id).scalar_subquery()


def _exists(table: sa.Table) -> ColumnElement[bool]:
    return sa.exists().where(table.c.catalog_id == items.c.catalog_id, table.c.item_id == items.c.item_id)


def _lease(tx: Connection, catalog_id: int, writer_id: str, query: sa.Select[Any], run_id: str | None) -> list[Claim]:
    # Rows that another host is claiming at this moment are passed over, not waited for.
    rows_found = tx.execute(query.with_for_update(of=items, skip_locked=True))
    # An item with two intents is found twice.
    found = list({row.item_id: from_row(row) for row in rows_found}.values())
    if not found:
        return []
    deadline = now_ms(tx) + LEASE_MS
    rows = [
        {
            "catalog_id": catalog_id,
            "item_id": item.item_id,
            "token": new_id(),
            "writer_id": writer_id,
            "deadline": deadline,
        }
        for item in found
    ]
    # A claim that was committed between our look and our lock has its lease already: leave it alone.
    leased = tx.execute(
        insert_into(tx, leases).values(rows).on_conflict_do_nothing().returning(leases.c.item_id, leases.c.token)
    )
    tokens = {row.item_id: row.token for row in leased}
    touch(tx, catalog_id)
    return [Claim(tokens[item.item_id], item, run_id) for item in found if item.item_id in tokens]
