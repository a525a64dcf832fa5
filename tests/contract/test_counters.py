"""The kept counts are what a recount gives, whatever was done to the items."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.storage import catalogs, items
from indelible_server.storage.catalogs import Catalog, Counts, Root
from indelible_server.storage.changeset import Changeset
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.tables import roots
from sqlalchemy import Connection
from support.edits import EVERYTHING, all_items
from support.samples import make_catalog, make_item

STEPS, MOST_AT_ONCE = 25, 12


@pytest.mark.parametrize("seed", [1, 2])
def test_kept_counts_equal_a_recount_after_any_sequence_of_changes(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    both = [two_roots(database, f"Archive {number}") for number in range(2)]
    for step in range(STEPS):
        catalog = chance.choice(both)
        database.write(change_at_random, catalog, chance.getrandbits(64), step)
        for each in both:
            assert kept(database, each) == recount(database, each)
    assert any(kept(database, each)[0][name] for each in both for name in ("failed", "conflicted", "held", "missing"))


def test_a_transaction_that_is_undone_leaves_the_counts(database: Database, catalog: Catalog) -> None:
    def work(tx: Connection) -> None:
        changeset = Changeset(tx, catalog.catalog_id)
        changeset.add(make_item(catalog, unsynced_since=1, state=ItemState.PENDING))
        changeset.save()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(work)
    assert database.read(catalogs.counts, catalog.catalog_id) == Counts(0, 0, 0, 0, 0, 0, 0, 0)


def test_each_transaction_raises_the_revision_once_and_marks_what_it_changed(
    database: Database, catalog: Catalog
) -> None:
    def work(tx: Connection, change: list[Item], add: int) -> list[Item]:
        changeset = Changeset(tx, catalog.catalog_id)
        changed = [changeset.update(item, replace(item, note="x")) for item in change]
        changed += [changeset.add(make_item(catalog, f"{len(change)} {number}")) for number in range(add)]
        changeset.save()
        return changed

    first = database.write(work, [], 3)
    assert {item.change_revision for item in first} == {1}
    second = database.write(work, first[:2], 1)
    assert {item.change_revision for item in second} == {2}
    assert [item.change_revision for item in all_items(database, catalog)] == [2, 2, 1, 2]
    assert database.read(catalogs.counts, catalog.catalog_id).revision == 2


def test_item_ids_are_never_given_twice(database: Database, catalog: Catalog) -> None:
    def work(tx: Connection, gone: Item | None = None) -> Item:
        changeset = Changeset(tx, catalog.catalog_id)
        if gone is not None:
            changeset.remove(gone)
        added = changeset.add(make_item(catalog))
        changeset.save()
        return added

    first = database.write(work)
    assert database.write(work, first).item_id > first.item_id


def test_more_items_than_a_statement_bears_are_removed_in_one_transaction(database: Database, catalog: Catalog) -> None:
    """PostgreSQL takes 65,535 parameters. That these items were never stored makes no difference to that."""

    def work(tx: Connection) -> None:
        changeset = Changeset(tx, catalog.catalog_id)
        for number in range(70_000):
            changeset.remove(make_item(catalog, item_id=number + 1))
        changeset.save()

    database.write(work)


def two_roots(database: Database, name: str) -> Catalog:
    """A catalog with two roots."""
    catalog = make_catalog(database, name)
    second = Root(f"{catalog.catalog_id + 1000:032x}", catalog.catalog_id, b"/second", read_only=False)
    database.write(catalogs.insert_root, second)
    stored = database.read(catalogs.get, catalog.catalog_id)
    assert stored is not None
    return stored


def change_at_random(tx: Connection, catalog: Catalog, seed: int, step: int) -> None:
    """Add, change and remove some items in one transaction."""
    chance = random.Random(seed)
    changeset = Changeset(tx, catalog.catalog_id)
    ids = items.selected_ids(tx, catalog.catalog_id, EVERYTHING)
    present = items.get_many(tx, catalog.catalog_id, ids)
    for item in chance.sample(present, min(len(present), chance.randrange(MOST_AT_ONCE))):
        if chance.random() < 0.2:
            changeset.remove(item)
        else:
            changeset.update(item, replace(item, **state_at_random(chance)))
    for number in range(chance.randrange(MOST_AT_ONCE)):
        root = chance.choice(catalog.roots)
        item = make_item(catalog, f"{step}/{number}", root_id=root.root_id)
        changeset.add(replace(item, **state_at_random(chance)))
    changeset.save()


def state_at_random(chance: random.Random) -> dict[str, Any]:
    """A state, and what goes with it."""
    state = chance.choice(list(ItemState))
    return {
        "state": state,
        "unsynced_since": None if state is ItemState.SYNCED else 1,
        "missing_since": chance.choice([None, 5]),
    }


def kept(database: Database, catalog: Catalog) -> tuple[dict[str, int], dict[str, int]]:
    """The kept counts of a catalog and of its roots."""
    counts = database.read(catalogs.counts, catalog.catalog_id)
    names = ("total", "unsynced", "failed", "conflicted", "held", "missing")
    query = sa.select(roots.c.root_id, roots.c.unsynced).where(roots.c.catalog_id == catalog.catalog_id)
    of_roots = database.read(lambda tx: {row.root_id: row.unsynced for row in tx.execute(query)})
    return {name: getattr(counts, name) for name in names}, of_roots


def recount(database: Database, catalog: Catalog) -> tuple[dict[str, int], dict[str, int]]:
    """The same, counted item by item."""
    found = all_items(database, catalog)
    states = Counter(item.state for item in found)
    counts = {
        "total": len(found),
        "unsynced": sum(item.unsynced_since is not None for item in found),
        "failed": states[ItemState.FAILED],
        "conflicted": states[ItemState.CONFLICTED],
        "held": states[ItemState.HELD],
        "missing": sum(item.missing_since is not None for item in found),
    }
    of_roots = Counter(item.root_id for item in found if item.unsynced_since is not None)
    return counts, {root.root_id: of_roots[root.root_id] for root in catalog.roots}
