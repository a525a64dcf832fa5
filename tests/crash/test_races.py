"""Other programs that write at the very moment when we do: their edits are never lost (I4)."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from indelible_server.files import media
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan
from indelible_server.files.port import Folder, Root
from indelible_server.files.problems import Changed, FileProblem, Reason
from indelible_server.files.settle import Outcome, settle
from support.racing import KINDS, Edit, Racer, edited
from support.shares import Share
from support.ways import WAYS, Way, contents, make_way

LONG = os.environ.get("INDELIBLE_LONG") == "1"
COLLISIONS = 600 if LONG else 30
PATIENCE_S = 90
Laid = tuple[Way, Path]
Tell = Callable[[str, object], None]


@dataclass
class Race:
    """Rounds of one way of writing against one kind of program."""

    folder: Path
    racer: Racer
    way: Way
    kind: str
    rounds: int = 0
    collisions: int = 0
    lost: int = 0

    def run(self, wanted: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.collisions < wanted:
            assert time.monotonic() < end, f"only {self.collisions} collisions in {self.rounds} rounds"
            self._round()

    def _round(self) -> None:
        self.rounds += 1
        way = self.way.laid(self.folder)
        path = os.fspath(self.folder / os.fsdecode(way.plan.target))
        edit = Edit(self.kind, path, self.rounds, int(10 ** random.uniform(3, 5.7)))
        self.racer.prepare(edit)
        at_once = random.random() < 0.3
        if at_once:
            self.racer.start()
        began = time.monotonic_ns()
        outcome = self._apply(way.plan)
        ended = time.monotonic_ns()
        made = self.racer.finished()
        self.collisions += made.began < ended and began < made.ended
        self._judge(way, edit, made.missing, outcome)

    def _apply(self, plan: FilePlan) -> Outcome:
        """What a writer does: whatever does not end as planned is settled. The race begins when all is ready."""

        def still_ours() -> bool:
            self.racer.start()
            return True

        with Root(str(self.folder)) as root:
            try:
                apply(root, plan, still_ours=still_ours)
                return Outcome.NEW
            except (Changed, FileProblem) as refused:
                if isinstance(refused, FileProblem) and refused.reason not in (Reason.LOCKED, Reason.MISSING):
                    raise
            finally:
                self.racer.start()
            return _settled(root, plan)

    def _judge(self, way: Way, edit: Edit, missing: bool, outcome: Outcome) -> None:
        """Their edit is in the file, which is whole, and nothing is beside it."""
        found = contents(self.folder)
        content = found.pop(way.plan.target, None)
        assert found == {}, "left behind"
        if missing:
            assert (content, outcome) == (way.new, Outcome.NEW)
        elif content not in edited(way.old, edit) + edited(way.new, edit):
            self.lost += 1


def _settled(root: Root, plan: FilePlan) -> Outcome:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return settle(root, plan)
        except FileProblem as busy:
            if busy.reason is not Reason.LOCKED or time.monotonic() > end:
                raise


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return make_way(request.param, tmp_path / "library")


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    """A file that is to be replaced, alone in its folder."""
    folder = tmp_path / "laid"
    folder.mkdir()
    return make_way("replace", tmp_path / "library").laid(folder), folder


@pytest.fixture(scope="module")
def racer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Racer]:
    with Racer(tmp_path_factory.mktemp("racer")) as made:
        yield made


@pytest.fixture
def share(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "")


@pytest.fixture
def race(tmp_path: Path, racer: Racer, way: Way, kind: str, share: str) -> Iterator[Race]:
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(Share(share, tmp_path)).path if share else tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        yield Race(folder, racer, way, kind)


def test_i4_no_edit_of_a_program_that_races_is_lost(race: Race, record_property: Tell) -> None:
    race.run(COLLISIONS)
    assert race.lost == 0
    record_property("count collisions with other programs, none of whose edits was lost", race.collisions)


@pytest.mark.parametrize("way", ["patch", "replace"], indirect=True)
@pytest.mark.parametrize("share", ["", "smb", "nfs"], indirect=True)
def test_i4_what_may_be_lost_where_there_are_no_leases_is_measured(
    race: Race, share: str, monkeypatch: pytest.MonkeyPatch, record_property: Tell
) -> None:
    """Where two names can be exchanged, who replaces a file is noticed; who writes into it may be too quick."""
    monkeypatch.setattr(media, "grants_leases", lambda _device: False)
    window = window_us(race, monkeypatch)
    race.run(COLLISIONS if LONG else 6)
    if race.kind == "renames" and not share:
        assert race.lost == 0
    record_property(
        "figure",
        f"no leases, {share or 'disk'}, {race.way.plan.mode}, a program that {race.kind}: {race.lost} edits lost in "
        f"{race.collisions} collisions, {window:.0f} µs from the last look to the change",
    )


def window_us(race: Race, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long the moment is in which a write would not be noticed: from the last look to the change."""
    looked: list[float] = []
    changed: list[float] = []
    windows = []
    with monkeypatch.context() as patched:
        for name, times in (("pread", looked), ("pwrite", changed), ("rename", changed), ("unlink", changed)):
            patched.setattr(os, name, noting(getattr(os, name), times))
        for _ in range(21):
            looked.clear()
            changed.clear()
            with Root(str(race.folder)) as root:
                apply(root, race.way.laid(race.folder).plan, still_ours=lambda: True)
            windows.append(changed[-1] - looked[-1])
    return statistics.median(windows) * 1e6


