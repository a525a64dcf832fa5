"""Jobs that take writes back: their parts, their counts, how they end, and what lies too far back for them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from indelible_server.domain import items as item_rules
from indelible_server.domain import jobs as job_rules
from indelible_server.domain import runs as run_rules
from indelible_server.domain import sync, undo_jobs
from indelible_server.domain.outcomes import Failed, GivenBack
from indelible_server.domain.retention import Retention
from indelible_server.domain.undo import PassedOver
from indelible_server.errors import FailedPrecondition, InvalidArgument, NotFound
from indelible_server.storage import intents, jobs, leases, writes
from indelible_server.storage import runs as run_store
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.items import Selection
from indelible_server.storage.leases import Claim
from indelible_server.storage.tables import undos as undo_rows
from indelible_server.storage.tables import writes as write_rows
from support import edits
from support.edits import EVERYTHING, claim, edit, now, title
from support.intents import make_intent
from support.outcomes import acknowledge
from support.samples import add_items
from support.undoing import (
    ANN,
    claims_of,
    last_write,
    present,
    reported,
    start,
    start_run,
    taken_back,
    work_off,
    write_title,
)

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def item(database: Database, catalog: Catalog) -> Item:
    """An item whose file says "old"."""
    return add_items(database, catalog, ["a.jpg"], tags={"title": "old"})[0]


def many(database: Database, catalog: Catalog, number: int = 5) -> tuple[list[Item], str]:
    """Items that a run has written, and its id."""
    items = add_items(database, catalog, [f"{nth}.jpg" for nth in range(number)], tags={"title": "old"})
    edit(database, catalog, title("new"))
    run = database.write(run_rules.start, ANN, catalog, None)
    write_title(database, catalog, text="new", run=run)
    found = database.read(run_store.get, catalog.catalog_id, run.run_id)
    assert found is not None
    assert (found.state, found.done) == ("COMPLETED", number)
    return items, run.run_id


def test_a_run_is_taken_back_in_bounded_parts(
    database: Database, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it was, little is wanted at a time, and all of it is stored."""
    monkeypatch.setattr(undo_jobs, "ITEMS_A_PART", 2)
    items, run_id = many(database, catalog)
    job = start_run(database, catalog, run_id)
    assert job.total == 5
    sizes = []
    while mine := claims_of(database, job):
        sizes.append(len(mine))
        acknowledge(database, catalog, *[taken_back(database, each) for each in mine])
    assert sizes == [2, 2, 1]
    job = present(database, job)
    assert (job.state, job.done, job.counts) == ("COMPLETED", 5, {"restored_items": 5})
    assert {now(database, item).tags["title"] for item in items} == {"old"}


def test_a_write_that_auto_sync_had_claimed_belongs_to_the_run_that_counted_it(
    database: Database, catalog: Catalog
) -> None:
    add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    mine = claim(database, catalog)
    run = database.write(run_rules.start, ANN, catalog, None)
    acknowledge(database, catalog, *[reported(database, each) for each in mine])
    assert start_run(database, catalog, run.run_id).total == 2


def test_an_item_that_a_run_wrote_twice_is_taken_back_twice(database: Database, catalog: Catalog, item: Item) -> None:
    edit(database, catalog, title("one"))
    run = database.write(run_rules.start, ANN, catalog, None)
    (mine,) = claim(database, catalog, run=run)
    written = reported(database, mine)
    edit(database, catalog, title("two"))
    acknowledge(database, catalog, written)
    write_title(database, catalog, text="two")
    as_of_run = sa.update(write_rows).values(run_id=run.run_id)
    database.write(lambda tx: tx.execute(as_of_run))
    job = work_off(database, catalog, start_run(database, catalog, run.run_id))
    assert (job.total, job.done, job.counts) == (1, 1, {"restored_items": 1})
    assert now(database, item).tags == {"title": "old"}


def test_fields_that_were_left_alone_are_counted(database: Database, catalog: Catalog, item: Item) -> None:
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    acknowledge(database, catalog, taken_back(database, mine, left_alone=("title",)))
    assert present(database, job).counts == {"changed_items": 1}


def test_a_transient_failure_is_tried_again_and_the_third_is_counted(
    database: Database, catalog: Catalog, item: Item
) -> None:
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    for attempt in range(3):
        assert present(database, job).state in ("QUEUED", "RUNNING")
        (mine,) = claims_of(database, job)
        acknowledge(database, catalog, Failed(mine, "LOCKED", "a message", transient=True))
        assert claims_of(database, job) == [], f"put off after attempt {attempt}"
        database.write(lambda tx: tx.execute(sa.update(undo_rows).values(due_at=0)))
    job = present(database, job)
    assert (job.state, job.done, job.failed) == ("COMPLETED", 0, 1)
    assert job.problems == [{"path": item.path, "reason": "LOCKED", "message": "a message"}]
    assert now(database, item).state is ItemState.SYNCED


def test_an_undo_that_broke_off_leaves_its_item_unsynchronized_until_it_is_settled(
    database: Database, catalog: Catalog, item: Item
) -> None:
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    intent = make_intent(mine.item)
    database.write(intents.insert, [intent])
    acknowledge(database, catalog, Failed(mine, "IO_ERROR", "a message", transient=True))
    after = now(database, item)
    assert (after.state, after.unsynced) == (ItemState.FAILED, True)
    assert claims_of(database, job) == []
    database.write(intents.drop, [intent.intent_id])
    database.write(lambda tx: tx.execute(sa.update(undo_rows).values(due_at=0)))
    work_off(database, catalog, job)
    assert now(database, item).state is ItemState.SYNCED


