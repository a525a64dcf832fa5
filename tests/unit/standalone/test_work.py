"""The work of `indelibled file` and its journal, where something goes wrong in the middle."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from indelible_server.files.media import MediaFile
from indelible_server.files.policy import Policy
from indelible_server.files.port import Folder
from indelible_server.files.problems import Changed, FileProblem, Reason
from indelible_server.standalone import journal as journals
from indelible_server.standalone.assignments import parse_edits
from indelible_server.standalone.journal import Journal
from indelible_server.standalone.work import Task, Worker
from support.photos import make_photos, seen, stray_files
from unit.files.library import packet


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return make_photos(tmp_path / "photos", 2)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def worker(journal: Journal, action: str = "write", **edits: list[str]) -> Worker:
    policy = Policy()
    return Worker(Task(action, str(journal.folder), policy.to_json(), tuple(parse_edits(policy, **edits))))


def do(journal: Journal, photos: list[Path], action: str = "write", **edits: list[str]) -> list[dict[str, object]]:
    """One run, from its beginning to its end."""
    run = worker(journal, action, **edits)
    try:
        return run.work([os.fsencode(photo) for photo in photos])
    finally:
        run.close()


def break_off_writing(monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int = 1) -> None:
    """Let a write reach the file in half, and then fail."""
    write, left = MediaFile.write, [times]

    def half(self: MediaFile, offset: int, data: bytes) -> None:
        if self.name.startswith(b".") or not left[0]:
            return write(self, offset, data)
        left[0] -= 1
        write(self, offset, data[: len(data) // 2])
        raise error

    monkeypatch.setattr(MediaFile, "write", half)


def test_a_change_that_is_interrupted_is_completed_by_the_next_run(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(journal, photos, assign=["title=first"])
    with monkeypatch.context() as patched:
        break_off_writing(patched, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            do(journal, photos, assign=["title=second"])

    journal.clean_up()

    assert [seen(photo).title for photo in photos] == ["second", "first"]


def test_what_the_storage_refuses_half_way_is_settled_at_once(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(journal, photos, assign=["title=first"])
    break_off_writing(monkeypatch, FileProblem(Reason.IO_ERROR, "the disk answers no more"))

    results = do(journal, photos, assign=["title=second"])

    assert [result["result"] for result in results] == ["embedded", "embedded"]
    assert [seen(photo).title for photo in photos] == ["second", "second"]


def test_what_cannot_be_settled_now_waits_for_the_next_run(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(journal, photos, assign=["title=first"])
    with monkeypatch.context() as patched:
        break_off_writing(patched, FileProblem(Reason.NO_SPACE, "the disk is full"), times=2)
        results = do(journal, photos[:1], assign=["title=second"])
    assert results[0]["reason"] == "NO_SPACE"

    journal.clean_up()

    assert seen(photos[0]).title == "second"


def test_a_folder_that_is_not_there_keeps_nobody_from_working_elsewhere(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(journal, photos, assign=["title=first"])
    with monkeypatch.context() as patched:
        break_off_writing(patched, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            do(journal, photos[:1], assign=["title=second"])
    folder, away = photos[0].parent, photos[0].parent.with_name("away")
    folder.rename(away)

    journal.clean_up()
    away.rename(folder)
    journal.clean_up()

    assert seen(photos[0]).title == "second"


def test_nothing_is_changed_that_the_journal_has_no_room_for(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [photo.read_bytes() for photo in photos]
    pwrite = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, data[:100], offset)

    run = worker(journal, assign=["title=x"])
    with monkeypatch.context() as patched:
        patched.setattr(journals.os, "pwrite", full)
        refused = run.work([os.fsencode(photo) for photo in photos])
    assert [photo.read_bytes() for photo in photos] == before
    again = run.work([os.fsencode(photo) for photo in photos])
    run.close()

    assert [result["reason"] for result in refused] == ["NO_SPACE", "NO_SPACE"]
    assert [result["result"] for result in again] == ["embedded", "embedded"]
    assert [result["result"] for result in do(journal, photos, "undo")] == ["undone", "undone"]
    assert [photo.read_bytes() for photo in photos] == before


def test_of_a_change_that_was_broken_off_between_two_files_the_one_that_was_made_is_undone(
    photos: list[Path], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photos[0]
    do(journal, [photo], assign=["title=first"])
    photo.with_suffix(".xmp").write_bytes(packet("", wrapper=False))
    before = photo.read_bytes()

    def refuse(self: Folder, temp: bytes, name: bytes) -> bool:
        raise Changed("somebody was faster")

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "exchange", refuse)
        (result,) = do(journal, [photo], assign=["title=second"])
    assert result["reason"] == "CONFLICT"
    assert seen(photo).title == "second"

    (undone,) = do(journal, [photo], "undo")

    assert undone["result"] == "undone"
    assert photo.read_bytes() == before
    assert stray_files(photo.parent) == []


def test_a_file_that_is_undone_twice_in_a_row_goes_back_twice(photos: list[Path], journal: Journal) -> None:
    states = [photos[0].read_bytes()]
    for title in ("first", "second"):
        do(journal, photos[:1], assign=[f"title={title}"])
        states.append(photos[0].read_bytes())

    for state in reversed(states[:-1]):
        do(journal, photos[:1], "undo")
        assert photos[0].read_bytes() == state
