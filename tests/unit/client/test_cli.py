import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from indelible.v1 import (
    catalog_pb2,
    catalog_service_pb2,
    error_reason_pb2,
    item_pb2,
    item_service_pb2,
    job_pb2,
    job_service_pb2,
    library_service_pb2,
    remote_service_pb2,
    sync_pb2,
    sync_service_pb2,
)
from indelible_client.cli import refusals
from unit.client.conftest import Indelible
from unit.client.fake_server import FakeServer, Feed, abort


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


def test_json_has_one_object_a_line_with_all_fields_zeros_too(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=3, last_revision=7))

    ended = indelible("tag", "Archive", "a.jpg", "--set", "rating=3", "--json")

    assert ended.exit_code == 0
    assert ended.objects == [{"first_revision": "0", "last_revision": "7", "matched": 3, "changed": 0}]
    assert ended.stderr == ""


def test_several_sets_are_one_edit_of_the_selection(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=3, changed=2))

    ended = indelible(
        "tag", "Archive", "2024/*", "b.jpg", "--set", "rating=3", "--set", "title=T", "--add", "keywords=x"
    )

    [request] = server.named("EditTags")
    assert list(request.selection.path_globs.globs) == ["2024/*", "b.jpg"]
    assert [edit.WhichOneof("kind") for edit in request.edits] == ["set", "add"]
    assert ended.stdout == "changed 2 of 3 items\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tag", "Archive", "--set", "rating=3"),
        ("tag", "Archive", "a.jpg"),
        ("tag", "Archive", "a.jpg", "--all", "--set", "rating=3"),
        ("tag", "Archive", "a.jpg", "--set", "ratnig=3"),
        ("catalog", "set", "Archive"),
        ("catalog", "delete", "Archive"),
        ("hold", "Archive"),
        ("undo", "Archive"),
        ("resolve", "Archive", "--all"),
        ("items", "Archive", "--failed", "--held"),
        ("items", "Archive", "--nonsense"),
        ("nonsense",),
    ],
)
def test_wrong_use_ends_with_2_and_calls_nothing(
    server: FakeServer, indelible: Indelible, arguments: tuple[str, ...]
) -> None:
    ended = indelible(*arguments)

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr
    assert not server.calls


def test_the_common_options_may_come_before_the_command(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=1))

    ended = indelible("--json", "--token", "t0ken", "tag", "Archive", "--all", "--clear", "title")

    assert ended.objects[0]["matched"] == 1
    assert server.calls[0].metadata["authorization"] == "Bearer t0ken"


def test_a_refusal_ends_with_3_and_says_what_to_do_next(server: FakeServer, indelible: Indelible) -> None:
    server.answers["GetCatalog"] = lambda request, context: abort(
        context, grpc.StatusCode.NOT_FOUND, "CATALOG_NOT_FOUND", "there is no catalog Archiv", catalog="Archiv"
    )

    ended = indelible("catalog", "show", "Archiv")

    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert ended.stderr == ("indelible: there is no catalog Archiv\n`indelible catalog list` shows the catalogs.\n")


def test_a_refusal_is_an_object_under_json(server: FakeServer, indelible: Indelible) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="edits[0].set.tags.rating", description="-1 to 5")
    server.answers["EditTags"] = lambda request, context: abort(
        context,
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        "rating can't be 9",
        error_details_pb2.BadRequest(field_violations=[violation]),
        error_details_pb2.RequestInfo(request_id="r-1"),
    )

    ended = indelible("tag", "Archive", "--all", "--set", "rating=9", "--json")

    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert ended.error == {
        "status": "INVALID_ARGUMENT",
        "reason": "INVALID_FIELD",
        "message": "rating can't be 9; edits[0].set.tags.rating: -1 to 5",
        "field": "edits[0].set.tags.rating",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("rescan", "Archive"),
        ("verify", "Archive"),
        ("conflicts", "Archive"),
        ("resolve", "Archive", "--all", "--catalog"),
        ("hold", "Archive", "*"),
        ("release", "Archive", "*"),
        ("history", "Archive", "a.jpg"),
        ("undo", "Archive", "--run", "7ac2"),
        ("job", "list"),
        ("job", "cancel", "52e8"),
        ("sync", "preview", "Archive"),
        ("sync", "retry", "Archive"),
        ("remote", "add", "Archive", "agency", "--kind", "esp", "--option", "username=me"),
        ("remote", "list"),
        ("remote", "show", "agency"),
        ("remote", "test", "agency"),
        ("remote", "files", "agency"),
        ("remote", "tag", "agency", "--all", "--set", "title=T"),
        ("remote", "remove", "agency", "--yes"),
        ("pull", "start", "agency"),
        ("pull", "watch", "agency"),
        ("batches", "agency"),
        ("reviews", "agency", "--since-last-pull"),
    ],
)
def test_what_the_server_cannot_do_yet_is_refused_in_plain_words(
    indelible: Indelible, arguments: tuple[str, ...]
) -> None:
    ended = indelible(*arguments, "--json")

    assert ended.exit_code == 3
    assert ended.error["reason"] == "NOT_YET_AVAILABLE"
    assert "not available yet" in ended.error["message"]


