"""Undo in the store: which write is taken back, and what is true of its item afterwards (I10). On both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from indelible_server.domain import jobs as job_rules
from indelible_server.domain import undo, undo_jobs
from indelible_server.domain.edits import Edit
from indelible_server.domain.outcomes import GivenBack
from indelible_server.storage import history, intents, writes
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.tables import writes as write_rows
from support.edits import claim, edit, now, title
from support.intents import make_intent, settle
from support.outcomes import acknowledge
from support.samples import add_items
from support.undoing import ANN, claims_of, last_write, present, start, taken_back, work_off, write_title


@pytest.fixture
def item(database: Database, catalog: Catalog) -> Item:
    """An item whose file says "old"."""
    return add_items(database, catalog, ["a.jpg"], tags={"title": "old"})[0]


def test_the_catalog_gets_what_the_file_says_again_and_nothing_is_left_to_write(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I10: in the commit of the acknowledgement."""
    write_title(database, catalog, text="new")
    job = work_off(database, catalog, start(database, catalog))
    after = now(database, item)
    assert (after.tags, after.homes, after.state) == (
        {"title": "old"},
        {"embedded": {"title": "old"}},
        ItemState.SYNCED,
    )
    assert (after.synced_revision, after.due_at) == (after.revision, None)
    assert claim(database, catalog) == []
    entry = database.read(history.of_item, catalog.catalog_id, item.item_id, 1)[0]
    assert (entry.source, entry.principal, entry.on_behalf_of) == ("UNDO", "ann", "bob")
    assert (entry.changes, entry.revision) == ({"title": ["new", "old"]}, after.revision)
    assert (job.state, job.done, job.failed, job.counts) == ("COMPLETED", 1, 0, {"restored_items": 1})


def test_an_edit_that_came_after_the_request_stands_and_is_written(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I1."""
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    edit(database, catalog, title("newer"))
    assert claim(database, catalog) == [], "what is to be taken back is not written before"
    work_off(database, catalog, job)
    after = now(database, item)
    assert (after.tags["title"], after.homes["embedded"]["title"]) == ("newer", "old")
    (mine,) = claim(database, catalog)
    assert mine.item.tags == {"title": "newer"}


def test_an_edit_back_to_what_is_being_taken_back_is_written_again(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """When it came, the file held it, so that the item was synchronized."""
    write_title(database, catalog, text="new")
    edit(database, catalog, title("other"))
    job = start(database, catalog)
    edit(database, catalog, title("new"))
    assert not now(database, item).unsynced
    work_off(database, catalog, job)
    after = now(database, item)
    assert (after.tags["title"], after.homes["embedded"]["title"], after.unsynced) == ("new", "old", True)


def test_an_edit_of_the_same_field_that_came_before_the_request_goes_with_the_write(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """Otherwise the undo would be written over again; the history tells what was wanted."""
    write_title(database, catalog, text="new")
    edit(database, catalog, title("pending"), Edit("set", "headline", "pending too"))
    work_off(database, catalog, start(database, catalog))
    after = now(database, item)
    assert after.tags == {"title": "old", "headline": "pending too"}
    assert (after.state, after.unsynced) == (ItemState.PENDING, True)
    entry = database.read(history.of_item, catalog.catalog_id, item.item_id, 1)[0]
    assert entry.changes == {"title": ["pending", "old"]}


def test_what_others_wrote_in_other_fields_is_left_for_the_next_write_to_find(
    database: Database, catalog: Catalog, item: Item
) -> None:
    write_title(database, catalog, text="new")
    before = now(database, item)
    (mine,) = claims_of(database, start(database, catalog))
    found = taken_back(database, mine)
    found.homes["embedded"]["credit"] = found.said["credit"] = "theirs"
    acknowledge(database, catalog, found)
    after = now(database, item)
    assert (after.tags, after.homes) == ({"title": "old"}, {"embedded": {"title": "old"}})
    assert (after.size, after.mtime_ns, after.inode) == (before.size, before.mtime_ns, before.inode)
    assert after.verified_at is None
    assert not after.unsynced


def test_what_a_writer_took_back_is_on_record_even_if_its_job_was_cancelled_meanwhile(
    database: Database, catalog: Catalog, item: Item
) -> None:
    write_title(database, catalog, text="new")
    job = start(database, catalog)
    (mine,) = claims_of(database, job)
    found = taken_back(database, mine)
    database.write(job_rules.cancel, ANN, job.job_id)
    acknowledge(database, catalog, found)
    assert now(database, item).tags == {"title": "old"}
    assert present(database, job).state == "CANCELLED"


def test_writes_are_taken_back_in_turn_and_an_undo_can_be_undone(
    database: Database, catalog: Catalog, item: Item
) -> None:
    for text in ("one", "two"):
        write_title(database, catalog, text=text)
    second = last_write(database, item)
    titles = []
    for _ in range(3):
        work_off(database, catalog, start(database, catalog))
        titles.append(now(database, item).tags["title"])
    assert titles == ["one", "old", "old"]
    undo_of_second = next(
        each
        for each in database.read(writes.of_items, catalog.catalog_id, [item.item_id])[item.item_id]
        if each.undo_of == second.write_id
    )
    work_off(database, catalog, start(database, catalog, write_id=undo_of_second.write_id))
    assert now(database, item).tags["title"] == "two"
    found = database.read(writes.of_items, catalog.catalog_id, [item.item_id])[item.item_id]
    assert second in undo.in_effect(found)


def test_a_write_that_came_after_the_request_is_not_what_was_meant(
    database: Database, catalog: Catalog, item: Item
) -> None:
    write_title(database, catalog, text="new")
    first = last_write(database, item)
    job = start(database, catalog)
    later = sa.update(write_rows).values(at=job.created_at + 1).where(write_rows.c.write_id != first.write_id)
    (mine,) = claims_of(database, job)
    acknowledge(database, catalog, GivenBack(mine))
    edit(database, catalog, title("newer"))
    intent = make_intent(now(database, item))
    database.write(intents.insert, [intent])
    settle(database, intent, writes.Note(9, "PATCH"))
    database.write(lambda tx: tx.execute(later))
    (mine,) = claims_of(database, job)
    (found,) = database.read(undo_jobs.wanted, [mine]).values()
    assert found.write == first
    assert not found.is_last, "so that it is taken back field by field"


def test_what_met_other_content_is_not_taken_back(database: Database, catalog: Catalog, item: Item) -> None:
    edit(database, catalog, title("new"))
    (mine,) = claim(database, catalog)
    intent = make_intent(mine.item)
    database.write(intents.insert, [intent])
    acknowledge(database, catalog, GivenBack(mine, foreign=(intent,)))
    write = last_write(database, item)
    assert (write.outcome, write.undoable) == ("FOREIGN", False)
    assert work_off(database, catalog, start(database, catalog)).counts == {}
