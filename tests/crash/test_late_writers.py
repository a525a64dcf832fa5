"""A writer whose lease ends while it stands before its write, and wakes when others have gone on (I5)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from indelible_server.files import media
from indelible_server.files.marker import MARKER
from indelible_server.files.problems import Reason
from indelible_server.roots import Roots
from indelible_server.storage import leases, tables, writers
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.writeback.pipeline import Pipeline
from support.children import child
from support.edits import all_items, claim, edit, title
from support.photos import make_photo
from support.samples import add_items, make_catalog, store_item
from unit.files.tiffs import Maker

FILES = {"patch": "a.jpg", "append": "a.tif", "replace": "a.jpg", "sidecar": "a.nef"}


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A migrated database, of hosts whose share grants no lease."""
    monkeypatch.setattr(media, "grants_leases", lambda _device: False)
    with contextlib.closing(Database(database_url)) as opened:
        yield opened


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(database: Database, photos: Path) -> Catalog:
    """A catalog of that folder, switched on."""
    made = make_catalog(database, root_path=bytes(photos), auto_sync=True, quiet_ms=0)
    (photos / MARKER.decode()).write_text(f"indelible-root {made.roots[0].root_id}\n")
    return made


def make_file(photos: Path, name: str) -> None:
    path = photos / name
    if name.endswith(".jpg"):
        make_photo(path)
    else:
        path.write_bytes(Maker().made() if name.endswith(".tif") else b"II*\0raw")


def pipeline(database: Database) -> Pipeline:
    """The next writer."""
    return Pipeline(database, "this host", Roots(), begin=lambda _claim: None, may_go_on=lambda: True)


def write(database: Database, catalog: Catalog, text: str) -> Item:
    """Edit the one item, and write it; the item as it is then."""
    edit(database, catalog, title(text))
    pipeline(database).write(catalog, claim(database, catalog, "next"))
    (item,) = all_items(database, catalog)
    return item


def end_leases(database: Database) -> None:
    """Nobody has renewed them for long."""
    database.write(lambda tx: tx.execute(sa.update(tables.leases).values(deadline=1)))
    database.write(leases.drop_expired)


def settle(database: Database, catalog: Catalog) -> Item:
    """Take over what was left; the item as it is then."""
    pipeline(database).settle(catalog, database.write(leases.claim_unsettled, "next", 10))
    (item,) = all_items(database, catalog)
    return item


def content(photos: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in photos.iterdir()}


def intents_left(database: Database) -> int:
    return database.read(lambda tx: len(tx.execute(sa.select(tables.intents)).all()))


@pytest.mark.parametrize("way", FILES)
def test_a_writer_that_wakes_late_finds_its_write_harmless(
    database: Database, catalog: Catalog, photos: Path, way: str
) -> None:
    make_file(photos, FILES[way])
    add_items(database, catalog, [FILES[way]])
    if way in ("patch", "sidecar"):
        assert write(database, catalog, "first").state is ItemState.SYNCED
    edit(database, catalog, title("late"))
    with child("stall_before_the_write", database, catalog.catalog_id) as late:
        assert late.next() == "stalls\n"
        end_leases(database)
        assert settle(database, catalog).state is ItemState.PENDING
        assert intents_left(database) == 0
        newer = write(database, catalog, "newer")
        assert (newer.state, newer.homes.popitem()[1]["title"]) == (ItemState.SYNCED, "newer")
        expected = content(photos)
        late.go_on()
    assert content(photos) == expected
    (item,) = all_items(database, catalog)
    assert (item.state, item.synced_revision) == (ItemState.SYNCED, newer.synced_revision)
    assert intents_left(database) == 0


def test_where_it_cannot_be_shut_out_its_end_is_waited_for(
    database: Database, catalog: Catalog, photos: Path, tmp_path: Path
) -> None:
    make_file(photos, "a.jpg")
    add_items(database, catalog, ["a.jpg"])
    write(database, catalog, "first")
    (tmp_path / "second name").hardlink_to(photos / "a.jpg")
    edit(database, catalog, title("late"))
    with child("stall_before_the_write", database, catalog.catalog_id) as late:
        assert late.next() == "stalls\n"
        end_leases(database)
        waiting = settle(database, catalog)
        assert (waiting.state, waiting.failure) == (ItemState.FAILED, Reason.LOCKED)
        assert waiting.due_at is not None
    assert intents_left(database) == 1
    store_item(database, waiting, due_at=1)
    database.write(writers.delete, ["late"])  # its supervisor has reaped it
    settle(database, catalog)
    assert intents_left(database) == 0
