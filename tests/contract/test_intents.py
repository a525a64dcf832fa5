"""Intents: one live intent a target over all catalogs (I5), and only settlement removes one."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from indelible_server.domain import catalogs as catalog_rules
from indelible_server.domain import items as item_rules
from indelible_server.domain.catalogs import Deletion
from indelible_server.errors import Unavailable
from indelible_server.storage import catalogs, intents
from indelible_server.storage import writes as writes_store
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.changeset import Changeset
from indelible_server.storage.database import Database
from indelible_server.storage.intents import Intent
from indelible_server.storage.item import Item
from indelible_server.storage.tables import intents as intent_rows
from indelible_server.storage.tables import metadata, writes
from indelible_server.storage.writes import VERIFIED, Note
from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from support.edits import EVERYTHING, work_off
from support.intents import make_intent, settle
from support.samples import add_items, make_catalog


@pytest.fixture
def item(database: Database, catalog: Catalog) -> Item:
    """A stored item."""
    return add_items(database, catalog, ["a.jpg"])[0]


def live(database: Database, item: Item) -> list[Intent]:
    """The live intents of an item."""
    return database.read(intents.of_items, item.catalog_id, [item.item_id]).get(item.item_id, [])


def written(database: Database, item: Item) -> list[Row[tuple[object, ...]]]:
    """The item's write history, the oldest first."""
    query = sa.select(writes).where(writes.c.catalog_id == item.catalog_id, writes.c.item_id == item.item_id)
    return database.read(lambda tx: list(tx.execute(query.order_by(writes.c.intent_id))))


def test_an_intent_is_stored_and_read_unchanged(database: Database, item: Item) -> None:
    intent = make_intent(item, run_id="run")
    assert database.write(intents.insert, [intent]) == {intent.intent_id}
    assert live(database, item) == [intent]
    assert database.read(intents.any_live, item.catalog_id)


def test_a_target_has_one_live_intent_over_all_catalogs(database: Database, item: Item) -> None:
    """I5. It is a rule of the schema: whatever the code does, the second is not taken."""
    first = make_intent(item)
    database.write(intents.insert, [first])
    foreign = make_intent(item, catalog_id=item.catalog_id + 1, item_id=99)
    free = make_intent(item, b"a.xmp")
    assert database.write(intents.insert, [foreign, free]) == {free.intent_id}
    assert live(database, item) == [first, free]
    with pytest.raises(IntegrityError):
        database.write(lambda tx: tx.execute(sa.insert(intent_rows).values(vars(foreign) | {"created_at": 1})))


def test_the_same_name_in_another_root_is_another_target(database: Database, item: Item) -> None:
    both = [make_intent(item), make_intent(item, root_id="f" * 32)]
    assert len(database.write(intents.insert, both)) == 2


def test_of_writers_that_race_for_a_target_one_gets_it(database: Database, item: Item) -> None:
    together, taken = threading.Barrier(4), []

    def work() -> None:
        together.wait()
        taken.extend(database.write(intents.insert, [make_intent(item)]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(taken) == 1
    assert [intent.intent_id for intent in live(database, item)] == taken


def test_a_settled_intent_is_kept_as_a_write_and_frees_its_target(database: Database, item: Item) -> None:
    intent = make_intent(item, run_id="run")
    database.write(intents.insert, [intent])
    note = Note(intent.revision, "PATCH", {"title": [None, "new"]}, "run")
    settle(database, intent, note, 123)
    assert live(database, item) == []
    assert not database.read(intents.any_live, item.catalog_id)
    (write,) = written(database, item)
    assert (write.intent_id, write.outcome, write.bytes_written) == (intent.intent_id, VERIFIED, 123)
    assert (write.plan, write.run_id) == (intent.plan, "run")
    assert (write.write_id, write.revision, write.method) == (intent.intent_id, intent.revision, "PATCH")
    assert len(database.write(intents.insert, [make_intent(item)])) == 1


def test_an_intent_that_was_never_carried_out_leaves_no_write(database: Database, item: Item) -> None:
    intent = make_intent(item)
    database.write(intents.insert, [intent])
    database.write(intents.drop, [intent.intent_id])
    assert live(database, item) == []
    assert written(database, item) == []


def test_the_bytes_behind_the_last_ten_writes_of_an_item_are_kept(
    database: Database, catalog: Catalog, item: Item
) -> None:
    (neighbour,) = add_items(database, catalog, ["b.jpg"])
    for each, number in ((neighbour, 3), (item, 14)):
        for nth in range(number):
            intent = make_intent(each, intent_id=f"{nth:024}")
            database.write(intents.insert, [intent])
            settle(database, intent, Note(1, "PATCH"))
    assert [len(write.plan) > 0 for write in written(database, item)] == [False] * 4 + [True] * 10
    assert all(write.plan for write in written(database, neighbour))


def test_no_more_than_so_many_writes_of_an_item_are_on_record(
    database: Database, item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes_store, "ON_RECORD", 12)
    for nth in range(14):
        intent = make_intent(item, intent_id=f"{nth:024}")
        database.write(intents.insert, [intent])
        settle(database, intent, Note(1, "PATCH"))
    assert [write.intent_id for write in written(database, item)] == [f"{nth:024}" for nth in range(2, 14)]


def test_no_table_refers_to_another_so_nothing_cascades() -> None:
    assert [key for table in metadata.tables.values() for key in table.foreign_keys] == []


def test_an_intent_outlives_its_item_and_its_catalog_in_the_store(database: Database, item: Item) -> None:
    """That neither is removed before is a rule of the domain; the store never loses an intent by itself."""
    intent = make_intent(item)
    database.write(intents.insert, [intent])

    def remove(tx: sa.Connection) -> None:
        changeset = Changeset(tx, item.catalog_id)
        changeset.remove(item)
        changeset.save()
        catalogs.delete(tx, item.catalog_id)

    database.write(remove)
    assert live(database, item) == [intent]


def test_an_item_is_not_removed_while_its_intent_lives(database: Database, catalog: Catalog, item: Item) -> None:
    intent = make_intent(item)
    database.write(intents.insert, [intent])
    with pytest.raises(Unavailable) as caught:
        work_off(database, item_rules.removal, catalog, EVERYTHING)
    assert caught.value.reason == "CATALOG_BUSY"
    database.write(intents.drop, [intent.intent_id])
    assert work_off(database, item_rules.removal, catalog, EVERYTHING) == 1


def test_a_catalog_is_not_taken_apart_while_an_intent_lives(database: Database, catalog: Catalog, item: Item) -> None:
    intent = make_intent(item)
    database.write(intents.insert, [intent])
    database.write(catalog_rules.begin_delete, catalog)
    assert database.write(catalog_rules.delete_part, catalog.catalog_id) is Deletion.WAITING
    assert database.read(catalogs.counts, catalog.catalog_id).total == 1
    database.write(intents.drop, [intent.intent_id])
    while database.write(catalog_rules.delete_part, catalog.catalog_id) is Deletion.MORE:
        pass
    assert database.read(catalogs.get, catalog.catalog_id) is None


def test_the_intents_of_another_catalog_do_not_hold_up_a_deletion(
    database: Database, catalog: Catalog, item: Item
) -> None:
    other = make_catalog(database, "Other", b"/other")
    database.write(intents.insert, [make_intent(item)])
    database.write(catalog_rules.begin_delete, other)
    assert database.write(catalog_rules.delete_part, other.catalog_id) is Deletion.DONE
