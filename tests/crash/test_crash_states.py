"""Every state in which a crash may leave a file, made on a real folder and settled there (I2)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from support.crash_states import Bench, Call, Disk, Sync, after, at_once
from support.ways import ON_DISK, Place, Way, contents, make_way

LONG = os.environ.get("INDELIBLE_LONG") == "1"
STATES = 1 << 11 if LONG else 1 << 6
"""Up to so many versions of a file are gone through whole; of more, a sample of this size."""


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
        assert contents(self.bench.folder) == self.way.content(Outcome.NEW)
        return list(calls)

    def settled(self, disk: Disk) -> tuple[list[Call], Outcome]:
        """Settle this state, twice; gives the calls of the first time. What comes out is whole, and told truly."""
        recorder = self.bench.lay(disk)
        with recorder.installed() as calls, self.root() as root:
            outcome = settle(root, self.bench.plan)
            first = list(calls)
            replace(self.way, plan=self.bench.plan).check_settled(root, outcome)
        return first, outcome

    def root(self) -> Root:
        return Root(str(self.bench.folder))


@pytest.fixture(params=ON_DISK, ids=str)
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Trial:
    place: Place = request.param
    way = make_way(place.way, tmp_path / "library")
    folder, store = tmp_path / "folder", tmp_path / "store"
    folder.mkdir()
    store.mkdir()
    # As a writer that comes later has it: from the store.
    plan = FilePlan.from_bytes(way.plan.to_bytes())
    return Trial(
        Bench(folder, store, plan, way.old, exchange=not place.lacks, link="links" not in place.lacks),
        way,
        random.Random(4),
    )


Tell = Callable[[str, object], None]


def test_i2_whatever_the_disk_kept_the_file_is_settled_whole(trial: Trial, record_property: Tell) -> None:
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


def test_i2_settlement_survives_a_crash_of_its_own_and_is_durable(trial: Trial, record_property: Tell) -> None:
    """A kill behind each call of a write; while the rest is settled, a loss of power behind each call of that."""
    calls, start = trial.applied(), trial.bench.start
    most = STATES >> 2
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


def test_i2_after_a_failed_fsync_settlement_writes_all_of_a_patch_again(trial: Trial) -> None:
    """The kernel has then dropped what it could not write, although it reads it back as if it were there."""
    calls, start = trial.applied(), trial.bench.start
    for number, call in enumerate(calls):
        if not (trial.way.plan.in_place and isinstance(call, Sync)):
            continue
        more, outcome = trial.settled(at_once(start, calls[:number]))
        for disk in after(start, calls[:number], trial.dice, STATES >> 2):
            for settled in after(disk, more, trial.dice, STATES):
                assert settled.content(trial.way.plan.target) == trial.way.new
        assert outcome is Outcome.NEW
