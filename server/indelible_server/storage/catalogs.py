"""Catalogs, their counters and their roots."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from .database import Overtaken, now_ms, touch
from .item import dump
from .tables import (
    catalogs,
    counters,
    history,
    items,
    job_claims,
    jobs,
    roots,
    run_items,
    runs,
    spending,
    store,
    tombstones,
    undos,
    unreached,
    writes,
)

DEFAULT_QUIET_MS = 2000
_CATALOG_JSON = ("policy", "schedule", "budget")
_ROOT_JSON = ("abilities", "budget")


@dataclass(frozen=True)
class Root:
    """A folder that an admin approved, with everything below it."""

    root_id: str
    catalog_id: int
    path: bytes
    read_only: bool
    identity: str = ""
    position: int = 0
    unsynced: int = 0
    offline_since: int | None = None
    abilities: dict[str, Any] | None = None
    budget: dict[str, int] | None = None


@dataclass(frozen=True)
class Counts:
    """The kept counts of a catalog, as of `revision`."""

    revision: int
    compacted_revision: int
    total: int
    unsynced: int
    failed: int
    conflicted: int
    held: int
    missing: int


@dataclass(frozen=True)
class Catalog:
    """A catalog's settings. `revision` is raised by every change of them."""

    catalog_id: int
    name: str
    description: str = ""
    auto_sync: bool = False
    policy: dict[str, Any] = field(default_factory=dict)
    quiet_ms: int = DEFAULT_QUIET_MS
    schedule: dict[str, Any] | None = None
    budget: dict[str, int] | None = None
    revision: int = 1
    created_at: int = 0
    updated_at: int = 0
    deleted_at: int | None = None
    roots: tuple[Root, ...] = ()


def insert(tx: Connection, catalog: Catalog) -> int:
    """Store a new catalog with its counters; its id is given here. Roots are added by `insert_root`."""
    now = now_ms(tx)
    values = _values(catalog) | {"created_at": now}
    catalog_id = tx.scalar(sa.insert(catalogs).values(values | {"updated_at": now}).returning(catalogs.c.catalog_id))
    assert catalog_id is not None
    zero = {column.name: 0 for column in counters.c} | {"catalog_id": catalog_id, "next_item_id": 1}
    tx.execute(sa.insert(counters).values(zero))
    touch(tx, catalog_id)
    return int(catalog_id)


def update(tx: Connection, catalog: Catalog) -> None:
    """Store changed settings, unless they were changed since this transaction read them: then it is repeated."""
    values = _values(catalog) | {"revision": catalog.revision + 1, "updated_at": now_ms(tx)}
    as_read = sa.and_(catalogs.c.catalog_id == catalog.catalog_id, catalogs.c.revision == catalog.revision)
    if not tx.execute(sa.update(catalogs).where(as_read).values(values)).rowcount:
        raise Overtaken
    touch(tx, catalog.catalog_id)


def delete_items(tx: Connection, catalog_id: int, limit: int) -> int:
    """Remove up to `limit` items of a catalog that is being deleted, with their history; returns how many."""
    query = sa.select(items.c.item_id).where(items.c.catalog_id == catalog_id).order_by(items.c.item_id)
    ids = list(tx.scalars(query.limit(limit)))
    for table in (history, writes, undos, items):
        tx.execute(sa.delete(table).where(table.c.catalog_id == catalog_id, table.c.item_id.in_(ids)))
    return len(ids)


def delete(tx: Connection, catalog_id: int) -> None:
    """Remove all that is left of a catalog whose items are gone. Bulk edits stay until whoever waits is answered."""
    of_jobs, of_roots = (undos, job_claims, jobs), (unreached, spending, roots)
    for table in (history, writes, tombstones, runs, run_items, *of_jobs, *of_roots, counters, catalogs):
        tx.execute(sa.delete(table).where(table.c.catalog_id == catalog_id))
    touch(tx, catalog_id)


def get(tx: Connection, catalog_id: int) -> Catalog | None:
    """The catalog, also one that is being deleted; or None."""
    return next(iter(_select(tx, catalogs.c.catalog_id == catalog_id)), None)


def get_many(tx: Connection, catalog_ids: Collection[int]) -> list[Catalog]:
    """Those of these catalogs that there are, by name."""
    return _select(tx, catalogs.c.catalog_id.in_(catalog_ids)) if catalog_ids else []


def by_name(tx: Connection, name: str) -> Catalog | None:
    """The living catalog of this name, or None."""
    return next(iter(_select(tx, catalogs.c.name == name, catalogs.c.deleted_at.is_(None))), None)


