"""A catalog of real photos without a server: what jobs and writers do is called straight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from indelible_server.domain import claiming
from indelible_server.domain import jobs as job_rules
from indelible_server.domain.edits import Edit
from indelible_server.domain.outcomes import Failed, acknowledge
from indelible_server.domain.principal import Principal, Role
from indelible_server.library.importing import run_import
from indelible_server.library.rescanning import run_rescan
from indelible_server.roots import Roots
from indelible_server.storage import catalogs, history, jobs
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.jobs import Job
from indelible_server.writeback.pipeline import Pipeline

from support.edits import all_items, claim, edit, title
from support.photos import make_photos
from support.samples import make_catalog

ANN = Principal("ann", Role.OPERATOR)


@dataclass
class Archive:
    """A catalog of two photos on a real folder, whose titles are "Base" on both sides."""

    database: Database
    catalog: Catalog
    folder: Path
    paths: list[Path]

    def rescan(self, path: str = "", *, read_all: bool = False, accept_missing: bool = False) -> Job:
        """A rescan, when it has ended."""
        how = {"read_all": read_all, "accept_missing": accept_missing}
        return self._carry_out(job_rules.RESCAN, run_rescan, path, **how)

    def import_new(self) -> Job:
        """An import, when it has ended."""
        return self._carry_out(job_rules.IMPORT, run_import, "")

    def write(self) -> None:
        """What a writer does with what is due."""
        self.pipeline.write(self.catalog, claim(self.database, self.catalog))

    def look_around(self, writer: str = "writer") -> int:
        """What an idle writer does, once; for how many items."""
        found = self.database.read(claiming.catalogs_with_work, writer)
        claims = [each for one in found for each in self.database.write(claiming.claim, one, writer, 32)]
        present = self.database.read(catalogs.get, self.catalog.catalog_id)
        assert present is not None
        self.pipeline.write(present, claims)
        return len(claims)

    @property
    def pipeline(self) -> Pipeline:
        """A writer's, that nobody wants to end."""
        return Pipeline(self.database, "host", Roots(), begin=lambda claim: None, may_go_on=lambda: True)

    def edit(self, *edits: Edit) -> None:
        """Edit the first photo."""
        edit(self.database, self.catalog, *edits, items=[self.item])

    def fail(self, *, transient: bool) -> None:
        """A writer fails to write the first photo."""
        (claimed,) = claim(self.database, self.catalog)
        failed = Failed(claimed, "IO_ERROR" if transient else "UNSUPPORTED", "as planned", transient)
        assert self.database.write(acknowledge, self.catalog.catalog_id, [failed]) == 1

    def set_policy(self, conflicts: str) -> None:
        """Say who wins."""
        self.catalog = replace(self.catalog, policy=self.catalog.policy | {"conflicts": conflicts})
        self.database.write(catalogs.update, self.catalog)

    @property
    def photo(self) -> Path:
        """The first photo."""
        return self.paths[0]

    @property
    def item(self) -> Item:
        """The item of the first photo, as it is stored now."""
        return all_items(self.database, self.catalog)[0]

    @property
    def revision(self) -> int:
        """The catalog's revision."""
        return self.database.read(catalogs.counts, self.catalog.catalog_id).revision

    @property
    def missing(self) -> list[str]:
        """The items that are known to have no file."""
        return [item.path for item in all_items(self.database, self.catalog) if item.missing_since is not None]

    def newest(self) -> Any:
        """The last entry of the first photo's history."""
        return self.database.read(history.of_item, self.catalog.catalog_id, self.item.item_id, 1)[0]

    def _carry_out(self, kind: str, run: Any, path: str, **how: bool) -> Job:
        job = self.database.write(job_rules.start_scan, ANN, self.catalog, kind, path, "", **how)
        run(self.database, Roots(), job)
        ended = self.database.read(jobs.get, job.job_id)
        assert ended is not None
        assert ended.ended_at is not None
        return ended


def make_archive(database: Database, folder: Path, photos: int = 2) -> Archive:
    """Photos, imported, edited and written."""
    paths = make_photos(folder, photos)
    catalog = make_catalog(database, root_path=bytes(folder), quiet_ms=0, auto_sync=True)
    (folder / ".indelible-root").write_text(f"indelible-root {catalog.roots[0].root_id}\n")
    made = Archive(database, catalog, folder, paths)
    made.import_new()
    edit(database, catalog, title("Base"))
    made.write()
    assert [item.state for item in all_items(database, catalog)] == [ItemState.SYNCED] * photos
    return made


def came_of(job: Job) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: number for name, number in job.counts.items() if number and name != "unchanged_items"}
