"""What every call gets on its way: the token, a deadline, a request id, retries, and errors that say why."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from indelible.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    item_service_pb2,
    job_service_pb2,
    library_service_pb2,
    remote_service_pb2,
    sync_service_pb2,
)

from indelible_client import errors

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

DEADLINE = 30.0
LONG_DEADLINE = 600.0
# Calls that may deal with every item, settle writes, or talk to another server before they answer.
_LONG_CALLS = frozenset(
    {
        "CreateBackup",
        "DeleteCatalog",
        "DeleteRemote",
        "EditRemoteFiles",
        "EditTags",
        "HoldItems",
        "ImportTags",
        "PreviewWrite",
        "ReleaseItems",
        "RemoveItems",
        "ResolveConflicts",
        "RetryFailures",
        "TestRemote",
        "UndoRun",
        "UndoWrite",
        "UpdateCatalog",
    }
)
_READS = ("Get", "List", "Preview", "Test")


def _services() -> Iterator[ServiceDescriptor]:
    for module in (
        admin_service_pb2,
        catalog_service_pb2,
        item_service_pb2,
        job_service_pb2,
        library_service_pb2,
        remote_service_pb2,
        sync_service_pb2,
    ):
        yield from module.DESCRIPTOR.services_by_name.values()


def _may_repeat(method: MethodDescriptor) -> bool:
    """Say whether a call can be sent twice and happen once: it reads, or the server knows it by its request
    id.
    """
    streams = method.client_streaming or method.server_streaming
    return not streams and (method.name.startswith(_READS) or "request_id" in method.input_type.fields_by_name)


def service_config() -> str:
    """Give the gRPC service config: which calls are sent again, and only when nobody was there to answer."""
    names = [
        {"service": service.full_name, "method": method.name}
        for service in _services()
        for method in service.methods
        if _may_repeat(method)
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": retry}]})


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    """The details of a call, which gRPC gives read-only, as they leave here."""

    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Stream(Iterator[_Response]):
    """A stream of answers whose end is one of our errors."""

    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address

    def __next__(self) -> _Response:
        try:
            return cast(_Response, next(self._call))
        except grpc.RpcError:
            raise errors.from_call(self._call, self._address) from None

    def cancel(self) -> None:
        """End the stream; `next` raises Refused with CANCELLED then."""
        self._call.cancel()


class Manners(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """The one interceptor of the client.

    A call leaves with the bearer token, with a deadline unless it has one or streams, and, if it changes something,
    with a fresh request id and the person for whom it is made, unless the caller filled them in. A call that fails
    raises Refused or Unreachable instead of grpc.RpcError, except one that was made by `future`.
    """

    def __init__(self, address: str, token: str, on_behalf_of: str) -> None:
        self._address = address
        self._token = token
        self._on_behalf_of = on_behalf_of

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: _Request
    ) -> Any:
        """Send one message for one."""
        details = self._details(client_call_details, streams=False)
        return self._ended(continuation(details, self._signed(request)))

    def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: _Request
    ) -> Any:
        """Send one message for a stream, which may stay open for days and has no deadline."""
        details = self._details(client_call_details, streams=True)
        return _Stream(continuation(details, request), self._address)

    def intercept_stream_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterable[_Request],
    ) -> Any:
        """Send a stream for one message."""
        details = self._details(client_call_details, streams=False)
        return self._ended(continuation(details, (self._signed(part) for part in request_iterator)))

    def _details(self, details: grpc.ClientCallDetails, streams: bool) -> _Details:
        timeout = details.timeout
        if timeout is None and not streams:
            timeout = LONG_DEADLINE if details.method.rpartition("/")[2] in _LONG_CALLS else DEADLINE
        metadata = tuple(details.metadata or ())
        if self._token:
            metadata += (("authorization", f"Bearer {self._token}"),)
        return _Details(
            details.method,
            timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )

    def _signed(self, request: _Request) -> _Request:
        """Give the request with its request id and person; the caller's own message stays as it is."""
        if isinstance(request, library_service_pb2.ImportTagsRequest) and request.HasField("start"):
            return cast(_Request, library_service_pb2.ImportTagsRequest(start=self._signed(request.start)))
        assert isinstance(request, Message)
        fields = request.DESCRIPTOR.fields_by_name
        if "request_id" not in fields:
            return cast(_Request, request)
        signed: Any = type(request)()
        signed.CopyFrom(request)
        signed.request_id = signed.request_id or str(uuid.uuid4())
        if "on_behalf_of" in fields:
            signed.on_behalf_of = signed.on_behalf_of or self._on_behalf_of
        return cast(_Request, signed)

    def _ended(self, call: Any) -> Any:
        # A call that `future` made is under way still, and may wait for its end with grpc's own error.
        if call.done() and call.code() is not grpc.StatusCode.OK:
            raise errors.from_call(call, self._address) from None
        return call
