"""One-time runs: a predicate over items, nothing copied, the same after a restart."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row

from .database import now_ms, touch
from .item import ItemState, dump
from .parts import parts
from .tables import items, roots, run_items, runs

RUNNING, SUSPENDED, COMPLETED, CANCELLED, GAVE_UP = (
    "RUNNING",
    "SUSPENDED",
    "COMPLETED",
    "CANCELLED",
    "GAVE_UP",
)
_COUNTED = ("done", "failed", "conflicted", "skipped")
# How far back a run's present speed looks.
RATE_MS = 10_000


@dataclass(frozen=True)
class Run:
    """A one-time run. It ends by itself when each member is counted once."""

    catalog_id: int
    run_id: str
    state: str
    start_revision: int
    selected: bool
    total: int
    principal: str
    on_behalf_of: str
    give_up_ms: int
    done: int = 0
    failed: int = 0
    conflicted: int = 0
    skipped: int = 0
    bytes_written: int = 0
    outside_window: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    rate: float | None = None
    started_at: int = 0
    progressed_at: int = 0
    ended_at: int | None = None

    @property
    def counted(self) -> int:
        """How many members are accounted for."""
        return self.done + self.failed + self.conflicted + self.skipped


def insert(tx: Connection, run: Run, frozen: Sequence[int] = ()) -> Run:
    """Store a new run; `frozen` are its members if it has a selection."""
    now = now_ms(tx)
    values = {name: getattr(run, name) for name in Run.__dataclass_fields__} | {"reasons": dump(run.reasons)}
    row = tx.execute(sa.insert(runs).values(values | {"started_at": now, "progressed_at": now}).returning(runs)).one()
    for some in parts(frozen):
        rows = [{"catalog_id": run.catalog_id, "run_id": run.run_id, "item_id": item_id} for item_id in some]
        tx.execute(sa.insert(run_items), rows)
    touch(tx, run.catalog_id)
    return _run(row)


def members(run: Run) -> ColumnElement[bool]:
    """The rows of `items` that belong to the run and are not counted yet."""
    uncounted = items.c.counted_run.is_distinct_from(run.run_id)
    if not run.selected:
        return sa.and_(items.c.unsynced_since <= run.start_revision, uncounted)
    frozen = sa.exists().where(
        run_items.c.catalog_id == items.c.catalog_id,
        run_items.c.run_id == run.run_id,
        run_items.c.item_id == items.c.item_id,
    )
    return sa.and_(items.c.unsynced_since <= run.start_revision, uncounted, frozen)


def frozen_among(tx: Connection, run: Run, item_ids: Sequence[int]) -> set[int]:
    """Those of these items that are in the run's frozen selection."""
    query = sa.select(run_items.c.item_id).where(
        run_items.c.catalog_id == run.catalog_id, run_items.c.run_id == run.run_id
    )
    return set(tx.scalars(query.where(run_items.c.item_id.in_(item_ids))))


def unfinished(tx: Connection, run: Run, *, online_only: bool = False, not_below: Collection[str] = ()) -> bool:
    """Whether a member is left that a writer will still take, on any root but `not_below`."""
    its_roots = sa.select(roots.c.root_id).where(roots.c.catalog_id == run.catalog_id, roots.c.read_only.is_(False))
    if online_only:
        its_roots = its_roots.where(roots.c.offline_since.is_(None))
    if not_below:
        its_roots = its_roots.where(roots.c.root_id.not_in(not_below))
    query = sa.select(items.c.item_id).where(
        items.c.catalog_id == run.catalog_id,
        items.c.due_at.is_not(None),
        items.c.missing_since.is_(None),
        items.c.root_id.in_(its_roots),
        members(run),
    )
    return tx.execute(query.limit(1)).first() is not None


def count_left(tx: Connection, run: Run) -> dict[int, int]:
    """The members that are not counted, by ItemState."""
    query = sa.select(items.c.state, sa.func.count()).where(items.c.catalog_id == run.catalog_id, members(run))
    return {int(state): int(number) for state, number in tx.execute(query.group_by(items.c.state))}


def failures_left(tx: Connection, run: Run) -> dict[str, int]:
    """Why those of the members that are not counted have failed."""
    failed = sa.and_(items.c.catalog_id == run.catalog_id, items.c.state == int(ItemState.FAILED), members(run))
    query = sa.select(items.c.failure, sa.func.count()).where(failed).group_by(items.c.failure)
    return {str(reason): int(number) for reason, number in tx.execute(query)}


