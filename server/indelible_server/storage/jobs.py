"""Jobs: long work that a client starts, watches and may cancel."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from .database import now_ms, touch
from .item import dump
from .tables import jobs

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"
JSON_COLUMNS = ("arguments", "counts", "problems")


@dataclass(frozen=True)
class Job:
    """A job and how far it is."""

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


def insert(tx: Connection, job: Job) -> Job:
    """Store a new job."""
    values = {name: getattr(job, name) for name in Job.__dataclass_fields__} | {"created_at": now_ms(tx)}
    for name in JSON_COLUMNS:
        values[name] = dump(values[name])
    touch(tx, job.catalog_id)
    return _job(tx.execute(sa.insert(jobs).values(values).returning(jobs)).one())


def update(tx: Connection, job: Job, **values: Any) -> Job:
    """Change a job. A state that ends it sets `ended_at`; a job that has ended stays as it is."""
    for name in JSON_COLUMNS:
        if name in values:
            values[name] = dump(values[name])
    if values.get("state") in (COMPLETED, FAILED, CANCELLED):
        values["ended_at"] = now_ms(tx)
    if values.get("state") == RUNNING:
        values["started_at"] = now_ms(tx)
    query = sa.update(jobs).where(jobs.c.catalog_id == job.catalog_id, jobs.c.job_id == job.job_id)
    row = tx.execute(query.where(jobs.c.ended_at.is_(None)).values(values).returning(jobs)).first()
    touch(tx, job.catalog_id)
    return job if row is None else _job(row)


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


def _job(row: Row[Any]) -> Job:
    return Job(**dict(row._mapping) | {name: json.loads(getattr(row, name)) for name in JSON_COLUMNS})
