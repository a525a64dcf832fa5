"""Before the first write: what would be written, how, and how many bytes. Nothing is touched by asking."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import policy_pb2, sync_pb2, sync_service_pb2
from indelible_server.config import Settings
from indelible_server.domain.previews import Preview
from indelible_server.errors import Unavailable
from indelible_server.writeback import previews
from support.client import Client, Library, globs, set_tags
from support.contract import refused
from support.hostile import PREVIEWER, loaded_first
from support.photos import make_photos, written
from support.processes import kill, previewer
from support.server import RunningServer


def preview(client: Client, name: str, **more: Any) -> Any:
    """One page."""
    return client.stubs.sync.PreviewWrite(sync_service_pb2.PreviewWriteRequest(catalog=name, **more))


def summary(client: Client, name: str, **more: Any) -> Any:
    """The sums of all, when all are looked at."""
    *_, last = client.stubs.sync.SummarizeWrite(sync_service_pb2.SummarizeWriteRequest(catalog=name, **more))
    assert last.done
    return last


def method(number: int) -> str:
    """How a file is written."""
    return sync_pb2.WriteMethod.Name(number).removeprefix("WRITE_METHOD_")


def looks(folder: Path) -> list[tuple[str, bytes, int]]:
    """All files below a folder, with their contents and times of change."""
    found = [Path(at) / each for at, _, files in os.walk(folder) for each in files]
    return sorted((str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in found)


def test_what_is_previewed_is_what_is_written(client: Client, library: Library) -> None:
    name, paths = library(3)
    before = looks(paths[0].parent)
    client.edit(name, set_tags(title="One"), selection=globs("p000[01].jpg"))

    page = preview(client, name)

    assert looks(paths[0].parent) == before
    assert [write.path for write in page.writes] == ["p0000.jpg", "p0001.jpg"]
    assert [write.diff.after.title for write in page.writes] == ["One", "One"]
    assert {method(file.method) for write in page.writes for file in write.files} == {"REPLACE"}
    assert client.status(name).never_written
    run = client.sync(name)
    assert run.bytes_written == page.bytes_to_write == sum(path.stat().st_size for path in paths[:2])
    assert not client.status(name).never_written
    assert preview(client, name).total_size == 0
    # There is room in the files now: the next edit costs kilobytes.
    client.edit(name, set_tags(title="Two"), selection=globs("p0000.jpg"))
    page = preview(client, name)
    assert [method(file.method) for write in page.writes for file in write.files] == ["PATCH"]
    # Of two times of change a few digits may be the same.
    assert abs(client.sync(name).bytes_written - page.bytes_to_write) < 20


def test_the_sums_say_how_what_is_left_and_why(client: Client, library: Library) -> None:
    rule = {"formats": ["jpeg"], "mode": policy_pb2.FORMAT_MODE_SIDECAR}
    name, paths = library(6, policy={"formats": [rule]})
    client.edit(name, set_tags(title="One"))
    paths[1].unlink()
    client.hold(name, globs("p0002.jpg"))

    sums = summary(client, name)

    assert (sums.looked_at_items, sums.total_items, sums.new_sidecars) == (6, 6, 4)
    ways = {(each.format, method(each.method)): each.items for each in sums.writes}
    assert ways == {("JPEG", "SIDECAR"): 4}
    assert {sync_pb2.FailureReason.Name(each.reason): each.items for each in sums.failures} == {
        "FAILURE_REASON_MISSING": 1
    }
    assert [(each.note, each.items) for each in sums.notes] == [("held: checked out", 1)]
    assert sums.bytes_to_write == preview(client, name).bytes_to_write


def test_pages_follow_one_another_in_the_order_of_paths(client: Client, library: Library) -> None:
    name, paths = library(5)
    client.edit(name, set_tags(title="One"))
    for selection in (None, globs("*")):
        seen: list[str] = []
        token = ""
        while True:
            page = preview(client, name, page_size=2, page_token=token, selection=selection)
            assert page.total_size == 5
            seen += [write.path for write in page.writes]
            token = page.next_page_token
            if not token:
                break
        assert seen == [path.name for path in paths]
    assert preview(client, name, selection=globs("p0003.jpg")).total_size == 1
    assert summary(client, name, selection=globs("p000[34].jpg")).total_items == 2


def test_what_others_changed_shows_in_what_would_be_written(client: Client, library: Library) -> None:
    name, paths = library(1)
    client.edit(name, set_tags(title="One", rating=3))
    client.sync(name)
    paths[0].write_bytes(paths[0].read_bytes().replace(b"One", b"Two"))
    client.edit(name, set_tags(rating=5))

    (write,) = preview(client, name).writes

    assert (write.diff.before.rating, write.diff.after.rating) == (3, 5)
    assert not write.diff.after.title, "theirs stays in the file"
    assert written(paths, "Two") == paths


@pytest.mark.parametrize(
    ("harm", "reason"), [("import os; os.abort()", "CRASHED"), ("import time; time.sleep(60)", "TIMEOUT")]
)
def test_a_file_that_ends_or_holds_up_its_reader_costs_its_own_answer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, reason: str
) -> None:
    monkeypatch.setattr(previews, "PATIENCE_S", 5.0)
    make_photos(tmp_path / "photos", 8)
    data = tmp_path / "data"
    with RunningServer(data) as server:
        client = Client(server.stubs())
        catalog = client.create("Archive", tmp_path / "photos")
        client.import_files("Archive")
        client.edit("Archive", set_tags(title="One"))
        ids = [int(item.id) for item in client.items("Archive")]
    environment = Settings(data=str(data)).as_environment()
    environment |= {"PYTHONPATH": loaded_first(tmp_path, harm, PREVIEWER)}

    async def ask() -> list[Preview]:
        process = previews.PreviewProcess(environment)
        found = [*await process.of_items(int(catalog.id), ids), *await process.of_items(int(catalog.id), ids[:2])]
        await process.close()
        return found

    found = asyncio.run(ask())

    assert [each.item_id for each in found] == [*ids, *ids[:2]]
    assert [each.item_id for each in found if each.failure] == [ids[5]]
    assert found[5].failure == reason
    assert all(each.files for each in found if not each.failure)


def test_a_process_that_cannot_look_at_anything_blames_no_file(tmp_path: Path) -> None:
    environment = Settings(data=str(tmp_path / "nowhere")).as_environment()

    with pytest.raises(Unavailable):
        asyncio.run(previews.PreviewProcess(environment).of_items(1, [1, 2, 3]))


def test_a_process_that_was_ended_meanwhile_costs_nothing(
    client: Client, library: Library, server: RunningServer
) -> None:
    name, _ = library(4)
    client.edit(name, set_tags(title="One"))
    assert preview(client, name).total_size == 4
    kill(previewer(server.pid))

    assert len([write for write in preview(client, name).writes if write.files]) == 4


def test_a_catalog_that_is_not_there_has_no_preview(client: Client) -> None:
    for ask in (preview, summary):
        with refused("CATALOG_NOT_FOUND"):
            ask(client, "None")
