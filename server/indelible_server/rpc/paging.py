"""Pages: a token says where the listing goes on, and belongs to one call with one set of conditions."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Protocol, Self

from ..errors import InvalidArgument, invalid
from .wrapper import call_name

PAGE = 100
PAGE_LIMIT = 1_000


class Paged(Protocol):
    """What all requests for a page have."""

    page_size: int
    page_token: str

    def CopyFrom(self, other: Self, /) -> None:
        """As of every message."""

    def ClearField(self, name: Any, /) -> None:
        """As of every message."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """As of every message."""


def page_size(request: Paged) -> int:
    """How many rows to give, PAGE_LIMIT at most; raises `InvalidArgument` for a negative size."""
    if request.page_size < 0:
        raise invalid("page_size", f"is negative; 0 gives {PAGE}")
    return min(int(request.page_size or PAGE), PAGE_LIMIT)


def next_token(request: Paged, position: list[Any]) -> str:
    """A token that goes on behind `position`."""
    return base64.urlsafe_b64encode(json.dumps([_conditions(request), position]).encode()).decode()


def position(request: Paged) -> list[Any]:
    """Where the page begins; [] for the first. Raises `InvalidArgument` for a token of another call or listing."""
    if not request.page_token:
        return []
    try:
        conditions, after = json.loads(base64.urlsafe_b64decode(request.page_token))
    except (TypeError, ValueError):
        conditions, after = "", None
    if conditions != _conditions(request) or not isinstance(after, list):
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID",
            "page_token: is not from this call with the same conditions; begin again without it",
            field="page_token",
        )
    return after


def _conditions(request: Paged) -> str:
    same = type(request)()
    same.CopyFrom(request)
    for field in ("page_token", "page_size"):
        same.ClearField(field)
    return hashlib.sha256(call_name().encode() + same.SerializeToString(deterministic=True)).hexdigest()[:16]
