"""One-time runs: one a catalog, a predicate over items, ended by themselves."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.domain import items as item_rules
from indelible_server.domain import outcomes, sync
from indelible_server.domain import runs as run_rules
from indelible_server.domain.activity import Activity
from indelible_server.domain.edits import Edit
from indelible_server.domain.principal import Principal, Role
from indelible_server.errors import FailedPrecondition, InvalidArgument, NotFound
from indelible_server.storage import catalogs, leases, runs, writers
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.ids import new_id
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.items import Selection
from indelible_server.storage.runs import Run
from indelible_server.storage.tables import roots, run_items
from indelible_server.storage.tables import runs as run_rows
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from support.databases import until_someone_waits
from support.edits import all_items, claim, edit, now, title, work_off
from support.outcomes import acknowledge, conflicted, failed, verified
from support.samples import add_items, make_catalog, store_item

ANN = Principal("ann", Role.OPERATOR, on_behalf_of="bob")


def edited(database: Database, catalog: Catalog, *paths: str) -> list[Item]:
    """Items with an edit."""
    stored = add_items(database, catalog, list(paths))
    edit(database, catalog, title("new"), items=stored)
    return [now(database, item) for item in stored]


def start(database: Database, catalog: Catalog, *selected: Item, **more: Any) -> Run:
    """Begin a run, over the selected items if there are any."""
    selection = Selection(ids=tuple(item.item_id for item in selected)) if selected else None
    return database.write(run_rules.start, ANN, catalog, selection, **more)


def present(database: Database, run: Run) -> Run:
    """The run as it is stored now."""
    found = database.read(runs.get, run.catalog_id, run.run_id)
    assert found is not None
    return found


def counts(run: Run) -> tuple[int, int, int, int, int]:
    """total, done, failed, conflicted, skipped."""
    return run.total, run.done, run.failed, run.conflicted, run.skipped


def some_run(catalog: Catalog) -> Run:
    """A run that no rule has made."""
    return Run(catalog.catalog_id, new_id(), runs.RUNNING, 0, False, 0, "ann", "", 0)


def test_a_catalog_has_one_active_run_by_the_schema(database: Database, catalog: Catalog) -> None:
    first = database.write(runs.insert, some_run(catalog))
    with pytest.raises(IntegrityError):
        database.write(runs.insert, some_run(catalog))
    database.write(runs.set_state, first, runs.SUSPENDED)
    with pytest.raises(IntegrityError):
        database.write(runs.insert, some_run(catalog))
    database.write(runs.insert, some_run(make_catalog(database, "Other", b"/other")))
    database.write(runs.set_state, first, runs.CANCELLED)
    second = database.write(runs.insert, some_run(catalog))
    assert database.read(runs.active, catalog.catalog_id) == second
    assert database.read(runs.count, catalog.catalog_id) == 2


def test_starts_that_race_are_all_given_the_same_run(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    together, given = threading.Barrier(4), []

    def work() -> None:
        together.wait()
        given.append(start(database, catalog).run_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(given) == 4
    assert len(set(given)) == 1


def test_a_run_over_nothing_has_ended(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["synced"])
    run = start(database, catalog)
    assert run.state == runs.COMPLETED
    assert run.ended_at is not None
    assert counts(run) == (0, 0, 0, 0, 0)


def test_each_member_is_counted_once_and_the_run_ends_by_itself(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "done", "failed", "conflicted")
    run = start(database, catalog)
    done, broken, disputed = claim(database, catalog, run=run)
    acknowledge(database, catalog, verified(done, bytes_written=10))
    assert counts(present(database, run)) == (3, 1, 0, 0, 0)
    assert present(database, run).state == runs.RUNNING
    acknowledge(database, catalog, failed(broken, transient=False), conflicted(disputed))
    ended = present(database, run)
    assert counts(ended) == (3, 1, 1, 1, 0)
    assert (ended.state, ended.bytes_written) == (runs.COMPLETED, 10)
    assert ended.ended_at is not None


def test_later_edits_are_not_the_business_of_a_run(database: Database, catalog: Catalog) -> None:
    (member,) = edited(database, catalog, "member")
    run = start(database, catalog)
    edited(database, catalog, "later")
    (claimed,) = claim(database, catalog, run=run)
    edit(database, catalog, title("newer"), items=[member])
    acknowledge(database, catalog, verified(claimed))
    ended = present(database, run)
    assert ended.state == runs.COMPLETED
    assert counts(ended) == (1, 1, 0, 0, 0)
    assert now(database, member).unsynced


def test_a_transient_failure_is_tried_three_times_and_counted_once(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    run = start(database, catalog)
    for attempt in range(3):
        assert present(database, run).failed == 0, attempt
        store_item(database, item, due_at=1)  # its delay is over
        (claimed,) = claim(database, catalog, run=run)
        acknowledge(database, catalog, failed(claimed, transient=True))
    ended = present(database, run)
    assert ended.state == runs.COMPLETED
    assert counts(ended) == (1, 0, 1, 0, 0)


def test_a_member_that_is_written_after_it_was_counted_is_not_counted_again(
    database: Database, catalog: Catalog
) -> None:
    edited(database, catalog, "retried", "other")
    run = start(database, catalog)
    (broken,) = claim(database, catalog, run=run, limit=1)
    acknowledge(database, catalog, failed(broken, transient=False))
    again = Selection(ids=(broken.item.item_id,))
    assert work_off(database, item_rules.retrial, catalog, again, set()) == 1
    assert broken.item.item_id not in {each.item.item_id for each in claim(database, catalog, run=run)}
    (by_auto_sync,) = claim(database, catalog)
    acknowledge(database, catalog, verified(by_auto_sync))
    assert counts(present(database, run)) == (2, 0, 1, 0, 0)
    assert present(database, run).state == runs.RUNNING


def test_members_that_wait_for_a_person_are_counted_as_what_they_are(database: Database, catalog: Catalog) -> None:
    member, broken, disputed, held = edited(database, catalog, "member", "failed", "conflicted", "held")
    for item, state in ((broken, ItemState.FAILED), (disputed, ItemState.CONFLICTED), (held, ItemState.HELD)):
        store_item(database, item, state=state, due_at=None)
    run = start(database, catalog)
    (claimed,) = claim(database, catalog, run=run)
    assert claimed.item.item_id == member.item_id
    acknowledge(database, catalog, verified(claimed))
    assert counts(present(database, run)) == (4, 1, 1, 1, 1)


@pytest.mark.parametrize("fate", ["synced by an edit", "missing", "read-only root"])
def test_a_run_ends_when_its_last_member_is_none_that_a_writer_takes(
    database: Database, catalog: Catalog, fate: str
) -> None:
    (item,) = edited(database, catalog, "a")
    run = start(database, catalog)
    if fate == "synced by an edit":
        edit(database, catalog, Edit("clear", "title"), items=[item])
    elif fate == "missing":
        store_item(database, item, missing_since=1)
    else:
        make_read_only(database, item.root_id)
    database.write(sync.tend_run, catalog.catalog_id)
    ended = present(database, run)
    assert ended.state == runs.COMPLETED
    assert counts(ended) == (1, 0, 0, 0, 1)


def test_a_run_waits_for_a_root_that_is_gone_until_it_gives_up(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    run = start(database, catalog, give_up_ms=3600_000)
    database.write(catalogs.set_root_offline, catalog.roots[0].root_id, True)
    database.write(sync.tend_run, catalog.catalog_id)
    assert present(database, run).state == runs.RUNNING
    _progressed(database, run, 1)
    database.write(sync.tend_run, catalog.catalog_id)
    assert present(database, run).state == runs.RUNNING  # it is gone for a moment only
    database.write(lambda tx: tx.execute(sa.update(roots).values(offline_since=1)))
    database.write(sync.tend_run, catalog.catalog_id)
    ended = present(database, run)
    assert ended.state == runs.GAVE_UP
    assert counts(ended) == (1, 0, 0, 0, 1)


def test_a_run_with_something_to_do_does_not_give_up(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    run = start(database, catalog, give_up_ms=1)
    _progressed(database, run, 1)
    database.write(sync.tend_run, catalog.catalog_id)
    assert present(database, run).state == runs.RUNNING


def test_a_run_that_ended_meanwhile_is_not_ended_again(postgresql: Database) -> None:
    """One host tends the runs while a writer of another acknowledges the last member."""
    catalog = make_catalog(postgresql, quiet_ms=0)
    edited(postgresql, catalog, "a")
    run = start(postgresql, catalog)
    (claimed,) = claim(postgresql, catalog, run=run)
    tending = threading.Thread(target=postgresql.write, args=(sync.tend_run, catalog.catalog_id))

    def work(tx: Connection) -> None:
        catalogs.lock(tx, catalog.catalog_id)
        tending.start()
        until_someone_waits(postgresql)
        outcomes.acknowledge(tx, catalog.catalog_id, [verified(claimed)])

    postgresql.write(work)
    tending.join(timeout=20)
    assert counts(present(postgresql, run)) == (1, 1, 0, 0, 0)


def test_pausing_suspends_a_run_and_starting_resumes_it(database: Database, catalog: Catalog) -> None:
    (item,) = edited(database, catalog, "a")
    run = start(database, catalog)
    (claimed,) = claim(database, catalog, run=run)
    assert database.read(leases.may_begin, claimed)
    database.write(sync.pause, catalog)
    assert present(database, run).state == runs.SUSPENDED
    assert not database.read(leases.may_begin, claimed)
    assert database.read(leases.is_valid, claimed)  # what is begun is finished
    database.write(leases.release, [claimed])
    assert start(database, catalog, item).state == runs.SUSPENDED  # another selection: the run that is there
    resumed = start(database, catalog)
    assert (resumed.run_id, resumed.state) == (run.run_id, runs.RUNNING)


def test_a_cancelled_run_has_skipped_what_is_left(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a", "b")
    run = start(database, catalog)
    acknowledge(database, catalog, verified(claim(database, catalog, run=run, limit=1)[0]))
    cancelled = database.write(run_rules.cancel, catalog, "")
    assert cancelled.state == runs.CANCELLED
    assert counts(cancelled) == (2, 1, 0, 0, 1)
    assert database.write(run_rules.cancel, catalog, run.run_id) == cancelled
    with pytest.raises(FailedPrecondition):
        database.write(run_rules.cancel, catalog, "")
    with pytest.raises(NotFound):
        database.write(run_rules.cancel, catalog, "no such run")


def test_a_selection_is_frozen_and_forgotten_with_the_end(database: Database, catalog: Catalog) -> None:
    one, two = edited(database, catalog, "one", "two")
    (synced,) = add_items(database, catalog, ["synced"])
    run = start(database, catalog, one, synced)
    assert run.total == 1
    assert database.read(runs.frozen_among, run, [one.item_id, two.item_id]) == {one.item_id}
    acknowledge(database, catalog, verified(claim(database, catalog, run=run)[0]))
    assert present(database, run).state == runs.COMPLETED
    query = sa.select(sa.func.count()).select_from(run_items)
    assert database.read(lambda tx: tx.scalar(query)) == 0


def test_a_selection_that_matches_nothing_is_refused(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    with pytest.raises(InvalidArgument) as caught:
        database.write(run_rules.start, ANN, catalog, Selection(ids=(99,)))
    assert caught.value.reason == "EMPTY_SELECTION"
    assert database.read(runs.active, catalog.catalog_id) is None


def test_a_run_can_be_kept_to_so_many_items(database: Database, catalog: Catalog) -> None:
    stored = edited(database, catalog, "a", "b", "c")
    run = start(database, catalog, max_items=2)
    assert run.total == 2
    claimed = claim(database, catalog, run=run)
    assert {each.item.item_id for each in claimed} <= {item.item_id for item in stored}
    acknowledge(database, catalog, *(verified(each) for each in claimed))
    assert present(database, run).state == runs.COMPLETED
    assert sum(item.unsynced for item in all_items(database, catalog)) == 1


def test_runs_are_listed_newest_first(database: Database, catalog: Catalog) -> None:
    ids = [database.write(runs.insert, replace(some_run(catalog), ended_at=1, run_id=f"{n}")).run_id for n in range(4)]
    assert [run.run_id for run in database.read(runs.newest, catalog.catalog_id, 2)] == ids[:1:-1]
    assert [run.run_id for run in database.read(runs.newest, catalog.catalog_id, 9, ids[2])] == ids[1::-1]


def test_the_status_tells_what_is_kept(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a", "b")
    add_items(database, catalog, ["synced"])
    status = database.read(sync.status, catalog)
    assert (status.text, status.activity) == ("2 of 3 not synchronized", Activity.IDLE)
    run = start(database, catalog)
    database.write(writers.insert, "w", "host")
    (one, _two) = claim(database, catalog, "w", run=run)
    status = database.read(sync.status, catalog)
    assert (status.text, status.activity, status.in_flight) == ("Synchronizing: 0 of 2", Activity.SYNCING, 2)
    acknowledge(database, catalog, verified(one))
    assert database.read(sync.status, catalog).text == "Synchronizing: 1 of 2"


def test_what_lies_on_a_read_only_root_is_not_said_to_be_synchronizing(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, "a")
    make_read_only(database, catalog.roots[0].root_id)
    database.write(writers.insert, "w", "host")
    database.write(sync.set_auto_sync, catalog, True)
    present_catalog = database.read(catalogs.get, catalog.catalog_id)
    assert present_catalog is not None
    assert database.read(sync.status, present_catalog).activity is Activity.IDLE


def make_read_only(database: Database, root_id: str) -> None:
    """A root that was approved for reading only."""
    query = sa.update(roots).where(roots.c.root_id == root_id).values(read_only=True)
    database.write(lambda tx: tx.execute(query))


def _progressed(database: Database, run: Run, at: int) -> None:
    query = sa.update(run_rows).where(run_rows.c.run_id == run.run_id).values(progressed_at=at)
    database.write(lambda tx: tx.execute(query))
