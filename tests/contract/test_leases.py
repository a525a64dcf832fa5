"""Leases: one writer an item, until a deadline."""

from __future__ import annotations

import threading
import time

import sqlalchemy as sa
from indelible_server.storage import intents, leases, writers
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database, now_ms
from indelible_server.storage.intents import Late
from indelible_server.storage.leases import Claim
from indelible_server.storage.tables import leases as lease_rows
from support.edits import claim, edit, title
from support.intents import make_intent
from support.samples import add_items, make_catalog

WRITERS, ITEMS = 4, 120


def edited(database: Database, catalog: Catalog, number: int) -> None:
    """Items that are due."""
    add_items(database, catalog, [f"{each:04}" for each in range(number)])
    edit(database, catalog, title("new"))


def expire(database: Database, *claims: Claim, at: int = 1) -> None:
    """Let leases end long ago, or at another time."""
    tokens = [each.token for each in claims]
    query = sa.update(lease_rows).where(lease_rows.c.token.in_(tokens)).values(deadline=at)
    database.write(lambda tx: tx.execute(query))


def valid(database: Database, *claims: Claim) -> set[str]:
    """The tokens that still stand."""
    return database.read(leases.valid, claims)


def test_writers_that_race_get_disjoint_items_and_together_all(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, ITEMS)
    together, patience = threading.Barrier(WRITERS), time.monotonic() + 20
    claimed: list[Claim] = []

    def work(number: int) -> None:
        together.wait()
        while len(claimed) < ITEMS and time.monotonic() < patience:
            claimed.extend(claim(database, catalog, f"writer {number}", limit=7))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len({each.item.item_id for each in claimed}) == len(claimed) == ITEMS
    assert len({each.token for each in claimed}) == ITEMS


def test_an_item_in_a_writers_hand_is_not_given_to_another(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 3)
    first = claim(database, catalog, "one", limit=2)
    second = claim(database, catalog, "two")
    assert [len(first), len(second)] == [2, 1]
    assert claim(database, catalog, "three") == []
    assert valid(database, *first, *second) == {each.token for each in (*first, *second)}
    assert database.read(leases.count, catalog.catalog_id) == 3


def test_a_claim_that_another_host_is_committing_is_passed_over_not_waited_for(postgresql: Database) -> None:
    catalog = make_catalog(postgresql, quiet_ms=0)
    edited(postgresql, catalog, 3)
    with postgresql.engine.connect() as other_host:
        theirs = leases.claim_due(other_host, catalog.catalog_id, "theirs", None, 2)
        ours = claim(postgresql, catalog, "ours")
        other_host.commit()
    assert {each.item.item_id for each in ours}.isdisjoint(each.item.item_id for each in theirs)
    assert len(ours) == 1


def test_an_expired_lease_is_not_valid_and_can_be_dropped(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 2)
    one, two = claim(database, catalog, "slow")
    expire(database, one)
    assert valid(database, one, two) == {two.token}
    assert database.read(leases.count, catalog.catalog_id) == 1
    database.write(leases.drop_expired)
    (again,) = claim(database, catalog, "next")
    assert again.item == one.item
    assert again.token != one.token
    assert valid(database, one, two, again) == {two.token, again.token}


def test_an_item_whose_lease_expired_is_not_claimed_before_it_is_dropped(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 1)
    expire(database, *claim(database, catalog, "slow"))
    assert claim(database, catalog, "next") == []


def deadlines(database: Database) -> dict[str, int]:
    """When each lease ends."""
    query = sa.select(lease_rows.c.token, lease_rows.c.deadline)
    return database.read(lambda tx: {row.token: row.deadline for row in tx.execute(query)})


def test_renewing_keeps_the_leases_of_those_writers_only(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 2)
    (one,) = claim(database, catalog, "alive", limit=1)
    (two,) = claim(database, catalog, "silent", limit=1)
    soon = database.read(now_ms) + 20_000
    expire(database, one, two, at=soon)
    database.write(leases.renew, ["alive"])
    after = deadlines(database)
    assert after[one.token] > soon
    assert after[two.token] == soon


def test_a_lease_that_has_ended_is_not_renewed(database: Database, catalog: Catalog) -> None:
    """Its item may be in another writer's hand in the next moment."""
    edited(database, catalog, 1)
    (one,) = claim(database, catalog, "alive", limit=1)
    expire(database, one)
    database.write(leases.renew, ["alive"])
    assert valid(database, one) == set()


def test_the_leases_of_a_dead_writer_are_dropped_at_once(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 2)
    (dead,) = claim(database, catalog, "dead", limit=1)
    (alive,) = claim(database, catalog, "alive", limit=1)
    database.write(leases.drop, ["dead"])
    assert valid(database, dead, alive) == {alive.token}
    assert [each.item for each in claim(database, catalog, "next")] == [dead.item]


def test_an_item_given_back_can_be_claimed_again(database: Database, catalog: Catalog) -> None:
    edited(database, catalog, 1)
    (first,) = claim(database, catalog, "one")
    database.write(leases.release, [first])
    (second,) = claim(database, catalog, "two")
    assert second.item == first.item
    database.write(leases.release, [first])  # late: it is not theirs any more
    assert valid(database, second) == {second.token}


def test_whose_lease_ends_may_still_be_about_to_write_until_it_is_known_to_be_dead(
    database: Database, catalog: Catalog
) -> None:
    edited(database, catalog, 2)
    for writer_id in ("late", "next"):
        database.write(writers.insert, writer_id, "host")
    late, other = claim(database, catalog, "late")
    intent, left = make_intent(late.item), make_intent(other.item)
    database.write(intents.insert, [intent, left])
    expire(database, late)
    database.write(leases.drop_expired)
    database.write(leases.drop, ["late"])
    both = [intent.intent_id, left.intent_id]
    assert database.read(intents.late, both) == {intent.intent_id: Late(1, may_live=True)}
    again = next(each for each in database.write(leases.claim_unsettled, "next", 9) if each.item == late.item)
    expire(database, again)
    database.write(leases.drop_expired)
    assert database.read(intents.late, both) == {intent.intent_id: Late(2, may_live=True)}
    database.write(writers.delete, ["next"])
    assert database.read(intents.late, both)[intent.intent_id].may_live
    database.write(writers.delete, ["late"])
    assert database.read(intents.late, both) == {intent.intent_id: Late(2, may_live=False)}
    database.write(intents.drop, both)
    assert database.read(intents.late, both) == {}
