"""Pages: a token says where the listing goes on, and belongs to one call with one set of conditions."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from ..errors import InvalidArgument, invalid
from .wrapper import call_name

PAGE = 100
PAGE_LIMIT = 1_000


def page_size(request: Any) -> int:
    """How many rows to give; raises `InvalidArgument` for a size that can't be."""
    if not 0 <= request.page_size <= PAGE_LIMIT:
        raise invalid("page_size", f"must be between 0 (for {PAGE}) and {PAGE_LIMIT:,}")
    return int(request.page_size or PAGE)


def next_token(request: Message, position: list[Any]) -> str:
    """A token that goes on behind `position`."""
    return base64.urlsafe_b64encode(json.dumps([_conditions(request), position]).encode()).decode()


def position(request: Any) -> list[Any]:
    """Where the page begins; [] for the first. Raises `InvalidArgument` for a token of another call or listing."""
    if not request.page_token:
        return []
    try:
        conditions, after = json.loads(base64.urlsafe_b64decode(request.page_token))
    except ValueError:
        conditions, after = "", None
    if conditions != _conditions(request) or not isinstance(after, list):
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID",
            "page_token: is not from this call with the same conditions; begin again without it",
            field="page_token",
        )
    return after


def _conditions(request: Message) -> str:
    same = type(request)()
    same.CopyFrom(request)
    for field in ("page_token", "page_size"):
        same.ClearField(field)
    return hashlib.sha256(call_name().encode() + same.SerializeToString(deterministic=True)).hexdigest()[:16]