def list_all(tx: Connection) -> list[Catalog]:
    """All living catalogs, by name."""
    return _select(tx, catalogs.c.deleted_at.is_(None))


def being_deleted(tx: Connection) -> list[Catalog]:
    """Catalogs whose deletion was begun and has not ended."""
    return _select(tx, catalogs.c.deleted_at.is_not(None))


def counts(tx: Connection, catalog_id: int) -> Counts:
    """The kept counts."""
    row = tx.execute(sa.select(counters).where(counters.c.catalog_id == catalog_id)).one()
    return Counts(**{name: getattr(row, name) for name in Counts.__dataclass_fields__})


def lock(tx: Connection, catalog_id: int) -> None:
    """Take the counter row: the first lock of every transaction that changes what belongs to a catalog."""
    tx.execute(sa.select(counters.c.catalog_id).where(counters.c.catalog_id == catalog_id).with_for_update())


def lock_store(tx: Connection) -> str:
    """Take the store's own row, for rules that span catalogs; returns the store's id."""
    return str(tx.scalar(sa.select(store.c.store_id).with_for_update()))


def store_id(tx: Connection) -> str:
    """The store's id; a restore or transfer changes it."""
    return str(tx.scalar(sa.select(store.c.store_id)))


def insert_root(tx: Connection, root: Root) -> None:
    """Store an approved root. The caller holds `lock_store` and has checked that it overlaps no other."""
    position = tx.scalar(sa.select(sa.func.count()).where(roots.c.catalog_id == root.catalog_id))
    values = {name: getattr(root, name) for name in Root.__dataclass_fields__}
    values |= {name: _dumped(values[name]) for name in _ROOT_JSON}
    tx.execute(sa.insert(roots).values(values | {"position": position, "created_at": now_ms(tx)}))
    touch(tx, root.catalog_id)


def delete_root(tx: Connection, root_id: str) -> None:
    """Remove a root whose items are gone."""
    for table in (unreached, spending, roots):
        tx.execute(sa.delete(table).where(table.c.root_id == root_id))


def set_root_budget(tx: Connection, root: Root) -> None:
    """Store how much may be written below a root, if there is still one."""
    tx.execute(sa.update(roots).where(roots.c.root_id == root.root_id).values(budget=_dumped(root.budget)))


def all_roots(tx: Connection) -> list[Root]:
    """The roots of all catalogs."""
    return [root_from_row(row) for row in tx.execute(sa.select(roots).order_by(roots.c.root_id))]


def set_root_offline(tx: Connection, root_id: str, offline: bool) -> None:
    """Note that a root can't be reached, or can again; repeated calls keep the first time."""
    now = now_ms(tx) if offline else None
    is_other = roots.c.offline_since.is_(None) if offline else roots.c.offline_since.is_not(None)
    changed = tx.execute(
        sa.update(roots)
        .where(roots.c.root_id == root_id, is_other)
        .values(offline_since=now)
        .returning(roots.c.catalog_id)
    )
    for catalog_id in changed.scalars():
        touch(tx, catalog_id)


def _select(tx: Connection, *where: sa.ColumnElement[bool]) -> list[Catalog]:
    rows = tx.execute(sa.select(catalogs).where(*where).order_by(catalogs.c.name)).all()
    found = _roots_of(tx, [row.catalog_id for row in rows])
    return [_catalog(row, tuple(root for root in found if root.catalog_id == row.catalog_id)) for row in rows]


def _roots_of(tx: Connection, catalog_ids: Sequence[int]) -> list[Root]:
    query = sa.select(roots).where(roots.c.catalog_id.in_(catalog_ids)).order_by(roots.c.position)
    return [root_from_row(row) for row in tx.execute(query)]


def _catalog(row: Row[Any], its_roots: tuple[Root, ...]) -> Catalog:
    values = dict(row._mapping) | {name: _loaded(getattr(row, name)) for name in _CATALOG_JSON}
    return Catalog(**values | {"roots": its_roots})


def root_from_row(row: Row[Any]) -> Root:
    """The root in a row of its table."""
    values = {name: getattr(row, name) for name in Root.__dataclass_fields__}
    return Root(**values | {name: _loaded(values[name]) for name in _ROOT_JSON})


def _dumped(value: Any) -> str | None:
    return None if value is None else dump(value)


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _values(catalog: Catalog) -> dict[str, Any]:
    return {
        "name": catalog.name,
        "description": catalog.description,
        "auto_sync": catalog.auto_sync,
        "quiet_ms": catalog.quiet_ms,
        "revision": catalog.revision,
        "deleted_at": catalog.deleted_at,
        **{name: _dumped(getattr(catalog, name)) for name in _CATALOG_JSON},
    }
