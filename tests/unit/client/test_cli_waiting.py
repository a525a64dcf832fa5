"""Commands that wait: for imports, runs and undos, on a terminal, under --json, and until Ctrl-C."""

import json
import signal
from typing import Any

import pytest
from indelible.v1 import (
    item_pb2,
    item_service_pb2,
    job_pb2,
    job_service_pb2,
    library_service_pb2,
    sync_pb2,
    sync_service_pb2,
)
from unit.client.conftest import Indelible, run_program
from unit.client.fake_server import FakeServer, Feed


def imported(state: "job_pb2.JobState.ValueType", **fields: object) -> job_pb2.Job:
    return job_pb2.Job(id="52e8", kind=job_pb2.JOB_KIND_IMPORT, state=state, **fields)


def give_import(server: FakeServer, *snapshots: job_pb2.Job) -> None:
    server.gives(StartImport=library_service_pb2.StartImportResponse(job=snapshots[0]))
    server.answers["WatchJob"] = Feed(*(job_service_pb2.WatchJobResponse(job=each) for each in snapshots))


def give_run(server: FakeServer, *snapshots: sync_pb2.Run) -> None:
    server.gives(StartSync=sync_service_pb2.StartSyncResponse(run=snapshots[0]))
    server.answers["WatchSyncStatus"] = Feed(
        *(
            sync_service_pb2.WatchSyncStatusResponse(status=sync_pb2.SyncStatus(catalog_id=each.catalog_id, run=each))
            for each in snapshots
        )
    )


def test_an_import_waits_for_its_end(server: FakeServer, indelible: Indelible) -> None:
    give_import(
        server,
        imported(job_pb2.JOB_STATE_RUNNING, total_items=9, done_items=4),
        imported(
            job_pb2.JOB_STATE_COMPLETED,
            total_items=9,
            done_items=9,
            import_counts=job_pb2.ImportCounts(added_items=8, known_items=1),
        ),
    )

    ended = indelible("import", "Archive", "--path", "2024")

    assert server.named("StartImport")[0].path == "2024"
    assert ended.exit_code == 0
    assert ended.stdout == "import completed: 8 added, 1 known\n"
    assert "import: 4 of 9" in ended.stderr


def test_an_import_with_failures_ends_with_1_and_shows_the_first(server: FakeServer, indelible: Indelible) -> None:
    failure = sync_pb2.Failure(reason=sync_pb2.FAILURE_REASON_CORRUPT, message="it is cut off")
    problems = [job_pb2.JobProblem(path=f"{number}.jpg", failure=failure) for number in range(12)]
    give_import(server, imported(job_pb2.JOB_STATE_COMPLETED, done_items=1, failed_items=12, problems=problems))

    ended = indelible("import", "Archive")

    assert ended.exit_code == 1
    assert "12 failed" in ended.stdout
    assert "0.jpg: corrupt: it is cut off" in ended.stdout
    assert "and 2 more" in ended.stdout


def test_an_import_under_json_prints_the_ended_job_only(server: FakeServer, indelible: Indelible) -> None:
    give_import(server, imported(job_pb2.JOB_STATE_RUNNING), imported(job_pb2.JOB_STATE_CANCELLED))

    ended = indelible("import", "Archive", "--json")

    assert ended.exit_code == 1
    assert [each["state"] for each in ended.objects] == ["JOB_STATE_CANCELLED"]
    assert ended.stderr == ""


def test_watching_a_job_under_json_prints_every_snapshot(server: FakeServer, indelible: Indelible) -> None:
    snapshots = [imported(job_pb2.JOB_STATE_RUNNING), imported(job_pb2.JOB_STATE_COMPLETED)]
    give_import(server, *snapshots)
    server.gives(GetJob=job_service_pb2.GetJobResponse(job=snapshots[0]))

    ended = indelible("job", "watch", "52e8", "--json")

    assert ended.exit_code == 0
    assert [each["state"] for each in ended.objects] == ["JOB_STATE_RUNNING", "JOB_STATE_COMPLETED"]


