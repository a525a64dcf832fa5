"""What a call can end with when it does not end well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

# Statuses that say that nobody answered, when they come without a reason of the server.
_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class IndelibleError(Exception):
    """The base of every error that a call of the client raises."""


class Unreachable(IndelibleError):
    """Nobody answered at the address. Whether the call was carried out is not known."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(f"no answer from {address}: {cause}")
        self.address = address
        self.cause = cause


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that can't be as it is, and why."""

    field: str
    description: str


class Refused(IndelibleError):
    """The server answered and said no. Unless `reason` says otherwise, nothing was changed.

    `reason` is the name of an ErrorReason without its prefix, or empty when the answer did not come from
    Indelible itself; a client that does not know it goes by `status`. `retry_after` is in seconds; None
    means: not by itself.
    """

    def __init__(
        self,
        status: grpc.StatusCode,
        reason: str,
        message: str,
        field_violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.field_violations = tuple(field_violations)
        self.metadata = dict(metadata or {})
        self.request_id = request_id
        self.retry_after = retry_after


class Relist(Refused):
    """A resume token is too old, or of another store: changes were missed.

    Watch again without a token, and list everything once the first message, a bookmark, has come.
    """


class _EndedCall(Protocol):
    """The end of a call, as an exception or as a stream has it."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> object: ...


def from_call(call: _EndedCall, address: str) -> Refused | Unreachable:
    """Turn the end of a call that failed into the error that says so."""
    code, text = call.code(), call.details() or ""
    status = _status(call.trailing_metadata())
    info, bad, request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RequestInfo(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details:
        for message in (info, bad, request, retry):
            _unpack(detail, message)
    if code in _NO_ANSWER and not info.reason:
        return Unreachable(address, text)
    delay = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    kind = Relist if info.reason == "REVISION_COMPACTED" else Refused
    return kind(
        status=code,
        reason=info.reason,
        message=status.message or text,
        field_violations=[FieldViolation(each.field, each.description) for each in bad.field_violations],
        metadata=info.metadata,
        request_id=request.request_id,
        retry_after=delay,
    )


def _status(trailers: object) -> status_pb2.Status:
    """Read google.rpc.Status from the trailers; an empty one if there is none, or none that can be read."""
    status = status_pb2.Status()
    for key, value in trailers if isinstance(trailers, (tuple, list)) else ():
        if key == "grpc-status-details-bin":
            try:
                status.ParseFromString(value)
            except DecodeError:  # a proxy's, not ours; the plain status still says what happened
                return status_pb2.Status()
    return status


def _unpack(detail: any_pb2.Any, message: Message) -> None:
    if detail.TypeName() == message.DESCRIPTOR.full_name:
        detail.Unpack(message)