def unsynced_among(tx: Connection, catalog_id: int, ids: Sequence[int]) -> list[int]:
    """Those of these items that are unsynced."""
    wanted = sa.and_(items.c.catalog_id == catalog_id, items.c.unsynced_since.is_not(None))
    found = (tx.scalars(sa.select(items.c.item_id).where(wanted, items.c.item_id.in_(some))) for some in parts(ids))
    return sorted(item_id for some in found for item_id in some)


def add(tx: Connection, run: Run, reasons: Mapping[str, int] | None = None, **deltas: int) -> Run:
    """Add to a run's counts, and to those of its failures by reason. The caller holds the catalog's lock."""
    now = now_ms(tx)
    values: dict[str, Any] = {name: runs.c[name] + delta for name, delta in deltas.items()}
    number = sum(delta for name, delta in deltas.items() if name in _COUNTED)
    values |= {"progressed_at": now, "rate": _new_rate(run, number, now)}
    if reasons:
        values["reasons"] = dump(dict(Counter(run.reasons) + Counter(reasons)))
    row = tx.execute(sa.update(runs).where(*_key(run)).values(values).returning(runs)).one()
    touch(tx, run.catalog_id)
    return _run(row)


def set_state(tx: Connection, run: Run, state: str) -> Run:
    """Change a run's state; COMPLETED, CANCELLED and GAVE_UP end it."""
    ended_at = None if state in (RUNNING, SUSPENDED) else now_ms(tx)
    changed = {"state": state, "ended_at": ended_at, "progressed_at": now_ms(tx)}
    row = tx.execute(sa.update(runs).where(*_key(run)).values(changed).returning(runs)).one()
    if ended_at is not None:
        tx.execute(
            sa.delete(run_items).where(run_items.c.catalog_id == run.catalog_id, run_items.c.run_id == run.run_id)
        )
    touch(tx, run.catalog_id)
    return _run(row)


def free_of_window(tx: Connection, run: Run) -> Run:
    """Let a run write whatever the schedule says."""
    row = tx.execute(sa.update(runs).where(*_key(run)).values(outside_window=True).returning(runs)).one()
    touch(tx, run.catalog_id)
    return _run(row)


def get(tx: Connection, catalog_id: int, run_id: str) -> Run | None:
    """The run, or None."""
    row = tx.execute(sa.select(runs).where(runs.c.catalog_id == catalog_id, runs.c.run_id == run_id)).first()
    return None if row is None else _run(row)


def active(tx: Connection, catalog_id: int) -> Run | None:
    """The run that is running or suspended, or None."""
    row = tx.execute(sa.select(runs).where(runs.c.catalog_id == catalog_id, runs.c.ended_at.is_(None))).first()
    return None if row is None else _run(row)


def active_catalogs(tx: Connection) -> list[int]:
    """The catalogs with a run that has not ended."""
    return list(tx.scalars(sa.select(runs.c.catalog_id).where(runs.c.ended_at.is_(None))))


def newest(tx: Connection, catalog_id: int, limit: int, before: str = "") -> list[Run]:
    """Runs, the newest first, older than `before` if that is given."""
    query = sa.select(runs).where(runs.c.catalog_id == catalog_id)
    if before:
        query = query.where(runs.c.run_id < before)
    return [_run(row) for row in tx.execute(query.order_by(runs.c.run_id.desc()).limit(limit))]


def count(tx: Connection, catalog_id: int) -> int:
    """How many runs the catalog has had."""
    return int(tx.scalar(sa.select(sa.func.count()).where(runs.c.catalog_id == catalog_id)) or 0)


def _new_rate(run: Run, number: int, now: int) -> float:
    """Items a second, as they went in the last while: what is older counts for less and less."""
    # For longer than that it has waited for something, which says nothing of its speed.
    since = min(max(now - run.progressed_at, 1), RATE_MS)
    present = number * 1000 / since
    weight = 1.0 if run.rate is None else -math.expm1(-since / RATE_MS)
    return (run.rate or 0.0) * (1 - weight) + present * weight


def _key(run: Run) -> tuple[ColumnElement[bool], ...]:
    return runs.c.catalog_id == run.catalog_id, runs.c.run_id == run.run_id


def _run(row: Row[Any]) -> Run:
    return Run(**dict(row._mapping) | {"reasons": json.loads(row.reasons or "{}")})
