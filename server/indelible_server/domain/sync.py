"""The switch, the one-time run and the status of a catalog's write-back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ..storage import catalogs, due, leases, runs, spending, writers, writes
from ..storage import jobs as job_store
from ..storage.catalogs import Catalog, Counts
from ..storage.database import now_ms
from ..storage.due import NotYet
from ..storage.item import ItemState
from ..storage.runs import Run
from . import budgets, jobs
from . import runs as run_rules
from .activity import Activity, Due, Wait, activity
from .schedule import Schedule

# A budget that is earned again within this is a steady flow, not a wait.
SHORT_MS = budgets.AT_ONCE_MS


@dataclass(frozen=True)
class SyncStatus:
    """A snapshot of a catalog's write-back."""

    catalog: Catalog
    counts: Counts
    activity: Activity
    waits: tuple[Wait, ...]
    in_flight: int
    run: Run | None
    never_written: bool = False

    @property
    def text(self) -> str:
        """What a status bar shows."""
        if self.run is not None and self.run.state == runs.RUNNING:
            return f"Synchronizing: {self.run.counted:,} of {self.run.total:,}"
        if self.counts.unsynced == 0:
            return f"All {self.counts.total:,} synchronized"
        return f"{self.counts.unsynced:,} of {self.counts.total:,} not synchronized"


def status(tx: Connection, catalog: Catalog) -> SyncStatus:
    """The present snapshot; its cost does not grow with the catalog."""
    counts = catalogs.counts(tx, catalog.catalog_id)
    active = runs.active(tx, catalog.catalog_id)
    run = active or next(iter(runs.newest(tx, catalog.catalog_id, 1)), None)
    in_flight = leases.count(tx, catalog.catalog_id)
    state = None if active is None else active.state
    present = _due(tx, catalog, counts, active)
    doing, waits = activity(catalog.auto_sync, state, in_flight, present, writers.count_for(tx, catalog.catalog_id))
    never_written = not writes.any_of(tx, catalog.catalog_id)
    return SyncStatus(catalog, counts, doing, tuple(waits), in_flight, run, never_written)


def set_auto_sync(tx: Connection, catalog: Catalog, on: bool) -> Catalog:
    """Turn the switch; kept by the store, the same for every client. Repeated: nothing changes."""
    if catalog.auto_sync == on:
        return catalog
    switched = replace(catalog, auto_sync=on)
    catalogs.update(tx, switched)
    return replace(switched, revision=catalog.revision + 1)


def pause(tx: Connection, catalog: Catalog) -> Catalog:
    """Auto-sync off, the run suspended, an undo ended; a writer stops at the next file boundary."""
    catalogs.lock(tx, catalog.catalog_id)
    run_rules.suspend(tx, catalog.catalog_id)
    for job in job_store.active(tx, catalog.catalog_id, jobs.UNDO):
        jobs.cancel_undo(tx, job, "Ended by a pause: start it again to go on")
    return set_auto_sync(tx, catalog, False)


def tend_run(tx: Connection, catalog_id: int) -> None:
    """End a run whose last members were counted without a write, or wait for an offline root for too long."""
    catalogs.lock(tx, catalog_id)
    run = runs.active(tx, catalog_id)
    if run is None or run_rules.finish_if_done(tx, run).ended_at is not None:
        return
    catalog, now = catalogs.get(tx, catalog_id), now_ms(tx)
    if catalog is not None and _is_open_for(catalog, run, now):
        run_rules.give_up_if_stuck(tx, run, catalog, now)


def _due(tx: Connection, catalog: Catalog, counts: Counts, run: Run | None) -> Due:
    running = run is not None and run.state == runs.RUNNING
    if not catalog.auto_sync and not running:
        return Due()
    now = now_ms(tx)
    later = due.not_yet(tx, catalog.catalog_id, now)
    quiet, retry = later.get(ItemState.PENDING, NotYet()), later.get(ItemState.FAILED, NotYet())
    offline = [root for root in catalog.roots if root.offline_since is not None and not root.read_only]
    room = budgets.room(tx, catalog, now + SHORT_MS)
    ready = _anything_ready(tx, catalog, run if running else None, now)
    # How many exactly is told by no index; the kept counts come close.
    waiting = counts.unsynced - counts.failed - counts.conflicted - counts.held - quiet.items
    found = Due(
        ready=max(waiting, 1) if ready else 0,
        quiet=quiet.items,
        quiet_until=quiet.until,
        retry=retry.items,
        retry_until=retry.until,
        offline=tuple((root.root_id, root.unsynced) for root in offline),
    )
    if not _is_open_for(catalog, run if running else None, now):
        shut = found.ready + (found.quiet if running else 0)
        until = Schedule.from_json(catalog.schedule).next_change(now)
        return replace(found, ready=0, shut=shut, shut_until=until)
    if not found.ready or (room.until is None and not room.spent_roots):
        return found
    if room.until is not None:
        return replace(found, ready=0, spent=((spending.CATALOG, found.ready, room.until),))
    elsewhere = _anything_ready(tx, catalog, run if running else None, now, not_below=room.spent_roots)
    unsynced = {root.root_id: root.unsynced for root in catalog.roots}
    spent = tuple((root_id, unsynced[root_id], until) for root_id, until in sorted(room.spent_roots.items()))
    return replace(found, ready=found.ready if elsewhere else 0, spent=spent)


def _is_open_for(catalog: Catalog, run: Run | None, now: int) -> bool:
    """Whether the schedule lets anything be written: at any time what is of a run that is free of it."""
    return (run is not None and run.outside_window) or Schedule.from_json(catalog.schedule).is_open(now)


def _anything_ready(
    tx: Connection, catalog: Catalog, run: Run | None, now: int, not_below: Collection[str] = ()
) -> bool:
    by_itself = catalog.auto_sync and due.anything_ready(tx, catalog.catalog_id, now, not_below)
    return by_itself or (run is not None and runs.unfinished(tx, run, online_only=True, not_below=not_below))
