"""Fixtures of the contract tests: whatever asks for `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from support.archive import Archive, make_archive
from support.databases import Databases
from support.samples import make_catalog


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open, empty, migrated database."""
    with contextlib.closing(Database(database_url)) as opened:
        yield opened


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same database, opened a second time as another process would."""
    with contextlib.closing(Database(database.url.render_as_string(hide_password=False))) as opened:
        yield opened


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """A catalog with one root and no quiet period: what is edited is due at once."""
    return make_catalog(database, quiet_ms=0)


@pytest.fixture
def sqlite(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """An open SQLite file."""
    with contextlib.closing(Database(databases.fresh("sqlite", tmp_path))) as opened:
        yield opened


@pytest.fixture
def postgresql(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """An open PostgreSQL database."""
    with contextlib.closing(Database(databases.fresh("postgresql", tmp_path))) as opened:
        yield opened


@pytest.fixture
def other_postgresql(postgresql: Database) -> Iterator[Database]:
    """The same PostgreSQL database, opened a second time as another host would."""
    with contextlib.closing(Database(postgresql.url.render_as_string(hide_password=False))) as opened:
        yield opened


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    """Two photos whose titles are "Base" in the catalog and in the files."""
    return make_archive(database, tmp_path / "photos")
