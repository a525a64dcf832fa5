"""A server with a catalog that no wrong request may change, and the means to see that none did."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.client import Client
from support.contract import RPCS
from support.server import RunningServer

# What writers and the server note about themselves is no change of a catalog.
OWN_TABLES = {"hosts", "writers", "tokens", "sqlite_sequence"}

RPCS_BY_NAME = {rpc.name: rpc for rpc in RPCS}


@dataclass
class World:
    """A server with a catalog of three items, and the means to see that nothing has changed."""

    server: RunningServer
    client: Client
    folder: Path
    catalog: Any

    @property
    def photos(self) -> Path:
        """The catalog's root."""
        return self.folder / "photos"

    def fingerprint(self) -> Any:
        """All that a refused request must leave as it is: the store, and the names, times and sizes of all files."""
        with contextlib.closing(sqlite3.connect(self.server.data / "indelible.sqlite")) as store:
            names = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: store.execute(f"SELECT * FROM {name}").fetchall() for name in set(names) - OWN_TABLES}
        files = [os.path.join(at, each) for at, _, found in os.walk(self.folder) for each in found]
        return rows, sorted((path, os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in files)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """The block changes nothing."""
        before = self.fingerprint()
        yield
        assert self.fingerprint() == before

    def call(self, rpc_name: str, /, **values: Any) -> Any:
        """A call by its name, with this request."""
        rpc = RPCS_BY_NAME[rpc_name]
        return rpc.on(self.client.stubs.channel)(rpc.request(**values))
