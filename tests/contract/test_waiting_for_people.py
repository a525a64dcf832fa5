"""Conflicts and holds in the store: what people decide, and when, against what writers report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.domain import conflicts, holds, policies
from indelible_server.domain import runs as run_rules
from indelible_server.domain.bulk import ITEMS_A_PART
from indelible_server.domain.conflicts import Side
from indelible_server.domain.outcomes import Conflicted, Failed
from indelible_server.domain.principal import Principal, Role
from indelible_server.files import port
from indelible_server.files.planning import plan
from indelible_server.files.policy import Policy
from indelible_server.files.reading import verify
from indelible_server.storage import catalogs, history, intents, leases, runs
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.tables import roots
from indelible_server.writeback.planned import Planned
from support.edits import EVERYTHING, all_items, claim, edit, now, title, work_off
from support.intents import make_intent
from support.outcomes import acknowledge, conflicted, failed, verified
from support.photos import edit_outside, make_photos
from support.samples import add_items, make_catalog

ANN = Principal("ann", Role.EDITOR, on_behalf_of="bob")


@pytest.fixture
def held_back(database: Database) -> Catalog:
    """A catalog with the policy HOLD."""
    return make_catalog(database, quiet_ms=0, policy=Policy.from_json({"conflicts": "HOLD"}).to_json())


def hold(database: Database, catalog: Catalog) -> int:
    """Hold all items."""
    bulk = database.read(holds.hold, ANN, catalog, EVERYTHING, "CHECKED_OUT", "why")
    return database.write(bulk.part, bulk.ids)


def release(database: Database, catalog: Catalog) -> int:
    """Release all items."""
    return work_off(database, holds.release, catalog, EVERYTHING)


def resolve(database: Database, catalog: Catalog, side: Side) -> int:
    """Decide all conflicts."""

    def begin(tx: Any, catalog: Catalog) -> Any:
        return conflicts.resolution(tx, ANN, catalog, EVERYTHING, side, ())

    return work_off(database, begin, catalog)


def in_conflict(database: Database, catalog: Catalog, *paths: str) -> list[Item]:
    """Items whose title is "ours" in the catalog and "theirs" in the file."""
    stored = add_items(database, catalog, list(paths))
    edit(database, catalog, title("ours"), items=stored)
    acknowledge(database, catalog, *(conflicted(each) for each in claim(database, catalog)))
    return [now(database, item) for item in stored]


def counts(database: Database, catalog: Catalog) -> tuple[int, int, int]:
    """How many are unsynced, conflicted and held."""
    kept = database.read(catalogs.counts, catalog.catalog_id)
    return kept.unsynced, kept.conflicted, kept.held


def test_what_the_file_held_at_the_conflict_is_what_a_decision_is_written_over(
    database: Database, held_back: Catalog
) -> None:
    """I4: the writer merges from there, so that what came later is in conflict anew."""
    (item,) = in_conflict(database, held_back, "a")
    assert (item.state, item.homes) == (ItemState.CONFLICTED, {"embedded": {"title": "theirs"}})
    assert resolve(database, held_back, Side.CATALOG) == 1
    (again,) = claim(database, held_back)
    assert (again.item.tags, again.item.homes) == ({"title": "ours"}, {"embedded": {"title": "theirs"}})


def test_decisions_on_many_items_are_made_in_parts_and_each_once(database: Database, held_back: Catalog) -> None:
    number = 2 * ITEMS_A_PART + 1
    in_conflict(database, held_back, *(f"{index:04}" for index in range(number)))
    assert counts(database, held_back) == (number, number, 0)
    revision = database.read(catalogs.counts, held_back.catalog_id).revision
    bulk = database.read(conflicts.resolution, ANN, held_back, EVERYTHING, Side.FILE, ())
    assert database.write(bulk.part, bulk.ids[:ITEMS_A_PART]) == ITEMS_A_PART
    assert database.write(bulk.part, bulk.ids[:ITEMS_A_PART]) == 0
    assert resolve(database, held_back, Side.FILE) == number - ITEMS_A_PART
    assert counts(database, held_back) == (0, 0, 0)
    items = all_items(database, held_back)
    assert {item.tags["title"] for item in items} == {"theirs"}
    assert len({item.revision for item in items}) == 3
    assert min(item.revision for item in items) > revision
    (newest, *_) = database.read(history.of_item, held_back.catalog_id, items[0].item_id, 5)
    assert (newest.principal, newest.on_behalf_of, newest.source) == ("ann", "bob", "RESCAN")
    assert newest.changes == {"title": ["ours", "theirs"]}


def test_an_edit_that_came_while_the_conflict_was_found_may_have_ended_it(
    database: Database, held_back: Catalog
) -> None:
    (item,) = add_items(database, held_back, ["a"])
    edit(database, held_back, title("ours"))
    (mine,) = claim(database, held_back)
    edit(database, held_back, title("theirs"))
    acknowledge(database, held_back, conflicted(mine))
    after = now(database, item)
    assert (after.state, after.conflicts) == (ItemState.PENDING, [])
    acknowledge(database, held_back, verified(*claim(database, held_back)))
    assert counts(database, held_back) == (0, 0, 0)


def test_a_file_that_changes_while_its_conflict_is_told_is_looked_at_again(
    database: Database, held_back: Catalog, tmp_path: Path
) -> None:
    """What people are shown and what a decision is written over are one and the same."""
    (path,) = make_photos(tmp_path / "photos", 1)
    add_items(database, held_back, [path.name])
    edit(database, held_back, title("ours"))
    (mine,) = claim(database, held_back)
    policy = policies.engine_policy(held_back)
    edit_outside(path, title="theirs")
    with port.Root(str(path.parent)) as root:
        planned = Planned.make(mine, plan(root, b"p0000.jpg", base=mine.item.homes, ours=mine.item.tags, policy=policy))
        told = planned.conflicted(verify(root, planned.plan, policy))
        edit_outside(path, title="theirs, later")
        too_late = planned.conflicted(verify(root, planned.plan, policy))
    assert isinstance(told, Conflicted)
    assert told.conflicts == [{"field": "title", "base": None, "theirs": "theirs"}]
    assert isinstance(too_late, Failed)
    assert (too_late.reason, too_late.transient) == ("CONFLICT", True)


def test_a_conflict_under_another_policy_is_decided_by_it(database: Database, catalog: Catalog) -> None:
    """A writer may report it after the policy was changed."""
    (item,) = in_conflict(database, catalog, "a")
    conflicts.follow_policies(database)
    after = now(database, item)
    assert (after.state, after.tags) == (ItemState.PENDING, {"title": "ours"})
    conflicts.follow_policies(database)
    assert now(database, item) == after


def test_an_item_that_is_held_while_a_writer_has_it_is_what_the_writer_reports(
    database: Database, catalog: Catalog
) -> None:
    written, broken = add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    first, second = claim(database, catalog)
    assert hold(database, catalog) == 2
    assert counts(database, catalog) == (2, 0, 2)
    acknowledge(database, catalog, verified(first), failed(second, transient=True))
    assert counts(database, catalog) == (1, 0, 1)
    synced, waiting = now(database, written), now(database, broken)
    assert synced.state is ItemState.SYNCED
    assert synced.hold is not None
    assert (waiting.state, waiting.due_at) == (ItemState.HELD, None)
    assert claim(database, catalog) == []
    assert release(database, catalog) == 2
    assert [each.item.item_id for each in claim(database, catalog)] == [broken.item_id]


def test_a_write_that_failed_on_a_held_item_is_settled_when_it_is_released(
    database: Database, catalog: Catalog
) -> None:
    """And not tried over and over meanwhile."""
    (item,) = add_items(database, catalog, ["a"])
    edit(database, catalog, title("new"))
    (mine,) = claim(database, catalog)
    database.write(intents.insert, [make_intent(mine.item)])
    hold(database, catalog)
    acknowledge(database, catalog, failed(mine, transient=True))
    assert database.write(leases.claim_unsettled, "settler", 5) == []
    release(database, catalog)
    assert [each.item.item_id for each in database.write(leases.claim_unsettled, "settler", 5)] == [item.item_id]


def test_a_run_counts_what_is_held_as_skipped(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    run = database.write(run_rules.start, ANN, catalog, None)
    (first,) = claim(database, catalog, run=run, limit=1)
    hold(database, catalog)
    acknowledge(database, catalog, verified(first))
    ended = database.read(runs.get, catalog.catalog_id, run.run_id)
    assert ended is not None
    assert (ended.state, ended.total, ended.done, ended.skipped) == (runs.COMPLETED, 2, 1, 1)


def test_a_hold_by_a_person_does_not_open_a_read_only_root(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"])
    hold(database, catalog)
    query = sa.update(roots).where(roots.c.root_id == item.root_id).values(read_only=True)
    database.write(lambda tx: tx.execute(query))
    edit(database, catalog, title("new"))
    assert now(database, item).hold == {
        "reason": "CHECKED_OUT", "note": "why", "by": "ann", "for": "bob", "at": now(database, item).hold["at"],
    }  # fmt: skip
    assert release(database, catalog) == 1
    assert now(database, item).hold == {"reason": "READ_ONLY_ROOT"}
    assert (release(database, catalog), hold(database, catalog)) == (0, 0)
    assert counts(database, catalog) == (1, 0, 1)


def test_a_held_item_with_a_conflict_waits_for_both(database: Database, held_back: Catalog) -> None:
    (item,) = in_conflict(database, held_back, "a")
    hold(database, held_back)
    assert now(database, item).state is ItemState.CONFLICTED
    resolve(database, held_back, Side.CATALOG)
    assert now(database, item).state is ItemState.HELD
    release(database, held_back)
    assert [each.item.item_id for each in claim(database, held_back)] == [item.item_id]
