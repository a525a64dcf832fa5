import threading
import uuid
from pathlib import Path

import grpc
import pytest
from indelible.v1 import item_service_pb2, library_service_pb2, sync_service_pb2
from indelible_client import Client, Refused, connect
from indelible_client.connection import data_folder, find
from unit.client.fake_server import FakeServer, abort


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("secret-of-the-folder\n")
    return tmp_path


def test_the_default_is_the_usual_port_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INDELIBLE_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere")

    assert find().address == "127.0.0.1:7447"
    assert data_folder() == "/nowhere/indelible"


def test_an_argument_beats_the_environment_which_beats_the_data_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "address").write_text("127.0.0.1:7001\n")
    assert find(data=str(folder)).address == "127.0.0.1:7001"
    assert find(data=str(folder)).token == "secret-of-the-folder"

    monkeypatch.setenv("INDELIBLE_SERVER", "127.0.0.1:7002")
    monkeypatch.setenv("INDELIBLE_TOKEN", "of-the-environment")
    assert find(data=str(folder)).address == "127.0.0.1:7002"
    assert find(data=str(folder)).token == "of-the-environment"

    assert find("127.0.0.1:7003", "given", str(folder)).address == "127.0.0.1:7003"
    assert find("127.0.0.1:7003", "given", str(folder)).token == "given"


def test_the_data_folder_may_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDELIBLE_DATA", str(folder))

    assert find().token == "secret-of-the-folder"


def test_the_local_token_is_never_sent_to_another_machine(folder: Path) -> None:
    assert find("nas.example:7447", data=str(folder)).token == ""

    (folder / "address").write_text("nas.example:7447")
    assert find("nas.example:7447", data=str(folder)).token == "secret-of-the-folder"


def test_a_token_is_not_shown_by_accident(folder: Path) -> None:
    assert "secret" not in repr(find(data=str(folder)))


def test_every_call_bears_the_token(server: FakeServer) -> None:
    server.gives(GetSyncStatus=sync_service_pb2.GetSyncStatusResponse())
    server.answers["WatchSyncStatus"] = lambda request, context: iter([sync_service_pb2.WatchSyncStatusResponse()])

    with connect(server.address, "t0ken") as client:
        client.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest())
        list(client.sync.WatchSyncStatus(sync_service_pb2.WatchSyncStatusRequest()))

    assert [call.metadata["authorization"] for call in server.calls] == ["Bearer t0ken"] * 2


def test_a_mutating_call_gets_a_fresh_request_id_and_its_person(server: FakeServer, client: Client) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse())
    request = item_service_pb2.EditTagsRequest(catalog="Archive")

    client.items.EditTags(request)
    client.items.EditTags(request)

    first, second = server.named("EditTags")
    assert uuid.UUID(first.request_id) != uuid.UUID(second.request_id)
    assert first.on_behalf_of == "anna"
    assert request.request_id == ""


def test_what_the_caller_filled_in_stays(server: FakeServer, client: Client) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse())

    client.items.EditTags(item_service_pb2.EditTagsRequest(request_id="mine", on_behalf_of="ben"))

    [request] = server.named("EditTags")
    assert (request.request_id, request.on_behalf_of) == ("mine", "ben")


def test_a_stream_of_tags_gets_its_request_id_in_the_start(server: FakeServer, client: Client) -> None:
    received = []

    def answer(requests: object, context: grpc.ServicerContext) -> library_service_pb2.ImportTagsResponse:
        received.extend(requests)
        return library_service_pb2.ImportTagsResponse()

    server.answers["ImportTags"] = answer
    start = library_service_pb2.ImportTagsStart(catalog="Archive")

    client.library.ImportTags(
        iter(
            [
                library_service_pb2.ImportTagsRequest(start=start),
                library_service_pb2.ImportTagsRequest(records=library_service_pb2.TagsRecords()),
            ]
        )
    )

    assert received[0].start.request_id
    assert received[0].start.on_behalf_of == "anna"
    assert received[1].HasField("records")


def test_a_call_that_nobody_answered_is_repeated_with_the_same_request_id(server: FakeServer, client: Client) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> item_service_pb2.EditTagsResponse:
        if len(server.calls) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return item_service_pb2.EditTagsResponse(changed=1)

    server.answers["EditTags"] = answer

    assert client.items.EditTags(item_service_pb2.EditTagsRequest()).changed == 1

    assert len(server.calls) == 3
    assert len({request.request_id for request in server.named("EditTags")}) == 1


def test_a_call_that_was_refused_is_not_repeated(server: FakeServer, client: Client) -> None:
    server.answers["EditTags"] = lambda request, context: abort(
        context, grpc.StatusCode.ABORTED, "STALE_REVISION", "someone was quicker"
    )

    with pytest.raises(Refused):
        client.items.EditTags(item_service_pb2.EditTagsRequest())

    assert len(server.calls) == 1


def test_a_call_that_is_not_waited_for_can_be_made_too(server: FakeServer, client: Client) -> None:
    made = threading.Event()

    def answer(request: object, context: grpc.ServicerContext) -> item_service_pb2.EditTagsResponse:
        made.wait(10)
        return item_service_pb2.EditTagsResponse(changed=1)

    server.answers["EditTags"] = answer

    call = client.items.EditTags.future(item_service_pb2.EditTagsRequest())
    assert not call.done()
    made.set()
    assert call.result().changed == 1


def test_no_proxy_comes_between_us_and_this_machine(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.gives(GetSyncStatus=sync_service_pb2.GetSyncStatusResponse())

    with connect(server.address) as client:
        client.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest())


def test_calls_have_deadlines_and_long_calls_long_ones(server: FakeServer, client: Client) -> None:
    server.gives(GetSyncStatus=sync_service_pb2.GetSyncStatusResponse(), EditTags=item_service_pb2.EditTagsResponse())

    client.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest())
    client.items.EditTags(item_service_pb2.EditTagsRequest())
    client.items.EditTags(item_service_pb2.EditTagsRequest(), timeout=5)

    usual, long, own = (call.seconds_left for call in server.calls)
    assert [round(each, -1) for each in (usual, long)] == [30, 600]
    assert own < 6
