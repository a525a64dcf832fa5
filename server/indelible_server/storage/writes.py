"""The write history: every settled write of an item, and for a time the bytes that it replaced.

A write is a row for each file that it changed; the first of them, whose id is that of the write, speaks for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row

from .database import now_ms
from .item import dump
from .parts import between, delete_rows, some_keys
from .tables import items, writes

VERIFIED, FOREIGN = "VERIFIED", "FOREIGN"
WRITES_KEPT = 10
KEPT_MS = 90 * 24 * 3600 * 1000
# Of one item, without their bytes: however often a program writes it, there are no more.
ON_RECORD = 100
_EXPIRED = b""


@dataclass(frozen=True)
class Note:
    """What is put on record of a write, as `Write` has it."""

    revision: int
    method: str
    changes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    run_id: str | None = None
    undo_of: str | None = None
    principal: str = ""
    on_behalf_of: str = ""


@dataclass(frozen=True)
class Write:
    """One write into the files of an item.

    `revision` is the edit that the files hold since, and `run_id` the run that has counted it. `changes` are the fields
    that were written, with what the item's files said before and after. `undo_of` is the write that it took back, for
    `principal`. `undoable`: the bytes that it replaced are still kept.
    """

    item_id: int
    write_id: str
    at: int
    run_id: str | None
    outcome: str
    bytes_written: int
    revision: int
    method: str
    changes: dict[str, list[Any]]
    undo_of: str | None
    principal: str
    on_behalf_of: str
    undoable: bool


def of_items(tx: Connection, catalog_id: int, item_ids: Sequence[int]) -> dict[int, list[Write]]:
    """The writes of each of these items, the newest first."""
    found = {}
    for item_id in item_ids:
        newest = _heads(catalog_id, item_id).order_by(*_NEWEST_FIRST).limit(ON_RECORD)
        found[item_id] = [_write(row) for row in tx.execute(newest)]
    return found


def get(tx: Connection, catalog_id: int, item_id: int, write_id: str) -> Write | None:
    """The item's write of this id, or None."""
    row = tx.execute(_heads(catalog_id, item_id).where(writes.c.write_id == write_id)).first()
    return None if row is None else _write(row)


def plans(tx: Connection, catalog_id: int, item_id: int, write_id: str) -> list[bytes]:
    """The plans of a write, one for each file, in the order in which they were carried out; empty if expired."""
    query = sa.select(writes.c.plan).where(_of_item(catalog_id, item_id), writes.c.write_id == write_id)
    return [plan for plan in tx.scalars(query.order_by(writes.c.intent_id)) if plan != _EXPIRED]


def items_of_run(tx: Connection, catalog_id: int, run_id: str, after: int, limit: int) -> list[int]:
    """The items, behind the id `after`, that were written in a run and are still there."""
    query = sa.select(writes.c.item_id).distinct().where(*_written_in(catalog_id, run_id), writes.c.item_id > after)
    return list(tx.scalars(query.order_by(writes.c.item_id).limit(limit)))


def count_items_of_run(tx: Connection, catalog_id: int, run_id: str) -> int:
    """How many items these are in all."""
    query = sa.select(sa.func.count(writes.c.item_id.distinct())).where(*_written_in(catalog_id, run_id))
    return int(tx.scalar(query) or 0)


def page(tx: Connection, catalog_id: int, item_id: int, limit: int, before: tuple[int, str] | None) -> list[Write]:
    """Writes of an item, the newest first, older than `before`: a time and an id."""
    query = _heads(catalog_id, item_id)
    if before is not None:
        at, write_id = before
        query = query.where(sa.or_(writes.c.at < at, sa.and_(writes.c.at == at, writes.c.write_id < write_id)))
    return [_write(row) for row in tx.execute(query.order_by(*_NEWEST_FIRST).limit(limit))]


