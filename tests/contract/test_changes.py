"""EditTags: each matched item exactly once, from the tags that it has at that moment, and never half."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.domain import changes
from indelible_server.domain.changes import Edited, edit_tags
from indelible_server.domain.edits import Edit
from indelible_server.errors import Aborted, AlreadyExists, InvalidArgument
from indelible_server.storage import catalogs, history
from indelible_server.storage import changes as change_rows
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import ItemState
from indelible_server.storage.items import Selection
from indelible_server.storage.tables import change_items
from support.children import child
from support.edits import all_items, answer, claim, edit, now, request, title
from support.outcomes import acknowledge, verified
from support.samples import add_items, make_catalog, store_item

MANY = changes.ITEMS_AT_ONCE + 150
NEW = Edit("add", "keywords", ["new"])


@pytest.fixture
def many(database: Database, catalog: Catalog) -> Catalog:
    """A catalog with more items than are edited in one transaction."""
    add_items(database, catalog, [f"{number:04}.jpg" for number in range(MANY)])
    return catalog


def revision(database: Database, catalog: Catalog) -> int:
    """The catalog's revision."""
    return database.read(catalogs.counts, catalog.catalog_id).revision


def entry_counts(database: Database, catalog: Catalog) -> set[int]:
    """How many history entries the items have."""
    ids = [item.item_id for item in all_items(database, catalog)]
    return {database.read(history.count, catalog.catalog_id, item_id) for item_id in ids}


def decoded(stored: bytes) -> Edited:
    """The answer."""
    return Edited(**json.loads(stored))


def test_a_small_edit_is_one_transaction(database: Database, catalog: Catalog) -> None:
    stored = add_items(database, catalog, ["a", "b", "c"])
    before = revision(database, catalog)
    assert edit(database, catalog, title("new"), items=stored[:2]) == Edited(before + 1, before + 1, 2, 2)
    a, b, c = all_items(database, catalog)
    assert [item.tags for item in (a, b, c)] == [{"title": "new"}, {"title": "new"}, {}]
    for item in (a, b):
        assert item.revision == item.unsynced_since == item.change_revision == before + 1
        assert item.state is ItemState.PENDING
    assert c.revision == 0
    assert database.read(change_rows.unfinished) == []


def test_the_quiet_period_is_counted_from_the_last_edit(database: Database) -> None:
    catalog = make_catalog(database, quiet_ms=3_600_000)
    (item,) = add_items(database, catalog, ["a"])
    edit(database, catalog, title("1"))
    first = now(database, item).due_at
    store_item(database, item, due_at=5)
    edit(database, catalog, title("2"))
    second = now(database, item).due_at
    assert first is not None
    assert second is not None
    assert second >= first
    assert claim(database, catalog) == []


