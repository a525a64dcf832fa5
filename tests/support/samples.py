"""Small things that many tests need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from indelible_server.storage import catalogs, items
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.changeset import Changeset
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item

ROOT_ID = "0" * 32


def make_catalog(database: Database, name: str = "Archive", root_path: bytes = b"/nowhere", **settings: Any) -> Catalog:
    """A stored catalog with one root."""

    def work(tx: Any) -> Catalog:
        catalog_id = catalogs.insert(tx, Catalog(0, name, **settings))
        catalogs.insert_root(tx, Root(f"{catalog_id:032x}", catalog_id, root_path, read_only=False))
        stored = catalogs.get(tx, catalog_id)
        assert stored is not None
        return stored

    return database.write(work)


def make_item(catalog: Catalog, path: str = "a.jpg", **values: Any) -> Item:
    """An item as an import would make it: synchronized, with the tags that its file holds."""
    tags = values.pop("tags", {})
    defaults: dict[str, Any] = {
        "catalog_id": catalog.catalog_id,
        "item_id": 0,
        "root_id": catalog.roots[0].root_id,
        "key": path.encode(),
        "path": path,
        "format": "JPEG",
        "size": 1000,
        "mtime_ns": 1,
        "inode": 1,
        "width": 10,
        "height": 10,
        "tags": tags,
        "homes": {"embedded": tags},
        "verified_at": 1,
    }
    return Item(**defaults | values)


def add_items(database: Database, catalog: Catalog, paths: list[str], **values: Any) -> list[Item]:
    """Stored items of these paths."""

    def work(tx: Any) -> list[Item]:
        changeset = Changeset(tx, catalog.catalog_id)
        added = [changeset.add(make_item(catalog, path, **values)) for path in paths]
        changeset.save()
        return added

    return database.write(work)


def store_item(database: Database, item: Item, **values: Any) -> Item:
    """Store an item with other values than it has now."""

    def work(tx: Any) -> Item:
        changeset = Changeset(tx, item.catalog_id)
        before = items.get(tx, item.catalog_id, item.item_id)
        assert before is not None
        changed = changeset.update(before, replace(before, **values))
        changeset.save()
        return changed

    return database.write(work)
