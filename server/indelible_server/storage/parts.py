"""Cutting long lists into parts that a statement or a transaction can bear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# Bound parameters of one statement: well below every database's limit.
IDS_A_QUERY = 500


def parts(values: Sequence[T], size: int = IDS_A_QUERY) -> Iterator[Sequence[T]]:
    """The values in slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
