"""Domain errors: what can be wrong with a request, in words for the person who made it.

Code outside `rpc` raises these and knows no status codes; `rpc/wrapper.py` holds the one table that maps
a class to a status. `reason` is a value of the contract's ErrorReason, without its prefix.
"""

from __future__ import annotations


class IndelibleError(Exception):
    """Base of all errors that a caller may see: a reason for programs, a message for people."""

    def __init__(self, reason: str, message: str, *, field: str = "", **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata = metadata


class InvalidArgument(IndelibleError):
    """The request is wrong whatever the state of the store; `field` says where."""


class NotFound(IndelibleError):
    """What the request names does not exist."""


class AlreadyExists(IndelibleError):
    """What the request would make exists already."""


class FailedPrecondition(IndelibleError):
    """Right in itself, but not in the present state; the message says what to do first."""


class Aborted(IndelibleError):
    """Someone else was quicker; read again, then repeat."""


class OutOfRange(IndelibleError):
    """A resume token that can't be continued from; list again."""


class Unauthenticated(IndelibleError):
    """No token, or one that is unknown, expired or revoked."""


class PermissionDenied(IndelibleError):
    """The token's role or catalogs do not cover this call."""


class ResourceExhausted(IndelibleError):
    """A documented limit is reached."""


class Unavailable(IndelibleError):
    """Not now; the same call may be repeated after `retry_seconds`."""

    def __init__(self, reason: str, message: str, *, retry_seconds: float = 1.0, **metadata: str) -> None:
        super().__init__(reason, message, **metadata)
        self.retry_seconds = retry_seconds


def too_large(field: str, limit: str, maximum: int) -> ResourceExhausted:
    """More than a limit of GetServerInfo allows; `limit` is its name there."""
    message = f"{field}: has more than {maximum:,}; split the request"
    return ResourceExhausted("TOO_LARGE", message, field=field, limit=limit, maximum=str(maximum))


def invalid(field: str, message: str, *, reason: str = "INVALID_FIELD", **metadata: str) -> InvalidArgument:
    """The commonest error: a field with a value that can't be."""
    return InvalidArgument(reason, f"{field}: {message}", field=field, **metadata)
