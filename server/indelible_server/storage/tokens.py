"""Access tokens, stored as hashes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from .database import now_ms
from .item import dump
from .tables import tokens


@dataclass(frozen=True)
class Token:
    """What a bearer may do. `catalogs` None: every catalog."""

    token_id: str
    name: str
    role: str
    catalogs: tuple[int, ...] | None = None
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None


def digest(secret: str) -> bytes:
    """What is stored of a token. It is 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def insert(tx: Connection, token: Token, secret: str) -> None:
    """Store a new token; the secret itself is not kept."""
    values = {name: getattr(token, name) for name in Token.__dataclass_fields__}
    values |= {"catalogs": dump(token.catalogs), "digest": digest(secret), "created_at": now_ms(tx)}
    tx.execute(sa.insert(tokens).values(values))


def find(tx: Connection, secret: str) -> Token | None:
    """The token of this secret if it is valid now. Found by hash: no comparison leaks how much was right."""
    row = tx.execute(sa.select(tokens).where(tokens.c.digest == digest(secret))).first()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now_ms(tx)):
        return None
    return _token(row)


def list_all(tx: Connection) -> list[Token]:
    """All tokens, the oldest first."""
    return [_token(row) for row in tx.execute(sa.select(tokens).order_by(tokens.c.token_id))]


def revoke(tx: Connection, token_id: str) -> bool:
    """Make a token worthless; False if there is none of this id."""
    done = tx.execute(sa.update(tokens).where(tokens.c.token_id == token_id).values(revoked_at=now_ms(tx)))
    return done.rowcount > 0


def _token(row: Row[Any]) -> Token:
    limited = json.loads(row.catalogs)
    values = {name: getattr(row, name) for name in Token.__dataclass_fields__}
    return Token(**values | {"catalogs": None if limited is None else tuple(limited)})
