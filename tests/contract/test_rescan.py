"""What a rescan takes in, and what it leaves alone: real files, both databases, no server."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from indelible_server.domain import undo_jobs
from indelible_server.domain.edits import Edit
from indelible_server.library import rescanning
from indelible_server.roots import Roots
from indelible_server.storage import jobs
from indelible_server.storage.item import ItemState
from indelible_server.writeback.pipeline import Pipeline
from PIL import Image
from support.archive import ANN, Archive, came_of
from support.edits import EVERYTHING, all_items, claim, title
from support.photos import edit_outside, exiftool, make_photos, make_sidecar, seen


def test_a_rescan_takes_in_what_others_changed_and_the_item_stays_synced(archive: Archive) -> None:
    edit_outside(archive.photo, title="Theirs", keyword="theirs")
    job = archive.rescan()
    assert (job.state, came_of(job)) == (jobs.COMPLETED, {"changed_items": 1})
    item = archive.item
    assert (item.tags, item.state) == ({"title": "Theirs", "keywords": ["theirs"]}, ItemState.SYNCED)
    newest = archive.newest()
    assert (newest.source, newest.principal) == ("RESCAN", "ann")
    assert newest.changes == {"keywords": [None, ["theirs"]], "title": ["Base", "Theirs"]}
    assert claim(archive.database, archive.catalog) == []


def test_what_is_edited_on_either_side_is_kept_and_still_to_be_written(archive: Archive) -> None:
    archive.edit(title("Ours"), Edit("add", "keywords", ["ours"]))
    edit_outside(archive.photo, credit="Theirs", keyword="theirs")
    archive.rescan()
    item = archive.item
    assert item.state is ItemState.PENDING
    assert (item.tags["title"], item.tags["credit"], set(item.tags["keywords"])) == (
        "Ours",
        "Theirs",
        {"ours", "theirs"},
    )
    archive.write()
    found = seen(archive.photo)
    assert (found.title, found.credit, found.keywords) == ("Ours", "Theirs", ("ours", "theirs"))
    assert archive.item.state is ItemState.SYNCED


def test_a_library_that_has_not_changed_is_left_as_it_is(archive: Archive) -> None:
    """With sidecars too, of which only reading tells."""
    make_sidecar(archive.photo, "In the sidecar")
    assert came_of(archive.rescan()) == {"sidecars": 1, "changed_items": 1}
    assert archive.item.tags["title"] == "In the sidecar"
    archive.write()
    assert came_of(archive.rescan()) == {"sidecars": 1}, "what we have written ourselves is no news"
    revision, files = archive.revision, [path.read_bytes() for path in archive.paths]
    for read_all in (False, True):
        assert came_of(archive.rescan(read_all=read_all)) == {"sidecars": 1}
    assert archive.revision == revision
    assert [path.read_bytes() for path in archive.paths] == files


@pytest.mark.parametrize("transient", [True, False])
@pytest.mark.parametrize("outside", ["untouched", "touched", "another field"])
def test_i6_a_failed_write_never_lets_a_rescan_replace_the_catalogs_tags(
    archive: Archive, outside: str, transient: bool
) -> None:
    archive.edit(title("Ours"), Edit("add", "keywords", ["ours"]))
    archive.fail(transient=transient)
    if outside == "touched":
        os.utime(archive.photo)
    elif outside == "another field":
        edit_outside(archive.photo, credit="Theirs")
    archive.rescan(read_all=True)
    item = archive.item
    assert (item.tags["title"], item.tags["keywords"]) == ("Ours", ["ours"])
    assert item.tags.get("credit") == ("Theirs" if outside == "another field" else None)
    assert item.unsynced, "what could not be written is still to be written"
    assert item.state is (ItemState.FAILED if outside == "untouched" else ItemState.PENDING)
    assert seen(archive.photo).title == "Base"


VALUES: dict[str, Any] = {"title": ["Base", "Ours", "Theirs"], "keywords": [["a", "b"], ["a", "b", "o"], ["b", "t"]]}
WHO = ["nobody", "catalog", "file", "both alike", "both"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the merge knows of no database
@pytest.mark.parametrize("policy", ["CATALOG_WINS", "FILE_WINS", "HOLD"])
@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("field", VALUES)
@pytest.mark.tool("exiftool")
def test_each_field_is_merged_by_who_has_changed_it(archive: Archive, field: str, cleared: bool, policy: str) -> None:
    """Also of an item that could not be written: it is pending, and merged like any other."""
    archive.set_policy(policy)
    base, ours, theirs = VALUES[field]
    if cleared:
        ours = None
    merged = sorted({"b", "t", "o"} if not cleared else {"t"}) if field == "keywords" else None
    winner = {"CATALOG_WINS": ours, "FILE_WINS": theirs, "HOLD": ours}[policy]
    expected = {
        "nobody": base,
        "catalog": ours,
        "file": theirs,
        "both alike": theirs,
        "both": merged if field == "keywords" else winner,
    }
    for who, has_failed in itertools.product(WHO, (False, True)):
        archive.edit(_set(field, base))
        archive.write()
        archive.rescan()
        by_us = {"catalog": ours, "both alike": theirs, "both": ours}
        if who in by_us:
            archive.edit(_set(field, by_us[who]))
            if has_failed:
                archive.fail(transient=False)
        elif has_failed:
            continue
        if who in ("file", "both alike", "both"):
            set_outside(archive.photo, field, theirs)
        archive.rescan()
        item, about = archive.item, (who, has_failed)
        found = item.tags.get(field)
        assert (sorted(found) if isinstance(found, list) else found) == expected[who], about
        in_conflict = who == "both" and policy == "HOLD" and field == "title"
        assert [each["field"] for each in item.conflicts] == ([field] if in_conflict else []), about
        assert item.unsynced is (who in by_us), about
        # Whatever was decided is what the file says in the end.
        if in_conflict:
            archive.edit(_set(field, theirs))
        archive.write()
        assert archive.item.state is (ItemState.FAILED if has_failed and who == "catalog" else ItemState.SYNCED), about
        if has_failed and who == "catalog":
            os.utime(archive.photo)
            archive.rescan()
            archive.write()
            assert archive.item.state is ItemState.SYNCED, "a file that has changed is tried again"


def test_of_two_homes_in_conflict_neither_replaces_what_people_want(archive: Archive) -> None:
    archive.set_policy("HOLD")
    make_sidecar(archive.photo, "Base")
    archive.rescan()
    archive.edit(title("Ours"))
    make_sidecar(archive.photo, "In the sidecar")
    edit_outside(archive.photo, title="In the file")
    archive.rescan()
    item = archive.item
    assert (item.tags["title"], item.state) == ("Ours", ItemState.CONFLICTED)
    assert [(each["base"], each["theirs"]) for each in item.conflicts] == [("Base", "In the sidecar")]
    make_sidecar(archive.photo, "Once more")
    archive.rescan()
    assert [each["theirs"] for each in archive.item.conflicts] == ["Once more"], "it is shown as it is"
    assert archive.item.tags["title"] == "Ours"


@pytest.mark.parametrize("by", ["damage", "cut short", "a sidecar that goes and comes"])
def test_what_was_cleared_does_not_come_back_with_a_file_that_is_whole_again(archive: Archive, by: str) -> None:
    whole = archive.photo.read_bytes()
    worse = {"damage": whole.replace(b"</rdf:RDF>", b"</rdf:BAD>"), "cut short": whole[:20]}
    if by not in worse:
        make_sidecar(archive.photo, "Base")
    archive.rescan()
    archive.edit(Edit("clear", "title"))
    if by in worse:
        assert worse[by] != whole
        archive.photo.write_bytes(worse[by])
    else:
        archive.photo.with_suffix(".xmp").unlink()
    archive.rescan()
    if by in worse:
        archive.photo.write_bytes(whole)
    else:
        make_sidecar(archive.photo, "Base")
    archive.rescan()
    assert (archive.item.tags.get("title"), archive.item.state) == (None, ItemState.PENDING)
    archive.write()
    assert seen(archive.photo).title is None


@pytest.mark.tool("exiftool")
def test_a_change_of_one_form_alone_comes_in_and_stays(archive: Archive) -> None:
    """The other forms still say the old value, and the next look must not take that for an edit."""
    path = archive.folder / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    exiftool(path, "-PNG:Title=Base", "-XMP-dc:Title=Base")
    archive.import_new()
    exiftool(path, "-PNG:Title=Theirs")
    for _ in range(2):
        archive.rescan(read_all=True)
        assert all_items(archive.database, archive.catalog)[-1].tags == {"title": "Theirs"}
    archive.write()
    command = ["exiftool", "-s3", "-a", "-Title", str(path)]
    assert set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()) == {"Theirs"}


def test_what_an_undo_wants_is_left_to_it(archive: Archive) -> None:
    archive.database.write(undo_jobs.start_for_items, ANN, archive.catalog, EVERYTHING, "")
    edit_outside(archive.photo, credit="Theirs")
    revision = archive.revision
    assert came_of(archive.rescan()) == {}
    assert (archive.revision, archive.item.tags) == (revision, {"title": "Base"})


def test_a_file_that_another_job_adds_meanwhile_is_added_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(archive.folder / "new", 2)
    really = rescanning.read_new

    def read_new(*arguments: Any) -> Any:
        found = really(*arguments)
        archive.import_new()
        return found

    monkeypatch.setattr(rescanning, "read_new", read_new)
    assert archive.rescan().state == jobs.COMPLETED
    assert len(all_items(archive.database, archive.catalog)) == 4


def test_a_policy_that_changes_meanwhile_ends_the_job(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_outside(archive.photo, title="Theirs")
    really = rescanning.read

    def read(*arguments: Any, **more: Any) -> Any:
        archive.set_policy("HOLD")
        return really(*arguments, **more)

    monkeypatch.setattr(rescanning, "read", read)
    job = archive.rescan()
    assert (job.state, archive.item.tags) == (jobs.FAILED, {"title": "Base"})
    assert "policy" in job.message


def test_what_a_writer_has_in_hand_is_left_to_it(archive: Archive) -> None:
    archive.edit(title("Ours"))
    edit_outside(archive.photo, credit="Theirs")
    claims = claim(archive.database, archive.catalog)
    revision = archive.revision
    assert came_of(archive.rescan()) == {}
    assert (archive.revision, archive.item.tags) == (revision, {"title": "Ours"})
    pipeline = Pipeline(archive.database, "host", Roots(), begin=lambda claim: None, may_go_on=lambda: True)
    pipeline.write(archive.catalog, claims)
    assert archive.item.tags == {"title": "Ours", "credit": "Theirs"}


def test_an_edit_while_the_file_is_read_is_kept(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_outside(archive.photo, credit="Theirs")
    really, edits = rescanning.read, [title("Ours")]

    def read(*arguments: Any, **more: Any) -> Any:
        found = really(*arguments, **more)
        if edits:
            archive.edit(edits.pop())
        return found

    monkeypatch.setattr(rescanning, "read", read)
    assert came_of(archive.rescan()) == {"changed_items": 1}
    assert archive.item.tags == {"title": "Ours", "credit": "Theirs"}
    assert archive.item.state is ItemState.PENDING


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(archive: Archive) -> None:
    archive.photo.write_bytes(b"no picture at all")
    edit_outside(archive.paths[1], credit="Theirs")
    job = archive.rescan()
    assert (job.state, came_of(job)) == (jobs.COMPLETED, {"changed_items": 1})
    assert (job.total, job.done, job.failed) == (2, 1, 1)
    assert [problem["path"] for problem in job.problems] == ["p0000.jpg"]
    assert archive.item.tags == {"title": "Base"}


def set_outside(path: Path, field: str, value: Any) -> None:
    """What another program does."""
    tag = {"title": "XMP-dc:Title", "keywords": "XMP-dc:Subject"}[field]
    exiftool(path, *(f"-{tag}={each}" for each in (value if isinstance(value, list) else [value])))


def _set(field: str, value: str | Sequence[str] | None) -> Edit:
    return Edit("clear", field) if value is None else Edit("set", field, value)
