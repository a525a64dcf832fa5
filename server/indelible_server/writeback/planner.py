"""What would bring an item's tags into its files. Reads them; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain import old_copies
from ..files.plan import Plan
from ..files.planning import plan as make_plan
from ..files.policy import Policy
from ..files.port import Root
from ..files.reading import read
from ..files.survey import alike
from ..files.tags import Tags
from ..storage import writes
from ..storage.database import Database
from ..storage.item import Item
from ..storage.writes import WRITES_KEPT


class Planner:
    """Plans for the items below one open root."""

    def __init__(self, database: Database, root: Root, policy: Policy) -> None:
        self._database = database
        self._root = root
        self._policy = policy

    def plan(self, item: Item) -> Plan:
        """The plan; `held` if people have to decide first. Raises `FileProblem`."""
        plan = self._made(item, item.homes)
        if plan.taken_in or plan.conflicts:
            base = self._base(item)
            plan = self._made(item, base) if base != item.homes else plan
        return plan

    def _made(self, item: Item, base: Mapping[str, Tags]) -> Plan:
        stale, sidecar = item.stale, item.sidecar
        return make_plan(
            self._root, item.key, base=base, stale=stale, ours=item.tags, policy=self._policy, sidecar=sidecar
        )

    def _base(self, item: Item) -> dict[str, Tags]:
        """What those have started from who have changed the files: our writes, unless an old copy was saved again."""
        written = self._database.read(writes.of_items, item.catalog_id, [item.item_id])[item.item_id]
        base = alike(item.homes, item.stale)
        reading = read(self._root, item.key, self._policy, base=base, sidecar=item.sidecar)
        return old_copies.set_aside(item, reading, written[:WRITES_KEPT])[0]
