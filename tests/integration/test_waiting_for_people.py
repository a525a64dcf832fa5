"""What waits for people: conflicts and holds. Real files, a real server, on both databases."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import catalog_service_pb2, item_pb2, item_service_pb2, sync_pb2
from indelible_client.cli.main import app
from support.client import ALL, Client, Library, clear, globs, set_tags
from support.photos import TICK_NS, edit_outside, seen, stray_files, written
from support.server import RunningServer
from support.waiting import until
from typer.testing import CliRunner

# What is the same on both databases: the store's own part of it has contract tests.
on_sqlite = pytest.mark.parametrize("server", ["sqlite"], indirect=True)

HOLD = {"conflicts": "CONFLICT_POLICY_HOLD"}


@pytest.fixture
def conflicted(client: Client, library: Library) -> tuple[str, Path]:
    """A catalog with an item whose title is "Base" in common, "Ours" in the catalog and "Theirs" in the file."""
    catalog, (path,) = library(1, policy=HOLD)
    conflict(client, catalog, path)
    return catalog, path


def conflict(client: Client, catalog: str, *paths: Path) -> None:
    """Bring the titles of all items of a catalog into conflict."""
    client.edit(catalog, set_tags(title="Base", rating=1))
    client.sync(catalog)
    for path in paths:
        edit_outside(path, title="Theirs")
    client.edit(catalog, set_tags(title="Ours"))
    assert client.sync(catalog).conflicted_items == len(paths)


def sides(item: Any) -> dict[str, tuple[str, str, str]]:
    """Of each field in conflict what both had in common, the catalog says and the file says."""
    return {
        each.field: tuple(getattr(side, each.field) for side in (each.base, each.catalog, each.file))
        for each in item.conflicts
    }


def state(client: Client, catalog: str) -> Any:
    """The state of the one item."""
    return client.item(catalog, "p0000.jpg").state


def set_policy(client: Client, catalog: str, policy: str) -> None:
    """Say who wins from now on."""
    request = catalog_service_pb2.UpdateCatalogRequest(
        catalog={"name": catalog, "policy": {"conflicts": f"CONFLICT_POLICY_{policy}"}},
        update_mask={"paths": ["policy.conflicts"]},
    )
    client.stubs.catalogs.UpdateCatalog(request)


# --- conflicts ---


def test_a_conflict_shows_both_values_and_is_counted(client: Client, conflicted: tuple[str, Path]) -> None:
    catalog, path = conflicted
    (listed,) = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_CONFLICTED)
    item = client.item(catalog, "p0000.jpg")
    assert sides(listed) == sides(item) == {"title": ("Base", "Ours", "Theirs")}
    assert item.state == item_pb2.ITEM_STATE_CONFLICTED
    assert item.homes[0].tags.title == "Theirs"
    status = client.status(catalog)
    assert (status.unsynced_items, status.conflicted_items) == (1, 1)
    client.switch(catalog, True)
    client.nothing_happens(catalog, 1.2)
    assert seen(path).title == "Theirs"


def test_decided_for_the_catalog_its_value_is_written_over_the_files(
    client: Client, conflicted: tuple[str, Path]
) -> None:
    catalog, path = conflicted
    answer = client.resolve(catalog, "CATALOG", on_behalf_of="ann")
    assert (answer.matched, answer.resolved) == (1, 1)
    status = client.status(catalog)
    assert (status.unsynced_items, status.conflicted_items) == (1, 0)
    assert seen(path).title == "Theirs"
    assert client.sync(catalog).done_items == 1
    assert (seen(path).title, seen(path).rating) == ("Ours", 1)
    assert state(client, catalog) == item_pb2.ITEM_STATE_SYNCED
    newest = client.edits(catalog, "p0000.jpg")[0]
    assert (newest.principal, newest.on_behalf_of, newest.source) == ("local", "ann", "EDIT")
    assert (newest.diff.before.title, newest.diff.after.title) == ("Theirs", "Ours")


def test_decided_for_the_file_its_value_is_the_catalogs_and_nothing_is_written(
    client: Client, conflicted: tuple[str, Path]
) -> None:
    """I9."""
    catalog, path = conflicted
    before = path.stat().st_mtime_ns, path.read_bytes()
    answer = client.resolve(catalog, "FILE")
    assert (answer.matched, answer.resolved) == (1, 1)
    item = client.item(catalog, "p0000.jpg")
    assert (item.tags.title, item.state) == ("Theirs", item_pb2.ITEM_STATE_SYNCED)
    newest = client.edits(catalog, "p0000.jpg")[0]
    assert (newest.principal, newest.source) == ("local", "RESCAN")
    assert (newest.diff.before.title, newest.diff.after.title) == ("Ours", "Theirs")
    client.switch(catalog, True)
    client.nothing_happens(catalog, 1.2)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_what_changed_in_the_file_after_the_decision_is_in_conflict_anew(
    client: Client, conflicted: tuple[str, Path]
) -> None:
    """I4: the decision was for the value that people were shown."""
    catalog, path = conflicted
    client.resolve(catalog, "CATALOG")
    edit_outside(path, title="Theirs, later")
    assert client.sync(catalog).conflicted_items == 1
    assert seen(path).title == "Theirs, later"
    assert sides(client.item(catalog, "p0000.jpg")) == {"title": ("Theirs", "Ours", "Theirs, later")}
    client.resolve(catalog, "CATALOG")
    client.sync(catalog)
    assert seen(path).title == "Ours"


@on_sqlite
def test_each_field_is_decided_by_itself(client: Client, library: Library) -> None:
    catalog, (path,) = library(1, policy=HOLD)
    client.edit(catalog, set_tags(title="Base", credit="Base"))
    client.sync(catalog)
    edit_outside(path, title="Theirs", credit="Theirs")
    client.edit(catalog, set_tags(title="Ours", credit="Ours"))
    client.sync(catalog)
    answer = client.resolve(catalog, "FILE", "title")
    assert (answer.matched, answer.resolved) == (1, 0)
    item = client.item(catalog, "p0000.jpg")
    assert item.tags.title == "Theirs"
    assert sides(item) == {"credit": ("Base", "Ours", "Theirs")}
    assert client.resolve(catalog, "FILE", "title").resolved == 0
    assert client.resolve(catalog, "CATALOG", "title", "credit").resolved == 1
    client.sync(catalog)
    assert (seen(path).title, seen(path).credit) == ("Theirs", "Ours")


@pytest.mark.tool("exiftool")
def test_what_others_changed_in_other_fields_is_kept_by_either_decision(client: Client, library: Library) -> None:
    """I4: with a program that is not ours."""
    catalog, paths = library(2, policy=HOLD)
    client.edit(catalog, set_tags(title="Base", rating=1, keywords=["a"]))
    client.sync(catalog)
    outside = ["-XMP:Title=Theirs", "-XMP:Credit=Outside", "-XMP:Subject+=b", "-overwrite_original", "-q"]
    subprocess.run(["exiftool", *outside, *paths], check=True)
    client.edit(catalog, set_tags(title="Ours", headline="Ours too"))
    assert client.sync(catalog).conflicted_items == 2
    for item in client.items(catalog):
        assert (item.tags.credit, list(item.tags.keywords)) == ("Outside", ["a", "b"])
    client.resolve(catalog, "CATALOG", selection=globs("p0000.jpg"))
    client.resolve(catalog, "FILE", selection=globs("p0001.jpg"))
    assert client.sync(catalog).done_items == 2
    for path, title in zip(paths, ("Ours", "Theirs"), strict=True):
        found = seen(path)
        assert (found.title, found.credit, found.keywords, found.rating) == (title, "Outside", ("a", "b"), 1)
        item = client.item(catalog, path.name)
        assert (item.tags.title, item.tags.headline, item.homes[0].tags.headline) == (title, "Ours too", "Ours too")
    assert stray_files(paths[0].parent) == []


@on_sqlite
def test_an_edit_of_a_field_in_conflict_changes_the_catalogs_side_only(
    client: Client, conflicted: tuple[str, Path]
) -> None:
    """A bulk edit must not decide what someone else was to decide."""
    catalog, path = conflicted
    for edit, ours in ((set_tags(title="Ours, better"), "Ours, better"), (set_tags(title="Base"), "Base")):
        client.edit(catalog, edit, set_tags(rating=3))
        assert sides(client.item(catalog, "p0000.jpg")) == {"title": ("Base", ours, "Theirs")}
    client.edit(catalog, clear("title"))
    (left,) = client.item(catalog, "p0000.jpg").conflicts
    assert not left.catalog.HasField("title")
    client.resolve(catalog, "CATALOG")
    client.sync(catalog)
    assert (seen(path).title, seen(path).rating) == (None, 3)


@on_sqlite
def test_an_edit_that_says_what_the_file_says_ends_the_conflict(client: Client, conflicted: tuple[str, Path]) -> None:
    catalog, path = conflicted
    before = path.read_bytes()
    client.edit(catalog, set_tags(title="Theirs"))
    item = client.item(catalog, "p0000.jpg")
    assert (item.state, len(item.conflicts)) == (item_pb2.ITEM_STATE_SYNCED, 0)
    assert client.status(catalog).conflicted_items == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(("policy", "title"), [("CATALOG_WINS", "Ours"), ("FILE_WINS", "Theirs")])
def test_another_policy_decides_what_waits(
    client: Client, conflicted: tuple[str, Path], policy: str, title: str
) -> None:
    catalog, path = conflicted
    client.switch(catalog, True)
    set_policy(client, catalog, policy)
    assert client.wait_synced(catalog).conflicted_items == 0
    assert (seen(path).title, client.item(catalog, "p0000.jpg").tags.title) == (title, title)
    newest = client.edits(catalog, "p0000.jpg")[0]
    assert {newest.diff.before.title, newest.diff.after.title} == {"Ours", "Theirs"}


@on_sqlite
def test_an_undo_of_another_field_leaves_the_conflict_to_people(client: Client, library: Library) -> None:
    catalog, (path,) = library(1, policy=HOLD)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    client.edit(catalog, set_tags(rating=3))
    client.sync(catalog)
    edit_outside(path, title="Theirs")
    client.edit(catalog, set_tags(title="Ours"))
    assert client.sync(catalog).conflicted_items == 1
    request = item_service_pb2.UndoWriteRequest(catalog=catalog, selection=ALL)
    job = client.job(client.stubs.items.UndoWrite(request).job.id)
    assert job.undo_counts.restored_items == 1
    item = client.item(catalog, "p0000.jpg")
    assert not item.tags.HasField("rating")
    assert sides(item) == {"title": ("Base", "Ours", "Theirs")}
    client.sync(catalog)
    assert (seen(path).title, seen(path).rating) == ("Theirs", None)
    client.resolve(catalog, "CATALOG")
    client.sync(catalog)
    assert (seen(path).title, seen(path).rating) == ("Ours", None)


@on_sqlite
@pytest.mark.tool("exiftool")
def test_a_value_that_the_file_lost_can_be_decided_too(client: Client, library: Library) -> None:
    catalog, paths = library(2, policy=HOLD)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-XMP-dc:Title=", *paths], check=True)
    client.edit(catalog, set_tags(title="Ours"))
    assert client.sync(catalog).conflicted_items == 2
    assert sides(client.item(catalog, "p0000.jpg")) == {"title": ("Base", "Ours", "")}
    client.resolve(catalog, "CATALOG", selection=globs("p0000.jpg"))
    client.resolve(catalog, "FILE", selection=globs("p0001.jpg"))
    client.sync(catalog)
    assert [seen(path).title for path in paths] == ["Ours", None]
    assert not client.item(catalog, "p0001.jpg").tags.HasField("title")


@on_sqlite
def test_a_sidecar_that_says_otherwise_is_a_conflict_and_both_homes_are_written(
    client: Client, library: Library
) -> None:
    """A program has put a sidecar beside a file that it can write, too."""
    catalog, (path,) = library(1, policy=HOLD)
    client.edit(catalog, set_tags(title="Base", rating=2))
    client.sync(catalog)
    sidecar = path.with_suffix(".xmp")
    sidecar.write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="Outside"/></rdf:RDF></x:xmpmeta>'
    )
    client.edit(catalog, set_tags(rating=5))
    assert client.sync(catalog).conflicted_items == 1
    (left,) = client.item(catalog, "p0000.jpg").conflicts
    assert (left.field, left.catalog.rating, left.file.rating) == ("rating", 5, 4)
    assert client.item(catalog, "p0000.jpg").tags.credit == "Outside"
    client.resolve(catalog, "CATALOG")
    assert client.sync(catalog).done_items == 1
    item = client.item(catalog, "p0000.jpg")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert {each.tags.rating for each in item.homes} == {5}
    assert (seen(path).title, seen(path).rating, seen(path).credit) == ("Base", 5, "Outside")
    assert 'Rating="5"' in sidecar.read_text() or "<xmp:Rating>5<" in sidecar.read_text()


@on_sqlite
def test_a_decision_repeated_with_its_request_id_gives_the_first_answer(
    client: Client, conflicted: tuple[str, Path]
) -> None:
    catalog, _ = conflicted
    first = client.resolve(catalog, "FILE", request_id=f"once in {catalog}")
    assert client.resolve(catalog, "FILE", request_id=f"once in {catalog}") == first
    assert (first.matched, first.resolved) == (1, 1)
    assert client.resolve(catalog, "FILE").resolved == 0
    assert client.status(catalog).run.state == sync_pb2.RUN_STATE_COMPLETED


# --- holds ---


def test_a_held_item_is_not_written_until_it_is_released(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="One"))
    answer = client.hold(catalog, globs("p0001.jpg"), note="at the retoucher's")
    assert (answer.matched, answer.held) == (1, 1)
    run = client.sync(catalog)
    assert (run.total_items, run.done_items, run.skipped_items) == (3, 2, 1)
    assert written(paths, "One") == [paths[0], paths[2]]
    (item,) = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_HELD)
    assert (item.path, item.state) == ("p0001.jpg", item_pb2.ITEM_STATE_HELD)
    assert (item.hold.reason, item.hold.note) == (item_pb2.HOLD_REASON_CHECKED_OUT, "at the retoucher's")
    assert item.hold.held_by == "local"
    assert item.hold.hold_time.ToMilliseconds() > 0
    status = client.status(catalog)
    assert (status.unsynced_items, status.held_items) == (1, 1)
    client.switch(catalog, True)
    client.nothing_happens(catalog, 1.2)
    answer = client.release(catalog)
    assert (answer.matched, answer.released) == (3, 1)
    assert client.wait_synced(catalog).held_items == 0
    assert written(paths, "One") == paths


def test_an_item_without_an_edit_is_held_for_the_next_one(client: Client, library: Library) -> None:
    catalog, paths = library(2)
    client.hold(catalog, globs("p0000.jpg"), reason="AWAITING_APPROVAL")
    item = client.item(catalog, "p0000.jpg")
    assert (item.state, item.hold.reason) == (
        item_pb2.ITEM_STATE_SYNCED,
        item_pb2.HOLD_REASON_AWAITING_APPROVAL,
    )
    assert client.status(catalog).held_items == 0
    client.switch(catalog, True)
    client.edit(catalog, set_tags(title="One"))
    status = client.wait(catalog, lambda status: status.unsynced_items == 1 and status.in_flight_items == 0)
    assert (status.held_items, status.activity) == (1, sync_pb2.ACTIVITY_IDLE)
    assert written(paths, "One") == [paths[1]]
    client.hold(catalog, globs("p0000.jpg"), reason="OTHER", note="again")
    assert client.item(catalog, "p0000.jpg").hold.note == "again"
    client.release(catalog)
    client.wait_synced(catalog)
    assert not client.item(catalog, "p0000.jpg").HasField("hold")
    assert written(paths, "One") == paths


def test_after_a_hold_only_the_file_in_hand_is_finished(
    server: RunningServer, client: Client, library: Library
) -> None:
    """A batch that a writer has claimed is no batch that it may write."""
    number = 300
    catalog, paths = library(number)
    client.edit(catalog, set_tags(title="One"))
    before_ns = time.time_ns()
    client.switch(catalog, True)
    until(lambda: any(path.stat().st_mtime_ns > before_ns for path in paths))
    assert client.hold(catalog).held == number
    held_ns = time.time_ns()
    settled = client.wait(catalog, lambda status: status.in_flight_items == 0)
    assert 0 < settled.held_items == settled.unsynced_items < number, "all was written before: more files are needed"
    assert len([path for path in paths if path.stat().st_mtime_ns > held_ns + TICK_NS]) <= server.writers
    assert len(written(paths, "One")) == number - settled.unsynced_items
    assert client.release(catalog).released == number
    client.wait_synced(catalog)
    assert written(paths, "One") == paths


@on_sqlite
def test_a_read_only_root_holds_what_is_edited_whatever_people_do(client: Client, library: Library, name: str) -> None:
    catalog, _ = library(1, read_only=True)
    client.edit(catalog, set_tags(title="One"))
    by_server = client.item(catalog, "p0000.jpg").hold
    assert (by_server.reason, by_server.held_by) == (item_pb2.HOLD_REASON_READ_ONLY_ROOT, "")
    assert client.hold(catalog).held == 0
    assert client.release(catalog).released == 0
    assert client.item(catalog, "p0000.jpg").hold == by_server


@on_sqlite
def test_the_command_line_holds_shows_and_decides(server: RunningServer, client: Client, library: Library) -> None:
    catalog, (path,) = library(1, policy={"conflicts": "CONFLICT_POLICY_HOLD"})

    def indelible(*arguments: str) -> Any:
        common = ["--server", server.address, "--token", server.token]
        ended = CliRunner().invoke(app, [*arguments, *common])
        assert ended.exit_code == 0, ended.output
        return ended.stdout.strip()

    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    assert indelible("hold", catalog, "p0000.jpg", "--note", "careful") == "holding 1 of 1 item"
    client.edit(catalog, set_tags(title="Ours"))
    assert "p0000.jpg" in indelible("items", catalog, "--held")
    shown = indelible("show", catalog, "p0000.jpg")
    assert "held: checked out by " in shown
    assert ": careful" in shown
    edit_outside(path, title="Theirs")
    assert indelible("release", catalog, "*") == "released 1 of 1 item"
    client.sync(catalog)
    listed = indelible("conflicts", catalog)
    assert "title" in listed
    assert "catalog: Ours | file: Theirs" in listed
    assert indelible("resolve", catalog, "--all", "--file") == "resolved 1 of 1 item"
    assert "title: Theirs" in indelible("show", catalog, "p0000.jpg")
