"""Undo through the pipeline of a writer, step by step: real files, both databases, no server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from indelible_server.domain import jobs as job_rules
from indelible_server.domain import undo_jobs
from indelible_server.domain.principal import Principal, Role
from indelible_server.files.problems import FileProblem, Reason
from indelible_server.roots import Roots
from indelible_server.storage import catalogs, intents, jobs, leases
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.jobs import Job
from indelible_server.storage.tables import items, undos
from indelible_server.writeback import pipeline as pipelines
from indelible_server.writeback.pipeline import Pipeline
from support.edits import EVERYTHING, claim, edit, now, title
from support.photos import make_photos, seen, stray_files
from support.samples import add_items, make_catalog

ANN = Principal("ann", Role.OPERATOR)


@dataclass
class World:
    """Three photos that a writer has written, and the undo of that."""

    database: Database
    catalog: Catalog
    items: list[Item]
    paths: list[Path]
    originals: list[bytes]
    job: Job

    def undo(self, before_each_file: Callable[[], bool] = lambda: True) -> None:
        """What a writer does with what is wanted of it."""
        pipeline = Pipeline(self.database, "host", Roots(), begin=lambda claim: None, may_go_on=before_each_file)
        pipeline.undo(self.catalog, self.database.write(undo_jobs.claim, self.job.job_id, "writer", 32))

    def settle(self) -> None:
        """What the next writer does with what another one has left."""
        pipeline = Pipeline(self.database, "host", Roots(), begin=lambda claim: None, may_go_on=lambda: True)
        pipeline.settle(self.catalog, self.database.write(leases.claim_unsettled, "writer", 32))

    def present(self) -> Job:
        """The job as it is now."""
        found = self.database.read(jobs.get, self.job.job_id)
        assert found is not None
        return found

    def contents(self) -> list[bytes]:
        """What the files hold."""
        return [path.read_bytes() for path in self.paths]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    paths = make_photos(tmp_path / "photos", 3)
    catalog = make_catalog(database, root_path=bytes(tmp_path / "photos"), quiet_ms=0, auto_sync=True)
    (tmp_path / "photos" / ".indelible-root").write_text(f"indelible-root {catalog.roots[0].root_id}\n")
    added = add_items(database, catalog, [path.name for path in paths])
    originals = [path.read_bytes() for path in paths]
    edit(database, catalog, title("new"))
    Pipeline(database, "host", Roots(), begin=lambda claim: None, may_go_on=lambda: True).write(
        catalog, claim(database, catalog)
    )
    assert {seen(path).title for path in paths} == {"new"}
    job = database.write(undo_jobs.start_for_items, ANN, catalog, EVERYTHING, "")
    return World(database, catalog, added, paths, originals, job)


def test_a_cancelled_undo_touches_no_further_file(world: World) -> None:
    asked: list[int] = []

    def cancel_after_the_first() -> bool:
        asked.append(1)
        if len(asked) == 2:
            world.database.write(job_rules.cancel, ANN, world.job.job_id)
        return True

    world.undo(cancel_after_the_first)
    assert [path.read_bytes() == original for path, original in zip(world.paths, world.originals, strict=True)] == [
        True,
        False,
        False,
    ]
    assert [now(world.database, item).tags.get("title") for item in world.items] == [None, "new", "new"]
    assert not world.database.read(intents.any_live, world.catalog.catalog_id)
    assert claim(world.database, world.catalog) == [], "nothing is left to write (I10)"
    assert stray_files(world.paths[0].parent) == []


@pytest.mark.parametrize("broken_off", ["before", "after"])
def test_an_undo_that_broke_off_is_settled_by_content_and_carried_through(
    world: World, monkeypatch: pytest.MonkeyPatch, broken_off: str
) -> None:
    """Before a file is touched it is begun anew; after it, the item is synchronized with what its file holds (I10)."""
    really = pipelines.apply

    def break_off(*arguments: object, **more: object) -> None:
        if broken_off == "after":
            really(*arguments, **more)  # type: ignore[arg-type]  # as it was called
        raise FileProblem(Reason.IO_ERROR, "the storage reported an error")

    with monkeypatch.context() as patched:
        patched.setattr(pipelines, "apply", break_off)
        world.undo()
    assert {now(world.database, item).state for item in world.items} == {ItemState.FAILED}
    assert world.database.read(catalogs.counts, world.catalog.catalog_id).unsynced == 3
    assert world.database.read(intents.any_live, world.catalog.catalog_id)

    make_due(world.database)
    world.settle()
    if broken_off == "before":
        world.undo()
    assert world.contents() == world.originals
    for item in world.items:
        after = now(world.database, item)
        assert (after.tags, after.homes["embedded"], after.state) == ({}, {}, ItemState.SYNCED)
    job = world.present()
    assert (job.state, job.done, job.counts) == ("COMPLETED", 3, {"restored_items": 3})
    assert world.database.read(catalogs.counts, world.catalog.catalog_id).unsynced == 0


def make_due(database: Database) -> None:
    """The delays behind the failures are over."""
    database.write(lambda tx: tx.execute(sa.update(items).values(due_at=0)))
    database.write(lambda tx: tx.execute(sa.update(undos).values(due_at=0)))
