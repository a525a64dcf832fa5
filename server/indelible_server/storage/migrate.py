"""Migrations: bring a database to the schema of this version, under a lock, in one transaction."""

from __future__ import annotations

import os
import secrets

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from .database import Database, now_ms
from .tables import store

# Any number that no other program on the same PostgreSQL takes; the ASCII of "indelibl".
ADVISORY_LOCK = 0x696E64656C69626C


def upgrade(database: Database) -> None:
    """Apply all migrations that the database lacks. May be repeated; several servers may do it at once."""
    database.write(_upgrade)


def head() -> str:
    """The newest schema revision that this version knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(tx: Connection) -> str | None:
    """The schema revision that the database is at; None if it is empty."""
    return MigrationContext.configure(tx).get_current_revision()


def _upgrade(tx: Connection) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    # Expand-then-contract: a schema from a newer version is one that we can go on working on.
    if current(tx) in {None} | known:
        command.upgrade(_config(tx), "head")
    if tx.execute(sa.select(store.c.one)).first() is None:
        tx.execute(sa.insert(store).values(one=1, store_id=secrets.token_hex(16), created_at=now_ms(tx)))


def _config(tx: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", os.path.join(os.path.dirname(__file__), "migrations").replace("%", "%%"))
    config.attributes["connection"] = tx
    return config
