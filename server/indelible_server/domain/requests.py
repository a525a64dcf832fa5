"""Request ids: a mutating call is carried out once, however often it is sent."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from ..errors import AlreadyExists
from ..storage import requests
from ..storage.requests import RequestKey


def once(tx: Connection, key: RequestKey | None, work: Callable[[Connection], bytes]) -> bytes:
    """The answer of `work`, or the first answer if this request was carried out before.

    The answer is stored in the transaction of the work itself. No key: not deduplicated.
    """
    if key is None:
        return work(tx)
    if requests.begin(tx, key):
        answer = work(tx)
        requests.set_answer(tx, key, answer)
        return answer
    known = first_answer(tx, key)
    assert known is not None  # only a bulk edit is answered in a later transaction
    return known


def first_answer(tx: Connection, key: RequestKey) -> bytes | None:
    """The answer that this request was given; None if it was not seen or is being worked off.

    Raises `AlreadyExists` if the id was used for another content.
    """
    known = requests.find(tx, key)
    if known is None:
        return None
    if known.digest != key.digest:
        raise AlreadyExists(
            "REQUEST_ID_REUSED",
            f"The request id {key.request_id!r} was used before for a {key.call} with other content. Use a new one.",
            field="request_id",
        )
    return known.answer
