"""What has been spent of the budgets of catalogs and roots: the time at which it will have been earned again."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import insert_into, now_ms, touch
from .tables import spending

CATALOG = ""
"""In place of a root's id: the catalog as a whole."""


def of_catalog(tx: Connection, catalog_id: int, *, lock: bool = False) -> dict[str, int]:
    """By root, or CATALOG, when all that was spent is earned again. `lock`: nobody else spends meanwhile."""
    query = sa.select(spending.c.root_id, spending.c.earned_at).where(spending.c.catalog_id == catalog_id)
    query = query.order_by(spending.c.root_id, spending.c.kind, spending.c.earned_at)
    found: dict[str, int] = {}
    for root_id, earned_at in tx.execute(query.with_for_update() if lock else query):
        found[root_id] = max(found.get(root_id, 0), int(earned_at))
    return found


def add(tx: Connection, catalog_id: int, root_id: str, kind: str, cost_ms: int) -> None:
    """Spend what takes so long to be earned. Several at a time add up, each kind for itself."""
    now = now_ms(tx)
    key = {"catalog_id": catalog_id, "root_id": root_id, "kind": kind}
    row = insert_into(tx, spending).values(key | {"earned_at": now + cost_ms})
    later = sa.case((spending.c.earned_at > now, spending.c.earned_at), else_=now) + cost_ms
    tx.execute(row.on_conflict_do_update(index_elements=list(key), set_={"earned_at": later}))
    touch(tx, catalog_id)


def forget(tx: Connection, catalog_id: int, root_id: str) -> None:
    """Begin anew: by another budget, what was spent would take another time to be earned."""
    tx.execute(sa.delete(spending).where(spending.c.catalog_id == catalog_id, spending.c.root_id == root_id))


def next_earned(tx: Connection) -> int | None:
    """When the first of the budgets that are spent is earned again."""
    found: int | None = tx.scalar(sa.select(sa.func.min(spending.c.earned_at)).where(spending.c.earned_at > now_ms(tx)))
    return found
