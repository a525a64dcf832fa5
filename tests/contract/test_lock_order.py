"""The counter row comes first: whoever follows the revisions of a catalog never skips a change."""

from __future__ import annotations

import random
import threading

from indelible_server.storage import catalogs, items
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.changeset import Changeset
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item
from sqlalchemy import Connection
from support.samples import add_items, make_item

THREADS, CHANGES, AT_ONCE = 6, 20, 7


def test_a_follower_sees_every_revision_once_and_in_order(database: Database, catalog: Catalog) -> None:
    """Each transaction adds or removes one item that no other touches, so each revision has one change to be seen."""
    numbers = range(THREADS * CHANGES // 2)
    doomed = add_items(database, catalog, [f"doomed {number}" for number in numbers])
    new = [make_item(catalog, f"new {number}") for number in numbers]
    begin = database.read(catalogs.counts, catalog.catalog_id).revision
    mixed = [*doomed, *new]
    random.Random(7).shuffle(mixed)

    threads = [
        threading.Thread(target=_change_each, args=(database, mixed[number::THREADS])) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    end = begin + len(mixed)
    seen = _follow(database, catalog.catalog_id, begin, end)
    for thread in threads:
        thread.join()

    assert [revision for revision, _ in seen] == list(range(begin + 1, end + 1))
    assert {path for _, path in seen} == {item.path for item in mixed}


def _change_each(database: Database, changed: list[Item]) -> None:
    for item in changed:
        database.write(_change, item)


def _change(tx: Connection, item: Item) -> None:
    changeset = Changeset(tx, item.catalog_id)
    if item.item_id:
        changeset.remove(item)
    else:
        changeset.add(item)
    changeset.save()


def _follow(database: Database, catalog_id: int, revision: int, end: int) -> list[tuple[int, str]]:
    """Follow the catalog as `rpc/feed.py` does, in small steps."""
    seen: list[tuple[int, str]] = []
    place = (revision, items.LAST_ID)
    while place[0] < end:
        place, changes = database.read(_step, catalog_id, place)
        seen += changes
    return seen


def _step(tx: Connection, catalog_id: int, place: tuple[int, int]) -> tuple[tuple[int, int], list[tuple[int, str]]]:
    revision = catalogs.counts(tx, catalog_id).revision
    changed = items.changed_after(tx, catalog_id, *place, revision, AT_ONCE)
    if not changed:
        return (revision, items.LAST_ID), []
    paths = [(at, change if isinstance(change, str) else change.path) for at, _item_id, change in changed]
    return changed[-1][:2], paths
