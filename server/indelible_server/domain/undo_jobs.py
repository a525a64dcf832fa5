"""Jobs of the kind UNDO: which items they want, handed to writers part by part, counted as they are dealt with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ..errors import FailedPrecondition, NotFound, invalid
from ..storage import catalogs, jobs, leases, runs, undos, writes
from ..storage.catalogs import Catalog
from ..storage.database import now_ms
from ..storage.items import Selection
from ..storage.jobs import Job
from ..storage.leases import Claim
from ..storage.undos import Undo
from . import undo
from .item_state import retry_delay
from .items import select
from .jobs import UNDO, start
from .principal import Principal

ITEMS_A_PART = 500
TRIES = 3
PROBLEMS_KEPT = 100
RESTORED, CHANGED, EXPIRED = "restored_items", "changed_items", "expired_items"


def start_for_items(tx: Connection, who: Principal, catalog: Catalog, selection: Selection, write_id: str) -> Job:
    """Begin to take back a write of each selected item: the last one before this moment, or the named one."""
    catalogs.lock(tx, catalog.catalog_id)
    ids = select(tx, catalog.catalog_id, selection)
    if write_id:
        _check_named(tx, catalog, ids, write_id)
    job = start(tx, who, catalog, UNDO, _arguments(tx, catalog, write_id=write_id), len(ids))
    undos.insert(tx, catalog.catalog_id, job.job_id, ids)
    return job


def start_for_run(tx: Connection, who: Principal, catalog: Catalog, run_id: str) -> Job:
    """Begin to take back all writes of a run that has ended."""
    catalogs.lock(tx, catalog.catalog_id)
    run = runs.get(tx, catalog.catalog_id, run_id)
    if run is None:
        raise NotFound("RUN_NOT_FOUND", f"There is no run {run_id!r} in {catalog.name!r}.", run=run_id)
    if run.ended_at is None:
        raise FailedPrecondition(
            "RUN_ACTIVE", f"The run {run_id} has not ended: wait for it, or cancel it first.", run_id=run_id
        )
    total = writes.count_items_of_run(tx, catalog.catalog_id, run_id)
    job = start(tx, who, catalog, UNDO, _arguments(tx, catalog, run_id=run_id, fed_up_to=0), total)
    return _finish_if_done(tx, _feed(tx, job))


def active(tx: Connection) -> list[Job]:
    """The undos that have not ended."""
    return jobs.active(tx, kind=UNDO)


def claim(tx: Connection, job_id: str, writer_id: str, limit: int) -> list[Claim]:
    """Lease up to `limit` items that an undo wants; ends it if there are none left."""
    job = _locked(tx, job_id)
    if job is None or job.ended_at is not None:
        return []
    if job.state == jobs.QUEUED:
        job = jobs.update(tx, job, state=jobs.RUNNING)
    claims = leases.claim_undo(tx, job.catalog_id, writer_id, job_id, limit)
    if not claims:
        job = _feed(tx, job)
        claims = leases.claim_undo(tx, job.catalog_id, writer_id, job_id, limit)
        _finish_if_done(tx, job)
    return claims


def wanted(tx: Connection, claims: Sequence[Claim]) -> dict[int, undo.Wanted]:
    """What is to be taken back of each claimed item; an item is missing where there is nothing."""
    job = jobs.get(tx, claims[0].job_id or "")
    if job is None or job.ended_at is not None:
        return {}
    rows = undos.of_items(tx, job.catalog_id, [each.item.item_id for each in claims])
    found = {item_id: undo.wanted(tx, job, row) for item_id, row in rows.items()}
    return {item_id: each for item_id, each in found.items() if each is not None}


def is_wanted(tx: Connection, job_id: str) -> bool:
    """Whether a job goes on: it was neither cancelled nor ended by a pause."""
    job = jobs.get(tx, job_id)
    return job is not None and job.ended_at is None


class Tally:
    """What came of some items of a catalog's undo, put on record in one transaction."""

    def __init__(self, tx: Connection, catalog_id: int, item_ids: Sequence[int]) -> None:
        self._tx = tx
        self._rows = undos.of_items(tx, catalog_id, item_ids)
        self._job = jobs.get(tx, next(iter(self._rows.values())).job_id) if self._rows else None
        self._counts: Counter[str] = Counter()
        self._done = 0
        self._problems: list[dict[str, str]] = []

    def restored(self, item_id: int, undoing: undo.Undoing) -> None:
        """A write was taken back. Of a run an item may have an older one, which is next."""
        row = self._rows.get(item_id)
        if row is None or self._job is None or row.job_id != undoing.job_id:
            return
        if "run_id" in self._job.arguments and self._has_older(row, undoing.write_id):
            undos.go_on(self._tx, row, undoing.write_id)
        else:
            self._dealt_with(row, CHANGED if undoing.left_alone else RESTORED)

    def passed_over(self, item_id: int, counted_as: str) -> None:
        """Nothing had to be done."""
        if item_id in self._rows:
            self._dealt_with(self._rows[item_id], counted_as)

    def failed(self, item_id: int, path: str, reason: str, message: str, *, transient: bool) -> None:
        """It could not be done: tried again later, or given up."""
        row = self._rows.get(item_id)
        if row is None:
            return
        if transient and row.attempts + 1 < TRIES:
            undos.put_off(self._tx, row, now_ms(self._tx) + retry_delay(row.attempts + 1))
        else:
            undos.delete(self._tx, row)
            self._problems.append({"path": path, "reason": reason, "message": message})

    def save(self) -> None:
        """Write the counts; ends the job if this was the last of it."""
        if self._job is None:
            return
        job = jobs.update(
            self._tx,
            self._job,
            done=self._job.done + self._done,
            failed=self._job.failed + len(self._problems),
            counts=dict(Counter(self._job.counts) + self._counts),
            problems=(self._job.problems + self._problems)[:PROBLEMS_KEPT],
        )
        _finish_if_done(self._tx, job)

    def _has_older(self, row: Undo, write_id: str) -> bool:
        assert self._job is not None
        return undo.wanted(self._tx, self._job, replace(row, below=write_id)) is not None

    def _dealt_with(self, row: Undo, counted_as: str) -> None:
        undos.delete(self._tx, row)
        self._done += 1
        if counted_as:
            self._counts[counted_as] += 1