def test_a_file_that_ends_its_writer_ends_its_undo(database: Database, catalog: Catalog, item: Item) -> None:
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    # As the supervisor reports it, which does not know what the writer was about.
    acknowledge(database, catalog, Failed(Claim(mine.token, mine.item, None), "CRASHED", "a message", transient=False))
    assert (present(database, job).state, present(database, job).failed) == ("COMPLETED", 1)


def test_a_catalog_has_one_undo_at_a_time(database: Database, catalog: Catalog, item: Item) -> None:
    first = start(database, catalog)
    with pytest.raises(FailedPrecondition) as caught:
        start(database, catalog)
    assert (caught.value.reason, caught.value.metadata["job_id"]) == ("JOB_RUNNING", first.job_id)


@pytest.mark.parametrize("ended_by", ["cancel", "pause"])
def test_an_undo_ends_when_it_is_cancelled_or_all_writing_is_paused(
    database: Database, catalog: Catalog, item: Item, ended_by: str
) -> None:
    """It takes no writer; what one has in hand is given back before its file is touched."""
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    assert database.read(undo_jobs.is_wanted, job.job_id)
    if ended_by == "cancel":
        database.write(job_rules.cancel, ANN, job.job_id)
    else:
        database.write(sync.pause, catalog)
    assert present(database, job).state == "CANCELLED"
    assert not database.read(undo_jobs.is_wanted, job.job_id)
    acknowledge(database, catalog, GivenBack(mine))
    assert claims_of(database, job) == []
    assert now(database, item).tags == {"title": "new"}
    assert work_off(database, catalog, start(database, catalog)).counts == {"restored_items": 1}


def test_an_undo_goes_on_without_items_that_were_removed(database: Database, catalog: Catalog) -> None:
    items, run_id = many(database, catalog, 3)
    job = start_run(database, catalog, run_id)
    edits.work_off(database, item_rules.removal, catalog, Selection(ids=(items[1].item_id,)))
    job = work_off(database, catalog, job)
    assert (job.state, job.total, job.done) == ("COMPLETED", 2, 2)
    assert start_run(database, catalog, run_id).total == 2


def test_what_cannot_be_undone_is_refused(database: Database, catalog: Catalog, item: Item) -> None:
    write_title(database, catalog, text="new")
    edit(database, catalog, title("newer"))
    run = database.write(run_rules.start, ANN, catalog, None)
    write = last_write(database, item)
    add_items(database, catalog, ["b.jpg"])
    for reason, error, call in (
        ("WRITE_NOT_FOUND", NotFound, lambda: start(database, catalog, Selection(ids=(item.item_id,)), "no")),
        ("INVALID_FIELD", InvalidArgument, lambda: start(database, catalog, EVERYTHING, write.write_id)),
        ("RUN_NOT_FOUND", NotFound, lambda: start_run(database, catalog, "no")),
        ("RUN_ACTIVE", FailedPrecondition, lambda: start_run(database, catalog, run.run_id)),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.reason == reason
    assert database.read(jobs.active) == []


def test_several_writers_share_an_undo(database: Database, other: Database, catalog: Catalog) -> None:
    _, run_id = many(database, catalog)
    job = start_run(database, catalog, run_id)
    first = database.write(undo_jobs.claim, job.job_id, "one", 3)
    second = other.write(undo_jobs.claim, job.job_id, "two", 3)
    assert sorted(mine.item.item_id for mine in first + second) == [1, 2, 3, 4, 5]
    database.write(leases.drop, ["one"])  # it died
    assert {mine.item.item_id for mine in claims_of(other, job)} == {mine.item.item_id for mine in first}


def test_what_lies_too_far_back_has_expired(database: Database, catalog: Catalog, item: Item) -> None:
    write_title(database, catalog, text="0")
    first = last_write(database, item)
    for nth in range(1, writes.WRITES_KEPT):
        write_title(database, catalog, text=str(nth))
    found = database.read(writes.get, catalog.catalog_id, item.item_id, first.write_id)
    assert found is not None
    assert found.undoable
    write_title(database, catalog, text="one too many")
    with pytest.raises(FailedPrecondition) as caught:
        start(database, catalog, write_id=first.write_id)
    assert caught.value.reason == "UNDO_EXPIRED"
    assert database.read(writes.count, catalog.catalog_id, item.item_id) == writes.WRITES_KEPT + 1
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    acknowledge(database, catalog, PassedOver(mine, undo_jobs.EXPIRED))
    assert present(database, job).counts == {"expired_items": 1}


def test_after_ninety_days_all_writes_but_the_last_go(
    database: Database, catalog: Catalog, item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indelible_server.domain.retention.ITEMS_A_STEP", 1)
    removed, once = add_items(database, catalog, ["b.jpg", "c.jpg"], tags={"title": "old"})
    for text in ("one", "two"):
        write_title(database, catalog, item, removed, text=text)
    write_title(database, catalog, once, text="one")
    edits.work_off(database, item_rules.removal, catalog, Selection(ids=(removed.item_id,)))
    chore = Retention(database)
    assert [chore.step() for _ in range(4)] == [0, 0, 0, 0]
    aged = sa.update(write_rows).values(at=write_rows.c.at - 91 * DAY_MS)
    database.write(lambda tx: tx.execute(aged))
    assert sum(chore.step() for _ in range(4)) == 3
    assert last_write(database, item).changes == {"title": ["one", "two"]}
    assert last_write(database, item).undoable
    counts = [database.read(writes.count, catalog.catalog_id, each.item_id) for each in (item, removed, once)]
    assert counts == [1, 0, 1]
    assert sum(chore.step() for _ in range(4)) == 0
