"""What `Database.write` returned from is on the disk; what it did not return from never happened."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from indelible_server.errors import Unavailable
from indelible_server.storage import catalogs
from indelible_server.storage import database as database_module
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.tables import counters
from sqlalchemy import Connection, event
from support.children import child
from support.edits import all_items
from support.samples import make_catalog


def names(database: Database) -> list[str]:
    """The names of all catalogs."""
    return [catalog.name for catalog in database.read(catalogs.list_all)]


def test_an_acknowledged_edit_survives_sigkill(database: Database) -> None:
    """I1."""
    with child("commit_an_edit", database) as process:
        assert process.next() == "committed\n"
    (catalog,) = database.read(catalogs.list_all)
    (item,) = all_items(database, catalog)
    assert item.tags == {"title": "kept"}
    assert item.unsynced
    assert database.read(catalogs.counts, catalog.catalog_id).unsynced == 1


def test_an_uncommitted_transaction_is_gone_after_sigkill(database: Database) -> None:
    with child("die_before_the_commit", database) as process:
        assert process.next() == "not committed\n"
        assert names(database) == []
    make_catalog(database, "Next")
    assert names(database) == ["Next"]


def test_a_call_that_raises_changes_nothing(database: Database) -> None:
    def work(tx: Connection) -> None:
        catalogs.insert(tx, Catalog(0, "Archive"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(work)
    assert names(database) == []


def test_all_that_a_read_asks_is_of_one_moment(database: Database, other: Database) -> None:
    """Or a status could show the counts of before a pause with the run of after it."""

    def work(tx: Connection) -> tuple[int, int]:
        before = len(catalogs.list_all(tx))
        make_catalog(other, "Made meanwhile")
        return before, len(catalogs.list_all(tx))

    assert database.read(work) == (0, 0)
    assert names(database) == ["Made meanwhile"]


def test_a_read_changes_nothing(postgresql: Database) -> None:
    with pytest.raises(sa.exc.InternalError, match="read-only"):
        postgresql.read(catalogs.insert, Catalog(0, "Archive"))


def test_sqlite_syncs_every_commit(sqlite: Database) -> None:
    def work(tx: Connection) -> tuple[Any, Any]:
        return tx.scalar(sa.text("PRAGMA synchronous")), tx.scalar(sa.text("PRAGMA journal_mode"))

    assert sqlite.write(work) == (2, "wal")
    assert sqlite.read(work) == (2, "wal")


def test_sqlite_takes_the_write_lock_when_a_writing_transaction_begins(sqlite: Database) -> None:
    foreign = sqlite3.connect(str(sqlite.url.database), timeout=0)

    def work(tx: Connection) -> None:
        catalogs.list_all(tx)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            foreign.execute("BEGIN IMMEDIATE")

    sqlite.write(work)
    foreign.close()


def test_postgresql_syncs_every_commit(postgresql: Database) -> None:
    with as_admin(postgresql) as admin:
        admin.execute(sa.text(f"ALTER DATABASE {postgresql.url.database} SET synchronous_commit = off"))
    postgresql.engine.dispose()
    assert postgresql.write(lambda tx: tx.scalar(sa.text("SHOW synchronous_commit"))) == "on"


def test_a_postgresql_with_fsync_off_is_refused(postgresql: Database) -> None:
    postgresql.check()
    with as_admin(postgresql) as admin, fsync_off(admin), pytest.raises(Unavailable, match="fsync"):
        postgresql.check()
    postgresql.check()


def test_sqlite_passes_the_check(sqlite: Database) -> None:
    sqlite.check()


def test_a_deadlocked_call_is_repeated_whole(postgresql: Database) -> None:
    one, two = (make_catalog(postgresql, name).catalog_id for name in ("one", "two"))
    both_hold_one, attempts = threading.Barrier(2, timeout=10), itertools.count()

    def work(tx: Connection, first: int, second: int, waited: list[int]) -> None:
        next(attempts)
        tx.execute(sa.text("SET LOCAL deadlock_timeout = '20ms'"))
        raise_next_id(tx, first)
        if not waited:
            waited.append(1)
            both_hold_one.wait()
        raise_next_id(tx, second)

    threads = [threading.Thread(target=postgresql.write, args=(work, *order, [])) for order in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert next(attempts) == 3
    assert [next_id(postgresql, each) for each in (one, two)] == [3, 3]


def test_a_call_that_is_not_serializable_is_repeated_whole(
    postgresql: Database,
) -> None:
    catalog_id = make_catalog(postgresql).catalog_id
    attempts: list[int] = []

    def work(tx: Connection) -> None:
        tx.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        attempts.append(tx.scalar(sa.select(counters.c.next_item_id)) or 0)
        if len(attempts) == 1:
            with postgresql.engine.begin() as foreign:
                raise_next_id(foreign, catalog_id)
        raise_next_id(tx, catalog_id)

    postgresql.write(work)
    assert attempts == [1, 2]
    assert next_id(postgresql, catalog_id) == 3


def test_a_busy_sqlite_file_is_waited_for(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign program, a backup for instance, may hold the file's own lock for longer than SQLite waits."""
    monkeypatch.setattr(database_module, "SQLITE_BUSY_MS", 1)
    with contextlib.closing(Database(str(sqlite.url))) as hasty, foreign_lock(sqlite) as foreign:
        errors: list[str] = []

        @event.listens_for(hasty.engine, "handle_error")
        def _release(context: Any) -> None:
            errors.append(str(context.original_exception))
            foreign.rollback()

        make_catalog(hasty)
    assert errors == ["database is locked"]
    assert names(sqlite) == ["Archive"]


