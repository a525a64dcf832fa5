"""Catalogs: made, found, changed, deleted. Deleting one never touches a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sqlalchemy import Connection

from ..errors import AlreadyExists, FailedPrecondition, NotFound, invalid
from ..storage import catalogs, intents, items, jobs, leases, runs, spending
from ..storage.catalogs import Catalog, Root
from ..storage.database import now_ms
from ..storage.items import SavedSearch
from .principal import Principal

NAME_LENGTH = 200
# More digits than any id has, and no more than the databases can compare with.
ID_LENGTH = 18
DESCRIPTION_LENGTH = 2_000
QUIET_MS_LIMIT = 24 * 3600 * 1000
REMOVED_AT_ONCE = 500


@dataclass(frozen=True)
class ApprovedRoot:
    """A folder that was looked at on this host: real path, id as in its marker, identity where there is no marker.

    `abilities` are what was found that its storage can do.
    """

    root_id: str
    path: bytes
    read_only: bool
    identity: str
    abilities: dict[str, Any] | None = None
    budget: dict[str, int] | None = None


def create(tx: Connection, catalog: Catalog, approved: Sequence[ApprovedRoot]) -> Catalog:
    """Store a new catalog with its roots. Auto-sync is paused, whatever `catalog` says."""
    _check(catalog)
    catalogs.lock_store(tx)
    if catalogs.by_name(tx, catalog.name) is not None:
        raise _name_taken(catalog.name)
    catalog_id = catalogs.insert(tx, replace(catalog, auto_sync=False))
    for position, root in enumerate(approved):
        _add_root(tx, catalog_id, root, f"roots[{position}].path")
    return _stored(tx, catalog_id)


def check_new(tx: Connection, catalog: Catalog) -> None:
    """Raise what `create` would, before anything is done for it on the disk."""
    _check(catalog)
    if catalogs.by_name(tx, catalog.name) is not None:
        raise _name_taken(catalog.name)


def unsynced(tx: Connection, catalog: Catalog) -> int:
    """How many items have edits that are not in their files."""
    return catalogs.counts(tx, catalog.catalog_id).unsynced


def find(tx: Connection, who: Principal, name_or_id: str) -> Catalog:
    """The catalog of this name or id, if it exists for the caller."""
    if not name_or_id:
        raise invalid("catalog", "is empty: give the name or the id of a catalog")
    is_id = name_or_id.isdecimal() and len(name_or_id) <= ID_LENGTH
    catalog = catalogs.get(tx, int(name_or_id)) if is_id else catalogs.by_name(tx, name_or_id)
    if catalog is None or catalog.deleted_at is not None or not who.may_see(catalog.catalog_id):
        raise NotFound("CATALOG_NOT_FOUND", f"There is no catalog {name_or_id!r}.", catalog=name_or_id)
    return catalog


def visible(tx: Connection, who: Principal) -> list[Catalog]:
    """The catalogs that the caller may see, by name."""
    return [catalog for catalog in catalogs.list_all(tx) if who.may_see(catalog.catalog_id)]


def update(
    tx: Connection,
    catalog: Catalog,
    wanted: Catalog,
    add: Sequence[ApprovedRoot] = (),
    remove: Sequence[str] = (),
) -> Catalog:
    """Store changed settings, those of roots too. Roots are added and removed by themselves; one with items stays."""
    _check(wanted)
    catalogs.lock_store(tx)
    other = catalogs.by_name(tx, wanted.name)
    if other is not None and other.catalog_id != catalog.catalog_id:
        raise _name_taken(wanted.name)
    for root_id in remove:
        _remove_root(tx, catalog, root_id)
    for position, root in enumerate(add):
        _add_root(tx, catalog.catalog_id, root, f"catalog.roots[{position}].path")
    _change_budgets(tx, catalog, wanted)
    catalogs.update(tx, wanted)
    return _stored(tx, catalog.catalog_id)


def check_no_overlap(tx: Connection, path: bytes, field: str, root_id: str = "", also: Sequence[bytes] = ()) -> None:
    """Raise `AlreadyExists` if a root of any catalog, or one of `also`, is, holds or lies below this folder."""
    known = [(root.path, root.root_id) for root in catalogs.all_roots(tx)] + [(other, "") for other in also]
    for other, other_id in known:
        if _overlap(path, other) or (root_id and root_id == other_id):
            shown = other.decode("utf-8", "backslashreplace")
            raise AlreadyExists(
                "ROOT_OVERLAPS",
                f"{field}: {path.decode('utf-8', 'backslashreplace')!r} overlaps the root {shown!r}; "
                "a file belongs to one root only.",
                field=field,
                path=shown,
            )


def begin_delete(tx: Connection, catalog: Catalog) -> None:
    """First part of a deletion: the catalog is gone for callers, its name is free, nothing is claimed any more."""
    catalogs.lock(tx, catalog.catalog_id)
    run = runs.active(tx, catalog.catalog_id)
    if run is not None:
        runs.set_state(tx, run, runs.CANCELLED)
    for job in jobs.active(tx, catalog.catalog_id):
        jobs.update(tx, job, state=jobs.CANCELLED, message="The catalog was deleted.")
    from_now = replace(catalog, auto_sync=False, deleted_at=now_ms(tx))
    catalogs.update(tx, from_now)


class Deletion(Enum):
    """How far the deletion of a catalog is."""

    DONE = "DONE"
    MORE = "MORE"
    WAITING = "WAITING"
    """A file of it is in a writer's hand, or what became of one is not settled: nothing goes until it is."""


