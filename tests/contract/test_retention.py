"""What has been kept for long enough goes, and nothing that is still needed."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.domain import items as item_rules
from indelible_server.domain.retention import Retention
from indelible_server.storage import catalogs, history
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.items import Selection
from indelible_server.storage.tables import history as entries
from indelible_server.storage.tables import tombstones
from support.edits import all_items, claim, edit, title, work_off
from support.outcomes import acknowledge, verified
from support.samples import add_items

DAY_MS = 24 * 3600 * 1000


def age(database: Database, column: sa.Column[Any], days: int, *where: sa.ColumnElement[bool]) -> None:
    """Let all rows be so much older."""
    table = column.table
    assert isinstance(table, sa.Table)
    database.write(lambda tx: tx.execute(sa.update(table).where(*where).values({column: column - days * DAY_MS})))


def revisions(database: Database, catalog: Catalog, item_id: int) -> list[int]:
    """The entries of an item that are there, the newest first."""
    return [entry.revision for entry in database.read(history.of_item, catalog.catalog_id, item_id, 100)]


def gone(database: Database) -> int:
    """How many rows go when the retention has walked over everything."""
    chore = Retention(database)
    return sum(chore.step() for _ in range(5))


def test_of_old_edits_the_last_ten_stay_and_all_younger_ones(
    database: Database, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indelible_server.domain.retention.ITEMS_A_STEP", 1)
    often, once = add_items(database, catalog, ["a.jpg", "b.jpg"])
    for number in range(13):
        edit(database, catalog, title(str(number)), items=[often])
    edit(database, catalog, title("one"), items=[once])
    for each in claim(database, catalog):
        acknowledge(database, catalog, verified(each))
    before = revisions(database, catalog, often.item_id)
    assert len(before) == 13
    age(database, entries.c.at, 89)
    assert gone(database) == 0

    age(database, entries.c.at, 2)

    assert gone(database) == 3
    assert revisions(database, catalog, often.item_id) == before[:10]
    assert len(revisions(database, catalog, once.item_id)) == 1
    assert gone(database) == 0


def test_what_is_not_in_its_file_yet_keeps_all_its_edits(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a.jpg"])
    for number in range(13):
        edit(database, catalog, title(str(number)), items=[item])

    age(database, entries.c.at, 91)

    assert gone(database) == 0
    for each in claim(database, catalog):
        acknowledge(database, catalog, verified(each))
    assert gone(database) == 3


def test_the_history_of_a_removed_item_goes_when_it_is_old(database: Database, catalog: Catalog) -> None:
    (item,) = add_items(database, catalog, ["a.jpg"])
    edit(database, catalog, title("one"), items=[item])
    work_off(database, item_rules.removal, catalog, Selection(ids=(item.item_id,)))
    assert gone(database) == 0

    age(database, entries.c.at, 91)

    assert gone(database) == 1
    assert not revisions(database, catalog, item.item_id)


def test_after_thirty_days_removals_are_forgotten_and_the_catalog_says_up_to_where(
    database: Database, catalog: Catalog
) -> None:
    first, second, third = add_items(database, catalog, ["a.jpg", "b.jpg", "c.jpg"])
    for item in (first, second, third):
        work_off(database, item_rules.removal, catalog, Selection(ids=(item.item_id,)))
    removed_at = [row[0] for row in database.read(_removals)]
    age(database, tombstones.c.removed_at, 31, tombstones.c.change_revision <= removed_at[1])
    assert database.read(catalogs.counts, catalog.catalog_id).compacted_revision == 0

    assert gone(database) == 2

    assert [row[0] for row in database.read(_removals)] == removed_at[2:]
    assert database.read(catalogs.counts, catalog.catalog_id).compacted_revision == removed_at[1]
    assert gone(database) == 0
    assert not all_items(database, catalog)


def _removals(tx: sa.Connection) -> list[Any]:
    return list(tx.execute(sa.select(tombstones.c.change_revision).order_by(tombstones.c.change_revision)))
