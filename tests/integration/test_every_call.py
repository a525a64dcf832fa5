"""Every call is there, or says that it comes later; no odd value in any field of any is an internal error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from indelible.v1 import (
    sync_pb2,
)
from support.client import ALL, Client, set_tags
from support.contract import RPCS, Rpc, refusal, refused
from support.photos import make_photo
from support.server import RunningServer, fresh_id
from support.world import World

# Calls that this version does not carry out yet.
LATER = {
    "LibraryService/StartVerify",
    *("LibraryService/ExportTags", "LibraryService/ImportTags"),
    *("AdminService/CreateToken", "AdminService/ListTokens", "AdminService/RevokeToken"),
    *("AdminService/ListAuditEvents", "AdminService/CreateBackup"),
    *(rpc.name for rpc in RPCS if rpc.name.startswith("RemoteService/")),
}


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc.name in LATER], ids=lambda rpc: rpc.name)
def test_a_call_that_comes_later_says_so(world: World, rpc: Rpc) -> None:
    with world.unchanged(), refused("NOT_YET_AVAILABLE") as seen:
        rpc.on(world.client.stubs.channel)(rpc.request())
    assert seen.metadata is not None
    assert seen.metadata["call"] == f"indelible.v1.{rpc.name}"


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc.name not in LATER], ids=lambda rpc: rpc.name)
def test_every_other_call_is_there(world: World, rpc: Rpc) -> None:
    assert outcome(rpc, world.client.stubs.channel, rpc.request()) != "NOT_YET_AVAILABLE"


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_text_that_is_no_utf8_is_a_clean_error(world: World, rpc: Rpc) -> None:
    field = next((each for each in rpc.descriptor.input_type.fields if each.type == FieldDescriptor.TYPE_STRING), None)
    # A request without a text field gets a field that is cut short: no message at all.
    raw = b"\x0a\x7f" if field is None else bytes([field.number << 3 | 2, 2]) + b"\xff\xfe"
    # What a later call does with a stream of requests, it does not do yet.
    reason = "NOT_YET_AVAILABLE" if rpc.descriptor.client_streaming else "INVALID_FIELD"
    with world.unchanged(), refused(reason):
        rpc.on(world.client.stubs.channel, serialize=bytes)(raw)


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc.name not in LATER], ids=lambda rpc: rpc.name)
def test_no_odd_value_in_any_field_is_an_internal_error(odd_server: RunningServer, rpc: Rpc) -> None:
    channel = odd_server.stubs().channel
    for request in odd_requests(rpc):
        assert outcome(rpc, channel, request) not in ("INTERNAL", "UNKNOWN"), request


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def odd_server(request: pytest.FixtureRequest, databases: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server for what may change it, on both databases: they differ in the values that they can't store."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "photos").mkdir()
    make_photo(folder / "photos" / "a.jpg")
    with RunningServer(folder, databases.fresh(request.param, folder)) as server:
        client = Client(server.stubs())
        client.create("Archive", folder / "photos")
        client.import_files("Archive")
        yield server
        assert not [line for line in server.log if "[error" in line], "".join(server.log)


ODD: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_STRING: ["", "a\0b", "x" * 5000, "\U0010ffff%_\\'\";--", "9" * 30, "../.."],
    FieldDescriptor.TYPE_BYTES: [b"", b"\0\xff"],
    FieldDescriptor.TYPE_INT32: [-(2**31), -1, 2**31 - 1],
    FieldDescriptor.TYPE_INT64: [-(2**63), -1, 2**63 - 1],
    FieldDescriptor.TYPE_ENUM: [-1, 1, 99],
    FieldDescriptor.TYPE_BOOL: [True],
    FieldDescriptor.TYPE_DOUBLE: [float("nan"), float("inf"), -1e308, 0.0],
}
PLAUSIBLE = {
    "catalog": "Archive",
    "name": "New",
    "selection": ALL,
    "edits": [set_tags(title="x")],
    "auto_sync": sync_pb2.AUTO_SYNC_PAUSED,
    "path": "a.jpg",
}


def odd_requests(rpc: Rpc) -> Iterator[Any]:
    """A plausible request with one field at a time that is odd, down to the fields of messages in messages."""
    names = {field.name: field for field in rpc.descriptor.input_type.fields}
    fits = {name: value for name, value in PLAUSIBLE.items() if name in names}
    if "catalog" in fits and names["catalog"].message_type is not None:
        fits["catalog"] = {"id": "1"}
    for path, value in odd_values(rpc.descriptor.input_type, depth=4):
        request = rpc.request(**fits)
        if "request_id" in names:
            request.request_id = fresh_id()
        put(request, path, value)
        yield request


def odd_values(message: Descriptor, depth: int) -> Iterator[tuple[tuple[FieldDescriptor, ...], Any]]:
    for field in message.fields:
        if field.message_type is None:
            yield from (((field,), value) for value in ODD[field.type])
        elif depth and not field.message_type.GetOptions().map_entry:
            yield from (((field, *path), value) for path, value in odd_values(field.message_type, depth - 1))


def put(request: Any, path: tuple[FieldDescriptor, ...], value: Any) -> None:
    field, *rest = path
    at = getattr(request, field.name)
    if field.is_repeated:
        del at[:]
        if rest:
            put(at.add(), tuple(rest), value)
        else:
            at.append(value)
    elif rest:
        at.SetInParent()
        put(at, tuple(rest), value)
    else:
        setattr(request, field.name, value)


def outcome(rpc: Rpc, channel: Any, request: Any) -> str:
    """The reason of a refusal, or its status if it has none; "" if it is carried out, or has nothing to say yet."""
    try:
        rpc.on(channel)(request, timeout=0.2 if rpc.descriptor.server_streaming else 20)
    except grpc.RpcError as error:
        return refusal(error).reason or error.code().name
    except StopIteration:
        return ""
    return ""
