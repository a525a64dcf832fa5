"""Which items a writer is given: those that may be written now, and first those whose fate is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from indelible_server.domain import runs as run_rules
from indelible_server.domain.principal import Principal, Role
from indelible_server.storage import catalogs, intents, leases
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database, now_ms
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.items import Selection
from indelible_server.storage.leases import Claim
from indelible_server.storage.runs import Run
from indelible_server.storage.tables import roots
from support.edits import claim, edit, now, title
from support.intents import make_intent
from support.samples import add_items, make_catalog, store_item

ANN = Principal("ann", Role.OPERATOR)
HOUR_MS = 3600 * 1000


def edited(database: Database, catalog: Catalog, *paths: str) -> list[Item]:
    """Items that are due, in the order of their paths."""
    stored = add_items(database, catalog, list(paths))
    edit(database, catalog, title("new"), items=stored)
    return [now(database, item) for item in stored]


def paths(claims: list[Claim]) -> set[str]:
    """The paths of claimed items."""
    return {each.item.path for each in claims}


def later(database: Database) -> int:
    """An hour from now, by the database's clock."""
    return database.read(now_ms) + HOUR_MS


def start(database: Database, catalog: Catalog, *selected: Item) -> Run:
    """A one-time run."""
    selection = Selection(ids=tuple(item.item_id for item in selected)) if selected else None
    return database.write(run_rules.start, ANN, catalog, selection)


def unsettled(database: Database) -> list[Claim]:
    """What a writer is given that asks for what has to be settled."""
    return database.write(leases.claim_unsettled, "writer", 10)


def switched_on(database: Database, catalog: Catalog) -> None:
    """Switch auto-sync on."""
    database.write(catalogs.update, replace(catalog, auto_sync=True))


def with_work(database: Database) -> list[tuple[int, bool]]:
    """Where a writer that has nothing to do looks for it."""
    return database.read(leases.catalogs_with_work, "writer")


def test_auto_sync_gives_what_is_due_and_nothing_else(database: Database, catalog: Catalog) -> None:
    _due, quiet, never = edited(database, catalog, "due", "quiet", "never")
    add_items(database, catalog, ["synced"])
    store_item(database, quiet, due_at=later(database))
    store_item(database, never, due_at=None, state=ItemState.FAILED)
    assert paths(claim(database, catalog)) == {"due"}


def test_what_has_waited_longest_is_given_first(database: Database, catalog: Catalog) -> None:
    for number, item in enumerate(edited(database, catalog, "b", "c", "a")):
        store_item(database, item, due_at=number + 1)
    assert [each.item.path for each in claim(database, catalog, limit=2)] == ["b", "c"]


def test_a_run_does_not_wait_for_the_quiet_period_but_for_the_delay_behind_a_failure(
    database: Database, catalog: Catalog
) -> None:
    _due, quiet, retry, again = edited(database, catalog, "due", "quiet", "retry", "again")
    store_item(database, quiet, due_at=later(database))
    store_item(database, retry, due_at=later(database), state=ItemState.FAILED)
    store_item(database, again, due_at=1, state=ItemState.FAILED)
    assert paths(claim(database, catalog, run=start(database, catalog))) == {"due", "quiet", "again"}


def test_a_run_gives_what_was_unsynced_when_it_began(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "before")
    run = start(database, catalog)
    edited(database, catalog, "after")
    assert paths(claim(database, catalog, run=run)) == {"before"}


