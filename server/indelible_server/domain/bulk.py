"""Work on many items: in parts, each a short transaction, so that nobody waits long for the write lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

# A part keeps the write lock for less than 50 ms.
ITEMS_A_PART = 250
# Between two parts others get their turn at the write lock.
PAUSE_S = 0.002


@dataclass(frozen=True)
class Bulk:
    """What a call over a selection has to do.

    `matched` is how many items were selected, `ids` are those of them that there is something to do for. `part` does
    it for some of them and returns for how many it did; of what is done already it does nothing, so it may be repeated.
    """

    matched: int
    ids: Sequence[int]
    part: Callable[[Connection, Sequence[int]], int]
