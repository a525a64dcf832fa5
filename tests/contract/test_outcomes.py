"""What writers report: the only place where an item becomes synced, failed or conflicted."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from indelible_server.domain import items as item_rules
from indelible_server.domain import outcomes
from indelible_server.domain.edits import Edit
from indelible_server.domain.outcomes import Conflicted, GivenBack
from indelible_server.errors import Unavailable
from indelible_server.storage import catalogs, history, intents, leases
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database, now_ms
from indelible_server.storage.intents import Intent
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.leases import Claim
from indelible_server.storage.tables import leases as lease_rows
from indelible_server.storage.tables import writes
from sqlalchemy import Connection
from support.databases import until_someone_waits
from support.edits import EVERYTHING, claim, edit, now, title, work_off
from support.intents import make_intent
from support.outcomes import IDENTITY, acknowledge, conflicted, failed, verified
from support.samples import add_items, make_catalog, store_item


@pytest.fixture
def item(database: Database, catalog: Catalog) -> Item:
    """An item with an edit that is due."""
    (stored,) = add_items(database, catalog, ["a.jpg"])
    edit(database, catalog, title("new"))
    return now(database, stored)


def claimed(database: Database, catalog: Catalog) -> Claim:
    """The one item that is due, in a writer's hand."""
    (found,) = claim(database, catalog)
    return found


def intended(database: Database, mine: Claim, target: bytes | None = None) -> Intent:
    """A live intent of a claim."""
    intent = make_intent(mine.item, target)
    database.write(intents.insert, [intent])
    return intent


def live(database: Database, item: Item) -> list[Intent]:
    """The item's live intents."""
    return database.read(intents.of_items, item.catalog_id, [item.item_id]).get(item.item_id, [])


def write_outcomes(database: Database) -> list[str]:
    """The outcomes in the write history."""
    query = sa.select(writes.c.outcome).order_by(writes.c.intent_id)
    return database.read(lambda tx: list(tx.scalars(query)))


def entries(database: Database, item: Item) -> list[history.Entry]:
    """The item's history, the newest first."""
    return database.read(history.of_item, item.catalog_id, item.item_id, 10)


def expire(database: Database, mine: Claim) -> None:
    """Let a lease end a millisecond ago."""
    query = sa.update(lease_rows).where(lease_rows.c.token == mine.token).values(deadline=1)
    database.write(lambda tx: tx.execute(query))


def unsynced(database: Database, catalog: Catalog) -> int:
    """The kept count."""
    return database.read(catalogs.counts, catalog.catalog_id).unsynced


