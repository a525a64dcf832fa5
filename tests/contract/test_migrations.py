"""Migrations: applied in order they make the tables, and they may be applied again, by several at once."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from indelible_server.storage import catalogs, migrate
from indelible_server.storage.database import Database
from indelible_server.storage.tables import metadata
from sqlalchemy import Connection
from support.children import child
from support.databases import Databases, until_someone_waits
from support.samples import make_catalog


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    with contextlib.closing(Database(databases.empty(request.param, tmp_path))) as opened:
        yield opened


def test_the_migrations_in_order_equal_the_tables(empty: Database) -> None:
    migrate.upgrade(empty)
    found = empty.read(lambda tx: compare_metadata(MigrationContext.configure(tx), metadata))
    assert found == []
    assert empty.read(migrate.current) == migrate.head()


def test_the_migrated_schema_is_the_declared_one_to_the_letter(empty: Database) -> None:
    """Alembic does not compare conditions of indexes, collations and AUTOINCREMENT."""
    migrate.upgrade(empty)
    if empty.is_sqlite:
        migrated = empty.read(_sqlite_schema)
        with sa.create_engine("sqlite://").begin() as tx:
            metadata.create_all(tx)
            declared = _sqlite_schema(tx)
    else:
        migrated = empty.read(_postgresql_schema, "public")
        declared = empty.write(_declared_postgresql_schema)
    assert len(migrated) > len(metadata.tables)
    assert migrated == declared


def test_migrating_again_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    make_catalog(empty)
    store_id = empty.read(catalogs.store_id)
    migrate.upgrade(empty)
    assert empty.read(catalogs.store_id) == store_id
    assert [catalog.name for catalog in empty.read(catalogs.list_all)] == ["Archive"]


def test_servers_that_start_at_once_migrate_once(empty: Database) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(child("upgrade", empty)) for _ in range(3)]
        for server in servers:
            assert server.next() == "upgraded\n"
    assert empty.read(migrate.current) == migrate.head()
    assert len(empty.read(lambda tx: list(tx.execute(sa.text("SELECT * FROM store"))))) == 1


def test_a_migration_waits_for_one_that_is_under_way(databases: Databases, tmp_path: Path) -> None:
    with contextlib.closing(Database(databases.empty("postgresql", tmp_path))) as empty:
        second = threading.Thread(target=migrate.upgrade, args=(empty,))
        with empty.engine.begin() as first:
            first.execute(sa.select(sa.func.pg_advisory_xact_lock(migrate.ADVISORY_LOCK)))
            second.start()
            until_someone_waits(empty)
            assert sa.inspect(first).get_table_names() == []
        second.join(timeout=20)
        assert empty.read(migrate.current) == migrate.head()


def test_a_schema_of_a_newer_version_is_left_alone(database: Database) -> None:
    """The older server goes on working on it."""
    newer = "UPDATE alembic_version SET version_num = '9999'"
    database.write(lambda tx: tx.execute(sa.text(newer)))
    migrate.upgrade(database)
    assert database.read(migrate.current) == "9999"
    assert make_catalog(database).name == "Archive"


def test_a_migration_that_fails_leaves_nothing(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(migrate, "now_ms", fail)
    with pytest.raises(RuntimeError):
        migrate.upgrade(empty)
    assert empty.read(lambda tx: sa.inspect(tx).get_table_names()) == []


def _sqlite_schema(tx: Connection) -> set[str]:
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
    return {f"{kind} {name} {_squeezed(sql)}" for kind, name, sql in tx.exec_driver_sql(query)}


def _squeezed(sql: str) -> str:
    """Without what tells two ways of writing one statement apart: blanks, quotes, and who names a UNIQUE."""
    return re.sub(r'["\s]+', "", sql)


def _declared_postgresql_schema(tx: Connection) -> set[str]:
    tx.exec_driver_sql("CREATE SCHEMA declared")
    tx.exec_driver_sql("SET LOCAL search_path = declared")
    metadata.create_all(tx)
    return _postgresql_schema(tx, "declared")


def _postgresql_schema(tx: Connection, schema: str) -> set[str]:
    columns = sa.text(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default,"
        " collation_name FROM information_schema.columns WHERE table_schema = :schema"
    )
    indexes = sa.text("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = :schema")
    rows = [*tx.execute(columns, {"schema": schema}), *tx.execute(indexes, {"schema": schema})]
    return {str(tuple(row)).replace(f"{schema}.", "") for row in rows if row[0] != "alembic_version"}
