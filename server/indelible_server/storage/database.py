"""The database behind all stores: one transaction a call, durable when it returns, repeated whole when that is safe.

SQLite is the embedded default; PostgreSQL serves several hosts. Everything that differs between the two is in
this file and in `wakeups.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import Unavailable
from .wakeups import Wakeups, wakeups_for

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 8
SQLITE_BUSY_MS = 10_000
# 40001 serialization failure, 40P01 deadlock: PostgreSQL asks for the transaction to be repeated.
REPEATABLE_STATES = {"40001", "40P01"}


class Overtaken(Exception):
    """Another transaction has changed what this one read and was about to write: it is repeated whole."""


class Database:
    """Opens the store's database. Safe for threads; one object a process.

    `read` and `write` run `work(tx, …)` in one transaction. `work` may be run several times and must
    therefore touch nothing but the database. What `write` returned from is on the disk. `clock` stands in for the
    database's own, in milliseconds: for tests of what takes a day.
    """

    def __init__(
        self, url: str, *, lock_dir: str | None = None, pool_size: int = 10, clock: Callable[[], int] | None = None
    ) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            folder = lock_dir or os.path.dirname(os.path.abspath(self.url.database or ""))
            self._lock_path = os.path.join(folder, "write.lock")
            self._reading = self.engine = _sqlite_engine(self.url, pool_size).execution_options(indelible_clock=clock)
        else:
            self.url = self.url.set(drivername="postgresql+psycopg")
            self.engine = _postgres_engine(self.url, pool_size).execution_options(indelible_clock=clock)
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.wakeups: Wakeups = wakeups_for(self.url)

    def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a read-only transaction: one consistent snapshot, however many questions it asks."""
        return self._repeated(lambda: self._read_once(work, *args, **kwargs))

    def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in one durable transaction, then wake those who wait for the catalogs it touched.

        Raises `Unavailable` when the database is not there or stays busy; then nothing was changed, unless it says so.
        """
        result, touched = self._repeated(lambda: self._write_once(work, *args, **kwargs))
        self.wakeups.notify(touched)
        return result

    def check(self) -> None:
        """Raise `Unavailable` if the database can't promise that a commit is on the disk."""
        if not self.is_sqlite:
            fsync = self.read(lambda tx: tx.scalar(sa.text("SHOW fsync")))
            if fsync != "on":
                raise Unavailable(
                    "STORE_UNAVAILABLE",
                    "PostgreSQL runs with fsync=off: a crash would lose edits. Turn it on.",
                )

    def close(self) -> None:
        """Close all connections; the object can't be used afterwards."""
        self.wakeups.close()
        self.engine.dispose()

    def _read_once(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._reading.connect() as tx:
            try:
                return work(tx, *args, **kwargs)
            finally:
                tx.rollback()

    def _write_once(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, set[int]]:
        with self._write_lock(), self.engine.connect().execution_options(indelible_write=True) as tx:
            touched: set[int] = tx.info.setdefault("touched", set())
            touched.clear()
            result = work(tx, *args, **kwargs)
            transaction_id = (
                None if self.is_sqlite else tx.scalar(sa.text("SELECT pg_current_xact_id_if_assigned()::text"))
            )
            try:
                tx.commit()
            except DBAPIError as error:
                # The connection was lost between COMMIT and its answer: ask whether it happened.
                if not error.connection_invalidated or not self._happened(transaction_id):
                    raise
            return result, set(touched)

    def _happened(self, transaction_id: str | None) -> bool:
        if transaction_id is None:
            return False
        query = sa.text("SELECT pg_xact_status(CAST(:id AS xid8))").bindparams(id=transaction_id)
        try:
            # The server may still be at it: it notices a lost client late.
            while (status := self.read(lambda tx: tx.scalar(query))) == "in progress":
                time.sleep(0.01)
        except Unavailable as error:
            message = (
                "The database was lost during the commit: it may have happened. Repeat it with the same request id."
            )
            raise Unavailable("STORE_UNAVAILABLE", message) from error
        return bool(status == "committed")

    @contextlib.contextmanager
    def _write_lock(self) -> Iterator[None]:
        """SQLite: one lock for all processes. SQLite's own busy handler polls and starves; this one queues."""
        if not self.is_sqlite:
            yield
            return
        handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _repeated(self, attempt: Callable[[], T]) -> T:
        for number in range(1, ATTEMPTS + 1):
            try:
                return attempt()
            except PoolTimeout as error:
                raise Unavailable("STORE_BUSY", "The database is busy; try again.") from error
            except (DBAPIError, Overtaken) as error:
                if isinstance(error, DBAPIError) and not _repeatable(error):
                    raise _as_unavailable(error) from error
                if number == ATTEMPTS:
                    raise Unavailable("STORE_BUSY", "The database is busy; try again.") from error
                time.sleep(random.uniform(0, 0.005 * 2**number))  # noqa: S311 - spreads repeats, guards nothing
        raise AssertionError("unreachable")


def touch(tx: Connection, catalog_id: int) -> None:
    """Note that this transaction changes something to be seen in the catalog: its watchers are woken at commit."""
    tx.info.setdefault("touched", set()).add(catalog_id)


def insert_into(tx: Connection, table: sa.Table) -> Any:
    """An INSERT of this database's own kind, which can say what becomes of rows that are there already."""
    if tx.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - a tenth of a writer's start, and SQLite needs none of it

    return postgresql.insert(table)


def now_ms(tx: Connection) -> int:
    """The database's clock, the one that leases and due times are judged by. One host has one clock on SQLite."""
    clock: Callable[[], int] | None = tx.get_execution_options().get("indelible_clock")
    if clock is not None:
        return clock()
    if tx.dialect.name == "sqlite":
        return time.time_ns() // 1_000_000
    return int(tx.scalar(sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")) or 0)


def _repeatable(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in REPEATABLE_STATES or "database is locked" in str(error.orig)


def _as_unavailable(error: DBAPIError) -> Exception:
    if error.connection_invalidated or isinstance(error, OperationalError):
        return Unavailable("STORE_UNAVAILABLE", "The database does not answer; nothing was changed. Try again.")
    return error


def _sqlite_engine(url: sa.URL, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver must not begin transactions by itself: `_begin` says which kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16384"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(tx: Connection) -> None:
        writing = tx.get_execution_options().get("indelible_write")
        tx.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _postgres_engine(url: sa.URL, pool_size: int) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "options": "-c synchronous_commit=on -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
            "application_name": "indelible",
            # A server that is gone without a word is noticed in seconds, not in the quarter of an hour of TCP.
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )
