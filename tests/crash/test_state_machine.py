"""Edits, outside edits, renames, syncs, kills and full disks in any order, against a simple model of what must be so.

INDELIBLE_LONG=1 tries many more orders.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from indelible.v1 import item_pb2, sync_pb2, sync_service_pb2
from support import processes
from support.client import Client, add, clear, globs, remove, set_tags
from support.filesystems import Mounted, small_ext4
from support.photos import edit_outside, make_photos, pixels, seen, stray_files
from support.server import RunningServer

LONG = bool(os.environ.get("INDELIBLE_LONG"))
EXAMPLES, STEPS = (40, 40) if LONG else (2, 12)
FILES = 4
WORDS = ("a", "b", "c")
NUMBERS = st.integers(0, FILES - 1)

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """The values of an item, or of a file, as far as the model goes."""

    title: str | None = None
    credit: str | None = None
    keywords: frozenset[str] = frozenset()


def merged(base: Said, ours: Said, theirs: Said) -> Said:
    """What has to be in the catalog and in the file after a sync: the rule of the design, for these three fields."""
    return Said(
        title=ours.title if ours.title != base.title else theirs.title,
        credit=ours.credit if ours.credit != base.credit else theirs.credit,
        keywords=theirs.keywords - (base.keywords - ours.keywords) | (ours.keywords - base.keywords),
    )


@dataclass
class File:
    """A file on the disk, wherever it is: what it says, and the picture in it."""

    path: Path
    picture: bytes
    says: Said = field(default_factory=Said)

    def check(self) -> None:
        """It holds what the model says."""
        found = seen(self.path)
        assert Said(found.title, found.credit, frozenset(found.keywords)) == self.says, self.path.name
        assert pixels(self.path) == self.picture


@dataclass
class Item:
    """An item: what people want it to say, what was last verified in its file, and whether it waits for a person."""

    name: str
    wants: Said = field(default_factory=Said)
    verified: Said = field(default_factory=Said)
    failed: bool = False


class World:
    """What all examples share: a server, and a disk that can be full where that can be had. It counts what happened."""

    def __init__(self, server: RunningServer, folder: Path, disk: Mounted | None) -> None:
        self.server = server
        self.folder = folder
        self.disk = disk
        self.kills = 0
        self.refused = 0
        self.client = Client(server.stubs())

    def kill_server(self) -> None:
        """SIGKILL the server, and with it its writers."""
        self.kills += 1
        children = processes.children(self.server.pid)
        with processes.all_end(children):
            self.server.kill()

    def start_server(self) -> None:
        """Start it again."""
        self.server.start()
        self.client = Client(self.server.stubs())


class Library(RuleBasedStateMachine):
    """A catalog of a few photos. It writes only in runs, so that the model knows when."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.name = f"Catalog {next(_numbers)}"
        self.folder = world.folder / self.name
        self.files: dict[str, File | None] = {}  # what is at each item's path
        self.away: dict[str, File] = {}  # what was there, and is now outside the root
        self.items: dict[str, Item] = {}

    @property
    def client(self) -> Client:
        """A client of the server as it runs now."""
        return self.world.client

    @initialize()
    def import_photos(self) -> None:
        """Make the catalog. It stays PAUSED."""
        for path in make_photos(self.folder / "root", FILES):
            self.files[path.name] = File(path, pixels(path))
            self.items[path.name] = Item(path.name)
        (self.folder / "away").mkdir()
        self.client.create(self.name, self.folder / "root")
        assert self.client.import_files(self.name).import_counts.added_items == FILES

    @rule(number=NUMBERS, title=st.sampled_from(["T1", "T2", None]))
    def edit_title(self, number: int, title: str | None) -> None:
        """An acknowledged edit of a single value."""
        item = self._item(number)
        self._edit(item, set_tags(title=title) if title else clear("title"))
        item.wants = replace(item.wants, title=title)

    @rule(number=NUMBERS, word=st.sampled_from(WORDS))
    def add_keyword(self, number: int, word: str) -> None:
        """An acknowledged edit of a list."""
        item = self._item(number)
        self._edit(item, add("keywords", word))
        item.wants = replace(item.wants, keywords=item.wants.keywords | {word})

    @rule(number=NUMBERS, word=st.sampled_from(WORDS))
    def remove_keyword(self, number: int, word: str) -> None:
        """The other way round."""
        item = self._item(number)
        self._edit(item, remove("keywords", word))
        item.wants = replace(item.wants, keywords=item.wants.keywords - {word})

    @rule(number=NUMBERS, credit=st.sampled_from(["C1", "C2"]), word=st.sampled_from(["", "x", *WORDS]))
    def other_program_edits(self, number: int, credit: str, word: str) -> None:
        """Another program edits the file, wherever it is."""
        name = self._item(number).name
        file = self.files[name] or self.away[name]
        edit_outside(file.path, credit=credit, keyword="" if word in file.says.keywords else word)
        file.says = replace(file.says, credit=credit, keywords=file.says.keywords | ({word} if word else set()))

    @rule(number=NUMBERS)
    def move_away_or_back(self, number: int) -> None:
        """Someone moves the file out of the root, or back to where it was."""
        name = self._item(number).name
        file = self.files[name]
        if file is None:
            file = self.files[name] = self.away.pop(name)
            file.path = file.path.rename(self.folder / "root" / name)
        else:
            self.away[name], self.files[name] = file, None
            file.path = file.path.rename(self.folder / "away" / name)

    @rule(one=NUMBERS, other=NUMBERS)
    def swap(self, one: int, other: int) -> None:
        """Someone gives two files each other's names, by a program that dates what it saves.

        Without that, a file that says what the other one said before our write is an old copy of it: what is done with
        those is not in this model, but in `tests/contract/test_old_copies.py`.
        """
        a, b = self.files[self._item(one).name], self.files[self._item(other).name]
        if a is None or b is None or a is b:
            return
        temp = self.folder / "away" / "temp"
        paths = a.path, b.path
        a.path.rename(temp)
        b.path.rename(paths[0])
        temp.rename(paths[1])
        b.path, a.path = paths
        self.files[a.path.name], self.files[b.path.name] = a, b
        for each in (a, b):
            edit_outside(each.path, date=datetime.now(UTC).isoformat(timespec="microseconds"))

    @rule()
    def sync(self) -> None:
        """A run writes all that is unsynced, merged with what the files hold by now."""
        members = self._members()
        self.client.sync(self.name)
        self._all_written(members)

    @rule(delay=st.none() | st.floats(0, 0.1), outside=st.booleans())
    def kill(self, delay: float | None, outside: bool) -> None:
        """The server is killed, at any moment of a run if there is a delay; another program edits before it is back."""
        members = [] if delay is None else self._members()
        if delay is not None:
            self.client.start(self.name)
            time.sleep(delay)  # any moment will do
        self.world.kill_server()
        self._assert_whole()
        edited = [name for name in members if outside and self.files[name]]
        for name in edited:
            edit_outside(self._file(name).path, credit="C3")
        self.world.start_server()
        if delay is not None:
            self.client.wait_run(self.name)
        self._all_written(members)
        for name in edited:
            file, item = self._file(name), self.items[name]
            file.says = replace(file.says, credit="C3")
            # It came before that item was written, or after.
            if self.client.item(self.name, name).tags.credit == "C3":
                item.wants = item.verified = file.says

    @precondition(lambda self: self.world.disk is not None)
    @rule(killed=st.booleans())
    def sync_on_a_full_disk(self, killed: bool) -> None:
        """What finds no room fails, and is as it was; with room again it is written."""
        disk = self.world.disk
        assert disk is not None
        members = self._members()
        disk.leave(0)
        try:
            self.client.start(self.name)
            status = self.client.wait(self.name, _is_through)
            self.world.refused += status.failed_items - sum(item.failed for item in self.items.values())
            if killed:
                self.world.kill_server()
            self._assert_whole()
        finally:
            disk.free()
        if killed:
            self.world.start_server()
        self._retry(sync_pb2.FAILURE_REASON_NO_SPACE)
        self.client.wait_run(self.name)
        self._all_written(members)

    @rule()
    def retry(self) -> None:
        """A person has the failed items tried again, at the next sync."""
        self._retry()
        for item in self.items.values():
            item.failed = False

    @precondition(lambda self: self.items)
    @invariant()
    def what_was_acknowledged_is_in_the_catalog(self) -> None:
        """And nothing else is; one that says something else than its file's last reading is unsynced."""
        for item in self.client.items(self.name):
            model = self.items[item.path]
            tags = item.tags
            assert Said(_of(tags, "title"), _of(tags, "credit"), frozenset(tags.keywords)) == model.wants, item.path
            assert len(tags.keywords) == len(set(tags.keywords))
            assert model.wants == model.verified or item.HasField("unsynced_since"), item.path
            if model.failed and model.wants == model.verified:
                model.failed = item.HasField("unsynced_since")  # an edit has left nothing to write
            assert (item.state == item_pb2.ITEM_STATE_FAILED) == model.failed, item

    @precondition(lambda self: self.items)
    @invariant()
    def files_hold_what_the_model_says(self) -> None:
        """Nothing is written but by a sync, nothing is torn, nothing is left behind."""
        for file in (*self.files.values(), *self.away.values()):
            if file is not None:
                file.check()
        assert stray_files(self.folder) == []

    def teardown(self) -> None:
        """All that was acknowledged gets into the files in the end."""
        for number, name in enumerate(self.items):
            if self.files[name] is None:
                self.move_away_or_back(number)
        self.retry()
        self.kill(random.uniform(0, 0.1), outside=False)
        self.sync()
        self.what_was_acknowledged_is_in_the_catalog()
        self.files_hold_what_the_model_says()
        shutil.rmtree(self.folder)

    def _item(self, number: int) -> Item:
        return list(self.items.values())[number]

    def _file(self, name: str) -> File:
        file = self.files[name]
        assert file is not None
        return file

    def _edit(self, item: Item, edit: Any) -> None:
        self.client.edit(self.name, edit, selection=globs(item.name))

    def _retry(self, *reasons: int) -> None:
        request = sync_service_pb2.RetryFailuresRequest(catalog=self.name, reasons=reasons)
        self.client.stubs.sync.RetryFailures(request)

    def _members(self) -> list[str]:
        """What the next run writes, or fails at."""
        unsynced = [item for item in self.client.items(self.name) if item.HasField("unsynced_since")]
        return [item.path for item in unsynced if not self.items[item.path].failed]

    def _all_written(self, members: list[str]) -> None:
        """The model after a run over these items."""
        for name in members:
            item, file = self.items[name], self.files[name]
            if file is None:
                item.failed = True
            else:
                file.says = item.wants = item.verified = merged(item.verified, item.wants, file.says)

    def _assert_whole(self) -> None:
        for file in self.files.values():
            assert file is None or pixels(file.path) == file.picture


def _is_through(status: Any) -> bool:
    return bool(status.unsynced_items == status.failed_items and status.in_flight_items == 0)


def _of(tags: Any, name: str) -> str | None:
    return getattr(tags, name) if tags.HasField(name) else None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mounted | None]:
    """A small disk, where we may mount one."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(small_ext4(tmp_path, megabytes=8))
        except pytest.skip.Exception as reason:
            print(f"full disks are not tried: {reason}")
            yield None


@pytest.mark.timeout(7200 if LONG else 300)
def test_whatever_happens_in_whatever_order_files_and_catalog_are_as_the_model_says(
    tmp_path: Path, disk: Mounted | None, record_property: Any
) -> None:
    with RunningServer(tmp_path / "data", writers=2) as server:
        world = World(server, disk.path if disk else tmp_path, disk)
        run_state_machine_as_test(
            lambda: Library(world),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                # What a kill hits is not the same twice: a failure tells its steps, and is not made smaller.
                phases=(Phase.generate,),
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert not [line for line in server.log if "[error" in line], "".join(server.log)
    figure = f"{EXAMPLES} orders of up to {STEPS} steps, {world.kills} kills, {world.refused} writes without room"
    record_property("figure", figure)