def test_an_edit_is_in_the_history_with_who_and_for_whom(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"], tags={"title": "old", "label": "Red"})
    done = edit(database, catalog, title("new"), Edit("clear", "label"), Edit("set", "rating", 3))
    (entry,) = database.read(history.of_item, catalog.catalog_id, item.item_id, 9)
    assert entry.changes == {"title": ["old", "new"], "label": ["Red", None], "rating": [None, 3]}
    assert (entry.principal, entry.on_behalf_of, entry.source) == ("ann", "bob", "EDIT")
    assert (entry.revision, entry.run_id) == (done.last_revision, None)


def test_an_edit_that_changes_nothing_is_matched_and_not_counted(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"], tags={"title": "same"})
    done = edit(database, catalog, title("same"))
    assert (done.matched, done.changed) == (1, 0)
    after = now(database, item)
    assert after == item
    assert database.read(history.count, catalog.catalog_id, item.item_id) == 0


def test_a_selection_that_matches_nothing_is_refused(database: Database, catalog: Catalog) -> None:
    with pytest.raises(InvalidArgument) as caught:
        edit(database, catalog, title("new"))
    assert caught.value.reason == "EMPTY_SELECTION"


@pytest.mark.parametrize("left", ["changed back", "excluded field", "catalog only"])
def test_an_edit_that_leaves_nothing_to_write_leaves_the_item_synced(database: Database, left: str) -> None:
    policy: dict[str, Any] = {
        "changed back": {},
        "excluded field": {"excluded_fields": ["title"]},
        "catalog only": {"formats": [{"formats": ["jpg"], "home": "CATALOG_ONLY"}]},
    }[left]
    catalog = make_catalog(database, quiet_ms=0, policy=policy)
    (item,) = add_items(database, catalog, ["a.jpg"])
    edit(database, catalog, title("new"))
    if left == "changed back":
        assert now(database, item).unsynced
        edit(database, catalog, Edit("clear", "title"))
    after = now(database, item)
    assert (after.state, after.unsynced_since, after.due_at) == (ItemState.SYNCED, None, None)
    assert after.synced_revision == after.revision > 0
    assert database.read(catalogs.counts, catalog.catalog_id).unsynced == 0


def test_while_a_writer_has_it_in_hand_no_edit_leaves_an_item_synced(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"])
    edit(database, catalog, title("new"))
    (mine,) = claim(database, catalog)
    edit(database, catalog, Edit("clear", "title"))
    assert now(database, item).unsynced
    acknowledge(database, catalog, verified(mine))
    assert now(database, item).unsynced


def test_an_item_whose_homes_differ_is_written_though_one_of_them_has_it(database: Database, catalog: Catalog) -> None:
    homes = {"embedded": {"title": "new"}, "SIDECAR": {"title": "old"}}
    (item,) = add_items(database, catalog, ["a"], tags={"title": "old"}, homes=homes)
    edit(database, catalog, title("new"))
    assert now(database, item).unsynced


def test_a_large_edit_changes_each_item_once_in_bounded_transactions(database: Database, many: Catalog) -> None:
    before = revision(database, many)
    done = edit(database, many, NEW)
    parts = -(-MANY // changes.ITEMS_A_PART)
    assert (done.matched, done.changed) == (MANY, MANY)
    assert (done.first_revision, done.last_revision) == (before + 1, before + parts)
    found = all_items(database, many)
    assert all(item.tags == {"keywords": ["new"]} for item in found)
    assert max(Counter(item.revision for item in found).values()) <= changes.ITEMS_A_PART
    assert entry_counts(database, many) == {1}
    assert database.read(change_rows.unfinished) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_large_edit_that_was_killed_is_finished_by_the_next_server(
    database: Database, many: Catalog, times: int
) -> None:
    """I1. Killed in a transaction of its middle: what was committed stays, what was not is done again."""
    with child("die_in_the_second_part", database, many.catalog_id, "request") as process:
        assert process.next() == "in the second part\n"
    done = Counter(bool(item.tags) for item in all_items(database, many))
    assert done == {True: changes.ITEMS_A_PART, False: MANY - changes.ITEMS_A_PART}

    for nth in range(times):
        with child("finish_changes", database) as process:
            assert process.next() == ("1\n" if nth == 0 else "0\n")
    assert all(item.tags == {"keywords": ["new"]} for item in all_items(database, many))
    assert entry_counts(database, many) == {1}
    assert database.read(change_rows.unfinished) == []

    before = revision(database, many)
    repeated = decoded(edit_tags(database, request(many, [NEW], request_id="request"), answer))
    assert (repeated.matched, repeated.changed) == (MANY, MANY)
    assert repeated.last_revision == before == revision(database, many)


def test_servers_that_finish_a_killed_edit_at_once_edit_each_item_once(database: Database, many: Catalog) -> None:
    with child("die_in_the_second_part", database, many.catalog_id, "request") as process:
        process.next()
    before = revision(database, many)
    with child("finish_changes", database) as one, child("finish_changes", database) as other:
        assert {one.next(), other.next()} <= {"0\n", "1\n"}
    assert all(item.tags == {"keywords": ["new"]} for item in all_items(database, many))
    assert entry_counts(database, many) == {1}
    assert revision(database, many) == before + -(-(MANY - changes.ITEMS_A_PART) // changes.ITEMS_A_PART)


def test_who_repeats_a_killed_edit_finishes_it(database: Database, many: Catalog) -> None:
    with child("die_in_the_second_part", database, many.catalog_id, "request") as process:
        process.next()
    done = decoded(edit_tags(database, request(many, [NEW], request_id="request"), answer))
    assert (done.matched, done.changed) == (MANY, MANY)
    assert entry_counts(database, many) == {1}


def test_a_large_edit_works_on_the_tags_of_that_moment(
    database: Database, many: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit that comes between two parts is not overwritten by a stale value."""
    last = all_items(database, many)[-1]
    database.write(changes._begin, request(many, [NEW], request_id="large"), answer)
    edit(database, many, Edit("add", "keywords", ["theirs"]), title("theirs"), items=[last])
    edit_tags(database, request(many, [NEW], request_id="large"), answer)
    assert now(database, last).tags == {"keywords": ["theirs", "new"], "title": "theirs"}


def test_the_selection_of_a_large_edit_is_frozen(database: Database, many: Catalog) -> None:
    database.write(changes._begin, request(many, [NEW], request_id="large"), answer)
    add_items(database, many, ["later"])
    done = decoded(edit_tags(database, request(many, [NEW], request_id="large"), answer))
    assert done.matched == MANY
    assert [item.path for item in all_items(database, many) if not item.tags] == ["later"]


def test_items_that_are_removed_meanwhile_are_passed_over(database: Database, many: Catalog) -> None:
    database.write(changes._begin, request(many, [NEW], request_id="large"), answer)
    last = all_items(database, many)[-1]

    def remove(tx: sa.Connection) -> None:
        changeset = changes.Changeset(tx, many.catalog_id)
        changeset.remove(last)
        changeset.save()

    database.write(remove)
    done = decoded(edit_tags(database, request(many, [NEW], request_id="large"), answer))
    assert (done.matched, done.changed) == (MANY, MANY - 1)


def test_a_repeated_edit_gives_the_first_answer_and_changes_nothing(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a"])
    first = edit(database, catalog, title("new"), request_id="r")
    edit(database, catalog, title("newer"))
    before = revision(database, catalog)
    assert edit(database, catalog, title("new"), request_id="r") == first
    assert revision(database, catalog) == before
    assert all_items(database, catalog)[0].tags == {"title": "newer"}


@pytest.mark.parametrize("size", ["small", "large", "under way"])
def test_a_repeated_id_with_other_content_is_refused(database: Database, catalog: Catalog, size: str) -> None:
    add_items(database, catalog, [str(number) for number in range(3 if size == "small" else MANY)])
    if size == "under way":
        database.write(changes._begin, request(catalog, [NEW], request_id="r"), answer)
    else:
        edit(database, catalog, NEW, request_id="r")
    before = revision(database, catalog)
    with pytest.raises(AlreadyExists) as caught:
        edit(database, catalog, title("other"), request_id="r", digest=b"other")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert revision(database, catalog) == before


@pytest.mark.parametrize("number", [3, MANY])
def test_repeats_at_the_same_time_join_one_edit(database: Database, catalog: Catalog, number: int) -> None:
    add_items(database, catalog, [str(each) for each in range(number)])
    together, answers = threading.Barrier(4), []

    def work() -> None:
        together.wait()
        answers.append(edit(database, catalog, NEW, request_id="r"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers == [answers[0]] * 4
    assert answers[0].changed == number
    assert entry_counts(database, catalog) == {1}


@pytest.mark.parametrize("number", [3, MANY])
def test_an_edit_of_a_stale_revision_is_refused_before_anything_changes(
    database: Database, catalog: Catalog, number: int
) -> None:
    stored = add_items(database, catalog, [str(each) for each in range(number)])
    newest = edit(database, catalog, title("theirs"), items=stored[-1:]).last_revision
    with pytest.raises(Aborted) as caught:
        edit(database, catalog, NEW, expected_revision=newest - 1, request_id="r")
    assert caught.value.reason == "STALE_REVISION"
    assert revision(database, catalog) == newest
    assert database.read(change_rows.unfinished) == []
    assert database.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(change_items))) == 0
    assert edit(database, catalog, NEW, expected_revision=newest, request_id="r").changed == number


def test_a_stale_revision_of_an_item_that_is_not_matched_does_not_matter(database: Database, catalog: Catalog) -> None:
    one, two = add_items(database, catalog, ["a", "b"])
    newest = edit(database, catalog, title("theirs"), items=[two]).last_revision
    assert edit(database, catalog, NEW, items=[one], expected_revision=newest - 1).changed == 1


def test_an_item_that_waits_for_a_person_goes_on_waiting(database: Database, catalog: Catalog) -> None:
    stored = add_items(database, catalog, ["a", "b", "c"])
    edit(database, catalog, title("new"))
    states = [ItemState.FAILED, ItemState.CONFLICTED, ItemState.HELD]
    causes: list[dict[str, Any]] = [
        {"failure": "CORRUPT"},
        {"conflicts": [{"field": "title", "base": None, "theirs": "theirs"}]},
        {"hold": {"reason": "CHECKED_OUT"}},
    ]
    for item, state, cause in zip(stored, states, causes, strict=True):
        store_item(database, item, state=state, due_at=None, **cause)
    since = now(database, stored[0]).unsynced_since
    edit(database, catalog, title("newer"))
    after = all_items(database, catalog)
    assert [item.state for item in after] == states
    assert {item.unsynced_since for item in after} == {since}
    assert claim(database, catalog) == []


def test_edits_of_several_threads_are_all_in_the_tags(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"])

    def work(word: str) -> None:
        edit(database, catalog, Edit("add", "keywords", [word]))

    threads = [threading.Thread(target=work, args=(word,)) for word in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(now(database, item).tags["keywords"]) == list("abcdef")
    revisions = [entry.revision for entry in database.read(history.of_item, catalog.catalog_id, item.item_id, 10)]
    assert len(set(revisions)) == 6


def test_the_history_of_an_item_is_paged_newest_first(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a"])
    revisions = [edit(database, catalog, title(str(number))).last_revision for number in range(5)]
    first = database.read(history.of_item, catalog.catalog_id, item.item_id, 2)
    assert [entry.revision for entry in first] == revisions[:2:-1]
    rest = database.read(history.of_item, catalog.catalog_id, item.item_id, 9, (first[-1].at, first[-1].revision))
    assert [entry.revision for entry in rest] == revisions[2::-1]
    assert database.read(history.count, catalog.catalog_id, item.item_id) == 5


def test_a_change_is_stored_and_read_unchanged(database: Database, many: Catalog) -> None:
    wanted = request(many, [NEW, Edit("shift", "taken_at", seconds=3600.0)], Selection(globs=("*",)))
    database.write(changes._begin, wanted, answer)
    (stored,) = database.read(change_rows.unfinished)
    assert [Edit(**each) for each in stored.edits] == list(wanted.edits)
    assert (stored.principal, stored.on_behalf_of, stored.source) == ("ann", "bob", "EDIT")
    assert stored == replace(stored, matched=MANY, changed=0, first_revision=0, last_revision=0)