def test_a_server_that_is_not_there_ends_with_3_and_names_the_address(server: FakeServer, indelible: Indelible) -> None:
    server.stop()

    ended = indelible("status", "Archive")

    assert ended.exit_code == 3
    assert server.address in ended.stderr
    assert "indelibled serve" in ended.stderr
    assert "INDELIBLE_SERVER" in ended.stderr


def test_every_hint_is_for_a_reason_of_the_contract() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118 - not a dict

    assert set(refusals._HINTS) <= names


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
    server.gives(SetAutoSync=sync_service_pb2.SetAutoSyncResponse(status=first))
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
    server.gives(SetAutoSync=sync_service_pb2.SetAutoSyncResponse(status=on))
    server.answers["WatchSyncStatus"] = Feed(
        *(sync_service_pb2.WatchSyncStatusResponse(status=each) for each in (on, paused))
    )

    assert indelible("sync", "on", "Archive", "--wait").exit_code == 1


def give_items(server: FakeServer, total: int) -> None:
    def answer(request: item_service_pb2.ListItemsRequest, context: object) -> item_service_pb2.ListItemsResponse:
        first = int(request.page_token or 0)
        last = min(first + min(request.page_size, 2), total)
        return item_service_pb2.ListItemsResponse(
            items=[item_pb2.Item(path=f"{number}.jpg") for number in range(first, last)],
            next_page_token=str(last) if last < total else "",
            total_size=total,
            unsynced_size=1,
        )

    server.answers["ListItems"] = answer


def test_items_come_from_every_page(server: FakeServer, indelible: Indelible) -> None:
    give_items(server, 5)

    ended = indelible("items", "Archive", "--json")

    assert [each["path"] for each in ended.objects] == [f"{number}.jpg" for number in range(5)]


def test_items_stop_at_the_limit_and_say_so(server: FakeServer, indelible: Indelible) -> None:
    give_items(server, 1552)

    ended = indelible("items", "Archive", "--unsynced", "--limit", "3")

    assert server.named("ListItems")[0].saved_search == item_pb2.SAVED_SEARCH_UNSYNCED
    assert ended.stdout.splitlines()[-1] == "showing 3 of 1,552; 1 not synchronized"
    assert "2.jpg" in ended.stdout
    assert "3.jpg" not in ended.stdout


def test_a_file_name_cannot_steer_the_terminal(server: FakeServer, indelible: Indelible) -> None:
    item = item_pb2.Item(path="[bold]a\x1b[2J.jpg")
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    ended = indelible("show", "Archive", "a.jpg")

    assert "[bold]a\\x1b[2J.jpg" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_show_tells_what_each_file_holds(server: FakeServer, indelible: Indelible) -> None:
    item = item_pb2.Item(path="a.jpg", state=item_pb2.ITEM_STATE_UNSYNCED)
    item.tags.title = "New"
    item.tags.place.city = "Rome"
    home = item.homes.add(home=1, path="a.jpg")
    home.tags.title = "Old"
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    text = indelible("show", "Archive", "a.jpg").stdout

    for words in ("state: unsynced", "title: New", "place.city: Rome", "embedded (a.jpg)", "title: Old"):
        assert words in text


def test_show_tells_who_holds_an_item_since_when_and_why(server: FakeServer, indelible: Indelible) -> None:
    hold = item_pb2.Hold(
        reason=item_pb2.HOLD_REASON_CHECKED_OUT, note="at the printer's", held_by="desk", on_behalf_of="ann"
    )
    hold.hold_time.FromSeconds(1_700_000_000)
    item = item_pb2.Item(path="a.jpg", state=item_pb2.ITEM_STATE_HELD, hold=hold)
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    text = indelible("show", "Archive", "a.jpg").stdout

    assert "held: checked out by ann since 2023-11-1" in text
    assert text.splitlines()[2].endswith(": at the printer's")


