"""Files that a rescan no longer finds, and those that it finds again."""

from __future__ import annotations

from indelible_server.storage import jobs
from support.archive import Archive, came_of
from support.photos import make_photos


def test_new_files_are_added_and_files_that_are_gone_are_missing_until_they_are_back(archive: Archive) -> None:
    make_photos(archive.folder / "new", 3)
    archive.photo.rename(archive.folder / ".away")
    assert came_of(archive.rescan()) == {"added_items": 3, "missing_items": 1}
    assert archive.missing == ["p0000.jpg"]
    assert came_of(archive.rescan()) == {}, "what is known is no news"
    (archive.folder / ".away").rename(archive.photo)
    assert came_of(archive.rescan()) == {"found_items": 1}
    assert archive.missing == []


def test_a_rescan_of_a_folder_says_nothing_of_others(archive: Archive) -> None:
    archive.photo.unlink()
    (archive.folder / "new").mkdir()
    assert came_of(archive.rescan("new")) == {}
    assert archive.missing == []
    assert came_of(archive.rescan("p0000.jpg", accept_missing=True)) == {"missing_items": 1}
    (problem,) = archive.rescan("nowhere").problems
    assert "there is no nowhere" in problem["message"]


def test_a_root_that_is_mostly_gone_stops_the_job_with_a_question(archive: Archive) -> None:
    for path in archive.paths:
        path.unlink()
    make_photos(archive.folder / "new", 1)
    job = archive.rescan()
    assert (job.state, archive.missing) == (jobs.FAILED, [])
    assert "2 of 3 files are gone" in job.message
    assert came_of(archive.rescan(accept_missing=True)) == {"missing_items": 2}
    assert archive.missing == ["p0000.jpg", "p0001.jpg"]


def test_a_share_that_is_away_is_no_reason_to_mark_anything(archive: Archive) -> None:
    archive.folder.rename(archive.folder.with_name("away"))
    archive.folder.mkdir()
    assert archive.rescan().state == jobs.FAILED
    assert archive.missing == []