def noting(call: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    def noted(*arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        finally:
            times.append(time.perf_counter())

    return noted


def test_i4_a_kill_between_exchange_and_look_gives_a_foreign_file_back(laid: Laid) -> None:
    """Another program has replaced the file at the last moment, so that theirs has the temp name when we die."""
    way, folder = laid
    (folder / os.fsdecode(way.plan.temp)).write_bytes(b"theirs")
    (folder / os.fsdecode(way.plan.target)).write_bytes(way.new or b"")
    with Root(str(folder)) as root:
        for _ in range(2):
            assert settle(root, way.plan) is Outcome.FOREIGN
    assert contents(folder) == {way.plan.target: b"theirs"}


def test_i4_a_write_into_the_original_before_a_kill_is_given_back(laid: Laid) -> None:
    way, folder = laid
    target, temp = folder / os.fsdecode(way.plan.target), folder / os.fsdecode(way.plan.temp)
    target.rename(temp)
    target.write_bytes(way.new or b"")
    theirs = (way.old or b"") + b" and more"
    temp.write_bytes(theirs)
    with Root(str(folder)) as root:
        assert settle(root, way.plan) is Outcome.FOREIGN
    assert contents(folder) == {way.plan.target: theirs}


def test_i4_a_replaced_original_that_a_program_has_open_is_not_removed_yet(laid: Laid) -> None:
    """It waited for our lease when we died, and will write into what it has opened."""
    way, folder = laid
    target, temp = folder / os.fsdecode(way.plan.target), folder / os.fsdecode(way.plan.temp)
    target.rename(temp)
    target.write_bytes(way.new or b"")
    with Root(str(folder)) as root:
        with temp.open("r+b") as program:
            with pytest.raises(FileProblem) as problem:
                settle(root, way.plan)
            assert problem.value.reason is Reason.LOCKED
            program.write(b"theirs")
        assert settle(root, way.plan) is Outcome.FOREIGN
    assert contents(folder)[way.plan.target].startswith(b"theirs")


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_i4_of_several_that_replace_the_file_in_the_last_gap_the_last_wins(
    laid: Laid, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    way, folder = laid
    exchange, replacements = Folder.exchange, iter(range(1, number + 1))

    def raced(opened: Folder, temp: bytes, name: bytes) -> bool:
        version = next(replacements, None)
        if version is not None:
            other = folder / "other"
            other.write_bytes(b"version %d" % version)
            other.rename(folder / os.fsdecode(name))
        return exchange(opened, temp, name)

    monkeypatch.setattr(Folder, "exchange", raced)
    with Root(str(folder)) as root, pytest.raises(Changed):
        apply(root, way.plan, still_ours=lambda: True)
    assert contents(folder) == {way.plan.target: b"version %d" % number}
