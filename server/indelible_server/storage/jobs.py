"""Jobs: long work that a client starts, watches and may cancel; each is carried out by one host at a time."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from .catalogs import lock_store
from .database import insert_into, now_ms, touch
from .hosts import is_alive
from .item import dump
from .tables import hosts, job_claims, jobs

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"
JSON_COLUMNS = ("arguments", "counts", "problems")


class JobLost(Exception):
    """Another host carries the job out by now; nothing was changed."""


@dataclass(frozen=True)
class Job:
    """A job and how far it is. `host_id` is set for the host that has claimed it, which is the only one to go on."""

    catalog_id: int
    job_id: str
    kind: str
    principal: str
    on_behalf_of: str = ""
    state: str = QUEUED
    arguments: dict[str, Any] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    failed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    message: str = ""
    problems: list[dict[str, str]] = field(default_factory=list)
    cancel_requested: bool = False
    created_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    host_id: str | None = None


def insert(tx: Connection, job: Job) -> Job:
    """Store a new job."""
    values = {column.name: getattr(job, column.name) for column in jobs.c} | {"created_at": now_ms(tx)}
    for name in JSON_COLUMNS:
        values[name] = dump(values[name])
    touch(tx, job.catalog_id)
    return _job(tx.execute(sa.insert(jobs).values(values).returning(jobs)).one())


def claim(tx: Connection, host_id: str, kinds: Sequence[str], running: Collection[str], limit: int) -> list[Job]:
    """Take jobs that nobody carries out: new ones, those of dead hosts, and the host's own that are not `running`."""
    lock_store(tx)  # one host claims at a time: a claim that is just being committed must be seen
    by_another = sa.select(job_claims.c.job_id).join(hosts, hosts.c.host_id == job_claims.c.host_id)
    by_another = by_another.where(is_alive(tx), hosts.c.host_id != host_id)
    query = sa.select(jobs).where(
        jobs.c.ended_at.is_(None),
        jobs.c.kind.in_(kinds),
        jobs.c.job_id.not_in(running),
        jobs.c.job_id.not_in(by_another),
    )
    query = query.order_by(jobs.c.job_id).limit(limit)
    found = [_job(row) for row in tx.execute(query)]
    for job in found:
        row = insert_into(tx, job_claims).values(catalog_id=job.catalog_id, job_id=job.job_id, host_id=host_id)
        key = [job_claims.c.catalog_id, job_claims.c.job_id]
        tx.execute(row.on_conflict_do_update(index_elements=key, set_={"host_id": host_id}))
    return [replace(job, host_id=host_id) for job in found]


def any_active(tx: Connection, kinds: Sequence[str], running: Collection[str]) -> bool:
    """Whether a job of these kinds has not ended, apart from those that are `running` here."""
    query = sa.select(jobs.c.job_id).where(jobs.c.ended_at.is_(None), jobs.c.kind.in_(kinds))
    return tx.execute(query.where(jobs.c.job_id.not_in(running)).limit(1)).first() is not None


def release(tx: Connection, host_id: str) -> None:
    """Leave all jobs of a host to others; none of its processes works on one any more."""
    tx.execute(sa.delete(job_claims).where(job_claims.c.host_id == host_id))


def update(tx: Connection, job: Job, **values: Any) -> Job:
    """Change a job. A state that ends it sets `ended_at`; a job that has ended stays as it is.

    Raises `JobLost` if it was claimed and has been taken over since.
    """
    if job.host_id is not None:
        _check_claim(tx, job)
    for name in JSON_COLUMNS:
        if name in values:
            values[name] = dump(values[name])
    if values.get("state") in (COMPLETED, FAILED, CANCELLED):
        values["ended_at"] = now_ms(tx)
    if values.get("state") == RUNNING:
        values["started_at"] = now_ms(tx)
    query = sa.update(jobs).where(jobs.c.catalog_id == job.catalog_id, jobs.c.job_id == job.job_id)
    row = tx.execute(query.where(jobs.c.ended_at.is_(None)).values(values).returning(jobs)).first()
    if row is not None and row.ended_at is not None:
        tx.execute(sa.delete(job_claims).where(job_claims.c.job_id == job.job_id))
    touch(tx, job.catalog_id)
    return job if row is None else replace(_job(row), host_id=job.host_id)


def get(tx: Connection, job_id: str) -> Job | None:
    """The job, or None."""
    row = tx.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).first()
    return None if row is None else _job(row)


def active(tx: Connection, catalog_id: int | None = None, kind: str = "") -> list[Job]:
    """Jobs that have not ended, the oldest first."""
    query = sa.select(jobs).where(jobs.c.ended_at.is_(None)).order_by(jobs.c.job_id)
    if catalog_id is not None:
        query = query.where(jobs.c.catalog_id == catalog_id)
    if kind:
        query = query.where(jobs.c.kind == kind)
    return [_job(row) for row in tx.execute(query)]


@dataclass(frozen=True)
class Conditions:
    """Which jobs a listing shows; `catalog_ids` None: of all catalogs, `kinds` empty: of any kind."""

    catalog_ids: list[int] | None = None
    kinds: list[str] = field(default_factory=list)
    active: bool = False

    def where(self) -> list[sa.ColumnElement[bool]]:
        """The conditions in SQL."""
        where: list[sa.ColumnElement[bool]] = []
        if self.catalog_ids is not None:
            where.append(jobs.c.catalog_id.in_(self.catalog_ids))
        if self.kinds:
            where.append(jobs.c.kind.in_(self.kinds))
        if self.active:
            where.append(jobs.c.ended_at.is_(None))
        return where


def newest(tx: Connection, conditions: Conditions, limit: int, before: str = "") -> list[Job]:
    """Jobs, the newest first, older than `before` if that is given."""
    query = sa.select(jobs).where(*conditions.where())
    if before:
        query = query.where(jobs.c.job_id < before)
    return [_job(row) for row in tx.execute(query.order_by(jobs.c.job_id.desc()).limit(limit))]


def count(tx: Connection, conditions: Conditions) -> int:
    """How many jobs a listing has in all."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(jobs).where(*conditions.where())) or 0)


def _check_claim(tx: Connection, job: Job) -> None:
    """The claim stands, and goes on standing until the end of this transaction."""
    claimed = sa.select(job_claims.c.host_id).where(
        job_claims.c.catalog_id == job.catalog_id, job_claims.c.job_id == job.job_id
    )
    if tx.scalar(claimed.with_for_update()) != job.host_id:
        raise JobLost


def _job(row: Row[Any]) -> Job:
    return Job(**dict(row._mapping) | {name: json.loads(getattr(row, name)) for name in JSON_COLUMNS})
