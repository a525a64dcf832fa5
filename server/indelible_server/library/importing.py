"""Import: walks roots, reads what each file holds, and makes synchronized items of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from ..domain import policies
from ..files.formats import UNKNOWN, XMP_EXTENSION, extension, format_named
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import FileProblem, Reason
from ..files.reading import Reading, read
from ..roots import Roots
from ..storage import catalogs, items, jobs
from ..storage.catalogs import Catalog
from ..storage.changeset import Changeset
from ..storage.database import Database
from ..storage.item import Item
from ..storage.jobs import Job

FILES_A_PART = 200
PROBLEMS_KEPT = 100


class Cancelled(Exception):
    """Someone has asked the job to end."""


@dataclass
class Progress:
    """How far the import is; stored with every part."""

    total: int = 0
    done: int = 0
    failed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)

    def note(self, key: bytes, problem: FileProblem) -> None:
        """Note a file that could not be read."""
        self.failed += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append({"path": shown(key), "reason": problem.reason, "message": problem.message})


def run_import(database: Database, roots: Roots, job: Job) -> None:
    """Carry out an import job; its row says how far it is and what came of it. May be repeated: known files stay."""
    job = database.write(_set_state, job, jobs.RUNNING)
    catalog = database.read(catalogs.get, job.catalog_id)
    progress = Progress()
    try:
        if catalog is None or catalog.deleted_at is not None:
            raise Cancelled
        reached = [
            _import_if_there(database, roots, job, catalog, its_root, progress) for its_root in _wanted(job, catalog)
        ]
    except Cancelled:
        # The progress that was stored last stands: the part after it is not.
        database.write(_set_state, job, jobs.CANCELLED, "Cancelled; what was imported stays.")
    else:
        if not any(reached):
            _end(database, job, progress, jobs.FAILED, "No root is online.")
            return
        _end(database, job, progress, jobs.COMPLETED, f"{progress.counts['added_items']:,} items added.")


def _wanted(job: Job, catalog: Catalog) -> list[catalogs.Root]:
    return [root for root in catalog.roots if job.arguments["root_id"] in ("", root.root_id)]


def _import_if_there(
    database: Database, roots: Roots, job: Job, catalog: Catalog, its_root: catalogs.Root, progress: Progress
) -> bool:
    """Import a root; False, with a note, if it is offline."""
    try:
        with roots.open(its_root) as root:
            _import_root(database, job, catalog, its_root.root_id, root, progress)
    except FileProblem as problem:
        progress.note(its_root.path, problem)
        return problem.reason is not Reason.STORAGE_OFFLINE
    return True


def shown(key: bytes) -> str:
    """A key as people see it: bytes that are no UTF-8 are escaped."""
    return key.decode("utf-8", "backslashreplace")


def _import_root(database: Database, job: Job, catalog: Catalog, root_id: str, root: Root, progress: Progress) -> None:
    below = job.arguments["path"].encode("utf-8", "surrogateescape")
    # Counted first: a progress bar that does not know its end is none.
    progress.total += sum(1 for _ in _media(root, below, Counter()))
    database.write(_save_progress, job, progress)
    policy = policies.engine_policy(catalog)
    for keys in _in_parts(_media(root, below, progress.counts)):
        known = database.read(items.by_keys, catalog.catalog_id, root_id, keys)
        read_now = [_read(root, key, policy, progress) for key in keys if key not in known]
        new = [_new_item(catalog, root_id, *found) for found in read_now if found is not None]
        progress.done += len(keys)
        progress.counts["known_items"] += len(known)
        database.write(_store_part, job, root_id, new, progress)
        progress.counts["added_items"] += len(new)


def _media(root: Root, below: bytes, counts: Counter[str]) -> Iterator[bytes]:
    """The files below a folder that may be items, or the one file of this name."""
    keys = [below] if _is_file(root, below) else (key for key, _ in root.walk(below))
    for key in keys:
        if extension(shown(key)) == XMP_EXTENSION:
            counts["sidecars"] += 1
        else:
            yield key


def _is_file(root: Root, path: bytes) -> bool:
    try:
        with root.open(path):
            return True
    except FileProblem:
        return False


def _in_parts(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    for key in keys:
        part.append(key)
        if len(part) == FILES_A_PART:
            yield part
            part = []
    if part:
        yield part


def _read(root: Root, key: bytes, policy: Policy, progress: Progress) -> tuple[bytes, Reading] | None:
    try:
        reading = read(root, key, policy)
    except FileProblem as problem:
        progress.note(key, problem)
        return None
    if reading.format != UNKNOWN:
        return key, reading
    if format_named(key) == UNKNOWN:
        progress.counts["ignored_files"] += 1
    else:
        progress.note(key, FileProblem(Reason.CORRUPT, "its content is not what its name says"))
    return None


def _new_item(catalog: Catalog, root_id: str, key: bytes, reading: Reading) -> Item:
    return Item(
        catalog_id=catalog.catalog_id,
        item_id=0,
        root_id=root_id,
        key=key,
        path=shown(key),
        format=reading.format,
        size=reading.identity.size,
        mtime_ns=reading.identity.mtime_ns,
        inode=reading.identity.inode,
        width=reading.width,
        height=reading.height,
        tags=reading.tags,
        homes={str(home): tags for home, tags in reading.homes.items()},
        stale={str(home): sorted(fields) for home, fields in reading.stale.items()},
        sidecar=reading.sidecar,
        note=reading.note,
        verified_at=time.time_ns() // 1_000_000,
    )


def _store_part(tx: Connection, job: Job, root_id: str, new: list[Item], progress: Progress) -> None:
    catalogs.lock(tx, job.catalog_id)
    present, catalog = jobs.get(tx, job.job_id), catalogs.get(tx, job.catalog_id)
    if present is None or present.cancel_requested or present.ended_at is not None:
        raise Cancelled
    if catalog is None or root_id not in {root.root_id for root in catalog.roots}:
        raise Cancelled
    if new:
        changeset = Changeset(tx, job.catalog_id)
        for item in new:
            changeset.add(item)
        changeset.save()
    _save_progress(tx, job, progress)


def _save_progress(tx: Connection, job: Job, progress: Progress) -> None:
    jobs.update(
        tx,
        job,
        total=progress.total,
        done=progress.done,
        failed=progress.failed,
        counts=dict(progress.counts),
        problems=progress.problems,
    )


def _end(database: Database, job: Job, progress: Progress, state: str, message: str) -> None:
    database.write(_save_progress, job, progress)
    database.write(_set_state, job, state, message)


def _set_state(tx: Connection, job: Job, state: str, message: str = "") -> Job:
    return jobs.update(tx, job, state=state, message=message)
