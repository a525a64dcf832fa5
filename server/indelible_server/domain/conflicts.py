"""Conflicts that wait for a person: decided for the catalog or for the file.

What the file holds is on record since the conflict was found, as if it had been written then: a field that is decided
for the catalog is written over that value only, and if the file has changed again there, it is in conflict anew.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from enum import Enum
from functools import partial

from sqlalchemy import Connection

from ..files.merge import ConflictPolicy
from ..storage import catalogs, items
from ..storage.catalogs import Catalog
from ..storage.changeset import Changeset
from ..storage.database import Database
from ..storage.item import ItemState
from ..storage.items import Page, SavedSearch, Selection
from . import item_state, policies
from .bulk import ITEMS_A_PART, PAUSE_S, Bulk
from .changes import Attribution
from .fields import field_of
from .items import select
from .principal import Principal


class Side(Enum):
    """Whose value a decision is for, and what the history calls its source."""

    CATALOG = "EDIT"
    FILE = "RESCAN"


def resolution(
    tx: Connection, who: Principal, catalog: Catalog, selection: Selection, side: Side, fields: Sequence[str]
) -> Bulk:
    """Decide the selection's conflicts for one side: those in `fields`, or all if it is empty.

    For the catalog, the item becomes due; for the file, its value becomes the catalog's, and the item is synced if
    nothing else is left to write. The history has both values. Counted are items that have no conflict any more.
    """
    for place, name in enumerate(fields):
        field_of(name, policies.custom_fields(catalog), f"fields[{place}]")
    ids = select(tx, catalog.catalog_id, selection)
    waiting = items.in_state(tx, catalog.catalog_id, ids, ItemState.CONFLICTED)
    by = Attribution(who.name, who.on_behalf_of, side.value)
    return Bulk(len(ids), waiting, partial(_resolve, catalog_id=catalog.catalog_id, side=side, fields=fields, by=by))


def follow_policies(database: Database) -> None:
    """Decide what waits for a person in catalogs whose policy has come to be another than HOLD. May be repeated."""
    for catalog_id in database.read(_undecided):
        while database.write(_follow_policy, catalog_id):
            time.sleep(PAUSE_S)


def _undecided(tx: Connection) -> list[int]:
    return [
        catalog.catalog_id
        for catalog in catalogs.list_all(tx)
        if policies.engine_policy(catalog).conflicts is not ConflictPolicy.HOLD
        and catalogs.counts(tx, catalog.catalog_id).conflicted
    ]


def _follow_policy(tx: Connection, catalog_id: int) -> int:
    catalog = catalogs.get(tx, catalog_id)
    policy = ConflictPolicy.HOLD if catalog is None else policies.engine_policy(catalog).conflicts
    if policy is ConflictPolicy.HOLD:
        return 0
    waiting = items.page(tx, catalog_id, SavedSearch.CONFLICTED, "", "", Page(), ITEMS_A_PART)
    side = Side.FILE if policy is ConflictPolicy.FILE_WINS else Side.CATALOG
    ids = [item.item_id for item in waiting]
    return _resolve(tx, ids, catalog_id=catalog_id, side=side, fields=(), by=Attribution("", source=side.value))


def _resolve(
    tx: Connection, ids: Sequence[int], *, catalog_id: int, side: Side, fields: Collection[str], by: Attribution
) -> int:
    catalog = catalogs.get(tx, catalog_id)
    if catalog is None or not ids:
        return 0
    policy = policies.engine_policy(catalog)
    changeset = Changeset(tx, catalog_id)
    items.lock(tx, catalog_id, ids)
    in_flight = items.in_flight(tx, catalog_id, ids)
    resolved = 0
    for item in items.get_many(tx, catalog_id, ids):
        theirs = {each["field"]: each["theirs"] for each in item.conflicts if not fields or each["field"] in fields}
        if not theirs:
            continue
        if side is Side.CATALOG:
            after = item_state.resolved(item, theirs, revision=changeset.revision, now=changeset.now)
            changes = {name: [value, item.tags.get(name)] for name, value in theirs.items()}
        else:
            tags = {name: value for name, value in (item.tags | theirs).items() if value is not None}
            to_write = item.item_id in in_flight or policies.to_write(policy, item, tags)
            after = item_state.edited(item, tags, revision=changeset.revision, due_at=changeset.now, to_write=to_write)
            changes = {name: [item.tags.get(name), value] for name, value in theirs.items()}
        changeset.update(item, after)
        changeset.note(item, changes, **asdict(by))
        resolved += not after.conflicts
    changeset.save()
    return resolved