@pytest.mark.parametrize(
    ("state", "failed", "conflicted", "skipped", "exit_code"),
    [
        (sync_pb2.RUN_STATE_COMPLETED, 0, 0, 0, 0),
        (sync_pb2.RUN_STATE_COMPLETED, 0, 0, 1, 0),
        (sync_pb2.RUN_STATE_COMPLETED, 1, 0, 0, 1),
        (sync_pb2.RUN_STATE_COMPLETED, 0, 1, 0, 1),
        (sync_pb2.RUN_STATE_GAVE_UP, 0, 0, 1, 1),
        (sync_pb2.RUN_STATE_CANCELLED, 0, 0, 0, 1),
    ],
)
def test_a_run_that_is_waited_for_ends_by_how_it_ended(
    server: FakeServer,
    indelible: Indelible,
    state: "sync_pb2.RunState.ValueType",
    failed: int,
    conflicted: int,
    skipped: int,
    exit_code: int,
) -> None:
    numbers = {"failed_items": failed, "conflicted_items": conflicted, "skipped_items": skipped}
    give_run(
        server,
        sync_pb2.Run(id="r", catalog_id="3", state=sync_pb2.RUN_STATE_RUNNING, total_items=5),
        sync_pb2.Run(id="r", catalog_id="3", state=state, total_items=5, **numbers),
    )

    ended = indelible("sync", "start", "Archive", "--max-items", "5", "--wait", "--json")

    assert server.named("StartSync")[0].max_items == 5
    assert ended.exit_code == exit_code
    assert [each["state"] for each in ended.objects] == [sync_pb2.RunState.Name(state)]


def give_switch(server: FakeServer, on: sync_pb2.SyncStatus, **before: Any) -> None:
    """A catalog whose auto-sync is turned on."""
    paused = sync_pb2.SyncStatus(auto_sync=sync_pb2.AUTO_SYNC_PAUSED, unsynced_items=9, **before)
    server.gives(
        GetSyncStatus=sync_service_pb2.GetSyncStatusResponse(status=paused),
        SetAutoSync=sync_service_pb2.SetAutoSyncResponse(status=on),
    )


@pytest.mark.parametrize(
    ("last", "exit_code"),
    [({}, 0), ({"unsynced_items": 2, "held_items": 2}, 0), ({"unsynced_items": 1, "failed_items": 1}, 1)],
)
def test_on_with_wait_ends_when_nothing_is_due_any_more(
    server: FakeServer, indelible: Indelible, last: dict[str, int], exit_code: int
) -> None:
    common = {"catalog_id": "3", "auto_sync": sync_pb2.AUTO_SYNC_ON}
    first = sync_pb2.SyncStatus(unsynced_items=9, in_flight_items=2, **common)
    flying = sync_pb2.SyncStatus(in_flight_items=1, **common)
    give_switch(server, first)
    server.answers["WatchSyncStatus"] = Feed(
        *(
            sync_service_pb2.WatchSyncStatusResponse(status=each)
            for each in (first, flying, sync_pb2.SyncStatus(**last, **common))
        )
    )

    ended = indelible("sync", "on", "Archive", "--wait", "--json")

    assert ended.exit_code == exit_code
    assert len(ended.objects) == 1
    assert ended.objects[0]["in_flight_items"] == 0


def test_on_with_wait_does_not_wait_for_ever_when_someone_pauses(server: FakeServer, indelible: Indelible) -> None:
    on = sync_pb2.SyncStatus(catalog_id="3", auto_sync=sync_pb2.AUTO_SYNC_ON, unsynced_items=9)
    paused = sync_pb2.SyncStatus(catalog_id="3", auto_sync=sync_pb2.AUTO_SYNC_PAUSED, unsynced_items=9)
    give_switch(server, on)
    server.answers["WatchSyncStatus"] = Feed(
        *(sync_service_pb2.WatchSyncStatusResponse(status=each) for each in (on, paused))
    )

    assert indelible("sync", "on", "Archive", "--wait").exit_code == 1


SUMMARY = sync_service_pb2.SummarizeWriteResponse(
    looked_at_items=9,
    total_items=9,
    done=True,
    writes=[
        sync_service_pb2.WriteSum(
            format="JPEG", method=sync_pb2.WRITE_METHOD_REPLACE, items=7, bytes_to_write=5 * 1024**2
        )
    ],
    bytes_to_write=5 * 1024**2,
    failures=[sync_pb2.FailureCount(reason=sync_pb2.FAILURE_REASON_MISSING, items=1)],
    notes=[sync_service_pb2.NoteCount(note="held: checked out", items=1)],
)


