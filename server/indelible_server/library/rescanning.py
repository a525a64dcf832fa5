"""Rescan: looks for files that are new, changed or gone, and takes in what other programs have changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection

from ..domain import rescan
from ..domain.rescan import Found
from ..files.formats import UNKNOWN
from ..files.plan import Identity
from ..files.port import Root
from ..files.problems import FileProblem, Reason
from ..files.reading import read
from ..files.survey import alike
from ..roots import Roots
from ..storage import catalogs, items, writes
from ..storage.database import Database
from ..storage.item import Item
from ..storage.jobs import Job
from ..storage.parts import parts
from ..storage.writes import WRITES_KEPT
from .importing import add, read_new
from .scanning import FILES_A_PART, Scan, Stopped, carry_out, shown

# An item that is edited while its file is read is looked at again, so often.
TRIES = 3


def run_rescan(database: Database, roots: Roots, job: Job) -> None:
    """Carry out a rescan job. May be repeated: what it has taken in is not news any more."""
    carry_out(database, roots, job, lambda scan, its_root, root: AtRoot(scan, its_root, root).rescan(), _in_words)


class AtRoot:
    """The rescan of one open root."""

    def __init__(self, scan: Scan, its_root: catalogs.Root, root: Root) -> None:
        self._scan = scan
        self._database = scan.database
        self._catalog_id = scan.catalog.catalog_id
        self._its_root = its_root
        self._root = root
        self._with_sidecars: set[bytes] = set()
        # Of the names themselves a million would fill the memory. Two that share a number hide a missing file.
        self._seen: set[int] = set()

    def rescan(self) -> None:
        """Look at all files, then for those that are gone: only a complete walk can tell."""
        below = self._scan.below
        if not below or not self._is_gone(below):
            self._scan.expect(self._root, lambda sidecar: self._with_sidecars.add(_folder_of(sidecar)))
            for part in self._scan.parts(self._root):
                self._seen.update(hash(key) for key, _ in part)
                self._look_at(part)
        elif self._gone() == ([], 0):
            raise FileProblem(Reason.MISSING, f"there is no {shown(below)}, and no item below it")
        self._look_for_missing()

    def _look_at(self, part: Sequence[tuple[bytes, Identity | None]]) -> None:
        known = self._database.read(items.by_keys, self._catalog_id, self._its_root.root_id, [key for key, _ in part])
        new = read_new(self._scan, self._its_root.root_id, self._root, (key for key, _ in part if key not in known))
        may_differ = [known[key] for key, seen in part if key in known and self._may_differ(known[key], seen)]
        counts = self._scan.progress.counts
        counts["added_items"] += len(new)
        counts[rescan.UNCHANGED] += len(known) - len(may_differ)
        self._scan.progress.looked_at += len(part)
        self._take_in(new, self._compare(may_differ))

    def _may_differ(self, item: Item, seen: Identity | None) -> bool:
        """Whether it has to be read: how its sidecar looked is not known."""
        if self._scan.job.arguments["read_all"] or item.missing_since is not None or item.sidecar is not None:
            return True
        return seen != Identity(item.size, item.mtime_ns, item.inode) or _folder_of(item.key) in self._with_sidecars

    def _take_in(self, new: list[Item], found: list[Found]) -> None:
        """Put a part on record, and look once more at what was edited while its file was read."""
        overtaken: list[int] = []
        for _ in range(TRIES):
            record = partial(_put_on_record, scan=self._scan, root_id=self._its_root.root_id, new=new, found=found)
            counts, overtaken = self._scan.store(self._its_root.root_id, record)
            self._scan.progress.counts.update(counts)
            if not overtaken:
                return
            new, found = [], self._compare(self._database.read(items.get_many, self._catalog_id, overtaken))
        # A writer has them in hand, and its own merge sees what others have changed.
        self._scan.progress.counts[rescan.UNCHANGED] += len(overtaken)

    def _compare(self, of: Sequence[Item]) -> list[Found]:
        """What the files of these items hold, merged with what the catalog says of them. Nothing is stored."""
        written = self._database.read(writes.of_items, self._catalog_id, [item.item_id for item in of])
        found = []
        for item in of:
            base = alike(item.homes, item.stale)
            try:
                reading = read(self._root, item.key, self._scan.policy, base=base, sidecar=item.sidecar)
                if reading.format == UNKNOWN:
                    raise FileProblem(Reason.CORRUPT, "its content is not what its name says")
            except FileProblem as problem:
                self._scan.progress.note(item.key, problem)
                continue
            found.append(rescan.compare(item, reading, written[item.item_id][:WRITES_KEPT], self._scan.policy))
        return found

    def _look_for_missing(self) -> None:
        missing, there = self._gone()
        if len(missing) > there and not self._scan.job.arguments["accept_missing"]:
            raise Stopped(
                f"{len(missing):,} of {len(missing) + there:,} files are gone from {shown(self._its_root.path)}: is it"
                " the right folder? Nothing was marked as missing."
                " If they were deleted, rescan with accept_missing (--accept-missing)."
            )
        for some in parts(missing):
            mark = partial(rescan.mark_missing, catalog_id=self._catalog_id, ids=some)
            self._scan.progress.counts[rescan.MISSING] += self._scan.store(self._its_root.root_id, mark)

    def _gone(self) -> tuple[list[int], int]:
        """The items that have lost their file since the last look, and how many others there are in the walk's part."""
        missing: list[int] = []
        there = after = 0
        root_id = self._its_root.root_id
        while page := self._database.read(items.keys_in_root, self._catalog_id, root_id, after, FILES_A_PART * 10):
            for item_id, key, is_known_missing in page:
                after = item_id
                if not _is_below(key, self._scan.below) or is_known_missing:
                    continue
                if hash(key) in self._seen or not self._is_gone(key):
                    there += 1
                else:
                    missing.append(item_id)
        return missing, there

    def _is_gone(self, key: bytes) -> bool:
        """Asked of the file itself: the walk may have passed before it came."""
        try:
            with self._root.open(key):
                return False
        except FileProblem as problem:
            return problem.reason is Reason.MISSING


def _put_on_record(
    tx: Connection, scan: Scan, root_id: str, new: list[Item], found: list[Found]
) -> tuple[Counter[str], list[int]]:
    catalog = catalogs.get(tx, scan.catalog.catalog_id)
    if catalog is None or catalog.policy != scan.catalog.policy:
        raise Stopped("The catalog's policy was changed meanwhile; what was done stays. Start the rescan again.")
    add(tx, catalog.catalog_id, root_id, new)
    return rescan.take_in(tx, catalog, scan.job, found)


def _in_words(counts: Counter[str]) -> str:
    changed, added, missing = (counts[name] for name in (rescan.CHANGED, "added_items", rescan.MISSING))
    return f"{changed:,} items changed outside, {added:,} added, {missing:,} missing."


def _folder_of(key: bytes) -> bytes:
    return key.rpartition(b"/")[0]


def _is_below(key: bytes, folder: bytes) -> bool:
    return not folder or key == folder or key.startswith(folder + b"/")