def test_an_item_is_synced_by_a_verified_write_and_by_nothing_before(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I3."""
    mine = claimed(database, catalog)
    intent = intended(database, mine)
    assert now(database, item).unsynced
    assert acknowledge(database, catalog, verified(mine, settled=(intent,), note="why", sidecar=b"a.xmp")) == 1
    after = now(database, item)
    assert (after.state, after.unsynced_since, after.due_at) == (ItemState.SYNCED, None, None)
    assert after.synced_revision == after.revision == item.revision
    assert after.homes == {"embedded": {"title": "new"}}
    assert (after.size, after.mtime_ns, after.inode) == (IDENTITY.size, IDENTITY.mtime_ns, IDENTITY.inode)
    assert (after.note, after.sidecar) == ("why", b"a.xmp")
    assert after.verified_at is not None
    assert unsynced(database, catalog) == 0
    assert live(database, item) == []
    assert write_outcomes(database) == ["VERIFIED"]
    assert database.read(leases.count, catalog.catalog_id) == 0


def test_an_edit_during_the_write_stays_unsynced_since_that_edit(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    during = edit(database, catalog, title("newer"))
    edit(database, catalog, title("newest"))
    acknowledge(database, catalog, verified(mine))
    after = now(database, item)
    assert after.tags == {"title": "newest"}
    assert after.homes == {"embedded": {"title": "new"}}
    assert after.unsynced_since == during.last_revision
    assert after.synced_revision == item.revision
    assert after.state is ItemState.PENDING
    assert unsynced(database, catalog) == 1
    again = claimed(database, catalog)
    acknowledge(database, catalog, verified(again))
    assert not now(database, item).unsynced


def test_an_edit_back_during_the_write_is_written_too(database: Database, catalog: Catalog, item: Item) -> None:
    """The writer is about to put the other value into the file."""
    mine = claimed(database, catalog)
    edit(database, catalog, Edit("clear", "title"))
    assert now(database, item).unsynced
    acknowledge(database, catalog, verified(mine))
    assert claimed(database, catalog).item.tags == {}


@pytest.mark.parametrize("fate", ["expired", "dropped", "given to another"])
@pytest.mark.parametrize("outcome", ["verified", "failed", "conflicted", "given back"])
def test_without_a_valid_lease_nothing_is_acknowledged_and_the_intent_stays(
    database: Database, catalog: Catalog, item: Item, outcome: str, fate: str
) -> None:
    """I5."""
    mine = claimed(database, catalog)
    intent = intended(database, mine)
    expire(database, mine)
    if fate != "expired":
        database.write(leases.drop_expired)
    if fate == "given to another":
        assert len(database.write(leases.claim_unsettled, "another", 1)) == 1
    before = now(database, item)
    report = {
        "verified": verified(mine, settled=(intent,)),
        "failed": failed(mine, transient=False, not_carried_out=(intent,)),
        "conflicted": conflicted(mine),
        "given back": GivenBack(mine, not_carried_out=(intent,)),
    }[outcome]
    assert acknowledge(database, catalog, report) == 0
    assert now(database, item) == before
    assert live(database, item) == [intent]
    assert write_outcomes(database) == []
    assert database.read(leases.count, catalog.catalog_id) == (1 if fate == "given to another" else 0)


def test_a_lease_that_ends_while_the_acknowledgement_waits_is_not_valid(postgresql: Database) -> None:
    catalog = make_catalog(postgresql, quiet_ms=0)
    (item,) = add_items(postgresql, catalog, ["a.jpg"])
    edit(postgresql, catalog, title("new"))
    mine = claimed(postgresql, catalog)
    accepted: list[int] = []
    late = threading.Thread(target=lambda: accepted.append(acknowledge(postgresql, catalog, verified(mine))))

    def work(tx: Connection) -> None:
        catalogs.lock(tx, catalog.catalog_id)
        late.start()
        until_someone_waits(postgresql)
        expire(postgresql, mine)

    postgresql.write(work)
    late.join(timeout=20)
    assert accepted == [0]
    assert now(postgresql, item).unsynced


def test_of_several_reports_those_with_a_valid_lease_are_accepted(database: Database, catalog: Catalog) -> None:
    one, two = add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    first, second = claim(database, catalog)
    expire(database, first)
    assert acknowledge(database, catalog, verified(first), verified(second)) == 1
    assert [now(database, each).unsynced for each in (one, two)] == [True, False]


def test_a_report_is_accepted_once(database: Database, catalog: Catalog, item: Item) -> None:
    mine = claimed(database, catalog)
    assert acknowledge(database, catalog, verified(mine)) == 1
    after = now(database, item)
    assert acknowledge(database, catalog, verified(mine)) == 0
    assert now(database, item) == after


def test_a_transient_failure_is_tried_again_after_a_growing_delay(
    database: Database, catalog: Catalog, item: Item
) -> None:
    delays = []
    for attempt in (1, 2, 3):
        mine = claimed(database, catalog)
        acknowledge(database, catalog, failed(mine, transient=True))
        after = now(database, item)
        assert (after.state, after.failure, after.attempts) == (ItemState.FAILED, "LOCKED", attempt)
        assert after.due_at is not None
        delays.append(after.due_at - database.read(now_ms))
        assert claim(database, catalog) == []
        store_item(database, item, due_at=1)
    assert 0 < delays[0] < delays[1] < delays[2]
    assert database.read(catalogs.counts, catalog.catalog_id).failed == 1
    acknowledge(database, catalog, verified(claimed(database, catalog)))
    after = now(database, item)
    assert (after.state, after.failure, after.failure_message, after.attempts) == (ItemState.SYNCED, None, "", 0)


def test_a_permanent_failure_waits_for_a_retry(database: Database, catalog: Catalog, item: Item) -> None:
    acknowledge(database, catalog, failed(claimed(database, catalog), transient=False))
    after = now(database, item)
    assert (after.state, after.failure, after.failure_message) == (ItemState.FAILED, "CORRUPT", "a message")
    assert after.due_at is None
    edit(database, catalog, title("newer"))
    assert claim(database, catalog) == []
    assert work_off(database, item_rules.retrial, catalog, EVERYTHING, {"LOCKED"}) == 0
    assert work_off(database, item_rules.retrial, catalog, EVERYTHING, {"CORRUPT"}) == 1
    assert claimed(database, catalog).item.tags == {"title": "newer"}


def test_a_failure_drops_what_never_began_keeps_what_met_other_content_and_leaves_the_rest(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    untouched, foreign, unknown = (intended(database, mine, target) for target in (b"1", b"2", b"3"))
    report = failed(mine, transient=True, not_carried_out=(untouched,), foreign=(foreign,))
    acknowledge(database, catalog, report)
    assert live(database, item) == [unknown]
    assert write_outcomes(database) == ["FOREIGN"]
    assert database.read(leases.count, catalog.catalog_id) == 0


def test_what_is_given_back_is_as_before_and_can_be_claimed_again(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    intent = intended(database, mine, b"1")
    revision = database.read(catalogs.counts, catalog.catalog_id).revision
    assert acknowledge(database, catalog, GivenBack(mine, (intent,))) == 1
    assert now(database, item) == item
    assert live(database, item) == []
    assert database.read(catalogs.counts, catalog.catalog_id).revision == revision
    assert claimed(database, catalog).item == item


def test_a_file_with_other_content_is_given_back_and_its_old_bytes_are_kept(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    assert acknowledge(database, catalog, GivenBack(mine, foreign=(intended(database, mine, b"1"),))) == 1
    assert live(database, item) == []
    assert write_outcomes(database) == ["FOREIGN"]
    assert claimed(database, catalog).item.verified_at is None


def test_a_conflict_waits_for_a_person(database: Database, catalog: Catalog, item: Item) -> None:
    report = conflicted(claimed(database, catalog))
    assert isinstance(report, Conflicted)
    acknowledge(database, catalog, report)
    after = now(database, item)
    assert (after.state, after.conflicts, after.due_at) == (ItemState.CONFLICTED, report.conflicts, None)
    assert after.unsynced
    assert database.read(catalogs.counts, catalog.catalog_id).conflicted == 1
    assert claim(database, catalog) == []


def test_values_taken_from_the_file_become_the_catalogs(database: Database, catalog: Catalog, item: Item) -> None:
    mine = claimed(database, catalog)
    tags = {"title": "new", "label": "Red"}
    acknowledge(database, catalog, verified(mine, tags=tags, taken_in={"label": [None, "Red"]}))
    after = now(database, item)
    assert after.tags == tags
    assert not after.unsynced
    newest = entries(database, item)[0]
    assert (newest.source, newest.changes, newest.revision) == ("RESCAN", {"label": [None, "Red"]}, after.revision)


def test_a_value_that_the_file_lost_is_lost_in_the_catalog(database: Database, catalog: Catalog, item: Item) -> None:
    edit(database, catalog, Edit("set", "label", "Red"))
    mine = claimed(database, catalog)
    acknowledge(database, catalog, verified(mine, tags={"title": "new"}, taken_in={"label": ["Red", None]}))
    assert now(database, item).tags == {"title": "new"}


def test_a_value_taken_from_the_file_does_not_replace_an_edit_that_came_in_between(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I1: the edit is merged with it."""
    mine = claimed(database, catalog)
    edit(database, catalog, Edit("set", "label", "Blue"))
    tags = {"title": "new", "label": "Red", "event": "Theirs"}
    taken_in = {"label": [None, "Red"], "event": [None, "Theirs"]}
    acknowledge(database, catalog, verified(mine, tags=tags, taken_in=taken_in))
    after = now(database, item)
    assert after.tags == {"title": "new", "label": "Blue", "event": "Theirs"}
    assert after.unsynced
    assert entries(database, item)[0].changes == {"event": [None, "Theirs"]}
    again = claimed(database, catalog)
    assert again.item.homes == {"embedded": tags}
    acknowledge(database, catalog, verified(again))
    assert not now(database, item).unsynced


def test_a_list_that_others_added_to_keeps_their_values_when_an_edit_came_in_between(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I4: the file holds theirs and ours; the edit that came meanwhile must not make theirs look removed."""
    mine = claimed(database, catalog)
    edit(database, catalog, Edit("add", "keywords", ["c"]))
    tags = {"title": "new", "keywords": ["outside"]}
    acknowledge(database, catalog, verified(mine, tags=tags, taken_in={"keywords": [None, ["outside"]]}))
    assert now(database, item).tags["keywords"] == ["outside", "c"]
    assert now(database, item).unsynced


def test_a_file_that_holds_what_nobody_verified_is_written_even_if_the_edit_is_taken_back(
    database: Database, catalog: Catalog, item: Item
) -> None:
    """I3: after a write that did not verify, what was last verified does not say what the file holds."""
    mine = claimed(database, catalog)
    intent = make_intent(item)
    database.write(intents.insert, [intent])
    acknowledge(database, catalog, failed(mine, transient=True, foreign=(intent,)))
    edit(database, catalog, Edit("clear", "title"))
    assert now(database, item).unsynced


def test_what_the_catalog_replaced_in_a_conflict_is_kept_in_the_history(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    acknowledge(database, catalog, verified(mine, replaced={"title": ["theirs", "new"]}))
    assert entries(database, item)[0].changes == {"title": ["theirs", "new"]}
    after = now(database, item)
    assert after.tags == {"title": "new"}
    assert not after.unsynced


def test_a_held_item_stays_held_when_an_edit_came_during_its_write(
    database: Database, catalog: Catalog, item: Item
) -> None:
    mine = claimed(database, catalog)
    edit(database, catalog, title("newer"))
    store_item(database, item, state=ItemState.HELD, hold={"reason": "CHECKED_OUT"}, due_at=None)
    acknowledge(database, catalog, verified(mine))
    after = now(database, item)
    assert (after.state, after.due_at) == (ItemState.HELD, None)
    assert after.unsynced


def test_a_report_on_an_item_that_is_gone_settles_its_intent(database: Database, catalog: Catalog, item: Item) -> None:
    mine = claimed(database, catalog)
    intent = intended(database, mine)

    def remove(tx: Connection) -> None:
        changeset = outcomes.Changeset(tx, catalog.catalog_id)
        changeset.remove(item)
        changeset.save()

    database.write(remove)
    assert acknowledge(database, catalog, verified(mine, settled=(intent,))) == 1
    assert not database.read(intents.any_live, catalog.catalog_id)


@pytest.mark.parametrize("hand", ["lease", "intent"])
def test_an_item_that_a_writer_has_in_hand_is_not_removed(
    database: Database, catalog: Catalog, item: Item, hand: str
) -> None:
    mine = claimed(database, catalog)
    if hand == "intent":
        intended(database, mine)
        database.write(leases.release, [mine])
    with pytest.raises(Unavailable) as caught:
        work_off(database, item_rules.removal, catalog, EVERYTHING)
    assert caught.value.reason == "CATALOG_BUSY"
    assert now(database, item) == item


def test_an_item_that_is_being_claimed_at_this_moment_is_not_removed(postgresql: Database) -> None:
    catalog = make_catalog(postgresql, quiet_ms=0)
    add_items(postgresql, catalog, ["a.jpg"])
    edit(postgresql, catalog, title("new"))
    refused: list[str] = []

    def remove() -> None:
        try:
            work_off(postgresql, item_rules.removal, catalog, EVERYTHING)
        except Unavailable as error:
            refused.append(error.reason)

    removing = threading.Thread(target=remove)

    def work(tx: Connection) -> list[Claim]:
        mine = leases.claim_due(tx, catalog.catalog_id, "writer", None, 1)
        removing.start()
        until_someone_waits(postgresql)
        return mine

    (mine,) = postgresql.write(work)
    removing.join(timeout=20)
    assert refused == ["CATALOG_BUSY"]
    assert now(postgresql, mine.item) == mine.item


def test_a_failed_settlement_of_an_intent_is_tried_again(database: Database, catalog: Catalog, item: Item) -> None:
    mine = claimed(database, catalog)
    intent = intended(database, mine)
    database.write(leases.release, [mine])
    (settler,) = database.write(leases.claim_unsettled, "settler", 5)
    acknowledge(database, catalog, failed(settler, transient=True))
    assert live(database, item) == [intent]
    assert database.write(leases.claim_unsettled, "settler", 5) == []
    store_item(database, item, due_at=1)
    (settler,) = database.write(leases.claim_unsettled, "settler", 5)
    written = replace(settler, item=replace(settler.item, revision=intent.revision))
    acknowledge(database, catalog, verified(written, settled=(intent,)))
    assert live(database, item) == []
    assert now(database, item).state is ItemState.SYNCED
