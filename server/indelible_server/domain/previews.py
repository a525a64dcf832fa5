"""What would be written, before anything is: for one item, and added up."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from sqlalchemy import Connection

from ..storage import catalogs, items, runs
from ..storage.catalogs import Catalog
from ..storage.items import Page, SavedSearch, Selection
from .items import select


@dataclass(frozen=True)
class PreviewedFile:
    """What would be done to one file; `method` as the contract calls it."""

    home: str
    path: str
    method: str
    bytes_to_write: int
    is_new: bool = False


@dataclass(frozen=True)
class Preview:
    """What would be written for one item. Without files, `failure` or `note` says why not, or nothing has to be."""

    item_id: int
    format: str = ""
    files: Sequence[PreviewedFile] = ()
    changes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    failure: str = ""
    message: str = ""
    note: str = ""

    @property
    def bytes_to_write(self) -> int:
        """For all its files."""
        return sum(file.bytes_to_write for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From another process."""
        return cls(**{**values, "files": tuple(PreviewedFile(**file) for file in values["files"])})


class Previews(Protocol):
    """Looks into files without touching them, whatever they do to it."""

    async def of_items(self, catalog_id: int, item_ids: Sequence[int]) -> list[Preview]:
        """The previews of those of these items that there are, in this order."""


@dataclass
class Summary:
    """Previews added up: items and bytes by format and method, and why the others would not be written."""

    total: int
    looked_at: int = 0
    items: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_to_write: Counter[tuple[str, str]] = field(default_factory=Counter)
    new_sidecars: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, preview: Preview) -> None:
        """Add one item. One that several files are written for counts by the first."""
        self.looked_at += 1
        if preview.failure:
            self.failures[preview.failure] += 1
        elif not preview.files and preview.note:
            self.notes[preview.note] += 1
        else:
            key = preview.format, preview.files[0].method if preview.files else "UNCHANGED"
            self.items[key] += 1
            self.bytes_to_write[key] += preview.bytes_to_write
            self.new_sidecars += sum(file.is_new for file in preview.files)


def wanted(tx: Connection, catalog: Catalog, selection: Selection | None) -> list[tuple[str, int]]:
    """The paths and ids of the items that a run would cover that is started now, in the order of their paths."""
    if selection is None:
        return items.unsynced_paths(tx, catalog.catalog_id)
    ids = runs.unsynced_among(tx, catalog.catalog_id, select(tx, catalog.catalog_id, selection))
    return items.paths_of(tx, catalog.catalog_id, ids)


def page(
    tx: Connection, catalog: Catalog, selection: Selection | None, after: Page, limit: int
) -> tuple[list[tuple[str, int]], int]:
    """Up to `limit` of them behind `after`, and how many there are in all."""
    if selection is None:
        found = items.page(tx, catalog.catalog_id, SavedSearch.UNSYNCED, "", "", after, limit)
        return [(item.path, item.item_id) for item in found], catalogs.counts(tx, catalog.catalog_id).unsynced
    chosen = wanted(tx, catalog, selection)
    first = bisect_right(chosen, (after.path, after.item_id))
    return chosen[first : first + limit], len(chosen)
