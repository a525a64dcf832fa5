"""What a server's database holds, looked at from outside, and what must not be left in it and beside the files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from indelible_server.storage import tables
from indelible_server.storage.database import Database

from support.photos import MARKER, stray_files
from support.server import RunningServer


def database_of(server: RunningServer) -> contextlib.closing[Database]:
    """The server's database, opened by us too; closed at the end of the block."""
    return contextlib.closing(Database(server.database_url, lock_dir=str(server.data)))


def rows(server: RunningServer, table: sa.Table) -> list[Any]:
    """What the server's database holds there now."""
    with database_of(server) as database:
        return database.read(lambda tx: list(tx.execute(sa.select(table))))


def nothing_is_left(server: RunningServer, paths: Sequence[Path]) -> None:
    """Nothing lies beside these files of one folder: no temp file, no copy. No lease, no intent is stored."""
    assert stray_files(paths[0].parent) == []
    names = {path.name for path in paths[0].parent.iterdir()} - {MARKER}
    assert names == {path.name for path in paths}
    for table in (tables.leases, tables.intents):
        assert rows(server, table) == [], table.name
