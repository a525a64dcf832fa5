"""What a writer is given to write next: by which catalogs want it, their schedules and their budgets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from ..storage import catalogs, leases, runs, spending
from ..storage.catalogs import Catalog
from ..storage.database import now_ms
from ..storage.leases import Claim
from ..storage.runs import Run
from . import budgets
from .schedule import Schedule

LONGEST_WAIT_MS = 1000


def catalogs_with_work(tx: Connection, writer_id: str) -> list[int]:
    """The catalogs in which `claim` may find something: those with a run first, otherwise in a fair order.

    A batch of one is followed by a batch of another, so that a million items never starve ten.
    """
    found = dict(leases.catalogs_with_work(tx, writer_id))
    now = now_ms(tx)
    # Looked at before anything is locked: most of the time, what is shut stays shut.
    able = [
        catalog
        for catalog in catalogs.get_many(tx, found)
        if _is_open(tx, catalog, now, has_run=found[catalog.catalog_id])
        and budgets.room(tx, catalog, now).is_there_for(catalog)
    ]
    random.shuffle(able)
    return [catalog.catalog_id for catalog in sorted(able, key=lambda each: not found[each.catalog_id])]


def claim(tx: Connection, catalog_id: int, writer_id: str, limit: int) -> list[Claim]:
    """Lease up to `limit` items that may be written now: of the run, else those that auto-sync wants."""
    catalog = catalogs.get(tx, catalog_id)
    if catalog is None:
        return []
    now = now_ms(tx)
    room = budgets.room(tx, catalog, now, to_spend=True)
    if not room.is_there_for(catalog):
        return []
    schedule = Schedule.from_json(catalog.schedule)
    run = runs.active(tx, catalog_id)
    limit = budgets.items_at_once(catalog, limit)
    for wanted in _wanted(catalog, run, schedule.is_open(now)):
        claims = leases.claim_due(tx, catalog_id, writer_id, wanted, limit, not_below=room.spent_roots)
        if claims:
            _spend(tx, catalog, claims)
            shuts_at = None if wanted is not None and wanted.outside_window else schedule.next_change(now)
            return [replace(each, until=shuts_at) for each in claims]
    return []


def seconds_to_next(tx: Connection) -> float:
    """How long a writer that has nothing to do may sleep, unless it is woken."""
    now = now_ms(tx)
    times = [leases.next_due(tx), spending.next_earned(tx)]
    first = min([now + LONGEST_WAIT_MS, *(at for at in times if at is not None)])
    return max(first - now, 1) / 1000


def _is_open(tx: Connection, catalog: Catalog, now: int, *, has_run: bool) -> bool:
    if Schedule.from_json(catalog.schedule).is_open(now):
        return True
    run = runs.active(tx, catalog.catalog_id) if has_run else None
    return run is not None and run.outside_window


def _wanted(catalog: Catalog, run: Run | None, is_open: bool) -> list[Run | None]:
    """In this order: the run's items, and None for what auto-sync wants."""
    wanted: list[Run | None] = []
    if run is not None and run.state == runs.RUNNING and (is_open or run.outside_window):
        wanted.append(run)
    if catalog.auto_sync and is_open:
        wanted.append(None)
    return wanted


def _spend(tx: Connection, catalog: Catalog, claims: Sequence[Claim]) -> None:
    for root in catalog.roots:
        number = sum(each.item.root_id == root.root_id for each in claims)
        if number:
            budgets.spend(tx, catalog, root.root_id, items=number, size=0)
