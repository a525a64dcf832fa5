"""A job's walk over the files of a catalog, in parts: each is stored in one transaction with how far the job is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from ..domain import policies
from ..files.formats import XMP_EXTENSION, extension
from ..files.plan import Identity
from ..files.port import Root
from ..files.problems import FileProblem, Reason
from ..roots import Roots
from ..storage import catalogs, jobs
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.jobs import Job

T = TypeVar("T")

FILES_A_PART = 200
PROBLEMS_KEPT = 100


class Cancelled(Exception):
    """Someone has asked the job to end."""


class Stopped(Exception):
    """The job does not go on before someone has decided what the message says."""


@dataclass
class Progress:
    """How far the job is; stored with every part."""

    total: int = 0
    looked_at: int = 0
    failed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)

    def note(self, key: bytes, problem: FileProblem) -> None:
        """Note a file that could not be read; it is among those that were looked at."""
        self.failed += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append({"path": shown(key), "reason": problem.reason, "message": problem.message})


class Scan:
    """The walk of one job. All that it finds is put on record by `store`, part by part."""

    def __init__(self, database: Database, job: Job, catalog: Catalog) -> None:
        self.database = database
        self.job = job
        self.catalog = catalog
        self.policy = policies.engine_policy(catalog)
        self.progress = Progress()
        self.below: bytes = job.arguments["path"].encode("utf-8", "surrogateescape")

    def expect(self, root: Root, look: Callable[[bytes], None] = lambda _: None) -> None:
        """Count what there is, so that a progress bar knows its end; `look` is shown every sidecar on the way."""
        for key, _ in self._files(root):
            if is_sidecar(key):
                look(key)
            else:
                self.progress.total += 1
        self.database.write(self._save_progress)

    def parts(self, root: Root) -> Iterator[list[tuple[bytes, Identity | None]]]:
        """The files that may be items, some at a time, with how each looked in its folder; sidecars are counted."""
        part: list[tuple[bytes, Identity | None]] = []
        for key, identity in self._files(root):
            if is_sidecar(key):
                self.progress.counts["sidecars"] += 1
                continue
            part.append((key, identity))
            if len(part) == FILES_A_PART:
                yield part
                part = []
        if part:
            yield part

    def store(self, root_id: str, work: Callable[[Connection], T]) -> T:
        """Store a part by `work`, and how far the job is; raises `Cancelled` if it is not wanted any more."""
        return self.database.write(self._store, root_id, work)

    def set_state(self, state: str, message: str = "") -> None:
        """Say where the job stands."""
        self.database.write(lambda tx: jobs.update(tx, self.job, state=state, message=message))

    def end(self, state: str, message: str) -> None:
        """Say how the job ended, and how far it came."""
        self.database.write(self._save_progress)
        self.set_state(state, message)

    def _store(self, tx: Connection, root_id: str, work: Callable[[Connection], T]) -> T:
        catalogs.lock(tx, self.catalog.catalog_id)
        present, catalog = jobs.get(tx, self.job.job_id), catalogs.get(tx, self.catalog.catalog_id)
        if present is None or present.cancel_requested or present.ended_at is not None:
            raise Cancelled
        if catalog is None or root_id not in {root.root_id for root in catalog.roots}:
            raise Cancelled
        result = work(tx)
        self._save_progress(tx)
        return result

    def _save_progress(self, tx: Connection) -> None:
        progress = self.progress
        jobs.update(
            tx,
            self.job,
            total=progress.total,
            done=progress.looked_at - progress.failed,
            failed=progress.failed,
            counts=dict(progress.counts),
            problems=progress.problems,
        )

    def _files(self, root: Root) -> Iterator[tuple[bytes, Identity | None]]:
        if self.below and _is_file(root, self.below):
            return iter([(self.below, None)])
        return iter(root.walk(self.below))


def carry_out(
    database: Database,
    roots: Roots,
    job: Job,
    at_root: Callable[[Scan, catalogs.Root, Root], None],
    in_words: Callable[[Counter[str]], str],
) -> None:
    """Carry out a job root by root; its row says how far it is and, `in_words`, what came of it. May be repeated."""
    catalog = database.read(catalogs.get, job.catalog_id)
    if catalog is None:
        return  # it has gone, and its jobs with it
    scan = Scan(database, job, catalog)
    scan.set_state(jobs.RUNNING)
    try:
        if catalog.deleted_at is not None:
            raise Cancelled
        reached = [_carry_out_if_there(scan, roots, its_root, at_root) for its_root in _wanted(job, catalog)]
    except Cancelled:
        # The progress that was stored last stands: the part after it is not.
        scan.set_state(jobs.CANCELLED, "Cancelled; what was done stays.")
    except Stopped as stopped:
        scan.end(jobs.FAILED, str(stopped))
    else:
        if any(reached):
            scan.end(jobs.COMPLETED, in_words(scan.progress.counts))
        else:
            scan.end(jobs.FAILED, "No root is online.")


def is_sidecar(key: bytes) -> bool:
    """Whether a file is a sidecar by its name."""
    return extension(shown(key)) == XMP_EXTENSION


def shown(key: bytes) -> str:
    """A key as people see it: bytes that are no UTF-8 are escaped."""
    return key.decode("utf-8", "backslashreplace")


def _wanted(job: Job, catalog: Catalog) -> list[catalogs.Root]:
    return [root for root in catalog.roots if job.arguments["root_id"] in ("", root.root_id)]


def _carry_out_if_there(
    scan: Scan, roots: Roots, its_root: catalogs.Root, at_root: Callable[[Scan, catalogs.Root, Root], None]
) -> bool:
    """Do the work at a root; False, with a note, if it is offline."""
    try:
        with roots.open(its_root) as root:
            at_root(scan, its_root, root)
    except FileProblem as problem:
        scan.progress.total += 1
        scan.progress.looked_at += 1
        scan.progress.note(its_root.path, problem)
        return problem.reason is not Reason.STORAGE_OFFLINE
    return True


def _is_file(root: Root, path: bytes) -> bool:
    try:
        with root.open(path):
            return True
    except FileProblem:
        return False