def test_a_sqlite_file_that_stays_busy_is_unavailable_and_unchanged(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "SQLITE_BUSY_MS", 1)
    monkeypatch.setattr(database_module, "ATTEMPTS", 3)
    with contextlib.closing(Database(str(sqlite.url))) as hasty, foreign_lock(sqlite):
        with pytest.raises(Unavailable) as caught:
            make_catalog(hasty)
        assert caught.value.reason == "STORE_BUSY"
    assert names(sqlite) == []


def test_a_commit_that_happened_before_the_connection_was_lost_is_not_repeated(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = postgresql.engine.dialect.do_commit

    def commit_then_lose(connection: Any) -> None:
        commit(connection)
        lose(postgresql, connection)
        commit(connection)

    monkeypatch.setattr(postgresql.engine.dialect, "do_commit", commit_then_lose)
    attempts = itertools.count()
    assert postgresql.write(insert_catalog, attempts) == 1
    assert next(attempts) == 1
    assert names(postgresql) == ["Archive"]


def test_a_commit_that_did_not_happen_before_the_connection_was_lost_is_reported(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = postgresql.engine.dialect.do_commit

    def lose_then_commit(connection: Any) -> None:
        lose(postgresql, connection)
        commit(connection)

    monkeypatch.setattr(postgresql.engine.dialect, "do_commit", lose_then_commit)
    attempts = itertools.count()
    with pytest.raises(Unavailable) as caught:
        postgresql.write(insert_catalog, attempts)
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert names(postgresql) == []


def test_a_commit_that_may_have_happened_is_not_called_undone(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away with the connection, so nobody can be asked."""
    commit = postgresql.engine.dialect.do_commit

    def lose_all_then_commit(connection: Any) -> None:
        with as_admin(postgresql) as admin:
            admin.execute(sa.text(f"ALTER DATABASE {postgresql.url.database} ALLOW_CONNECTIONS false"))
        lose(postgresql, connection)
        commit(connection)

    monkeypatch.setattr(postgresql.engine.dialect, "do_commit", lose_all_then_commit)
    with pytest.raises(Unavailable, match="may have happened"):
        postgresql.write(insert_catalog, itertools.count())


def test_a_commit_that_is_still_under_way_is_waited_for(postgresql: Database) -> None:
    with postgresql.engine.connect() as slow:
        insert_catalog(slow, itertools.count())
        slow_id = slow.scalar(sa.text("SELECT pg_current_xact_id()::text"))
        threading.Timer(0.1, slow.commit).start()
        assert postgresql._happened(slow_id)
    assert names(postgresql) == ["Archive"]


def test_a_connection_lost_between_two_calls_is_replaced(postgresql: Database) -> None:
    assert names(postgresql) == []
    with as_admin(postgresql) as admin:
        admin.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": postgresql.url.database},
        )
    make_catalog(postgresql)
    assert names(postgresql) == ["Archive"]


def insert_catalog(tx: Connection, attempts: Any) -> int:
    """Count the attempt; make a catalog."""
    next(attempts)
    return catalogs.insert(tx, Catalog(0, "Archive"))


def raise_next_id(tx: Connection, catalog_id: int) -> None:
    """A change that is seen, and that locks the catalog's counter row."""
    tx.execute(
        sa.update(counters).where(counters.c.catalog_id == catalog_id).values(next_item_id=counters.c.next_item_id + 1)
    )


def next_id(database: Database, catalog_id: int) -> Any:
    """What `raise_next_id` has raised."""
    query = sa.select(counters.c.next_item_id).where(counters.c.catalog_id == catalog_id)
    return database.read(lambda tx: tx.scalar(query))


def lose(database: Database, connection: Any) -> None:
    """End the server's side of a connection."""
    pid = connection.driver_connection.info.backend_pid
    with as_admin(database) as admin:
        admin.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@contextlib.contextmanager
def as_admin(database: Database) -> Iterator[Connection]:
    """A connection of its own to the server's maintenance database."""
    engine = sa.create_engine(database.url.set(database="template1"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextlib.contextmanager
def fsync_off(admin: Connection) -> Iterator[None]:
    """The server without fsync, for a moment."""
    set_fsync(admin, "off")
    try:
        yield
    finally:
        set_fsync(admin, "on")


def set_fsync(admin: Connection, value: str) -> None:
    """Set it, and wait until sessions see it."""
    admin.execute(sa.text(f"ALTER SYSTEM SET fsync = {value}"))
    admin.execute(sa.text("SELECT pg_reload_conf()"))
    while admin.scalar(sa.text("SHOW fsync")) != value:
        pass


@contextlib.contextmanager
def foreign_lock(database: Database) -> Iterator[sqlite3.Connection]:
    """Another program's connection that holds SQLite's own lock."""
    with contextlib.closing(sqlite3.connect(str(database.url.database))) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        yield foreign
