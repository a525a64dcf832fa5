"""Another program writes to a file after a write of ours that nobody has acknowledged: what people edit then counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.domain.edits import Edit
from indelible_server.roots import Roots
from indelible_server.storage import leases
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.tables import items
from indelible_server.writeback import pipeline as pipelines
from indelible_server.writeback.pipeline import Pipeline
from support.edits import claim, edit, now, title
from support.photos import Seen, edit_outside, make_photo, seen
from support.samples import add_items, make_catalog

PHOTO = "a.jpg"


class Killed(BaseException):
    """The end of a writer, as far as its files and the store can tell."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    make_photo(tmp_path / PHOTO)
    return tmp_path / PHOTO


@pytest.fixture
def archive(database: Database, photo: Path) -> Catalog:
    """A catalog of one photo, on a real folder."""
    catalog = make_catalog(database, root_path=bytes(photo.parent), quiet_ms=0, auto_sync=True)
    (photo.parent / ".indelible-root").write_text(f"indelible-root {catalog.roots[0].root_id}\n")
    return catalog


@pytest.fixture
def item(database: Database, archive: Catalog) -> Item:
    return add_items(database, archive, [PHOTO])[0]


def writer(database: Database) -> Pipeline:
    """The pipeline of a writer."""
    return Pipeline(database, "this host", Roots(), begin=lambda claim: None, may_go_on=lambda: True)


def write(database: Database, catalog: Catalog) -> None:
    """What a writer does with what is due."""
    writer(database).write(catalog, claim(database, catalog))


def settle(database: Database, catalog: Catalog) -> None:
    """What the next writer does with what a dead one has left."""
    database.write(leases.drop, ["writer"])
    writer(database).settle(catalog, database.write(leases.claim_unsettled, "next writer", 32))


@pytest.fixture
def write_that_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database, Catalog], None]:
    """A writer that is killed when it has written a file, and before it has said so."""
    really = pipelines.apply

    def apply(*arguments: Any, **more: Any) -> None:
        really(*arguments, **more)
        raise Killed

    def write_and_die(database: Database, catalog: Catalog) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(pipelines, "apply", apply)
            with pytest.raises(Killed):
                write(database, catalog)

    return write_and_die


def test_an_edit_that_takes_an_unacknowledged_write_back_is_not_undone_by_what_others_wrote_after_it(
    database: Database,
    archive: Catalog,
    item: Item,
    photo: Path,
    write_that_is_cut_off: Callable[[Database, Catalog], None],
) -> None:
    """I1: the title was set and written; others wrote; then it was cleared again, and a keyword removed."""
    edit(database, archive, title("mistaken"), Edit("add", "keywords", ["mistaken", "kept"]))
    write_that_is_cut_off(database, archive)
    edit_outside(photo, credit="theirs", keyword="also theirs")
    settle(database, archive)

    edit(database, archive, Edit("clear", "title"), Edit("remove", "keywords", ["mistaken"]))
    write(database, archive)

    assert seen(photo) == Seen(title=None, keywords=("also theirs", "kept"), credit="theirs")
    after = now(database, item)
    assert after.tags == {"credit": "theirs", "keywords": ["kept", "also theirs"]}
    assert after.state is ItemState.SYNCED


def test_what_others_write_before_a_write_is_read_back_is_merged_at_the_next_try(
    database: Database, archive: Catalog, item: Item, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to do anything about it, and what was edited meanwhile counts."""
    really = pipelines.apply

    def apply(*arguments: Any, **more: Any) -> Any:
        applied = really(*arguments, **more)
        edit_outside(photo, credit="theirs")
        return applied

    edit(database, archive, title("mistaken"))
    with monkeypatch.context() as patched:
        patched.setattr(pipelines, "apply", apply)
        write(database, archive)
    failed = now(database, item)
    assert (failed.state, failed.failure) == (ItemState.FAILED, "LOCKED")
    assert failed.due_at is not None, "it is tried again by itself"

    edit(database, archive, Edit("clear", "title"))
    database.write(lambda tx: tx.execute(sa.update(items).values(due_at=0)))
    write(database, archive)

    assert seen(photo) == Seen(credit="theirs")
    assert (now(database, item).tags, now(database, item).state) == ({"credit": "theirs"}, ItemState.SYNCED)
