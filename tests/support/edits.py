"""Edits, claims and looks at items, as short as a test wants to say them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from indelible_server.domain.bulk import ITEMS_A_PART, Bulk
from indelible_server.domain.changes import Attribution, Edited, EditRequest, edit_tags
from indelible_server.domain.edits import Edit
from indelible_server.storage import items, leases
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.ids import new_id
from indelible_server.storage.item import Item
from indelible_server.storage.items import SavedSearch, Selection
from indelible_server.storage.leases import Claim
from indelible_server.storage.parts import parts
from indelible_server.storage.requests import RequestKey
from indelible_server.storage.runs import Run

EVERYTHING = Selection(saved_search=SavedSearch.ALL)
BY = Attribution("ann", "bob")


def title(text: str) -> Edit:
    """The edit that sets the title."""
    return Edit("set", "title", text)


def answer(edited: Edited) -> bytes:
    """The answer that is stored for an edit."""
    return json.dumps(asdict(edited)).encode()


def request(
    catalog: Catalog,
    edits: list[Edit],
    selection: Selection = EVERYTHING,
    *,
    request_id: str = "",
    digest: bytes = b"content",
    expected_revision: int | None = None,
) -> EditRequest:
    """An EditTags; a request id of its own unless one is given."""
    key = RequestKey("ann", "EditTags", request_id or new_id(), digest)
    return EditRequest(catalog.catalog_id, selection, edits, BY, key, expected_revision)


def edit(database: Database, catalog: Catalog, *edits: Edit, items: list[Item] | None = None, **more: Any) -> Edited:
    """Edit these items, or all."""
    selection = EVERYTHING if items is None else Selection(ids=tuple(item.item_id for item in items))
    return Edited(**json.loads(edit_tags(database, request(catalog, list(edits), selection, **more), answer)))


def work_off(database: Database, begin: Callable[..., Bulk], catalog: Catalog, *arguments: Any) -> int:
    """Carry out a call over many items, part by part; for how many it did something."""
    bulk = database.read(begin, catalog, *arguments)
    return sum(database.write(bulk.part, some) for some in parts(bulk.ids, ITEMS_A_PART))


def claim(
    database: Database, catalog: Catalog, writer: str = "writer", *, run: Run | None = None, limit: int = 1000
) -> list[Claim]:
    """What a writer is given that asks for work."""
    return database.write(leases.claim_due, catalog.catalog_id, writer, run, limit)


def now(database: Database, item: Item) -> Item:
    """The item as it is stored now."""
    found = database.read(items.get, item.catalog_id, item.item_id)
    assert found is not None
    return found


def all_items(database: Database, catalog: Catalog) -> list[Item]:
    """All items as they are stored now, by id."""
    return database.read(lambda tx: items.get_many(tx, catalog.catalog_id, _all_ids(tx, catalog)))


def _all_ids(tx: Any, catalog: Catalog) -> list[int]:
    return items.selected_ids(tx, catalog.catalog_id, EVERYTHING)
