"""Durable changes: a bulk edit that is worked off in parts and finished by the server after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from .database import now_ms
from .item import dump
from .parts import parts
from .tables import change_items, changes


@dataclass(frozen=True)
class Change:
    """A bulk edit with its frozen selection; what is left of it are the rows of `change_items`."""

    catalog_id: int
    change_id: str
    principal: str
    on_behalf_of: str
    source: str
    edits: list[dict[str, Any]]
    request: dict[str, str]
    matched: int
    changed: int = 0
    first_revision: int = 0
    last_revision: int = 0


def insert(tx: Connection, change: Change, item_ids: Sequence[int]) -> None:
    """Store a change and the items that it is for."""
    values = {name: getattr(change, name) for name in Change.__dataclass_fields__}
    values |= {"edits": dump(change.edits), "request": dump(change.request), "created_at": now_ms(tx)}
    tx.execute(sa.insert(changes).values(values))
    key = {"catalog_id": change.catalog_id, "change_id": change.change_id}
    for some in parts(item_ids):
        tx.execute(sa.insert(change_items), [key | {"item_id": item_id} for item_id in some])


def get(tx: Connection, catalog_id: int, change_id: str) -> Change | None:
    """The change, locked until the end of the transaction: two servers never work off the same part."""
    query = sa.select(changes).where(changes.c.catalog_id == catalog_id, changes.c.change_id == change_id)
    row = tx.execute(query.with_for_update()).first()
    return None if row is None else _change(row)


def unfinished(tx: Connection) -> list[Change]:
    """All changes that are not worked off, the oldest first."""
    return [_change(row) for row in tx.execute(sa.select(changes).order_by(changes.c.change_id))]


def take(tx: Connection, change: Change, limit: int) -> list[int]:
    """Take the next items off the change."""
    query = sa.select(change_items.c.item_id).where(*_left_of(change)).order_by(change_items.c.item_id).limit(limit)
    ids = list(tx.scalars(query))
    if ids:
        tx.execute(sa.delete(change_items).where(*_left_of(change), change_items.c.item_id <= ids[-1]))
    return ids


def progress(tx: Connection, change: Change) -> None:
    """Store how far a change is."""
    values = {name: getattr(change, name) for name in ("changed", "first_revision", "last_revision")}
    tx.execute(sa.update(changes).where(*_key(change)).values(values))


def delete(tx: Connection, change: Change) -> None:
    """Remove a change and what is left of it; its answer is with the request."""
    tx.execute(sa.delete(change_items).where(*_left_of(change)))
    tx.execute(sa.delete(changes).where(*_key(change)))


def _key(change: Change) -> tuple[sa.ColumnElement[bool], ...]:
    return changes.c.catalog_id == change.catalog_id, changes.c.change_id == change.change_id


def _left_of(change: Change) -> tuple[sa.ColumnElement[bool], ...]:
    return change_items.c.catalog_id == change.catalog_id, change_items.c.change_id == change.change_id


def _change(row: Row[Any]) -> Change:
    values = {name: getattr(row, name) for name in Change.__dataclass_fields__}
    return Change(**values | {"edits": json.loads(row.edits), "request": json.loads(row.request)})
