"""Request ids: a mutating call that is repeated gives its first answer and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import now_ms
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


def insert(tx: Connection, key: RequestKey, answer: bytes | None) -> None:
    """Store a request with its answer, in the transaction of the edit itself; forgets what is past retention."""
    now = now_ms(tx)
    tx.execute(
        sa.insert(requests).values(
            principal=key.principal,
            call=key.call,
            request_id=key.request_id,
            digest=key.digest,
            answer=answer,
            created_at=now,
        )
    )
    tx.execute(sa.delete(requests).where(requests.c.created_at < now - KEPT_MS, requests.c.answer.is_not(None)))


def set_answer(tx: Connection, key: RequestKey, answer: bytes) -> None:
    """Store the answer of a request that was being worked off."""
    tx.execute(sa.update(requests).where(*_where(key)).values(answer=answer))


def _where(key: RequestKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        requests.c.principal == key.principal,
        requests.c.call == key.call,
        requests.c.request_id == key.request_id,
    )
