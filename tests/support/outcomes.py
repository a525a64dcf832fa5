"""What a writer reports, without a writer."""

from __future__ import annotations

from typing import Any

from indelible_server.domain import outcomes
from indelible_server.domain.outcomes import Conflicted, Failed, Outcome, Verified
from indelible_server.files.plan import Identity
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.leases import Claim

IDENTITY = Identity(size=2000, mtime_ns=22, inode=222)


def acknowledge(database: Database, catalog: Catalog, *reported: Outcome) -> int:
    """Put outcomes on record; how many were accepted."""
    return database.write(outcomes.acknowledge, catalog.catalog_id, reported)


def verified(claim: Claim, **values: Any) -> Verified:
    """The file holds what the item wanted when it was claimed."""
    tags = values.pop("tags", claim.item.tags)
    return Verified(claim, **{"homes": {"embedded": tags}, "identity": IDENTITY} | values)


def failed(claim: Claim, *, transient: bool, **values: Any) -> Failed:
    """The file could not be written."""
    reason = "LOCKED" if transient else "CORRUPT"
    return Failed(claim, reason, "a message", transient, **values)


def conflicted(claim: Claim) -> Conflicted:
    """File and catalog changed the title, and the policy is HOLD."""
    return Conflicted(
        verified(claim, homes={"embedded": {"title": "theirs"}}),
        [{"field": "title", "base": None, "theirs": "theirs"}],
    )
