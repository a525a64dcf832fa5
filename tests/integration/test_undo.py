"""Undo over gRPC with real files, on both databases: what our writes replaced comes back, and stays (I10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import (
    admin_service_pb2,
    item_pb2,
    item_service_pb2,
    job_pb2,
    policy_pb2,
    sync_pb2,
    sync_service_pb2,
    tags_pb2,
)
from PIL import Image
from support.client import ALL, Client, add, clear, globs, ids, set_tags
from support.contract import refused
from support.photos import edit_outside, make_photo, make_photos, seen, stray_files
from support.server import fresh_id
from unit.files.vorbis_files import COMMENTS, comments, flac

Library = Callable[..., tuple[str, list[Path]]]
LONG = bool(os.environ.get("INDELIBLE_LONG"))
MANY = 1000 if LONG else 60


@pytest.fixture
def library(client: Client, name: str, tmp_path: Path) -> Library:
    """Makes a folder of photos and an imported catalog of them."""

    def make(number: int, **settings: Any) -> tuple[str, list[Path]]:
        paths = make_photos(tmp_path / "photos", number)
        client.create(name, tmp_path / "photos", **settings)
        assert client.import_files(name).import_counts.added_items == number
        return name, paths

    return make


def contents(paths: list[Path]) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


def times(paths: list[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


def undo_write(client: Client, catalog: str, selection: Any = ALL, **settings: Any) -> Any:
    """The job of an undo, when it has ended."""
    request = item_service_pb2.UndoWriteRequest(catalog=catalog, selection=selection, **settings)
    return client.job(client.stubs.items.UndoWrite(request).job.id)


def undo_run(client: Client, catalog: str, run_id: str, **settings: Any) -> Any:
    """The job of an undo, when it has ended."""
    request = sync_service_pb2.UndoRunRequest(catalog=catalog, run_id=run_id, **settings)
    return client.job(client.stubs.sync.UndoRun(request).job.id)


def history(client: Client, catalog: str, path: str) -> list[Any]:
    """All that happened to an item, the newest first."""
    request = item_service_pb2.ListHistoryRequest(catalog=catalog, path=path, page_size=1000)
    return list(client.stubs.items.ListHistory(request).entries)


def counts(job: Any) -> tuple[int, int, int, int]:
    """Restored, changed, expired, failed."""
    assert job.state == job_pb2.JOB_STATE_COMPLETED
    undone = job.undo_counts
    return undone.restored_items, undone.changed_items, undone.expired_items, job.failed_items


def written_and_idle(client: Client, catalog: str, path: Path) -> None:
    """Auto-sync has been through everything that was due before an edit of this item was."""
    client.edit(catalog, set_tags(instructions="later"), selection=globs(path.name))
    client.wait_synced(catalog)


@pytest.mark.timeout(60 * 60 if LONG else 120)
def test_an_undone_run_leaves_all_as_it_was_and_auto_sync_writes_nothing(client: Client, library: Library) -> None:
    """I10."""
    catalog, (sentinel, *paths) = library(MANY + 1)
    client.edit(catalog, set_tags(title="Before"))
    client.sync(catalog)
    before, tags = contents(paths), [item.tags for item in client.items(catalog)]
    client.switch(catalog, True)
    some = ids(*client.items(catalog)[1:])
    client.edit(catalog, set_tags(title="After", rating=3), add("keywords", "new"), selection=some)
    run = client.sync(catalog)
    client.wait_synced(catalog)
    assert (run.done_items, {seen(path).title for path in paths}) == (MANY, {"After"})

    job = undo_run(client, catalog, run.id, on_behalf_of="ann")
    assert (job.kind, job.total_items, job.done_items) == (job_pb2.JOB_KIND_UNDO, MANY, MANY)
    assert counts(job) == (MANY, 0, 0, 0)
    status = client.status(catalog)
    assert (status.auto_sync, status.unsynced_items, status.in_flight_items) == (sync_pb2.AUTO_SYNC_ON, 0, 0)
    assert contents(paths) == before
    assert [item.tags for item in client.items(catalog)] == tags
    restored_at = times(paths)
    written_and_idle(client, catalog, sentinel)
    assert times(paths) == restored_at
    assert contents(paths) == before
    assert stray_files(sentinel.parent) == []
    undone, edit = history(client, catalog, paths[0].name)[:2]
    assert (edit.source, edit.on_behalf_of, edit.HasField("write")) == ("UNDO", "ann", False)
    assert (edit.diff.before.title, edit.diff.after.title) == ("After", "Before")
    assert (undone.source, undone.on_behalf_of, undone.write.undoable) == ("UNDO", "ann", True)
    assert counts(undo_run(client, catalog, run.id)) == (0, 0, 0, 0)


def test_each_write_is_taken_back_in_turn_to_the_byte(client: Client, name: str, tmp_path: Path) -> None:
    """Patches, appended blocks, replaced files and sidecars; and an undo can be undone."""
    for number, (file, kind) in enumerate({"a.png": "PNG", "b.tif": "TIFF", "c.webp": "WEBP"}.items()):
        Image.new("RGB", (16, 12), (20 * number, 90, 200)).save(tmp_path / file, kind)
    make_photo(tmp_path / "d.jpg")
    (tmp_path / "e.flac").write_bytes(flac((COMMENTS, comments("TITLE=Old", "ENCODER=x"))))
    (tmp_path / "f.nef").write_bytes(b"II*\0raw")
    client.create(name, tmp_path)
    client.import_files(name)

    states = [folder(tmp_path)]
    for edit in (set_tags(title="One", headline="H"), set_tags(title="Two"), clear("title")):
        client.edit(name, edit)
        client.sync(name)
        states.append(folder(tmp_path))
    assert {"e.xmp", "f.xmp"} <= states[-1].keys() - states[0].keys()
    used = {entry.write.method for file in states[0] for entry in history(client, name, file)}
    assert used >= {
        sync_pb2.WRITE_METHOD_PATCH,
        sync_pb2.WRITE_METHOD_APPEND,
        sync_pb2.WRITE_METHOD_REPLACE,
        sync_pb2.WRITE_METHOD_SIDECAR,
    }

    for state in states[-2::-1]:
        assert counts(undo_write(client, name)) == (len(states[0]), 0, 0, 0)
        assert folder(tmp_path) == state
        assert client.status(name).unsynced_items == 0
    assert counts(undo_write(client, name)) == (0, 0, 0, 0), "there is nothing left to undo"
    assert folder(tmp_path) == states[0]

    last_undo = history(client, name, "d.jpg")[0]
    assert (last_undo.source, last_undo.write.undoable) == ("UNDO", True)
    undo_write(client, name, globs("d.jpg"), write_id=last_undo.write.id)
    assert (tmp_path / "d.jpg").read_bytes() == states[1]["d.jpg"]
    assert client.item(name, "d.jpg").tags.title == "One"
    undo_write(client, name, globs("d.jpg"))
    assert folder(tmp_path) == states[0]


def folder(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir() if each.name != ".indelible-root"}


def test_what_others_changed_since_stays(client: Client, library: Library) -> None:
    """Merged field by field: of a list by element, of a single value not at all."""
    catalog, (both, same, listed) = library(3)
    client.edit(catalog, set_tags(title="Before", keywords=["old"]))
    client.sync(catalog)
    client.edit(catalog, set_tags(title="After"), add("keywords", "new"))
    client.sync(catalog)
    edit_outside(both, credit="Theirs")
    edit_outside(same, title="Theirs")
    edit_outside(listed, keyword="theirs")

    assert counts(undo_write(client, catalog)) == (2, 1, 0, 0)

    found = seen(both)
    assert (found.title, found.keywords, found.credit) == ("Before", ("old",), "Theirs")
    found = seen(same)
    assert (found.title, found.keywords) == ("Theirs", ("old",))
    assert seen(listed).keywords == ("old", "theirs")
    tags = [(item.tags.title, sorted(item.tags.keywords)) for item in client.items(catalog)]
    assert tags == [("Before", ["old"]), ("Theirs", ["old"]), ("Before", ["old", "theirs"])]
    assert client.status(catalog).unsynced_items == 0
    # What is in another field is found by the next write, and not taken for ours.
    client.edit(catalog, set_tags(headline="Later"))
    client.sync(catalog)
    assert seen(both).credit == client.item(catalog, both.name).tags.credit == "Theirs"


def test_a_sidecar_that_was_written_goes_unless_someone_else_has_written_into_it(
    client: Client, library: Library
) -> None:
    rules = [policy_pb2.FormatRule(formats=["*"], mode=policy_pb2.FORMAT_MODE_SIDECAR)]
    catalog, paths = library(2, policy=policy_pb2.MetadataPolicy(formats=rules))
    before = folder(paths[0].parent)
    client.edit(catalog, set_tags(title="After"))
    client.sync(catalog)
    mine, theirs = (path.with_suffix(".xmp") for path in paths)
    theirs.write_bytes(theirs.read_bytes().replace(b"</rdf:RDF>", OTHERS + b"</rdf:RDF>"))

    assert counts(undo_write(client, catalog)) == (2, 0, 0, 0)

    assert not mine.exists()
    assert b"Their credit" in theirs.read_bytes()
    assert b"After" not in theirs.read_bytes()
    theirs.unlink()
    assert folder(paths[0].parent) == before
    homes = [home.home for home in client.item(catalog, paths[0].name).homes]
    assert homes == [tags_pb2.HOME_EMBEDDED]


OTHERS = (
    b'<rdf:Description rdf:about="" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
    b"<photoshop:Credit>Their credit</photoshop:Credit></rdf:Description>"
)


def test_while_paused_an_undo_is_carried_out_and_pending_edits_of_other_fields_still_wait(
    client: Client, library: Library
) -> None:
    catalog, (path,) = library(1)
    original = path.read_bytes()
    client.edit(catalog, set_tags(title="Written"))
    client.sync(catalog)
    client.edit(catalog, set_tags(headline="Pending", title="Not written either"))

    assert counts(undo_write(client, catalog)) == (1, 0, 0, 0)

    assert path.read_bytes() == original
    item = client.item(catalog, path.name)
    assert (item.tags.HasField("title"), item.tags.headline) == (False, "Pending")
    assert item.state == item_pb2.ITEM_STATE_UNSYNCED
    client.switch(catalog, True)
    client.wait_synced(catalog)
    item = client.item(catalog, path.name)
    assert (seen(path).title, item.homes[0].tags.headline) == (None, "Pending")


def test_a_failed_undo_says_why_and_leaves_the_item_as_it_was(client: Client, library: Library) -> None:
    catalog, (gone, there) = library(2)
    client.edit(catalog, set_tags(title="Written"))
    client.sync(catalog)
    gone.unlink()
    job = undo_write(client, catalog)
    assert counts(job) == (1, 0, 0, 1)
    assert [(each.path, sync_pb2.FailureReason.Name(each.failure.reason)) for each in job.problems] == [
        (gone.name, "FAILURE_REASON_MISSING")
    ]
    assert (client.status(catalog).unsynced_items, client.status(catalog).failed_items) == (0, 0)
    assert seen(there).title is None


def test_a_repeated_request_gives_the_first_job(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    for title in ("One", "Two"):
        client.edit(catalog, set_tags(title=title))
        client.sync(catalog)
    request_id = fresh_id()
    assert undo_write(client, catalog, request_id=request_id) == undo_write(client, catalog, request_id=request_id)
    assert seen(paths[0]).title == "One"


def test_what_cannot_be_undone_is_refused(client: Client, library: Library) -> None:
    catalog, _ = library(2)
    for refusal, field, call in (
        ("WRITE_NOT_FOUND", None, lambda: undo_write(client, catalog, globs("p0000.jpg"), write_id="no")),
        ("INVALID_FIELD", "write_id", lambda: undo_write(client, catalog, write_id="no")),
        ("EMPTY_SELECTION", "selection", lambda: undo_write(client, catalog, globs("nothing"))),
        ("RUN_NOT_FOUND", None, lambda: undo_run(client, catalog, "no")),
        ("INVALID_FIELD", "run_id", lambda: undo_run(client, catalog, "")),
    ):
        with refused(refusal, field):
            call()


def test_the_history_has_edits_and_writes_page_by_page(client: Client, library: Library) -> None:
    catalog, (path,) = library(1)
    for title in ("One", "Two"):
        client.edit(catalog, set_tags(title=title))
        client.sync(catalog)
    entries = history(client, catalog, path.name)
    assert [entry.HasField("write") for entry in entries] == [True, False, True, False]
    written, edited = entries[:2]
    assert (written.principal, written.source, written.revision) == ("", "EDIT", edited.revision)
    assert (written.diff.fields, written.diff.before.title, written.diff.after.title) == (["title"], "One", "Two")
    assert (written.write.outcome, written.write.undoable) == (item_pb2.WRITE_OUTCOME_VERIFIED, True)
    assert written.write.bytes_written > 0
    assert written.run_id == client.runs(catalog)[0].id
    kept = client.stubs.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest()).info.retention
    assert (kept.history_writes, kept.history.ToTimedelta().days) == (10, 90)
    paged, token = [], ""
    while True:
        request = item_service_pb2.ListHistoryRequest(catalog=catalog, path=path.name, page_size=1, page_token=token)
        page = client.stubs.items.ListHistory(request)
        assert page.total_size == 4
        paged += page.entries
        token = page.next_page_token
        if not token:
            break
    assert paged == entries
