"""What a supervisor does about writers that die, swell, or cannot be renewed: the others and the server go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import item_pb2, sync_pb2
from indelible_server.config import Settings
from indelible_server.errors import Unavailable
from indelible_server.roots import Roots
from indelible_server.storage import migrate, writers
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.hosts import Host
from indelible_server.storage.item import Item, ItemState
from indelible_server.writeback import slot, supervisor
from indelible_server.writeback.supervisor import Supervisor
from support.client import PATIENCE_S, Client, set_tags
from support.edits import all_items, edit, title
from support.hostile import loaded_first
from support.photos import MARKER, make_photos, seen
from support.processes import writers as writer_processes
from support.samples import add_items, make_catalog
from support.server import RunningServer


@pytest.mark.parametrize("harm", ["import os; os.abort()", "bytearray(5 * 1024**3)"], ids=["crash", "memory"])
def test_a_file_that_ends_its_writer_twice_is_failed_and_its_neighbours_go_on(tmp_path: Path, harm: str) -> None:
    path = loaded_first(tmp_path, harm)
    paths = make_photos(tmp_path / "photos", 12)
    with RunningServer(tmp_path / "data", environment={"PYTHONPATH": path}) as server:
        client = Client(server.stubs())
        client.create("Archive", tmp_path / "photos")
        client.import_files("Archive")
        before = paths[5].read_bytes()
        client.edit("Archive", set_tags(title="Good"))
        client.switch("Archive", True)
        status = client.wait("Archive", lambda status: status.unsynced_items == status.failed_items == 1)
        assert status.activity == sync_pb2.ACTIVITY_IDLE
        (item,) = client.items("Archive", saved_search=item_pb2.SAVED_SEARCH_FAILED)
        assert (item.path, item.failure.reason) == ("p0005.jpg", sync_pb2.FAILURE_REASON_CRASHED)
        assert [path for path in paths if seen(path).title != "Good"] == [paths[5]]
        assert paths[5].read_bytes() == before
        assert len([line for line in server.log if "writer ended" in line]) == 2


def test_a_writer_that_hangs_is_ended_and_its_file_is_tried_again_later(
    tmp_path: Path, database: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"TICK_S": 0.1, "HANGING_S": 1.0}.items():
        monkeypatch.setattr(supervisor, name, seconds)
    monkeypatch.setenv("PYTHONPATH", loaded_first(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"))
    catalog = due_items(database, tmp_path / "photos", 8)

    async def work() -> None:
        async with supervised(database, tmp_path):
            await until(lambda: {item.failure for item in unsynced(database, catalog)} == {"TIMEOUT"})

    asyncio.run(work())
    (item,) = unsynced(database, catalog)
    assert (item.path, item.state) == ("p0005.jpg", ItemState.FAILED)
    assert item.due_at is not None


def test_a_process_that_uses_the_processor_for_too_long_is_ended() -> None:
    spin = "from indelible_server.processes import limit_cpu\nlimit_cpu(1)\nwhile True: pass"
    ended = subprocess.run([sys.executable, "-c", spin], check=False, timeout=60)
    assert ended.returncode == -signal.SIGXCPU


class Flaky(Database):
    """A database that can be away."""

    away = False

    def write(self, work: Any, *arguments: Any, **values: Any) -> Any:
        """As ever, unless it is away."""
        if self.away:
            raise Unavailable("STORE_UNAVAILABLE", "It is away.")
        return super().write(work, *arguments, **values)


def due_items(database: Database, folder: Path, number: int) -> Catalog:
    """Photos that are to be written."""
    names = [path.name for path in make_photos(folder, number)]
    catalog = make_catalog(database, root_path=bytes(folder), auto_sync=True, quiet_ms=0)
    (folder / MARKER).write_text(f"indelible-root {catalog.roots[0].root_id}\n")
    add_items(database, catalog, names)
    edit(database, catalog, title("new"))
    return catalog


def unsynced(database: Database, catalog: Catalog) -> list[Item]:
    """What is not written yet."""
    return [item for item in all_items(database, catalog) if item.unsynced_since is not None]


@contextlib.asynccontextmanager
async def supervised(database: Database, data: Path) -> AsyncIterator[None]:
    """A supervisor with one writer."""
    host = Host("host", "name", "1")
    running = Supervisor(database, Settings(data=str(data), writers=1), Roots(), host)
    await running.start()
    try:
        yield
    finally:
        await running.stop()


async def until(reached: Callable[[], object]) -> None:
    """Look again and again."""
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, "not reached"
        await asyncio.sleep(0.02)


@pytest.fixture
def database(tmp_path: Path) -> Any:
    with contextlib.closing(Flaky(f"sqlite:///{tmp_path / 'indelible.sqlite'}")) as opened:
        migrate.upgrade(opened)
        yield opened


def test_writers_that_cannot_be_renewed_are_killed_in_time_and_come_back(
    tmp_path: Path, database: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"TICK_S": 0.1, "GUARD_S": 0.1, "UNRENEWED_S": 1.0}.items():
        monkeypatch.setattr(supervisor, name, seconds)

    async def work() -> None:
        async with supervised(database, tmp_path):
            await until(lambda: writer_processes(os.getpid()))
            (first,) = writer_processes(os.getpid())
            database.away = True
            await until(lambda: not writer_processes(os.getpid()))
            assert database.read(writers.of_host, "host"), "it is buried when the database is back"
            database.away = False
            await until(lambda: writer_processes(os.getpid()))
            assert writer_processes(os.getpid()) != [first]
            assert len(database.read(writers.of_host, "host")) == 1

    asyncio.run(work())


def test_a_writer_that_has_done_much_makes_room_for_a_fresh_one(
    tmp_path: Path, database: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "RECYCLED_AFTER", 70)
    catalog = due_items(database, tmp_path / "photos", 60)

    async def work() -> None:
        pids = set()
        async with supervised(database, tmp_path):
            while unsynced(database, catalog):
                pids.update(writer_processes(os.getpid()))
                await asyncio.sleep(0.02)
        assert len(pids) > 1

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
