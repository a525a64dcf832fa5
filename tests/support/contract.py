"""The contract as data: every call with its role, every reason with its status, read from the protos themselves."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import indelible.v1
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from indelible.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    item_service_pb2,
    job_service_pb2,
    library_service_pb2,
    remote_service_pb2,
    sync_service_pb2,
)

PROTOS = Path(indelible.v1.__file__).parent
_MODULES = (
    *(admin_service_pb2, catalog_service_pb2, item_service_pb2, job_service_pb2),
    *(library_service_pb2, remote_service_pb2, sync_service_pb2),
)


@dataclass(frozen=True)
class Rpc:
    """A call of the contract. `role` is what its comment says."""

    descriptor: MethodDescriptor
    role: str

    @property
    def path(self) -> str:
        """As it goes over the wire."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def name(self) -> str:
        """As people say it: Service/Method."""
        return self.path.removeprefix("/indelible.v1.")

    @property
    def request(self) -> Any:
        """The class of the request."""
        return message_factory.GetMessageClass(self.descriptor.input_type)

    def on(self, channel: Any, serialize: Any = None) -> Any:
        """The call on a channel, taking one request; a stream of answers is read up to its first message."""
        answer = message_factory.GetMessageClass(self.descriptor.output_type)
        codecs = {"request_serializer": serialize or _serialized, "response_deserializer": answer.FromString}
        if self.descriptor.server_streaming:
            streamed = channel.unary_stream(self.path, **codecs)
            return lambda request, timeout=10: _first(streamed(request, timeout=timeout))
        if self.descriptor.client_streaming:
            collected = channel.stream_unary(self.path, **codecs)
            return lambda request, timeout=10: collected(iter([request]), timeout=timeout)
        single = channel.unary_unary(self.path, **codecs)
        return lambda request, timeout=10: single(request, timeout=timeout)


@dataclass(frozen=True)
class Reason:
    """What the contract promises about an error reason."""

    status: str
    metadata: frozenset[str]


def _rpcs() -> list[Rpc]:
    services = [service for module in _MODULES for service in module.DESCRIPTOR.services_by_name.values()]
    return [Rpc(method, _role(method)) for service in services for method in service.methods]


def _role(method: MethodDescriptor) -> str:
    text = (PROTOS / Path(method.containing_service.file.name).name).read_text()
    comment = re.search(rf"((?: *//[^\n]*\n)+) *rpc {method.name}\(", text)
    assert comment is not None, method.full_name
    words = re.sub(r"\s*\n *// ?", " ", comment[1])
    role = re.search(r"Role: (\w+)\.\s*$", words)
    assert role is not None, f"the comment of {method.full_name} does not say its role"
    return role[1]


def _reasons() -> dict[str, Reason]:
    text = (PROTOS / "error_reason.proto").read_text()
    found = {}
    for comment, name in re.findall(r"((?: *//[^\n]*\n)+) *ERROR_REASON_(\w+) = \d+;", text):
        status = re.search(r"Status: (\w+)\.", comment)
        if status is not None:
            example = json.loads("".join(re.findall(r"//     (.*)\n", comment)))
            found[name] = Reason(status[1], frozenset(example["metadata"]))
    return found


RPCS = _rpcs()
REASONS = _reasons()


@dataclass
class Refusal:
    """An error as a client sees it, filled in when the block has ended."""

    code: str = ""
    message: str = ""
    reason: str = ""
    fields: tuple[str, ...] = ()
    metadata: dict[str, str] | None = None
    retry: bool = False


def refusal(error: Any) -> Refusal:
    """What a gRPC error says."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    found = Refusal(error.code().name, error.details())
    for packed in status_pb2.Status.FromString(details).details if details else ():
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(packed.value)
            assert info.domain == "indelible"
            found.reason, found.metadata = info.reason, dict(info.metadata)
        if packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest.FromString(packed.value)
            found.fields = tuple(violation.field for violation in bad.field_violations)
        found.retry = found.retry or packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR)
    return found


@contextlib.contextmanager
def refused(reason: str, field: str | None = None, *, code: str = "") -> Iterator[Refusal]:
    """The block is refused for this reason, with the status and the metadata that the contract documents for it."""
    found = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield found
    found.__dict__.update(refusal(caught.value).__dict__)
    assert found.reason == reason, found
    promised = REASONS[reason]
    assert found.code == (code or promised.status), found
    assert promised.metadata <= set(found.metadata or {}), f"{found} lacks metadata of {promised}"
    if field is not None:
        assert found.fields == (field,), found
    if promised.status == "UNAVAILABLE":
        assert found.retry, f"{found} does not say when to repeat"


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def _first(stream: Any) -> Any:
    try:
        return next(stream)
    finally:
        stream.cancel()