def test_a_relative_root_is_made_absolute_for_a_server_on_this_machine(
    server: FakeServer, indelible: Indelible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.gives(CreateCatalog=catalog_service_pb2.CreateCatalogResponse())

    indelible("catalog", "create", "Archive", "--root", "photos", "--read-only-root", "/old")

    [request] = server.named("CreateCatalog")
    assert [(root.path, root.read_only) for root in request.roots] == [
        (str(tmp_path / "photos"), False),
        ("/old", True),
    ]


def test_settings_are_changed_against_the_revision_that_was_read(server: FakeServer, indelible: Indelible) -> None:
    present = catalog_pb2.Catalog(id="3", name="Archive", revision=8)
    server.gives(
        GetCatalog=catalog_service_pb2.GetCatalogResponse(catalog=present),
        UpdateCatalog=catalog_service_pb2.UpdateCatalogResponse(catalog=present),
    )

    indelible("catalog", "set", "Archive", "policy.conflicts=hold", "quiet_period=0s")

    [request] = server.named("UpdateCatalog")
    assert (request.catalog.id, request.catalog.revision) == ("3", 8)
    assert list(request.update_mask.paths) == ["policy.conflicts", "quiet_period"]
    assert request.catalog.HasField("quiet_period")


def test_status_has_a_line_a_catalog(server: FakeServer, indelible: Indelible) -> None:
    catalogs = [catalog_pb2.Catalog(id="3", name="Archive"), catalog_pb2.Catalog(id="4", name="Press")]
    server.gives(ListCatalogs=catalog_service_pb2.ListCatalogsResponse(catalogs=catalogs))
    server.answers["GetSyncStatus"] = lambda request, context: sync_service_pb2.GetSyncStatusResponse(
        status=sync_pb2.SyncStatus(
            catalog_id=request.catalog,
            catalog_name=f"name {request.catalog}",
            auto_sync=sync_pb2.AUTO_SYNC_ON,
            text="160 of 1,552 not synchronized",
        )
    )

    lines = indelible("status").stdout.splitlines()

    assert len(lines) == 3
    assert "name 3" in lines[1]
    assert "160 of 1,552 not synchronized" in lines[2]


def test_status_watch_prints_each_snapshot_until_the_catalog_is_gone(server: FakeServer, indelible: Indelible) -> None:
    status = sync_pb2.SyncStatus(catalog_id="3", catalog_name="Archive")
    server.answers["WatchSyncStatus"] = Feed(
        sync_service_pb2.WatchSyncStatusResponse(status=status),
        sync_service_pb2.WatchSyncStatusResponse(status=status, removed=True),
    )

    ended = indelible("status", "Archive", "--watch", "--json")

    assert [each["catalog_name"] for each in ended.objects] == ["Archive"]


def test_a_secret_can_come_from_a_file(server: FakeServer, indelible: Indelible, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pa=ss\n")
    server.gives(CreateRemote=remote_service_pb2.CreateRemoteResponse())

    ended = indelible(
        "remote", "add", "Archive", "agency", "--kind", "esp", "--option-file", f"password={tmp_path}/password"
    )

    assert ended.exit_code == 0
    assert server.named("CreateRemote")[0].options == {"password": "pa=ss"}


def run_program(*arguments: str) -> "subprocess.Popen[str]":
    program = os.path.join(os.path.dirname(sys.executable), "indelible")
    return subprocess.Popen(
        # A runner in the background ignores Ctrl-C, and its children would inherit that.
        ["env", "--default-signal=INT", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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


def test_the_program_says_its_version() -> None:
    stdout, _ = run_program("--version").communicate()

    assert stdout.startswith("indelible ")


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


def test_the_history_shows_edits_and_writes_with_what_undo_takes(server: FakeServer, indelible: Indelible) -> None:
    write = item_pb2.FileWrite(
        id="01JD",
        method=sync_pb2.WRITE_METHOD_PATCH,
        outcome=item_pb2.WRITE_OUTCOME_VERIFIED,
        undoable=True,
    )
    entries = [
        item_pb2.HistoryEntry(source="EDIT", run_id="7ac2", write=write),
        item_pb2.HistoryEntry(source="EDIT", principal="ann"),
    ]
    server.gives(ListHistory=item_service_pb2.ListHistoryResponse(entries=entries, total_size=2))

    ended = indelible("history", "Archive", "a.jpg")

    written, edited = ended.stdout.splitlines()[1:3]
    assert "the server" in written
    assert "patch, verified, write 01JD, run 7ac2" in written
    assert "ann" in edited
