"""The switch, quiet periods, shares that go away, and several catalogs. On both databases, with real files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from indelible.v1 import catalog_service_pb2, sync_pb2
from support.client import Client, Library, globs, set_tags
from support.contract import refusal
from support.photos import TICK_NS, make_photos, seen, times, written
from support.server import RunningServer
from support.waiting import until


def test_a_new_catalog_is_paused_and_nothing_is_written(client: Client, library: Library) -> None:
    catalog, paths = library(2)
    before = times(paths)
    status = client.status(catalog)
    assert (status.auto_sync, status.activity) == (sync_pb2.AUTO_SYNC_PAUSED, sync_pb2.ACTIVITY_IDLE)
    assert (status.total_items, status.unsynced_items, status.text) == (2, 0, "All 2 synchronized")
    client.edit(catalog, set_tags(title="Edited"))
    status = client.status(catalog)
    assert (status.unsynced_items, status.text) == (2, "2 of 2 not synchronized")
    assert status.activity == sync_pb2.ACTIVITY_IDLE
    client.nothing_happens(catalog, 1.2)
    assert times(paths) == before


def test_turned_on_it_writes_earlier_edits_and_then_later_ones(client: Client, library: Library) -> None:
    catalog, paths = library(5)
    client.edit(catalog, set_tags(title="Earlier"))
    assert client.switch(catalog, True).auto_sync == sync_pb2.AUTO_SYNC_ON
    status = client.wait_synced(catalog)
    assert status.total_items == 5
    assert written(paths, "Earlier") == paths
    client.edit(catalog, set_tags(title="Later"), selection=globs("p0001.jpg", "p0003.jpg"))
    client.wait_synced(catalog)
    assert written(paths, "Later") == [paths[1], paths[3]]
    assert not client.status(catalog).HasField("run")


def test_the_switch_survives_a_restart(server: RunningServer, client: Client, library: Library) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="Before"))
    client.switch(catalog, True)
    server.stop()
    server.start()
    client = Client(server.stubs())
    assert client.status(catalog).auto_sync == sync_pb2.AUTO_SYNC_ON
    client.edit(catalog, set_tags(headline="After"))
    client.wait_synced(catalog)
    assert written(paths, "Before") == paths
    client.switch(catalog, False)
    server.stop()
    server.start()
    client = Client(server.stubs())
    assert client.status(catalog).auto_sync == sync_pb2.AUTO_SYNC_PAUSED
    client.edit(catalog, set_tags(title="Paused"))
    client.nothing_happens(catalog, 1.2)
    assert written(paths, "Paused") == []


def test_paused_again_it_leaves_later_edits_alone(client: Client, library: Library) -> None:
    catalog, paths = library(2)
    client.switch(catalog, True)
    client.edit(catalog, set_tags(title="On"))
    client.wait_synced(catalog)
    client.switch(catalog, False)
    client.edit(catalog, set_tags(title="Off"))
    client.nothing_happens(catalog, 1.2)
    assert written(paths, "On") == paths


def test_an_acknowledged_switch_is_not_undone_by_a_change_of_other_settings(client: Client, library: Library) -> None:
    """Both change the same row; neither may write back what it read before the other."""
    catalog, _ = library(1)
    catalog_id = client.status(catalog).catalog_id
    update = catalog_service_pb2.UpdateCatalogRequest(
        catalog={"id": catalog_id}, update_mask={"paths": ["description"]}
    )

    def describe() -> None:
        for number in range(30):
            update.catalog.description = f"number {number}"
            patiently(lambda: client.stubs.catalogs.UpdateCatalog(update))

    thread = threading.Thread(target=describe)
    thread.start()
    on = False
    while thread.is_alive():
        on = not on
        position = sync_pb2.AUTO_SYNC_ON if on else sync_pb2.AUTO_SYNC_PAUSED
        assert patiently(lambda on=on: client.switch(catalog, on)).auto_sync == position
        assert client.status(catalog).auto_sync == position
    thread.join()
    found = client.stubs.catalogs.GetCatalog(catalog_service_pb2.GetCatalogRequest(catalog=catalog)).catalog
    assert found.description == "number 29"


def patiently(call: Callable[[], Any]) -> Any:
    """The answer, repeated as the contract says when the store is busy."""
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if refusal(error).reason != "STORE_BUSY":
                raise


def test_auto_sync_waits_for_the_quiet_period_of_the_last_edit(client: Client, library: Library) -> None:
    quiet_ms = 1200
    catalog, paths = library(1, quiet_ms=quiet_ms)
    before = times(paths)
    client.switch(catalog, True)
    client.edit(catalog, set_tags(title="First"))
    waiting = client.wait(catalog, lambda status: status.activity == sync_pb2.ACTIVITY_WAITING)
    assert [wait.reason for wait in waiting.waits] == [sync_pb2.WAIT_REASON_QUIET_PERIOD]
    assert waiting.waits[0].items == 1
    edited_ns = time.time_ns()
    client.edit(catalog, set_tags(title="Second"))
    assert times(paths) == before
    client.wait_synced(catalog)
    assert seen(paths[0]).title == "Second"
    assert times(paths)[0] >= edited_ns + quiet_ms * 1_000_000 - TICK_NS
    assert waiting.waits[0].until.ToNanoseconds() < edited_ns + quiet_ms * 1_000_000


def test_a_run_does_not_wait_for_the_quiet_period(client: Client, library: Library) -> None:
    catalog, paths = library(1, quiet_ms=3_600_000)
    client.edit(catalog, set_tags(title="Now"))
    assert client.sync(catalog).done_items == 1
    assert seen(paths[0]).title == "Now"


def test_catalogs_do_not_touch_each_other(client: Client, library: Library, name: str) -> None:
    one, one_paths = library(3, folder="one")
    two, two_paths = library(3, name=f"{name} two", folder="two")
    before = times(two_paths)
    for catalog in (one, two):
        client.edit(catalog, set_tags(title="Edited"))
    client.switch(one, True)
    client.wait_synced(one)
    client.nothing_happens(two, 1.2)
    assert written(one_paths, "Edited") == one_paths
    assert times(two_paths) == before
    assert client.status(two).unsynced_items == 3
    assert client.status(two).auto_sync == sync_pb2.AUTO_SYNC_PAUSED
    run = client.sync(two, selection=globs("p0000.jpg"))
    assert (run.catalog_id, run.done_items) == (client.status(two).catalog_id, 1)
    assert not client.runs(one)


def test_an_edit_during_a_write_is_written_too(client: Client, library: Library) -> None:
    """Edits come while writers work: the file ends with the last one, and nothing is called synced too early."""
    catalog, paths = library(4)
    client.switch(catalog, True)
    for number in range(30):
        client.edit(catalog, set_tags(title=f"Number {number}"))
    client.wait_synced(catalog)
    assert written(paths, "Number 29") == paths


def test_a_share_that_is_gone_waits_and_goes_on_when_it_is_back(client: Client, library: Library) -> None:
    catalog, paths = library(2)
    folder = paths[0].parent
    away = folder.with_name("away")
    client.edit(catalog, set_tags(title="One"))
    folder.rename(away)
    client.switch(catalog, True)
    status = client.wait(catalog, lambda status: status.activity == sync_pb2.ACTIVITY_WAITING)
    assert [wait.reason for wait in status.waits] == [sync_pb2.WAIT_REASON_STORAGE_OFFLINE]
    assert (status.failed_items, status.unsynced_items) == (0, 2)
    folder.mkdir()
    (folder / "p0000.jpg").write_bytes(b"another share is mounted here")
    away_again = folder.with_name("other")
    folder.rename(away_again)
    away.rename(folder)
    client.wait_synced(catalog)
    assert written(paths, "One") == paths
    assert (away_again / "p0000.jpg").read_bytes() == b"another share is mounted here"


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the same on both
def test_a_share_that_goes_during_a_run_fails_nothing_and_the_run_goes_on_when_it_is_back(
    client: Client, name: str, tmp_path: Path
) -> None:
    """In the middle of a batch: one folder is taken away; the other is emptied, while who has it open still sees it."""
    number = 80
    moved, emptied, away = tmp_path / "moved", tmp_path / "emptied", tmp_path / "away"
    away.mkdir()
    for root in (moved, emptied):
        make_photos(root / "2024", number)
        client.create(f"{name} {root.name}", root)
        client.import_files(f"{name} {root.name}")
        client.edit(f"{name} {root.name}", set_tags(title="One"))
    parts = (".indelible-root", "2024")
    for root in (moved, emptied):
        paths = sorted((root / "2024").iterdir())
        before = times(paths)
        client.start(f"{name} {root.name}")
        until(lambda paths=paths, before=before: times(paths) != before)
        for part in parts if root is emptied else ():
            (root / part).rename(away / part)
        if root is moved:
            root.rename(tmp_path / "elsewhere")
    for root in (moved, emptied):
        status = client.wait(f"{name} {root.name}", lambda status: status.activity == sync_pb2.ACTIVITY_WAITING)
        assert [wait.reason for wait in status.waits] == [sync_pb2.WAIT_REASON_STORAGE_OFFLINE]
        assert status.waits[0].items == status.unsynced_items > 0
        assert (status.failed_items, status.run.state) == (0, sync_pb2.RUN_STATE_RUNNING)
    (tmp_path / "elsewhere").rename(moved)
    for part in reversed(parts):
        (away / part).rename(emptied / part)
    for root in (moved, emptied):
        run = client.wait_run(f"{name} {root.name}")
        assert (run.state, run.done_items, run.failed_items) == (sync_pb2.RUN_STATE_COMPLETED, number, 0)
        paths = sorted((root / "2024").iterdir())
        assert written(paths, "One") == paths
        assert len(paths) == number
