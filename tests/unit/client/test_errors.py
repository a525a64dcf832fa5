import grpc
import pytest
from google.rpc import error_details_pb2
from indelible.v1 import item_service_pb2
from indelible_client import Client, FieldViolation, Refused, Unreachable
from unit.client.fake_server import FakeServer, abort

REQUEST = item_service_pb2.GetItemRequest(catalog="Archive", path="a.jpg")


def test_a_refusal_carries_all_that_the_server_said(server: FakeServer, client: Client) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = 3
    server.answers["GetItem"] = lambda request, context: abort(
        context,
        grpc.StatusCode.INVALID_ARGUMENT,
        "PATH_AMBIGUOUS",
        "a.jpg is in two roots",
        error_details_pb2.BadRequest(
            field_violations=[error_details_pb2.BadRequest.FieldViolation(field="path", description="give root_id")]
        ),
        error_details_pb2.RequestInfo(request_id="r-1"),
        retry,
        root_ids="9b1d,77c0",
    )

    with pytest.raises(Refused) as caught:
        client.items.GetItem(REQUEST)

    error = caught.value
    assert error.status is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "PATH_AMBIGUOUS"
    assert error.message == "a.jpg is in two roots"
    assert error.field_violations == (FieldViolation("path", "give root_id"),)
    assert error.metadata == {"root_ids": "9b1d,77c0"}
    assert error.request_id == "r-1"
    assert error.retry_after == 3


def test_a_busy_store_is_a_refusal_and_not_an_unreachable_server(server: FakeServer, client: Client) -> None:
    server.answers["GetItem"] = lambda request, context: abort(
        context, grpc.StatusCode.UNAVAILABLE, "STORE_BUSY", "the database is busy"
    )

    with pytest.raises(Refused, match="busy"):
        client.items.GetItem(REQUEST)


def test_details_that_cannot_be_read_leave_the_plain_status(server: FakeServer, client: Client) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    server.answers["GetItem"] = answer

    with pytest.raises(Refused) as caught:
        client.items.GetItem(REQUEST)

    assert (caught.value.status, caught.value.reason, caught.value.message) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "",
        "no",
    )


def test_nobody_there_is_unreachable_with_the_address(server: FakeServer, client: Client) -> None:
    server.stop()

    with pytest.raises(Unreachable, match=server.address):
        client.items.GetItem(REQUEST)


def test_no_answer_in_time_is_unreachable(server: FakeServer, client: Client) -> None:
    def never(request: object, context: grpc.ServicerContext) -> None:
        while context.is_active():
            pass

    server.answers["GetItem"] = never

    with pytest.raises(Unreachable):
        client.items.GetItem(REQUEST, timeout=0.05)
