"""After a failed fsync nothing counts as synchronized, and what is read back proves nothing (I3)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from indelible.v1 import sync_pb2, sync_service_pb2
from indelible_server.storage import tables
from indelible_server.storage.database import Database
from sqlalchemy import select
from support import processes
from support.client import Client, set_tags
from support.databases import Databases
from support.photos import make_photos, seen
from support.server import RunningServer

pytestmark = pytest.mark.tool("strace")
NAME = "Archive"


def test_i3_after_a_failed_fsync_the_intent_stays(tmp_path: Path, databases: Databases) -> None:
    with RunningServer(tmp_path / "data", databases.fresh("sqlite", tmp_path)) as server:
        (photo,) = make_photos(tmp_path / "photos", 1)
        client = Client(server.stubs())
        client.create(NAME, tmp_path / "photos")
        client.import_files(NAME)
        client.switch(NAME, True)
        client.edit(NAME, set_tags(title="before"))
        client.wait_synced(NAME)  # there is room now, so that the next write is a patch

        (writer,) = processes.writers(server.pid)
        with failing_fsync(writer, photo):
            client.edit(NAME, set_tags(title="after"))
            assert client.wait(NAME, lambda status: status.failed_items or not status.unsynced_items).failed_items == 1
            item = client.item(NAME, photo.name)
            assert item.failure.reason == sync_pb2.FAILURE_REASON_IO_ERROR
            assert item.synced_revision < item.revision
            assert seen(photo).title == "after", "it can be read back, and yet proves nothing"
            assert intents(server) == 1

        client.stubs.sync.RetryFailures(sync_service_pb2.RetryFailuresRequest(catalog=NAME))
        client.wait_synced(NAME)
        assert seen(photo).title == "after"
        assert intents(server) == 0


@contextlib.contextmanager
def failing_fsync(pid: int, path: Path) -> Iterator[None]:
    """Within the block, every fsync of this file by this process fails."""
    command = ["strace", "-f", "-p", str(pid), "-P", str(path), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        while "attached" not in strace.stderr.readline():
            assert strace.poll() is None
        try:
            yield
        finally:
            strace.terminate()
            said = strace.communicate()[1]
        assert "INJECTED" in said


def intents(server: RunningServer) -> int:
    with contextlib.closing(Database(server.database_url, lock_dir=str(server.data))) as database:
        return len(database.read(lambda tx: list(tx.execute(select(tables.intents)))))
