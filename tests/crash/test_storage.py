"""Storage that is full, read-only, or takes little at a time: nothing is damaged, and it goes on afterwards (I2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from indelible_server.files import media
from indelible_server.files.apply import apply
from indelible_server.files.plan import Mode
from indelible_server.files.port import Root
from indelible_server.files.problems import FileProblem, Reason
from indelible_server.files.settle import Outcome, settle
from support.filesystems import BLOCK, Mounted, small_ext4
from support.ways import WAYS, Way, contents, make_way

Tell = Callable[[str, object], None]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Mounted]:
    with small_ext4(tmp_path) as mounted:
        yield mounted


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return make_way(request.param, tmp_path / "library")


def attempt(folder: Path, way: Way) -> FileProblem | None:
    """Apply the plan; gives back why that was refused."""
    with Root(str(folder)) as root:
        try:
            apply(root, way.plan, still_ours=lambda: True)
        except FileProblem as problem:
            return problem
    return None


def test_i2_a_full_disk_damages_nothing_however_much_of_the_file_it_takes(
    storage: Mounted, way: Way, record_property: Tell
) -> None:
    """A really full file system, with room for none to all of the blocks that the write needs."""
    folder = storage.path / "photos"
    folder.mkdir()
    refused = 0
    for blocks in range(12):
        laid = way.laid(folder)
        storage.leave(blocks)
        problem = attempt(folder, laid)
        found = contents(folder).get(way.plan.target)
        if problem is None:
            assert found == way.new
        else:
            refused += 1
            assert (problem.reason, problem.transient) == (Reason.NO_SPACE, True), problem
            assert found == way.old or (way.plan.mode is Mode.APPEND and found.startswith(way.old)), blocks
        storage.free()
        with Root(str(folder)) as root:
            outcome = settle(root, laid.plan)
            assert problem is not None or outcome is Outcome.NEW
            laid.check_settled(root, outcome)
    needs_room = way.plan.mode not in (Mode.PATCH, Mode.REMOVE)
    assert bool(refused) is needs_room
    assert refused <= len(way.new or b"") // BLOCK + 2
    record_property("count writes that a full disk refused", refused)


def test_i2_what_a_full_disk_tore_is_completed_when_there_is_room(storage: Mounted, tmp_path: Path) -> None:
    """As long as there is none, settlement says that it could not be done, and the intent stays."""
    folder = storage.path / "photos"
    folder.mkdir()
    way = make_way("append", tmp_path / "library").laid(folder)
    storage.leave(3)
    assert attempt(folder, way) is not None
    assert len(contents(folder)[way.plan.target]) > len(way.old or b""), "not torn"
    with Root(str(folder)) as root:
        for _ in range(2):
            with pytest.raises(FileProblem) as problem:
                settle(root, way.plan)
            assert problem.value.reason is Reason.NO_SPACE
        storage.free()
        assert settle(root, way.plan) is Outcome.NEW
        way.check_settled(root, Outcome.NEW)


def test_i2_a_read_only_disk_is_told_and_nothing_is_tried_again(storage: Mounted, way: Way) -> None:
    folder = storage.path / "photos"
    folder.mkdir()
    laid = way.laid(folder)
    storage.make_read_only()
    problem = attempt(folder, laid)
    assert problem is not None
    assert (problem.reason, problem.transient) == (Reason.READ_ONLY, False)
    assert contents(folder) == way.content(Outcome.OLD)


@pytest.mark.parametrize("length", [1, 7, 511])
def test_i2_a_disk_that_takes_little_at_a_time_gets_the_whole_file(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    laid = way.laid(folder)
    write, copy = os.pwrite, os.copy_file_range
    monkeypatch.setattr(media.os, "pwrite", lambda file, data, offset: write(file, data[:length], offset))
    monkeypatch.setattr(
        media.os, "copy_file_range", lambda source, to, count, *where: copy(source, to, min(count, length), *where)
    )
    assert attempt(folder, laid) is None
    assert contents(folder) == way.content(Outcome.NEW)


def test_i2_a_disk_that_takes_nothing_is_not_tried_for_ever(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way.plan.mode is Mode.REMOVE:
        return  # nothing is written
    folder = tmp_path / "folder"
    folder.mkdir()
    laid = way.laid(folder)
    monkeypatch.setattr(media.os, "pwrite", lambda *_arguments: 0)
    problem = attempt(folder, laid)
    assert problem is not None
    assert (problem.reason, problem.transient) == (Reason.IO_ERROR, True)
    assert contents(folder) == way.content(Outcome.OLD)
