"""Jobs: one of a kind at a time in a catalog, watched and cancelled by whoever may see the catalog."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from ..errors import FailedPrecondition, NotFound
from ..storage import catalogs, jobs, undos
from ..storage.catalogs import Catalog
from ..storage.ids import new_id
from ..storage.jobs import Job
from .principal import Principal

IMPORT, RESCAN, UNDO = "IMPORT", "RESCAN", "UNDO"
# What a server carries out in processes of its own; an undo is worked off by writers.
IN_PROCESSES = (IMPORT, RESCAN)


def start_scan(
    tx: Connection, who: Principal, catalog: Catalog, kind: str, path: str, root_id: str, **arguments: bool
) -> Job:
    """Queue an import or a rescan of what is below `path` in one root, or in all of them."""
    roots = {root.root_id: root for root in catalog.roots}
    if not roots or (root_id and root_id not in roots):
        wrong = f"no root {root_id!r}" if root_id else "no root: add one first"
        raise NotFound("ROOT_NOT_FOUND", f"{catalog.name!r} has {wrong}.", root_id=root_id)
    if root_id and roots[root_id].offline_since is not None:
        where = roots[root_id].path.decode("utf-8", "backslashreplace")
        raise FailedPrecondition(
            "ROOT_OFFLINE",
            f"No server or writer reaches {where}: mount it, then try again.",
            root_id=root_id,
            path=where,
        )
    return start(tx, who, catalog, kind, {"path": path, "root_id": root_id} | arguments)


def start(
    tx: Connection, who: Principal, catalog: Catalog, kind: str, arguments: dict[str, Any], total: int = 0
) -> Job:
    """Queue a job; refused while the catalog has one of its kind."""
    catalogs.lock(tx, catalog.catalog_id)
    for other in jobs.active(tx, catalog.catalog_id, kind):
        raise FailedPrecondition(
            "JOB_RUNNING",
            f"{catalog.name!r} has a job of the kind {kind} under way already: watch or cancel job {other.job_id}.",
            job_id=other.job_id,
            kind=kind,
        )
    job = Job(catalog.catalog_id, new_id(), kind, who.name, who.on_behalf_of, arguments=arguments, total=total)
    return jobs.insert(tx, job)


def find(tx: Connection, who: Principal, job_id: str) -> Job:
    """The job, if its catalog exists for the caller."""
    job = jobs.get(tx, job_id)
    if job is None or not who.may_see(job.catalog_id):
        raise NotFound("JOB_NOT_FOUND", f"There is no job {job_id!r}.", job_id=job_id)
    return job


def cancel(tx: Connection, who: Principal, job_id: str) -> Job:
    """Ask a job to end at its next safe point. One that has ended stays as it is."""
    job = find(tx, who, job_id)
    if job.ended_at is not None:
        return job
    if job.kind == UNDO:
        return cancel_undo(tx, job, "Cancelled")
    return jobs.update(tx, job, cancel_requested=True)


def cancel_undo(tx: Connection, job: Job, why: str) -> Job:
    """End an undo; writers finish the files that they have in hand."""
    catalogs.lock(tx, job.catalog_id)
    undos.delete_all(tx, job.catalog_id, job.job_id)
    return jobs.update(tx, job, state=jobs.CANCELLED, message=f"{why}; what was restored stays restored.")
