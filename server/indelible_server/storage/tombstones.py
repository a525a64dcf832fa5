"""What is left of removed items, so that whoever watches a catalog hears of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from .database import now_ms
from .tables import counters, tombstones

KEPT_MS = 30 * 24 * 3600 * 1000


def outdated(tx: Connection, catalog_id: int, limit: int) -> int | None:
    """The revision up to which removals are past retention, of the oldest `limit` ones; None if none is."""
    oldest = sa.select(tombstones.c.change_revision, tombstones.c.removed_at)
    oldest = oldest.where(tombstones.c.catalog_id == catalog_id).order_by(tombstones.c.change_revision).limit(limit)
    before = now_ms(tx) - KEPT_MS
    return max((row.change_revision for row in tx.execute(oldest) if row.removed_at < before), default=None)


def compact(tx: Connection, catalog_id: int, up_to: int) -> int:
    """Remove those up to a revision, all of it; returns how many. The caller holds the catalog's lock.

    A watcher that comes from before it is told to list again.
    """
    these = tombstones.c.catalog_id == catalog_id, tombstones.c.change_revision <= up_to
    gone = tx.execute(sa.delete(tombstones).where(*these)).rowcount
    tx.execute(sa.update(counters).where(counters.c.catalog_id == catalog_id).values(compacted_revision=up_to))
    return int(gone)
