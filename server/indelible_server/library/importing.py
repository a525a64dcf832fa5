"""Import: reads what each file holds that the catalog does not have yet, and makes a synchronized item of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection

from ..domain.rescan import values_of
from ..files.formats import UNKNOWN, format_named
from ..files.port import Root
from ..files.problems import FileProblem, Reason
from ..files.reading import Reading, read
from ..roots import Roots
from ..storage import catalogs, items
from ..storage.changeset import Changeset
from ..storage.database import Database
from ..storage.item import Item
from ..storage.jobs import Job
from .scanning import Scan, carry_out, shown


def run_import(database: Database, roots: Roots, job: Job) -> None:
    """Carry out an import job. May be repeated: known files stay as they are."""
    carry_out(database, roots, job, _import_root, _in_words)


def read_new(scan: Scan, root_id: str, root: Root, keys: Iterable[bytes]) -> list[Item]:
    """New items of those files that are media; of others the progress says why they are none."""
    found = ((key, _read(scan, root, key)) for key in keys)
    return [_new_item(scan, root_id, key, reading) for key, reading in found if reading is not None]


def add(tx: Connection, catalog_id: int, root_id: str, new: list[Item]) -> None:
    """Store new items of a root, but for those that another job has added meanwhile."""
    known = items.by_keys(tx, catalog_id, root_id, [item.key for item in new])
    if len(known) < len(new):
        changeset = Changeset(tx, catalog_id)
        for item in new:
            if item.key not in known:
                changeset.add(item)
        changeset.save()


def _import_root(scan: Scan, its_root: catalogs.Root, root: Root) -> None:
    scan.expect(root)
    catalog_id, root_id, progress = scan.catalog.catalog_id, its_root.root_id, scan.progress
    for part in scan.parts(root):
        keys = [key for key, _ in part]
        known = scan.database.read(items.by_keys, catalog_id, root_id, keys)
        new = read_new(scan, root_id, root, (key for key in keys if key not in known))
        progress.looked_at += len(keys)
        progress.counts["known_items"] += len(known)
        progress.counts["added_items"] += len(new)
        scan.store(root_id, partial(add, catalog_id=catalog_id, root_id=root_id, new=new))


def _in_words(counts: Counter[str]) -> str:
    return f"{counts['added_items']:,} items added."


def _read(scan: Scan, root: Root, key: bytes) -> Reading | None:
    try:
        reading = read(root, key, scan.policy)
    except FileProblem as problem:
        scan.progress.note(key, problem)
        return None
    if reading.format != UNKNOWN:
        return reading
    if format_named(key) == UNKNOWN:
        scan.progress.counts["ignored_files"] += 1
    else:
        scan.progress.note(key, FileProblem(Reason.CORRUPT, "its content is not what its name says"))
    return None


def _new_item(scan: Scan, root_id: str, key: bytes, reading: Reading) -> Item:
    return Item(
        catalog_id=scan.catalog.catalog_id,
        item_id=0,
        root_id=root_id,
        key=key,
        path=shown(key),
        tags=reading.tags,
        note=reading.note,
        verified_at=time.time_ns() // 1_000_000,
        **values_of(reading),
    )
