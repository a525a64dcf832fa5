"""Request ids: a mutating call that is repeated gives its first answer and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import insert_into, now_ms
from .tables import requests

KEPT_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class RequestKey:
    """What makes a request one and the same: who, which call, which id; `digest` is of its content."""

    principal: str
    call: str
    request_id: str
    digest: bytes


@dataclass(frozen=True)
class Known:
    """A request that was seen before. `answer` is None while it is still being worked off."""

    digest: bytes
    answer: bytes | None


def find(tx: Connection, key: RequestKey) -> Known | None:
    """The earlier request with this principal, call and id, if it is still kept."""
    row = tx.execute(sa.select(requests.c.digest, requests.c.answer).where(*_where(key))).first()
    return None if row is None else Known(row.digest, row.answer)


def begin(tx: Connection, key: RequestKey) -> bool:
    """Store a request without an answer yet, in the transaction of the edit itself; False if it is known already.

    One that another transaction has just begun is waited for. Forgets what is past retention.
    """
    now = now_ms(tx)
    values = {name: getattr(key, name) for name in RequestKey.__dataclass_fields__} | {"created_at": now}
    begun = tx.execute(
        insert_into(tx, requests).values(values).on_conflict_do_nothing().returning(requests.c.request_id)
    ).first()
    tx.execute(sa.delete(requests).where(requests.c.created_at < now - KEPT_MS, requests.c.answer.is_not(None)))
    return begun is not None


def set_answer(tx: Connection, key: RequestKey, answer: bytes) -> None:
    """Store the answer of a request that was begun."""
    tx.execute(sa.update(requests).where(*_where(key)).values(answer=answer))


def _where(key: RequestKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        requests.c.principal == key.principal,
        requests.c.call == key.call,
        requests.c.request_id == key.request_id,
    )
