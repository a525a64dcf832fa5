"""A root that goes away while a writer is at work: nothing is concluded from what is not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from indelible_server.domain import policies
from indelible_server.files import port
from indelible_server.files.planning import plan
from indelible_server.roots import Roots
from indelible_server.storage import catalogs, intents, leases
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.writeback.pipeline import Pipeline
from indelible_server.writeback.planned import Planned
from support.edits import claim, edit, now, title
from support.photos import make_photos, seen
from support.samples import add_items, make_catalog


class Share(Roots):
    """A root that was there when it was opened, and then is, or is not."""

    there = True

    def is_present(self, root: Root) -> bool:
        """As the test says."""
        return self.there

    @contextlib.contextmanager
    def open(self, root: Root) -> Iterator[port.Root]:
        """Always: it goes later."""
        with port.Root(root.path) as opened:
            yield opened


@pytest.fixture
def share() -> Share:
    """A root that is there."""
    return Share()


@pytest.fixture
def pipeline(database: Database, share: Share) -> Pipeline:
    """A writer's pipeline on that root."""
    return Pipeline(database, "this host", roots=share, begin=lambda claim: None, may_go_on=lambda: True)


@pytest.fixture
def unsettled(database: Database, tmp_path: Path) -> tuple[Catalog, Item, Path]:
    """An item with a live intent, whose writer is dead."""
    (path,) = make_photos(tmp_path / "photos", 1)
    catalog = make_catalog(database, root_path=str(path.parent).encode(), quiet_ms=0, auto_sync=True)
    (item,) = add_items(database, catalog, [path.name])
    edit(database, catalog, title("new"))
    (dead,) = claim(database, catalog)
    with port.Root(str(path.parent)) as root:
        made = plan(root, item.key, base=item.homes, ours=dead.item.tags, policy=policies.engine_policy(catalog))
    database.write(intents.insert, Planned.make(dead, made).intents)
    database.write(leases.release, [dead])
    return catalog, item, path


def live(database: Database, item: Item) -> int:
    """How many intents of the item are not settled."""
    return len(database.read(intents.of_items, item.catalog_id, [item.item_id]).get(item.item_id, []))


def test_an_intent_on_a_root_that_goes_away_is_settled_when_it_is_back(
    database: Database, pipeline: Pipeline, share: Share, unsettled: tuple[Catalog, Item, Path]
) -> None:
    """I2: its file may be torn, and come back so."""
    catalog, item, path = unsettled
    away = path.rename(path.with_suffix(".away"))
    share.there = False
    pipeline.settle(catalog, database.write(leases.claim_unsettled, "settler", 5))
    assert live(database, item) == 1
    assert now(database, item).state is ItemState.PENDING
    assert database.write(leases.claim_unsettled, "settler", 5) == []

    away.rename(path)
    share.there = True
    database.write(catalogs.set_root_offline, item.root_id, False)
    pipeline.settle(catalog, database.write(leases.claim_unsettled, "settler", 5))
    assert live(database, item) == 0
    pipeline.write(catalog, claim(database, catalog))
    assert now(database, item).state is ItemState.SYNCED
    assert seen(path).title == "new"
