"""Undo over gRPC with real files, on both databases: what our writes replaced comes back, and stays (I10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import item_pb2, item_service_pb2, job_pb2, sync_pb2, sync_service_pb2
from support.client import ALL, Client, add, clear, globs, ids, set_tags
from support.contract import refused
from support.photos import edit_outside, make_photos, seen, stray_files
from support.server import RunningServer, fresh_id

Library = Callable[..., tuple[str, list[Path]]]
MANY = 1000 if os.environ.get("INDELIBLE_LONG") else 60


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
