"""How much may be written: what has been spent is earned again as time goes by, for a catalog and for each root.

What is spent is kept as the time at which all of it will have been earned again; until then nothing more is claimed.
So the average is never exceeded for long, without a row for each write, over any number of hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import Connection

from ..errors import invalid
from ..storage import spending
from ..storage.catalogs import Catalog

ITEMS_PER_MINUTE_LIMIT = 10_000_000
BYTES_PER_SECOND_LIMIT = 2**50
# What may be spent in one go: what is earned in this time looks like a steady flow.
AT_ONCE_MS = 1000


@dataclass(frozen=True)
class Budget:
    """What may be written on average; 0: no limit."""

    items_per_minute: int = 0
    bytes_per_second: int = 0

    def __bool__(self) -> bool:
        return bool(self.items_per_minute or self.bytes_per_second)

    def cost_ms(self, items: int, size: int) -> dict[str, int]:
        """How long it takes to earn so many items and bytes, each for itself: the slower one decides."""
        of_items = items * 60_000 // self.items_per_minute if self.items_per_minute else 0
        of_bytes = size * 1000 // self.bytes_per_second if self.bytes_per_second else 0
        return {"items": of_items, "bytes": of_bytes}

    def items_at_once(self) -> int | None:
        """How many items may be claimed together; None: no limit. Their bytes are known when they are written."""
        if self.bytes_per_second:
            return 1
        return max(AT_ONCE_MS * self.items_per_minute // 60_000, 1) if self.items_per_minute else None

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Self:
        """What was stored; None: no limit."""
        return cls(**values or {})


@dataclass(frozen=True)
class Room:
    """What the budgets of a catalog leave at a moment.

    `until` is when the catalog's own is earned again, and `spent_roots` when those of roots are: only times to come.
    """

    until: int | None = None
    spent_roots: Mapping[str, int] = field(default_factory=dict)

    def is_there_for(self, catalog: Catalog) -> bool:
        """Whether anything may be written anywhere."""
        return self.until is None and any(root.root_id not in self.spent_roots for root in catalog.roots)


def make_budget(items_per_minute: int, bytes_per_second: int, at: str) -> dict[str, int] | None:
    """A budget as it is stored; None if it sets no limit. Raises `InvalidArgument`."""
    values = {"items_per_minute": items_per_minute, "bytes_per_second": bytes_per_second}
    limits = {"items_per_minute": ITEMS_PER_MINUTE_LIMIT, "bytes_per_second": BYTES_PER_SECOND_LIMIT}
    for name, value in values.items():
        if not 0 <= value <= limits[name]:
            raise invalid(f"{at}.{name}", f"is not between 0 (no limit) and {limits[name]:,}")
    return values if any(values.values()) else None


def has_budgets(catalog: Catalog) -> bool:
    """Whether anything limits how much may be written."""
    return catalog.budget is not None or any(root.budget is not None for root in catalog.roots)


def room(tx: Connection, catalog: Catalog, now: int, *, to_spend: bool = False) -> Room:
    """What the catalog's budgets leave now; `to_spend` if some of it is about to be spent."""
    if not has_budgets(catalog):
        return Room()
    found = spending.of_catalog(tx, catalog.catalog_id, lock=to_spend)
    later = {root_id: at for root_id, at in found.items() if at > now}
    limited = {root.root_id for root in catalog.roots if root.budget is not None}
    own = later.get(spending.CATALOG) if catalog.budget is not None else None
    return Room(own, {root_id: at for root_id, at in later.items() if root_id in limited})


def items_at_once(catalog: Catalog, limit: int) -> int:
    """How many items may be claimed together, `limit` at most."""
    budgets = [catalog.budget, *(root.budget for root in catalog.roots)]
    allowed = (Budget.from_json(each).items_at_once() for each in budgets)
    return min([limit, *(number for number in allowed if number is not None)])


def spend(tx: Connection, catalog: Catalog, root_id: str, items: int, size: int) -> None:
    """Note what was claimed or written below a root, as far as anything limits it."""
    its_budget = next((root.budget for root in catalog.roots if root.root_id == root_id), None)
    for key, stored in ((spending.CATALOG, catalog.budget), (root_id, its_budget)):
        for kind, cost in Budget.from_json(stored).cost_ms(items, size).items():
            if cost:
                spending.add(tx, catalog.catalog_id, key, kind, cost)