def test_an_edit_during_the_run_keeps_a_member_a_member(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    run = start(database, catalog)
    edit(database, catalog, title("newer"), items=[item])
    assert paths(claim(database, catalog, run=run)) == {"a"}


def test_a_run_with_a_selection_keeps_to_it(database: Database, catalog: Catalog) -> None:
    one, _two = edited(database, catalog, "one", "two")
    assert paths(claim(database, catalog, run=start(database, catalog, one))) == {"one"}


def test_a_run_gives_each_item_until_it_is_counted(database: Database, catalog: Catalog) -> None:
    one, _two = edited(database, catalog, "one", "two")
    run = start(database, catalog)
    store_item(database, one, counted_run=run.run_id)
    assert paths(claim(database, catalog, run=run)) == {"two"}


@pytest.mark.parametrize("by_run", [False, True])
@pytest.mark.parametrize("hindrance", ["missing", "offline", "read_only", "intent", "other catalog"])
def test_what_cannot_be_written_is_not_given(
    database: Database, catalog: Catalog, hindrance: str, by_run: bool
) -> None:
    (item,) = edited(database, catalog, "a")
    run = start(database, catalog) if by_run else None
    root_id, asked = item.root_id, catalog
    if hindrance == "missing":
        store_item(database, item, missing_since=1)
    elif hindrance == "offline":
        database.write(catalogs.set_root_offline, root_id, True)
    elif hindrance == "read_only":
        query = sa.update(roots).where(roots.c.root_id == root_id).values(read_only=True)
        database.write(lambda tx: tx.execute(query))
    elif hindrance == "intent":
        database.write(intents.insert, [make_intent(item)])
    else:
        asked = make_catalog(database, "Other", b"/other")
    assert claim(database, asked, run=run) == []
    if hindrance != "other catalog" and not by_run:
        switched_on(database, catalog)
        assert with_work(database) == []


def test_a_writer_looks_only_into_catalogs_with_something_due_or_a_run(database: Database, catalog: Catalog) -> None:
    make_catalog(database, "Empty", b"/empty", auto_sync=True)
    quiet = make_catalog(database, "Quiet", b"/quiet", auto_sync=True, quiet_ms=HOUR_MS)
    edited(database, quiet, "a")
    edited(database, catalog, "a")
    assert with_work(database) == []
    switched_on(database, catalog)
    assert with_work(database) == [(catalog.catalog_id, False)]
    claim(database, catalog)
    assert with_work(database) == []
    start(database, quiet)
    assert with_work(database) == [(quiet.catalog_id, True)]
    database.write(run_rules.suspend, quiet.catalog_id)
    assert with_work(database) == []


def test_a_root_that_is_back_gives_its_items_again(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    for offline in (True, True, False):
        database.write(catalogs.set_root_offline, catalog.roots[0].root_id, offline)
    assert paths(claim(database, catalog)) == {"a"}


def test_an_intent_that_outlived_its_writer_is_claimed_whatever_the_switch_says(
    database: Database, catalog: Catalog
) -> None:
    item, _other = edited(database, catalog, "a", "b")
    database.write(intents.insert, [make_intent(item), make_intent(item, b"a.xmp")])
    assert not catalog.auto_sync
    (claimed,) = unsettled(database)
    assert claimed.item == item
    assert unsettled(database) == []


def test_an_intent_of_a_writer_that_has_its_lease_is_left_to_it(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    claim(database, catalog)
    database.write(intents.insert, [make_intent(item)])
    assert unsettled(database) == []


def test_an_intent_on_a_root_that_is_gone_waits_for_it(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    database.write(intents.insert, [make_intent(item)])
    database.write(catalogs.set_root_offline, item.root_id, True)
    assert unsettled(database) == []
    database.write(catalogs.set_root_offline, item.root_id, False)
    assert paths(unsettled(database)) == {"a"}


def test_an_intent_whose_settlement_failed_waits_for_its_next_try(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    database.write(intents.insert, [make_intent(item)])
    store_item(database, item, state=ItemState.FAILED, failure="LOCKED", due_at=later(database))
    assert unsettled(database) == []
    store_item(database, item, state=ItemState.FAILED, due_at=None)
    assert unsettled(database) == []
    store_item(database, item, state=ItemState.FAILED, due_at=1)
    assert paths(unsettled(database)) == {"a"}


def test_unsettled_items_are_claimed_one_catalog_at_a_time_until_none_is_left(
    database: Database, catalog: Catalog
) -> None:
    other = make_catalog(database, "Other", b"/other")
    for each in (catalog, other):
        for item in edited(database, each, "a", "b"):
            database.write(intents.insert, [make_intent(item)])
    first, second = unsettled(database), unsettled(database)
    assert [len({each.item.catalog_id for each in claims}) for claims in (first, second)] == [1, 1]
    assert {each.item.catalog_id for each in first + second} == {catalog.catalog_id, other.catalog_id}
    assert len(first + second) == 4


def test_the_next_due_time_is_of_catalogs_that_are_switched_on(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    assert database.read(leases.next_due) is None
    due_at = later(database)
    store_item(database, item, due_at=due_at)
    assert database.read(leases.next_due) is None
    switched_on(database, catalog)
    assert database.read(leases.next_due) == due_at