def delete_part(tx: Connection, catalog_id: int) -> Deletion:
    """Carry out the next part of a deletion that was begun. May be repeated, also when it is done."""
    if catalogs.get(tx, catalog_id) is None:
        return Deletion.DONE
    catalogs.lock(tx, catalog_id)
    if intents.any_live(tx, catalog_id) or leases.count(tx, catalog_id):
        return Deletion.WAITING
    if catalogs.delete_items(tx, catalog_id, REMOVED_AT_ONCE):
        return Deletion.MORE
    catalogs.delete(tx, catalog_id)
    return Deletion.DONE


def _check(catalog: Catalog) -> None:
    name = catalog.name
    if not name.strip() or name != name.strip():
        raise invalid("name", "is empty, or begins or ends with a blank")
    if len(name) > NAME_LENGTH:
        raise invalid("name", f"is longer than {NAME_LENGTH} characters")
    if name.isdecimal():
        raise invalid("name", "is only digits: that would be taken for an id")
    if any(unicodedata.category(character).startswith("C") for character in name):
        raise invalid("name", "has control characters")
    if len(catalog.description) > DESCRIPTION_LENGTH:
        raise invalid("description", f"is longer than {DESCRIPTION_LENGTH} characters")
    if not 0 <= catalog.quiet_ms <= QUIET_MS_LIMIT:
        raise invalid("quiet_period", "is negative or longer than a day")


def _add_root(tx: Connection, catalog_id: int, approved: ApprovedRoot, field: str) -> None:
    check_no_overlap(tx, approved.path, field, approved.root_id)
    catalogs.insert_root(tx, Root(catalog_id=catalog_id, **vars(approved)))


def _change_budgets(tx: Connection, catalog: Catalog, wanted: Catalog) -> None:
    """Of the catalog and of its roots. What was spent of the old ones is forgotten: one may have been a mistake."""
    before = {root.root_id: root.budget for root in catalog.roots}
    changed = [root for root in wanted.roots if root.budget != before.get(root.root_id)]
    if changed:
        catalogs.lock(tx, catalog.catalog_id)
    for root in changed:
        catalogs.set_root_budget(tx, root)
        spending.forget(tx, catalog.catalog_id, root.root_id)
    if wanted.budget != catalog.budget:
        spending.forget(tx, catalog.catalog_id, spending.CATALOG)


def _remove_root(tx: Connection, catalog: Catalog, root_id: str) -> None:
    catalogs.lock(tx, catalog.catalog_id)
    if items.count(tx, catalog.catalog_id, SavedSearch.ALL, "", root_id):
        raise FailedPrecondition(
            "ROOT_IN_USE", "This root still has items in the catalog. Remove the items first.", root=root_id
        )
    catalogs.delete_root(tx, root_id)


def _overlap(one: bytes, other: bytes) -> bool:
    one, other = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return one.startswith(other) or other.startswith(one)


def _name_taken(name: str) -> AlreadyExists:
    return AlreadyExists("NAME_TAKEN", f"There is a catalog {name!r} already.", field="name", name=name)


def _stored(tx: Connection, catalog_id: int) -> Catalog:
    stored = catalogs.get(tx, catalog_id)
    assert stored is not None
    return stored
