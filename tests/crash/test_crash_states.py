"""Every state in which a crash may leave a file, made on a real folder and settled there (I2)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from support.crash_states import Bench, Call, Disk, after, at_once
from support.ways import WAYS, Way, make_way

LONG = os.environ.get("INDELIBLE_LONG") == "1"
STATES = 1 << 13 if LONG else 1 << 7
"""Up to so many versions of a file are gone through whole; of more, a sample of this size."""

CANNOT = {"": (True, True), "no exchange": (False, True), "no exchange, no links": (False, False)}
PLACES = [(way, cannot) for cannot in CANNOT for way in WAYS if not cannot or way not in ("patch", "append", "sidecar")]


@dataclass
class Trial:
    """One way of writing on one kind of file system."""

    bench: Bench
    way: Way
    dice: random.Random

    def applied(self) -> list[Call]:
        """The calls that applying the plan makes."""
        with self.bench.lay(self.bench.start).installed() as calls, self.root() as root:
            apply(root, self.bench.plan, still_ours=lambda: True)
        assert self.bench.found == self.way.content(Outcome.NEW)
        return list(calls)

    def settled(self, disk: Disk) -> tuple[list[Call], Outcome]:
        """Settle this state, twice; gives the calls of the first time. What comes out is whole, and told truly."""
        recorder = self.bench.lay(disk)
        with recorder.installed() as calls, self.root() as root:
            outcome = settle(root, self.bench.plan)
            first = list(calls)
            assert settle(root, self.bench.plan) is outcome, "settled once more, it is another outcome"
            assert outcome in (Outcome.NEW, Outcome.OLD), "taken for someone else's"
            assert self.bench.found == self.way.content(outcome)
            self._write_on_top(root, outcome)
        return first, outcome

    def _write_on_top(self, root: Root, outcome: Outcome) -> None:
        following = Way(self.bench.plan, self.way.old, self.way.new).next(root, outcome)
        if following is not None:
            apply(root, following.plan, still_ours=lambda: True)
            assert self.bench.found == following.content(Outcome.NEW)

    def root(self) -> Root:
        return Root(str(self.bench.folder))


@pytest.fixture(params=PLACES, ids=lambda place: ", ".join(part for part in place if part))
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Trial:
    name, cannot = request.param
    exchange, link = CANNOT[cannot]
    way = make_way(name, tmp_path / "library")
    folder, store = tmp_path / "folder", tmp_path / "store"
    folder.mkdir()
    store.mkdir()
    # As a writer that comes later has it: from the store.
    plan = FilePlan.from_bytes(way.plan.to_bytes())
    return Trial(Bench(folder, store, plan, way.old, exchange, link), way, random.Random(4))


Tell = Callable[[str, object], None]


def test_i2_whatever_the_disk_kept_the_file_is_whole_and_settlement_tells_the_truth(
    trial: Trial, record_property: Tell
) -> None:
    """A loss of power behind each call of a write. Settlement says what is there, and a write on top of it works."""
    calls, start = trial.applied(), trial.bench.start
    seen: set[object] = set()
    for number in range(len(calls) + 1):
        for disk in after(start, calls[:number], trial.dice, STATES):
            if disk.key not in seen:
                seen.add(disk.key)
                trial.settled(disk)
    record_property("count states of the disk after a loss of power, settled", len(seen))


def test_i2_what_was_applied_is_durable(trial: Trial) -> None:
    """After `apply` has returned, a loss of power leaves the new file, and nothing beside it."""
    for disk in after(trial.bench.start, trial.applied(), trial.dice, STATES):
        assert {name: disk.content(name) for name in disk.names} == trial.way.content(Outcome.NEW)


def test_i2_settlement_survives_a_crash_of_its_own_and_what_it_says_is_durable(
    trial: Trial, record_property: Tell
) -> None:
    """A kill behind each call of a write; while the rest is settled, a loss of power behind each call of that."""
    calls, start = trial.applied(), trial.bench.start
    most = STATES if LONG else STATES >> 3
    seen: set[object] = set()
    for number in range(len(calls) + 1):
        done = calls[:number]
        more, outcome = trial.settled(at_once(start, done))
        for extent in range(len(more) + 1):
            for disk in after(start, done + more[:extent], trial.dice, most):
                if extent == len(more):
                    assert {name: disk.content(name) for name in disk.names} == trial.way.content(outcome)
                elif disk.key not in seen:
                    seen.add(disk.key)
                    trial.settled(disk)
    record_property("count states of the disk after a loss of power while a kill was settled, settled", len(seen))
