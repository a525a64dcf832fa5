"""Cutting long lists and long walks into parts that a statement or a transaction can bear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

T = TypeVar("T")

# Bound parameters of one statement: well below every database's limit.
IDS_A_QUERY = 500


def parts(values: Sequence[T], size: int = IDS_A_QUERY) -> Iterator[Sequence[T]]:
    """The values in slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def some_keys(tx: Connection, table: sa.Table, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """The next items, by catalog and id, that a table has rows of."""
    key = table.c.catalog_id, table.c.item_id
    query = sa.select(*key).distinct().where(between(sa.tuple_(*key), after)).order_by(*key).limit(limit)
    return [tuple(row) for row in tx.execute(query)]


def delete_rows(tx: Connection, table: sa.Table, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Remove rows, each by its own key: `names` are the columns of that."""
    one = sa.delete(table).where(*(table.c[name] == sa.bindparam(f"its_{name}") for name in names))
    tx.execute(one, [{f"its_{name}": value for name, value in zip(names, row, strict=True)} for row in rows])


def between(key: ColumnElement[Any], after: Sequence[int], last: Sequence[int] | None = None) -> ColumnElement[bool]:
    """Whether a key of numbers is behind `after`, and not behind `last`: a walk along an index."""
    behind = key > _numbers(after)
    return behind if last is None else sa.and_(behind, key <= _numbers(last))


def _numbers(values: Sequence[int]) -> sa.Tuple:
    return sa.tuple_(*(sa.literal(value, sa.BigInteger) for value in values))