def count(tx: Connection, catalog_id: int, item_id: int) -> int:
    """How many writes of an item are on record."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(_heads(catalog_id, item_id).subquery())) or 0)


def row_values(note: Note, write_id: str, outcome: str, bytes_written: int) -> dict[str, Any]:
    """What all rows of a write have in common."""
    return {
        "run_id": note.run_id,
        "outcome": outcome,
        "bytes_written": bytes_written,
        "write_id": write_id,
        "revision": note.revision,
        "method": note.method,
        "changes": dump(note.changes),
        "undo_of": note.undo_of,
        "principal": note.principal,
        "on_behalf_of": note.on_behalf_of,
    }


def expire_beyond(tx: Connection, catalog_id: int, item_ids: Sequence[int]) -> None:
    """Let go of the bytes behind all but the last writes of items; that they happened stays on record for longer."""
    of_items = sa.and_(writes.c.catalog_id == catalog_id, writes.c.item_id.in_(item_ids))
    place = sa.func.row_number().over(partition_by=writes.c.item_id, order_by=_NEWEST_FIRST)
    placed = sa.select(writes.c.write_id, place.label("place")).where(of_items, _is_head()).subquery()
    beyond = list(tx.execute(sa.select(placed).where(placed.c.place > WRITES_KEPT)))
    if not beyond:
        return
    expired = [row.write_id for row in beyond if row.place <= ON_RECORD]
    forgotten = [row.write_id for row in beyond if row.place > ON_RECORD]
    kept = sa.and_(of_items, writes.c.write_id.in_(expired), writes.c.plan != _EXPIRED)
    tx.execute(sa.update(writes).where(kept).values(plan=_EXPIRED))
    if forgotten:
        tx.execute(sa.delete(writes).where(of_items, writes.c.write_id.in_(forgotten)))


def any_of(tx: Connection, catalog_id: int) -> bool:
    """Whether any file of the catalog was ever written; of each item the last write is always kept."""
    query = sa.select(writes.c.intent_id).where(writes.c.catalog_id == catalog_id)
    return tx.execute(query.limit(1)).first() is not None


def some_items(tx: Connection, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """The next items, by catalog and id, of which writes are on record."""
    return some_keys(tx, writes, after, limit)


def outdated(tx: Connection, after: tuple[int, int], last: tuple[int, int]) -> list[tuple[int, int, str]]:
    """The rows that are past retention, of the items behind `after` up to `last`: catalog, item and intent of each.

    The last write of an item that is there never is.
    """
    newer, one = writes.alias(), writes.c
    same_item = sa.and_(newer.c.catalog_id == one.catalog_id, newer.c.item_id == one.item_id)
    followed = sa.exists().where(
        same_item,
        newer.c.write_id.is_distinct_from(one.write_id),
        sa.tuple_(*_place(newer.c)) > sa.tuple_(*_place(one)),
    )
    there = sa.exists().where(items.c.catalog_id == one.catalog_id, items.c.item_id == one.item_id)
    some = between(sa.tuple_(one.catalog_id, one.item_id), after, last)
    query = sa.select(one.catalog_id, one.item_id, one.intent_id).where(
        some, one.at < now_ms(tx) - KEPT_MS, sa.or_(followed, ~there)
    )
    return [tuple(row) for row in tx.execute(query)]


def delete(tx: Connection, rows: Sequence[tuple[int, int, str]]) -> None:
    """Take rows off the record, each by its catalog, item and intent."""
    delete_rows(tx, writes, ("catalog_id", "item_id", "intent_id"), rows)


def _place(columns: Any) -> tuple[ColumnElement[Any], ...]:
    """What writes are ordered by: the database's clock, and not that of the hosts that gave them their ids."""
    return columns.at, columns.intent_id


_NEWEST_FIRST = [column.desc() for column in _place(writes.c)]


def _of_item(catalog_id: int, item_id: int) -> ColumnElement[bool]:
    return sa.and_(writes.c.catalog_id == catalog_id, writes.c.item_id == item_id)


def _is_head() -> ColumnElement[bool]:
    return writes.c.intent_id == writes.c.write_id


def _heads(catalog_id: int, item_id: int) -> sa.Select[Any]:
    columns = [writes.c[name] for name in Write.__dataclass_fields__ if name != "undoable"]
    kept = (sa.func.length(writes.c.plan) > 0).label("kept")
    return sa.select(*columns, kept).where(_of_item(catalog_id, item_id), _is_head())


def _written_in(catalog_id: int, run_id: str) -> tuple[ColumnElement[bool], ...]:
    there = sa.exists().where(items.c.catalog_id == writes.c.catalog_id, items.c.item_id == writes.c.item_id)
    return writes.c.catalog_id == catalog_id, writes.c.run_id == run_id, writes.c.outcome == VERIFIED, there


def _write(row: Row[Any]) -> Write:
    values = dict(row._mapping)
    undoable = bool(values.pop("kept")) and row.outcome == VERIFIED
    return Write(**values | {"changes": json.loads(row.changes), "undoable": undoable})
