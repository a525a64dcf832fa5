"""One-time runs: begun once, counted once for each member, ended by themselves."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from ..errors import FailedPrecondition, NotFound
from ..storage import catalogs, items, runs
from ..storage.catalogs import Catalog
from ..storage.ids import new_id
from ..storage.item import Item, ItemState
from ..storage.items import Selection
from ..storage.runs import Run
from .items import select
from .principal import Principal
from .schedule import Schedule

GIVE_UP_MS = 3600 * 1000
TRIES_IN_A_RUN = 3


def start(
    tx: Connection,
    who: Principal,
    catalog: Catalog,
    selection: Selection | None,
    give_up_ms: int = GIVE_UP_MS,
    max_items: int | None = None,
    *,
    outside_window: bool = False,
) -> Run:
    """Begin a run over what is unsynced now, or give the one that is there: one run a catalog.

    A start without a selection resumes a suspended run. `max_items` keeps a new run to the first so many.
    `outside_window` lets it write at any time; without a selection, also the run that there is already.
    """
    catalogs.lock(tx, catalog.catalog_id)
    present = runs.active(tx, catalog.catalog_id)
    if present is not None:
        if outside_window and selection is None and not present.outside_window:
            present = runs.free_of_window(tx, present)
        resumed = present.state == runs.SUSPENDED and selection is None
        return runs.set_state(tx, present, runs.RUNNING) if resumed else present
    counts = catalogs.counts(tx, catalog.catalog_id)
    frozen = _frozen(tx, catalog, selection, max_items)
    run = Run(
        catalog_id=catalog.catalog_id,
        run_id=new_id(),
        state=runs.RUNNING,
        start_revision=counts.revision,
        selected=frozen is not None,
        total=counts.unsynced,
        principal=who.name,
        on_behalf_of=who.on_behalf_of,
        give_up_ms=give_up_ms,
        outside_window=outside_window,
    )
    if frozen is not None:
        run = replace(run, total=len(runs.unsynced_among(tx, catalog.catalog_id, frozen)))
    return finish_if_done(tx, runs.insert(tx, run, frozen or ()))


def suspend(tx: Connection, catalog_id: int) -> None:
    """Suspend the run of a catalog that is being paused; nothing if there is none."""
    run = runs.active(tx, catalog_id)
    if run is not None and run.state == runs.RUNNING:
        runs.set_state(tx, run, runs.SUSPENDED)


def cancel(tx: Connection, catalog: Catalog, run_id: str) -> Run:
    """End a run early; its uncounted members are skipped. Repeated: the run as it ended."""
    catalogs.lock(tx, catalog.catalog_id)
    run = runs.get(tx, catalog.catalog_id, run_id) if run_id else runs.active(tx, catalog.catalog_id)
    if run is None and not run_id:
        raise FailedPrecondition("RUN_NOT_FOUND", f"No run is active in {catalog.name!r}.", run="")
    if run is None:
        raise NotFound("RUN_NOT_FOUND", f"There is no run {run_id!r} in {catalog.name!r}.", run=run_id)
    return run if run.ended_at is not None else _end(tx, run, runs.CANCELLED)


def members_among(run: Run | None, changed: list[Item], frozen: set[int]) -> set[int]:
    """Which of these items, as they were before this transaction, the run has still to count."""
    if run is None:
        return set()
    return {
        item.item_id
        for item in changed
        if item.unsynced_since is not None
        and item.unsynced_since <= run.start_revision
        and item.counted_run != run.run_id
        and (not run.selected or item.item_id in frozen)
    }


def finish_if_done(tx: Connection, run: Run) -> Run:
    """End the run if no member is left that a writer will take."""
    if run.counted < run.total and runs.unfinished(tx, run):
        return run
    return _end(tx, run, runs.COMPLETED)


def give_up_if_stuck(tx: Connection, run: Run, catalog: Catalog, now: int) -> Run:
    """End a run whose last members have been waiting for an offline root for too long.

    What it waited for before, for its window or a budget, does not count.
    """
    opened_at = None if run.outside_window else Schedule.from_json(catalog.schedule).opened_at(now)
    since = max(run.progressed_at, opened_at or 0, *(root.offline_since or 0 for root in catalog.roots))
    if now - since < run.give_up_ms or runs.unfinished(tx, run, online_only=True):
        return run
    return _end(tx, run, runs.GAVE_UP)


def _frozen(tx: Connection, catalog: Catalog, selection: Selection | None, max_items: int | None) -> list[int] | None:
    """The ids that a run is kept to; None for everything."""
    if selection is None:
        return None if max_items is None else items.first_unsynced(tx, catalog.catalog_id, max_items)
    ids = select(tx, catalog.catalog_id, selection)
    return ids if max_items is None else runs.unsynced_among(tx, catalog.catalog_id, ids)[:max_items]


def _end(tx: Connection, run: Run, state: str) -> Run:
    left = runs.count_left(tx, run)
    room = max(run.total - run.counted, 0)
    failed = min(left.get(ItemState.FAILED, 0), room)
    conflicted = min(left.get(ItemState.CONFLICTED, 0), room - failed)
    skipped = room - failed - conflicted
    reasons = runs.failures_left(tx, run) if failed else {}
    run = runs.add(tx, run, reasons, failed=failed, conflicted=conflicted, skipped=skipped)
    return runs.set_state(tx, run, state)
