"""The one table from domain errors to gRPC statuses, and the details that go with one."""

from __future__ import annotations

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from ..errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    IndelibleError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "indelible"
DETAILS = "grpc-status-details-bin"

STATUS: dict[type[IndelibleError], StatusCode] = {
    InvalidArgument: StatusCode.INVALID_ARGUMENT,
    NotFound: StatusCode.NOT_FOUND,
    AlreadyExists: StatusCode.ALREADY_EXISTS,
    FailedPrecondition: StatusCode.FAILED_PRECONDITION,
    Aborted: StatusCode.ABORTED,
    OutOfRange: StatusCode.OUT_OF_RANGE,
    Unauthenticated: StatusCode.UNAUTHENTICATED,
    PermissionDenied: StatusCode.PERMISSION_DENIED,
    ResourceExhausted: StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: StatusCode.UNAVAILABLE,
}


class NotYetAvailable(IndelibleError):
    """A call or an option of the contract that this version does not carry out."""

    def __init__(self, what: str, *, field: str = "") -> None:
        super().__init__("NOT_YET_AVAILABLE", f"{what} is not available in this version of the server.", field=field)


STATUS[NotYetAvailable] = StatusCode.UNIMPLEMENTED


def describe(error: IndelibleError, request_id: str) -> tuple[StatusCode, status_pb2.Status]:
    """The status of an error with all that a program can use of it."""
    code = STATUS[type(error)]
    metadata = error.metadata | ({"field": error.field} if error.field else {})
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info, error_details_pb2.RequestInfo(request_id=request_id)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Unavailable):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return code, _status(code, error.message, details)


def internal(request_id: str) -> tuple[StatusCode, status_pb2.Status]:
    """The status of an error that nobody foresaw: the log has the rest, under this id."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"error_id": request_id}),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    message = f"Internal error; the server's log has more under the id {request_id}."
    return StatusCode.INTERNAL, _status(StatusCode.INTERNAL, message, details)


def _status(code: StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)
