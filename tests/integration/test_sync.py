"""Bringing tags into files: the switch, runs, pauses, verification, merging. On both databases, with real files."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from indelible.v1 import catalog_service_pb2, item_pb2, sync_pb2, sync_service_pb2, tags_pb2
from support.client import ALL, PATIENCE_S, Client, Library, add, clear, globs, remove, set_tags
from support.contract import refusal, refused
from support.photos import Seen, edit_outside, make_photos, pixels, seen, stray_files
from support.server import RunningServer

# File times are of the kernel's coarse clock, which lags behind by up to a tick.
TICK_NS = 20_000_000


def times(paths: list[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


def written(paths: list[Path], title: str) -> list[Path]:
    return [path for path in paths if seen(path).title == title]


# --- the switch ---


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


# --- runs ---


def test_a_run_ends_by_itself_with_the_right_counts(client: Client, library: Library) -> None:
    catalog, paths = library(6)
    client.edit(catalog, set_tags(title="One"), selection=globs("p000[0-3].jpg"))
    started = client.start(catalog).run
    assert (started.total_items, started.selected) == (4, False)
    run = client.wait_run(catalog)
    assert run.id == started.id
    assert run.state == sync_pb2.RUN_STATE_COMPLETED
    assert (run.done_items, run.failed_items, run.conflicted_items, run.skipped_items) == (4, 0, 0, 0)
    assert run.bytes_written > 0
    assert run.start_time.ToNanoseconds() <= run.end_time.ToNanoseconds()
    status = client.status(catalog)
    assert (status.auto_sync, status.activity) == (sync_pb2.AUTO_SYNC_PAUSED, sync_pb2.ACTIVITY_IDLE)
    assert status.unsynced_items == 0
    assert written(paths, "One") == paths[:4]
    assert [each.id for each in client.runs(catalog)] == [run.id]


def test_a_run_counts_what_fails_and_leaves_the_rest_alone(client: Client, library: Library) -> None:
    catalog, paths = library(4)
    client.edit(catalog, set_tags(title="One"))
    paths[1].unlink()
    paths[2].unlink()
    paths[2].mkdir()
    run = client.sync(catalog)
    assert (run.total_items, run.done_items, run.failed_items) == (4, 2, 2)
    assert run.state == sync_pb2.RUN_STATE_COMPLETED
    status = client.status(catalog)
    assert (status.unsynced_items, status.failed_items) == (2, 2)
    listed = client.stubs.sync.ListFailures(sync_service_pb2.ListFailuresRequest(catalog=catalog))
    reasons = {each.path: sync_pb2.FailureReason.Name(each.failure.reason) for each in listed.failures}
    assert reasons == {"p0001.jpg": "FAILURE_REASON_MISSING", "p0002.jpg": "FAILURE_REASON_NOT_A_FILE"}
    assert listed.total_size == 2
    assert all("Put the file back and retry" in each.failure.message for each in listed.failures)
    failed = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_FAILED)
    assert [item.path for item in failed] == ["p0001.jpg", "p0002.jpg"]
    assert written([paths[0], paths[3]], "One") == [paths[0], paths[3]]


def test_a_file_that_became_damaged_is_left_alone_and_its_tags_go_beside_it(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="One"))
    paths[0].write_bytes(b"\xff\xd8\xff\xe0 damaged")
    client.sync(catalog)
    assert paths[0].read_bytes() == b"\xff\xd8\xff\xe0 damaged"
    assert "One" in (paths[0].parent / "p0000.xmp").read_text()
    assert client.item(catalog, "p0000.jpg").reader_note


def test_failures_are_listed_counted_and_retried_by_their_reason(client: Client, library: Library) -> None:
    catalog, paths = library(4)
    client.edit(catalog, set_tags(title="One"))
    for path in paths[:3]:
        path.rename(path.with_suffix(".away"))
    paths[2].mkdir()
    assert client.sync(catalog).failed_items == 3
    missing, not_a_file = sync_pb2.FAILURE_REASON_MISSING, sync_pb2.FAILURE_REASON_NOT_A_FILE

    def listed(*reasons: Any, **page: Any) -> Any:
        request = sync_service_pb2.ListFailuresRequest(catalog=catalog, reasons=reasons, **page)
        return client.stubs.sync.ListFailures(request)

    def retried(*reasons: Any) -> int:
        request = sync_service_pb2.RetryFailuresRequest(catalog=catalog, reasons=reasons)
        return int(client.stubs.sync.RetryFailures(request).retried)

    assert [(each.reason, each.items) for each in listed().counts] == [(missing, 2), (not_a_file, 1)]
    found = listed(missing)
    assert [each.path for each in found.failures] == ["p0000.jpg", "p0001.jpg"]
    assert (found.total_size, [each.reason for each in found.counts]) == (2, [missing])
    assert {each.failure.attempts for each in found.failures} == {1}
    assert not found.failures[0].failure.HasField("next_attempt_time")
    first = listed(missing, page_size=1)
    second = listed(missing, page_size=1, page_token=first.next_page_token)
    assert [each.path for each in (*first.failures, *second.failures)] == ["p0000.jpg", "p0001.jpg"]
    assert not second.next_page_token
    for path in paths[:2]:
        path.with_suffix(".away").rename(path)
    assert retried(not_a_file) == 1
    assert retried(missing) == 2
    assert retried() == 0
    run = client.sync(catalog)
    assert (run.done_items, run.failed_items) == (2, 1)
    assert written([paths[0], paths[1], paths[3]], "One") == [paths[0], paths[1], paths[3]]


def test_a_failed_item_is_written_after_it_was_mended_and_retried(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="One"))
    away = paths[0].with_suffix(".away")
    paths[0].rename(away)
    assert client.sync(catalog).failed_items == 1
    away.rename(paths[0])
    retried = client.stubs.sync.RetryFailures(sync_service_pb2.RetryFailuresRequest(catalog=catalog)).retried
    assert retried == 1
    client.sync(catalog)
    assert seen(paths[0]).title == "One"
    assert client.status(catalog).failed_items == 0


def test_a_run_covers_what_was_edited_before_it_and_not_what_came_later(
    server: RunningServer, client: Client, library: Library
) -> None:
    catalog, paths = library(6)
    client.edit(catalog, set_tags(title="Before"), selection=globs("p000[0-2].jpg"))
    with without_writers(server) as waiting:
        run = waiting.start(catalog).run
        assert run.total_items == 3
        waiting.edit(catalog, set_tags(title="After"), selection=globs("p000[45].jpg"))
        waiting.edit(catalog, set_tags(headline="Also"), selection=globs("p0000.jpg"))
        status = waiting.status(catalog)
        assert status.activity == sync_pb2.ACTIVITY_WAITING
        assert [sync_pb2.WaitReason.Name(wait.reason) for wait in status.waits] == ["WAIT_REASON_NO_WRITERS"]
    client = Client(server.stubs())
    ended = client.wait_run(catalog)
    assert (ended.id, ended.state) == (run.id, sync_pb2.RUN_STATE_COMPLETED)
    assert (ended.total_items, ended.done_items) == (3, 3)
    client.nothing_happens(catalog, 1.2)
    assert client.status(catalog).unsynced_items == 2
    assert written(paths, "Before") == paths[:3]
    assert written(paths, "After") == []
    assert client.item(catalog, "p0000.jpg").state == item_pb2.ITEM_STATE_SYNCED


def test_a_second_start_is_given_the_first_run(server: RunningServer, client: Client, library: Library) -> None:
    catalog, _ = library(3)
    client.edit(catalog, set_tags(title="One"))
    with without_writers(server) as waiting:
        first = waiting.start(catalog)
        second = waiting.start(catalog, selection=globs("p0000.jpg"))
        assert (first.already_running, first.resumed) == (False, False)
        assert (second.already_running, second.resumed) == (True, False)
        assert second.run == first.run
        answers = at_once(lambda: waiting.start(catalog), 8)
        assert {answer.run.id for answer in answers} == {first.run.id}
        waiting.cancel(catalog)
        answers = at_once(lambda: waiting.start(catalog), 8)
        assert len({answer.run.id for answer in answers}) == 1
        assert sorted(answer.already_running for answer in answers) == [False] + [True] * 7
        assert len(waiting.runs(catalog)) == 2
        waiting.cancel(catalog)


def test_a_cancelled_run_ends_at_once_and_writes_no_more(
    server: RunningServer, client: Client, library: Library
) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="One"))
    before = times(paths)
    with without_writers(server) as waiting:
        run = waiting.start(catalog).run
        ended = waiting.cancel(catalog, run.id)
        assert (ended.id, ended.state) == (run.id, sync_pb2.RUN_STATE_CANCELLED)
        assert (ended.total_items, ended.skipped_items) == (3, 3)
        assert waiting.cancel(catalog, run.id) == ended
        with refused("RUN_NOT_FOUND", code="FAILED_PRECONDITION"):
            waiting.cancel(catalog)
    client = Client(server.stubs())
    client.nothing_happens(catalog, 1.2)
    assert times(paths) == before
    assert client.status(catalog).unsynced_items == 3
    assert client.sync(catalog).done_items == 3


def test_a_run_over_a_selection_writes_that_and_nothing_else(client: Client, library: Library) -> None:
    catalog, paths = library(5)
    client.edit(catalog, set_tags(title="One"))
    run = client.sync(catalog, selection=globs("p0001.jpg", "p0003.jpg"))
    assert run.selected
    assert (run.total_items, run.done_items) == (2, 2)
    assert written(paths, "One") == [paths[1], paths[3]]
    assert client.status(catalog).unsynced_items == 3
    run = client.sync(catalog, max_items=1)
    assert (run.total_items, run.done_items) == (1, 1)
    assert client.status(catalog).unsynced_items == 2


def test_a_run_with_nothing_to_do_ends_at_once(client: Client, library: Library) -> None:
    catalog, _ = library(2)
    run = client.start(catalog).run
    assert (run.state, run.total_items) == (sync_pb2.RUN_STATE_COMPLETED, 0)


def test_a_pause_stops_at_the_next_file_boundary_and_a_start_resumes_the_run(
    server: RunningServer, client: Client, library: Library
) -> None:
    number = 250
    catalog, paths = library(number)
    client.edit(catalog, set_tags(title="One"))
    run = client.start(catalog).run
    client.wait(catalog, lambda status: status.run.done_items > 0)
    paused = client.pause(catalog)
    paused_ns = time.time_ns()
    assert paused.auto_sync == sync_pb2.AUTO_SYNC_PAUSED
    assert paused.run.state == sync_pb2.RUN_STATE_SUSPENDED

    settled = client.wait(catalog, lambda status: status.in_flight_items == 0)
    assert 0 < settled.unsynced_items < number, "the run was over before the pause: more files are needed"
    assert settled.activity == sync_pb2.ACTIVITY_IDLE
    client.nothing_happens(catalog, 1.2)
    assert client.status(catalog).unsynced_items == settled.unsynced_items
    finished_later = [path for path in paths if path.stat().st_mtime_ns > paused_ns + TICK_NS]
    assert len(finished_later) <= server.writers
    assert len(written(paths, "One")) == number - settled.unsynced_items
    assert stray_files(paths[0].parent) == []

    resumed = client.start(catalog)
    assert (resumed.resumed, resumed.already_running, resumed.run.id) == (True, False, run.id)
    ended = client.wait_run(catalog)
    assert (ended.id, ended.state, ended.done_items) == (run.id, sync_pb2.RUN_STATE_COMPLETED, number)
    assert written(paths, "One") == paths


def test_a_pause_also_stops_what_auto_sync_writes(server: RunningServer, client: Client, library: Library) -> None:
    number = 200
    catalog, paths = library(number)
    client.edit(catalog, set_tags(title="One"))
    client.switch(catalog, True)
    client.wait(catalog, lambda status: status.unsynced_items < number)
    client.switch(catalog, False)
    paused_ns = time.time_ns()
    settled = client.wait(catalog, lambda status: status.in_flight_items == 0)
    assert settled.unsynced_items > 0, "all was written before the switch: more files are needed"
    client.nothing_happens(catalog, 1.2)
    assert len([path for path in paths if path.stat().st_mtime_ns > paused_ns + TICK_NS]) <= server.writers


# --- what is in the files ---


def test_synced_means_verified_by_a_reader_of_its_own(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    before = [pixels(path) for path in paths]
    tags = {"title": "Élan 夏 & <x>", "rating": 4, "keywords": ["place|Paris", "été"], "credit": "Agency"}
    client.edit(catalog, set_tags(**tags))
    client.sync(catalog)
    for path, picture in zip(paths, before, strict=True):
        found = seen(path)
        assert (found.title, found.rating, found.credit) == ("Élan 夏 & <x>", 4, "Agency")
        assert set(found.keywords) == {"Paris", "été"}
        assert pixels(path) == picture
    item = client.item(catalog, "p0000.jpg")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert item.synced_revision == item.revision
    assert not item.HasField("unsynced_since")
    assert item.homes[0].tags.title == tags["title"]
    assert list(item.homes[0].tags.keywords) == tags["keywords"]
    assert item.size_bytes == paths[0].stat().st_size
    assert stray_files(paths[0].parent) == []


def test_a_second_sync_writes_nothing(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="One"))
    client.sync(catalog)
    before = times(paths), [path.read_bytes() for path in paths]
    assert client.sync(catalog).total_items == 0
    client.edit(catalog, set_tags(title="One"))
    assert client.sync(catalog).total_items == 0
    assert (times(paths), [path.read_bytes() for path in paths]) == before


def test_an_edit_that_leaves_nothing_to_write_leaves_the_item_synced(client: Client, library: Library) -> None:
    catalog, paths = library(1, policy={"excluded_fields": ["flag"]})
    client.edit(catalog, set_tags(title="Held"))
    client.sync(catalog)
    before = times(paths)
    assert client.edit(catalog, set_tags(title="Held")).changed == 0
    client.edit(catalog, set_tags(title="Other"))
    assert client.status(catalog).unsynced_items == 1
    client.edit(catalog, set_tags(title="Held"))
    assert client.status(catalog).unsynced_items == 0
    assert client.edit(catalog, set_tags(flag=1)).changed == 1
    status = client.status(catalog)
    assert status.unsynced_items == 0
    assert client.item(catalog, "p0000.jpg").tags.flag == 1
    client.edit(catalog, set_tags(title="Other"), clear("title"), set_tags(title="Held"))
    assert client.status(catalog).unsynced_items == 0
    client.switch(catalog, True)
    client.nothing_happens(catalog, 1.2)
    assert times(paths) == before


def test_what_the_file_holds_already_is_not_written_again(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    edit_outside(paths[0], title="Same")
    before = times(paths), paths[0].read_bytes()
    client.edit(catalog, set_tags(title="Same"))
    run = client.sync(catalog)
    assert (run.done_items, run.bytes_written) == (1, 0)
    assert (times(paths), paths[0].read_bytes()) == before


def test_an_outside_edit_of_another_field_survives(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="First", rating=2))
    client.sync(catalog)
    edit_outside(paths[0], credit="Outside")
    client.edit(catalog, set_tags(title="Second"))
    client.sync(catalog)
    found = seen(paths[0])
    assert (found.title, found.rating, found.credit) == ("Second", 2, "Outside")
    item = client.item(catalog, "p0000.jpg")
    assert (item.tags.title, item.tags.credit) == ("Second", "Outside")
    assert item.state == item_pb2.ITEM_STATE_SYNCED


def test_an_outside_edit_while_an_edit_waits_survives_too(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Waiting"))
    edit_outside(paths[0], credit="Outside")
    client.sync(catalog)
    assert (seen(paths[0]).title, seen(paths[0]).credit) == ("Waiting", "Outside")
    assert client.item(catalog, "p0000.jpg").tags.credit == "Outside"


def test_keywords_that_others_wrote_stay_when_ours_come_and_go(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, add("keywords", "ours", "also ours"))
    client.sync(catalog)
    edit_outside(paths[0], keyword="foreign")
    client.edit(catalog, add("keywords", "new"), remove("keywords", "ours"))
    client.sync(catalog)
    assert set(seen(paths[0]).keywords) == {"also ours", "foreign", "new"}
    assert set(client.item(catalog, "p0000.jpg").tags.keywords) == {"also ours", "foreign", "new"}
    edit_outside(paths[0], keyword="late")
    client.edit(catalog, clear("keywords"))
    client.sync(catalog)
    assert set(seen(paths[0]).keywords) == {"late"}


def test_a_field_changed_on_both_sides_is_the_catalogs_and_the_files_is_kept(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    client.edit(catalog, set_tags(title="Ours"))
    client.sync(catalog)
    assert seen(paths[0]).title == "Ours"


def test_under_file_wins_the_files_value_comes_into_the_catalog(client: Client, library: Library) -> None:
    catalog, paths = library(1, policy={"conflicts": "CONFLICT_POLICY_FILE_WINS"})
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    client.edit(catalog, set_tags(title="Ours", rating=3))
    client.sync(catalog)
    assert (seen(paths[0]).title, seen(paths[0]).rating) == ("Theirs", 3)
    assert client.item(catalog, "p0000.jpg").tags.title == "Theirs"


def test_under_hold_a_conflict_is_listed_and_nothing_is_written(client: Client, library: Library) -> None:
    catalog, paths = library(2, policy={"conflicts": "CONFLICT_POLICY_HOLD"})
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    before = paths[0].read_bytes()
    client.edit(catalog, set_tags(title="Ours"))
    run = client.sync(catalog)
    assert (run.done_items, run.conflicted_items) == (1, 1)
    assert paths[0].read_bytes() == before
    (item,) = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_CONFLICTED)
    (conflict,) = item.conflicts
    assert (conflict.field, conflict.base.title) == ("title", "Base")
    assert (conflict.catalog.title, conflict.file.title) == ("Ours", "Theirs")
    assert client.status(catalog).conflicted_items == 1


def test_clearing_takes_a_value_out_of_the_file(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Gone soon", rating=5, keywords=["a"]))
    client.sync(catalog)
    client.edit(catalog, clear("title", "rating", "keywords"))
    client.sync(catalog)
    assert seen(paths[0]) == Seen()


def test_every_field_comes_back_from_the_file_as_it_was_set(client: Client, library: Library) -> None:
    catalog, _ = library(1, custom_fields=[{"name": "usage_terms"}, {"name": "marked"}])
    tags = tags_pb2.Tags(
        title="t", headline="h", description="d\nd", keywords=["a|b", "c"], people=["Ada"], event="e", rating=-1,
        label="Red", flag=1, creators=["One", "Two"], copyright="©", credit="cr", source="so", instructions="in",
        place={"location": "l", "city": "ci", "state": "st", "country": "co", "country_code": "DE"},
        gps={"lat": 52.5, "lon": -13.25, "alt": 34}, taken_at="2023-05-17T10:20:30+02:00",
        custom={"usage_terms": {"values": ["none"]}, "marked": {"values": ["True"]}},
    )  # fmt: skip
    client.edit(catalog, tags_pb2.Edit(set={"tags": tags}))
    run = client.sync(catalog)
    assert run.done_items == 1, client.items(catalog)[0].failure
    item = client.item(catalog, "p0000.jpg")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert item.tags == tags
    # Read anew by a second catalog's import: what the file itself says.
    assert item.homes[0].tags == tags


def test_a_call_on_hundreds_of_items_counts_each_once_and_is_one_call(client: Client, library: Library) -> None:
    number = 600
    catalog, _ = library(number)
    edited = client.edit(catalog, add("keywords", "many"), request_id="many")
    assert (edited.matched, edited.changed) == (number, number)
    assert client.edit(catalog, add("keywords", "many"), request_id="many") == edited
    assert client.status(catalog).unsynced_items == number
    assert {tuple(item.tags.keywords) for item in client.items(catalog, page_size=1000)} == {("many",)}
    assert client.hold(catalog).held == number
    assert client.status(catalog).held_items == number
    assert client.release(catalog).released == number
    assert client.remove(catalog, ALL, request_id="removed") == number
    assert client.remove(catalog, ALL, request_id="removed") == number
    assert client.status(catalog).total_items == 0


# --- time, and several catalogs ---


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


# --- helpers ---


def until(reached: Callable[[], bool]) -> None:
    """Return when something on the disk has come about."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.001)


@contextlib.contextmanager
def without_writers(server: RunningServer) -> Any:
    """The same server, but nobody writes: what is started now waits."""
    writers = server.writers
    server.stop()
    server.writers = 0
    server.start()
    try:
        yield Client(server.stubs())
    finally:
        server.stop()
        server.writers = writers
        server.start()


def at_once(call: Callable[[], Any], number: int) -> list[Any]:
    """The answers of calls made at the same time."""
    answers: list[Any] = []
    ready = threading.Barrier(number)

    def run() -> None:
        ready.wait()
        with contextlib.suppress(grpc.RpcError):
            answers.append(call())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == number
    return answers
