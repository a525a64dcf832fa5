"""What has been spent of the budgets of catalogs and roots: the time at which it will have been earned again."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import insert_into, now_ms, touch
from .tables import spending

CATALOG = ""
"""In place of a root's id: the catalog as a whole."""


def of_catalog(tx: Connection, catalog_id: int) -> dict[str, int]:
    """By root, or CATALOG, when all that was spent is earned again."""
    query = sa.select(spending.c.root_id, sa.func.max(spending.c.earned_at)).group_by(spending.c.root_id)
    return {root_id: int(at) for root_id, at in tx.execute(query.where(spending.c.catalog_id == catalog_id))}


def add(tx: Connection, catalog_id: int, root_id: str, kind: str, cost_ms: int) -> None:
    """Spend what takes so long to be earned. Several at a time add up, each kind for itself."""
    now = now_ms(tx)
    key = {"catalog_id": catalog_id, "root_id": root_id, "kind": kind}
    row = insert_into(tx, spending).values(key | {"earned_at": now + cost_ms})
    later = sa.case((spending.c.earned_at > now, spending.c.earned_at), else_=now) + cost_ms
    tx.execute(row.on_conflict_do_update(index_elements=list(key), set_={"earned_at": later}))
    touch(tx, catalog_id)


def next_earned(tx: Connection) -> int | None:
    """When the first of the budgets that are spent is earned again."""
    found: int | None = tx.scalar(sa.select(sa.func.min(spending.c.earned_at)).where(spending.c.earned_at > now_ms(tx)))
    return found
