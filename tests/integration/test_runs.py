"""One-time runs: what they cover and count, how they end, are paused, resumed and cancelled. On both databases."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from indelible.v1 import item_pb2, sync_pb2, sync_service_pb2
from support.client import Client, Library, globs, set_tags
from support.contract import refused
from support.photos import TICK_NS, seen, stray_files, times, written
from support.server import RunningServer


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
    assert {sync_pb2.FailureReason.Name(each.reason): each.items for each in run.failures} == {
        "FAILURE_REASON_MISSING": 1,
        "FAILURE_REASON_NOT_A_FILE": 1,
    }
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