def test_before_the_first_write_it_is_shown_what_will_be(server: FakeServer, indelible: Indelible) -> None:
    give_switch(server, sync_pb2.SyncStatus(auto_sync=sync_pb2.AUTO_SYNC_ON), never_written=True)
    server.answers["SummarizeWrite"] = Feed(sync_service_pb2.SummarizeWriteResponse(total_items=9), SUMMARY)

    ended = indelible("sync", "on", "Archive")

    assert ended.exit_code == 0
    for line in (
        "5.0 MiB would be written for 9 items:",
        "7 items, JPEG: replace (5.0 MiB)",
        "1 item can't be written: missing",
        "1 item would be left: held: checked out",
    ):
        assert line in ended.stdout


@pytest.mark.parametrize(("options", "before"), [(("--yes",), {"never_written": True}), ((), {})])
def test_it_is_not_shown_again_or_when_nobody_wants_it(
    server: FakeServer, indelible: Indelible, options: tuple[str, ...], before: dict[str, bool]
) -> None:
    give_switch(server, sync_pb2.SyncStatus(auto_sync=sync_pb2.AUTO_SYNC_ON), **before)

    assert indelible("sync", "on", "Archive", *options).exit_code == 0

    assert not server.named("SummarizeWrite")


def test_ctrl_c_ends_the_wait_and_not_the_work(server: FakeServer) -> None:
    running = imported(job_pb2.JOB_STATE_RUNNING)
    give_import(server, running)
    server.gives(GetJob=job_service_pb2.GetJobResponse(job=running))
    program = run_program("job", "watch", "52e8", "--json", "--server", server.address)
    assert program.stdout is not None
    assert json.loads(program.stdout.readline())["id"] == "52e8"

    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate()

    assert program.returncode == 130
    message = json.loads(stderr)["error"]["message"]
    assert "goes on at the server" in message
    assert "indelible job watch 52e8" in message
    assert "indelible job cancel 52e8" in message
    assert not server.named("CancelJob")


def undone(state: "job_pb2.JobState.ValueType", **fields: object) -> job_pb2.Job:
    return job_pb2.Job(id="52e8", kind=job_pb2.JOB_KIND_UNDO, state=state, **fields)


def give_undo(server: FakeServer, *snapshots: job_pb2.Job) -> None:
    server.gives(
        GetItem=item_service_pb2.GetItemResponse(item=item_pb2.Item(id="7")),
        UndoWrite=item_service_pb2.UndoWriteResponse(job=snapshots[0]),
        UndoRun=sync_service_pb2.UndoRunResponse(job=snapshots[0]),
    )
    server.answers["WatchJob"] = Feed(*(job_service_pb2.WatchJobResponse(job=each) for each in snapshots))


def test_an_undo_waits_for_its_end_and_says_what_came_of_it(server: FakeServer, indelible: Indelible) -> None:
    message = "7 restored, 1 but for fields that someone else has changed since."
    give_undo(
        server,
        undone(job_pb2.JOB_STATE_RUNNING, total_items=8, done_items=3),
        undone(job_pb2.JOB_STATE_COMPLETED, total_items=8, done_items=8, message=message),
    )

    ended = indelible("undo", "Archive", "--run", "7ac2")

    assert server.named("UndoRun")[0].run_id == "7ac2"
    assert ended.exit_code == 0
    assert ended.stdout == f"undo completed: {message[:-1]}\n"
    assert "undo: 3 of 8" in ended.stderr


def test_an_undo_of_a_write_with_failures_ends_with_1(server: FakeServer, indelible: Indelible) -> None:
    failure = sync_pb2.Failure(reason=sync_pb2.FAILURE_REASON_MISSING, message="there is no file")
    problem = job_pb2.JobProblem(path="a.jpg", failure=failure)
    give_undo(server, undone(job_pb2.JOB_STATE_COMPLETED, total_items=1, failed_items=1, problems=[problem]))

    ended = indelible("undo", "Archive", "a.jpg", "--write", "01JD")

    [request] = server.named("UndoWrite")
    assert (list(request.selection.item_ids.ids), request.write_id) == (["7"], "01JD")
    assert ended.exit_code == 1
    assert "a.jpg: missing: there is no file" in ended.stdout