def _arguments(tx: Connection, catalog: Catalog, **which: Any) -> dict[str, Any]:
    return which | {"asked_at": catalogs.counts(tx, catalog.catalog_id).revision}


def _check_named(tx: Connection, catalog: Catalog, ids: Sequence[int], write_id: str) -> None:
    if len(ids) != 1:
        raise invalid("write_id", "names the write of one item, and the selection has more")
    write = writes.get(tx, catalog.catalog_id, ids[0], write_id)
    if write is None:
        raise NotFound("WRITE_NOT_FOUND", f"The item has no write {write_id!r}.", write_id=write_id)
    if not write.undoable:
        message = f"What was there before the write {write_id} is not kept any more."
        raise FailedPrecondition("UNDO_EXPIRED", message, write_id=write_id)


def _locked(tx: Connection, job_id: str) -> Job | None:
    """The job as it is once nobody else can change it."""
    job = jobs.get(tx, job_id)
    if job is not None:
        catalogs.lock(tx, job.catalog_id)
    return jobs.get(tx, job_id)


def _feed(tx: Connection, job: Job) -> Job:
    """Want the next items of a run, if there are more: a bounded part at a time, however large the run was."""
    after = job.arguments.get("fed_up_to")
    if after is None or job.ended_at is not None:
        return job
    ids = writes.items_of_run(tx, job.catalog_id, job.arguments["run_id"], after, ITEMS_A_PART)
    undos.insert(tx, job.catalog_id, job.job_id, ids)
    fed_up_to = ids[-1] if len(ids) == ITEMS_A_PART else None
    return jobs.update(tx, job, arguments=job.arguments | {"fed_up_to": fed_up_to})


def _finish_if_done(tx: Connection, job: Job) -> Job:
    more = job.arguments.get("fed_up_to") is not None
    if job.ended_at is not None or more or undos.any_left(tx, job.catalog_id, job.job_id):
        return job
    return jobs.update(tx, job, state=jobs.COMPLETED, total=job.done + job.failed, message=_what_came_of_it(job))


def _what_came_of_it(job: Job) -> str:
    restored, changed, expired = (job.counts.get(name, 0) for name in (RESTORED, CHANGED, EXPIRED))
    parts = [f"{restored:,} restored"] if restored else []
    if changed:
        parts.append(f"{changed:,} but for fields that someone else has changed since")
    if expired:
        parts.append(f"{expired:,} not restored: what was there before is not kept any more")
    return ", ".join(parts) + "." if parts else "There was nothing to undo." if not job.failed else ""
