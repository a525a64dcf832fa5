"""What is left of removed items, so that whoever watches a catalog hears of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import now_ms
from .tables import counters, tombstones

KEPT_MS = 30 * 24 * 3600 * 1000


def outdated(tx: Connection) -> list[int]:
    """The catalogs with tombstones that are past retention."""
    query = sa.select(tombstones.c.catalog_id).distinct()
    return list(tx.scalars(query.where(tombstones.c.removed_at < now_ms(tx) - KEPT_MS)))


def compact(tx: Connection, catalog_id: int, limit: int) -> int:
    """Remove up to `limit` of a catalog's that are past retention; returns how many.

    A watcher that comes from before them is told to list again. The caller holds the catalog's lock.
    """
    mine = tombstones.c.catalog_id == catalog_id
    query = sa.select(tombstones.c.change_revision).where(mine, tombstones.c.removed_at < now_ms(tx) - KEPT_MS)
    oldest = list(tx.scalars(query.order_by(tombstones.c.change_revision).limit(limit)))
    if not oldest:
        return 0
    # Of one revision all go together: a place in the middle of it is none to come back to.
    gone = tx.execute(sa.delete(tombstones).where(mine, tombstones.c.change_revision <= oldest[-1])).rowcount
    tx.execute(sa.update(counters).where(counters.c.catalog_id == catalog_id).values(compacted_revision=oldest[-1]))
    return int(gone)
