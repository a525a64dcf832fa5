"""The program that looks into files to say what would be written, started by `PreviewProcess`; it changes nothing.

    python -m indelible_server.writeback.previewer

It reads a line for each batch of items and says two for each item: BEGUN, and its answer as JSON. Whatever a file makes
of it, its parent knows which one it was.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from ..config import load_settings
from ..domain import policies
from ..domain.previews import Preview, PreviewedFile
from ..errors import Unavailable
from ..files.plan import FilePlan, Home, Mode
from ..files.problems import FileProblem, shown
from ..files.tags import same
from ..logs import configure_logging
from ..processes import be_child, limit_cpu
from ..roots import Roots
from ..storage import catalogs, items
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.item import Item, ItemState
from .planned import changes_of
from .planner import Planner
from .previews import AWAY, BEGUN
from .writer import CPU_S

IN_CONFLICT = "in conflict with the file"


def preview(database: Database, roots: Roots, catalog: Catalog, item: Item) -> Preview:
    """What would be written for an item now."""
    about = Preview(item.item_id, item.format)
    note = _kept_back(item)
    if note:
        return replace(about, note=note)
    if item.state is ItemState.FAILED and item.due_at is None:
        return replace(about, failure=str(item.failure), message=item.failure_message)
    its_root = next(root for root in catalog.roots if root.root_id == item.root_id)
    if its_root.offline_since is not None:
        return replace(about, failure="STORAGE_OFFLINE", message="no host reaches its root")
    policy = policies.engine_policy(catalog)
    try:
        with roots.open(its_root) as root:
            plan = Planner(database, root, policy).plan(item)
    except FileProblem as problem:
        return replace(about, failure=str(problem.reason), message=problem.message)
    if plan.held:
        return replace(about, note=IN_CONFLICT)
    differing = {name: values for name, values in changes_of(plan).items() if not same(name, *values)}
    return replace(about, files=[_previewed(file) for file in plan.files], changes=differing, note=plan.note)


def _kept_back(item: Item) -> str:
    """Why an item would not be written whatever its file says."""
    if item.hold is not None:
        return f"held: {str(item.hold['reason']).lower().replace('_', ' ')}"
    if item.state is ItemState.CONFLICTED:
        return IN_CONFLICT
    return ""


def _previewed(file: FilePlan) -> PreviewedFile:
    is_sidecar = file.home is Home.SIDECAR
    return PreviewedFile(
        home=file.home.name,
        path=shown(file.target),
        method="SIDECAR" if is_sidecar else file.mode.name,
        bytes_to_write=file.new_size if file.rebuilds else file.bytes_changed,
        is_new=is_sidecar and file.mode is Mode.CREATE,
    )


def _answer(database: Database, roots: Roots, catalog_id: int, item_ids: Sequence[int]) -> None:
    catalog = database.read(catalogs.get, catalog_id)
    found = {} if catalog is None else {i.item_id: i for i in database.read(items.get_many, catalog_id, item_ids)}
    for item_id in item_ids:
        limit_cpu(CPU_S)
        item = found.get(item_id)
        # From here on, what happens is the item's doing.
        _say(BEGUN)
        told = None if catalog is None or item is None else preview(database, roots, catalog, item).to_json()
        _say(json.dumps(told))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - for the parent


def main() -> None:
    """Answer until the parent closes our standard input."""
    settings = load_settings({}, os.environ)
    configure_logging(settings.log_format)
    be_child(settings.data)
    database = Database(settings.database_url, lock_dir=settings.data, pool_size=1)
    roots = Roots(settings.local_roots)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _answer(database, roots, request["catalog_id"], request["item_ids"])
        except Unavailable:
            _say(AWAY)
    database.close()


if __name__ == "__main__":
    main()
