"""What is due in a catalog, told from kept counts and the near end of one index: cheap at any size."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from .item import ItemState
from .tables import items, roots

# Beyond this many an exact number tells a person nothing.
COUNTED_UP_TO = 10_000


@dataclass(frozen=True)
class NotYet:
    """Items whose time has not come: how many, and when the first one's comes."""

    items: int = 0
    until: int | None = None


def anything_ready(tx: Connection, catalog_id: int, now: int, not_below: Collection[str] = ()) -> bool:
    """Whether auto-sync may write an item now: due, and on a root that is there and none of `not_below`."""
    its_roots = sa.select(roots.c.root_id).where(
        roots.c.catalog_id == catalog_id, roots.c.read_only.is_(False), roots.c.offline_since.is_(None)
    )
    if not_below:
        its_roots = its_roots.where(roots.c.root_id.not_in(not_below))
    query = sa.select(items.c.item_id).where(
        items.c.catalog_id == catalog_id,
        items.c.due_at <= now,
        items.c.missing_since.is_(None),
        items.c.root_id.in_(its_roots),
    )
    return tx.execute(query.limit(1)).first() is not None


def not_yet(tx: Connection, catalog_id: int, now: int) -> dict[ItemState, NotYet]:
    """The items that are due later than now, by state: PENDING for the quiet period, FAILED for a retry."""
    later = (
        sa.select(items.c.state, items.c.due_at)
        .where(items.c.catalog_id == catalog_id, items.c.due_at > now)
        .order_by(items.c.due_at)
        .limit(COUNTED_UP_TO)
        .subquery()
    )
    query = sa.select(later.c.state, sa.func.count(), sa.func.min(later.c.due_at)).group_by(later.c.state)
    return {ItemState(state): NotYet(number, until) for state, number, until in tx.execute(query)}
