"""The item: one file of a catalog, with what people want of it and what its homes were last seen to hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import Row

from ..files.tags import Tags


class ItemState(IntEnum):
    """How an item stands to its file. All but SYNCED count as unsynced."""

    SYNCED = 0
    PENDING = 1
    FAILED = 2
    CONFLICTED = 3
    HELD = 4


@dataclass(frozen=True, slots=True)
class Item:
    """A row of `items`. Change it with `dataclasses.replace` and save it through a Changeset."""

    catalog_id: int
    item_id: int
    root_id: str
    key: bytes
    path: str
    format: str
    size: int
    mtime_ns: int
    inode: int
    width: int | None
    height: int | None
    tags: Tags
    homes: dict[str, Tags]
    stale: dict[str, list[str]] = field(default_factory=dict)
    sidecar: bytes | None = None
    note: str = ""
    revision: int = 0
    synced_revision: int = 0
    change_revision: int = 0
    unsynced_since: int | None = None
    state: ItemState = ItemState.SYNCED
    due_at: int | None = None
    missing_since: int | None = None
    failure: str | None = None
    failure_message: str = ""
    attempts: int = 0
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    hold: dict[str, Any] | None = None
    counted_run: str | None = None
    verified_at: int | None = None
    dates: dict[str, str] | None = None

    @property
    def unsynced(self) -> bool:
        """True while an edit is not verified in the file."""
        return self.unsynced_since is not None


JSON_COLUMNS = ("tags", "homes", "stale", "conflicts", "hold", "dates")


def dump(value: object) -> str:
    """JSON as it is stored."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def from_row(row: Row[Any]) -> Item:
    """The item in a row of `items`."""
    values = dict(row._mapping)
    for name in JSON_COLUMNS:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["state"] = ItemState(values["state"])
    return Item(**values)


def to_row(item: Item) -> dict[str, Any]:
    """The values of the item's row."""
    values = {name: getattr(item, name) for name in Item.__slots__}
    for name in JSON_COLUMNS:
        values[name] = None if values[name] is None else dump(values[name])
    values["state"] = int(item.state)
    return values
