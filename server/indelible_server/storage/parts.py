"""Cutting long lists and long walks into parts that a statement or a transaction can bear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement

T = TypeVar("T")

# Bound parameters of one statement: well below every database's limit.
IDS_A_QUERY = 500


def parts(values: Sequence[T], size: int = IDS_A_QUERY) -> Iterator[Sequence[T]]:
    """The values in slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def between(key: ColumnElement[Any], after: Sequence[int], last: Sequence[int] | None = None) -> ColumnElement[bool]:
    """Whether a key of numbers is behind `after`, and not behind `last`: a walk along an index."""
    behind = key > _numbers(after)
    return behind if last is None else sa.and_(behind, key <= _numbers(last))


def _numbers(values: Sequence[int]) -> sa.Tuple:
    return sa.tuple_(*(sa.literal(value, sa.BigInteger) for value in values))
