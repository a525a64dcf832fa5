"""Two servers and a writer host on one PostgreSQL: nothing is written twice, and what one cannot do others do."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from indelible.v1 import admin_service_pb2, catalog_service_pb2, item_pb2, sync_pb2, sync_service_pb2
from indelible_server.storage import tables
from indelible_server.storage.database import Database
from support import processes
from support.client import PATIENCE_S, Client, globs, set_tags
from support.contract import refused
from support.databases import Databases
from support.photos import make_photos, pixels, seen, stray_files
from support.programs import finished
from support.server import RunningServer, writer_host
from support.tracer import Tracer
from support.waiting import until

LONG = os.environ.get("INDELIBLE_LONG") == "1"
FILES = 20_000 if LONG else 300
LONG_PATIENCE_S = 900 if LONG else PATIENCE_S


@dataclass(frozen=True)
class Pair:
    """Two servers with a writer each on one PostgreSQL. Who kills one starts it again."""

    url: str
    one: RunningServer
    two: RunningServer


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """A PostgreSQL of their own: one that was lost goes through all its databases before it is back."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two running servers, for all tests of this module."""
    folder = tmp_path_factory.mktemp("pair")
    url = databases.fresh("postgresql", folder)
    with RunningServer(folder / "one", url) as one, RunningServer(folder / "two", url) as two:
        yield Pair(url, one, two)
    for server in (one, two):
        assert not [line for line in server.log if "[error" in line], "".join(server.log)


@pytest.fixture
def database(pair: Pair) -> Iterator[Database]:
    """Their database, open."""
    with contextlib.closing(Database(pair.url)) as opened:
        yield opened


def writers(client: Client) -> Any:
    """All living writers, as any server tells them."""
    return client.stubs.admin.ListWriters(admin_service_pb2.ListWritersRequest()).writers


def imported(client: Client, folder: Path, number: int) -> tuple[Any, list[Path]]:
    """A catalog of new photos, with the name of its folder."""
    paths = make_photos(folder, number)
    catalog = client.create(folder.name, folder)
    assert client.import_files(folder.name).import_counts.added_items == number
    return catalog, paths


def host_id(data: Path) -> str:
    """By what the database knows a host."""
    return (data / "host-id").read_text().strip()


def end_leases(database: Database, *data: Path) -> None:
    """Not waited for, in the short version: the minute in which nobody renews the leases of these hosts."""
    if not LONG:
        hosts = [host_id(folder) for folder in data]
        theirs = sa.select(tables.writers.c.writer_id).where(tables.writers.c.host.in_(hosts))
        query = sa.update(tables.leases).where(tables.leases.c.writer_id.in_(theirs)).values(deadline=1)
        database.write(lambda tx: tx.execute(query))


def all_but_failed(status: Any) -> bool:
    """Whether nothing is left to write but what could not be."""
    return bool(status.unsynced_items == status.failed_items)


def nothing_is_left(database: Database, folder: Path) -> None:
    """No temp file, no lease, no intent."""
    assert stray_files(folder) == []
    for table in (tables.leases, tables.intents, tables.late_writers):
        assert database.read(lambda tx, table=table: tx.execute(sa.select(table)).all()) == [], table.name


def test_a_host_that_stands_still_and_wakes_does_no_harm_and_goes_on(
    tmp_path: Path, pair: Pair, database: Database
) -> None:
    client = Client(pair.two.stubs())
    _, paths = imported(client, tmp_path / "still", 120)
    pictures = [pixels(path) for path in paths]
    client.edit("still", set_tags(title="First"))
    until(lambda: len(writers(client)) == 2)
    still = [pair.one.pid, *processes.writers(pair.one.pid)]
    with Tracer(tmp_path / "still") as tracer:
        client.switch("still", True)
        until(lambda: tracer.writes().total() > 30)
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
    end_leases(database, pair.one.data)
    # On one machine it has the file that it was replacing open, so that nobody else may write there.
    until(lambda: all_but_failed(client.status("still")), LONG_PATIENCE_S)
    client.edit("still", set_tags(title="Second"))
    client.wait("still", all_but_failed)
    open_there = {item.path for item in client.items("still", saved_search=item_pb2.SAVED_SEARCH_FAILED)}
    assert len(open_there) <= 1
    first, *others = [path for path in paths if path.name not in open_there]
    written = [path.read_bytes() for path in others]
    for pid in still:
        os.kill(pid, signal.SIGCONT)
    awake = Client(pair.one.stubs())
    awake.edit("still", set_tags(title="Third"), selection=globs(first.name))
    awake.stubs.sync.RetryFailures(sync_service_pb2.RetryFailuresRequest(catalog="still"))
    awake.wait_synced("still")
    assert [path.read_bytes() for path in others] == written
    assert [seen(path).title for path in paths] == ["Third" if path == first else "Second" for path in paths]
    assert [pixels(path) for path in paths] == pictures
    nothing_is_left(database, tmp_path / "still")


def test_an_import_goes_on_at_another_server_when_its_own_has_died(
    tmp_path: Path, pair: Pair, database: Database
) -> None:
    number = 600
    make_photos(tmp_path / "import", number)
    one, two = Client(pair.one.stubs()), Client(pair.two.stubs())
    one.create("import", tmp_path / "import")
    with two_stands_still(pair):
        job = one.start_import("import")
        until(lambda: one.status("import").total_items)
    pair.one.kill()
    silent = sa.update(tables.hosts).where(tables.hosts.c.host_id == host_id(pair.one.data)).values(heartbeat_at=1)
    database.write(lambda tx: tx.execute(silent))
    assert two.job(job.id).done_items == number
    assert two.status("import").total_items == number
    pair.one.start()


@contextlib.contextmanager
def two_stands_still(pair: Pair) -> Iterator[None]:
    """Whatever is begun now is begun by the first server."""
    os.kill(pair.two.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pair.two.pid, signal.SIGCONT)


def test_a_host_writes_what_it_reaches_and_a_root_that_another_one_reaches_is_online(
    tmp_path: Path, pair: Pair, database: Database
) -> None:
    """The servers had the folder at the path that was approved, no more; the writer host has it elsewhere."""
    client = Client(pair.two.stubs())
    catalog, paths = imported(client, tmp_path / "moved", 20)
    root_id = catalog.roots[0].id
    client.edit("moved", set_tags(title="Elsewhere"))
    (tmp_path / "moved").rename(tmp_path / "mounted here")
    client.switch("moved", True)
    waiting = client.wait("moved", lambda status: status.activity == sync_pb2.ACTIVITY_WAITING)
    assert [(wait.reason, wait.root_id) for wait in waiting.waits] == [(sync_pb2.WAIT_REASON_STORAGE_OFFLINE, root_id)]
    assert [root_id in each.root_ids for each in writers(client)] == [False, False]
    with writer_host(tmp_path / "host", pair.url, f"{root_id}={tmp_path / 'mounted here'}") as host:
        host.next()
        assert client.wait_synced("moved").waits == []
        assert sorted(root_id in each.root_ids for each in writers(client)) == [False, False, True]
    assert {seen(tmp_path / "mounted here" / path.name).title for path in paths} == {"Elsewhere"}
    nothing_is_left(database, tmp_path / "mounted here")
    # The test's folder goes, and nobody shall look for it.
    client.stubs.catalogs.DeleteCatalog(catalog_service_pb2.DeleteCatalogRequest(catalog="moved"))


def test_no_item_is_written_twice_and_what_the_dead_leave_is_done_by_others(
    tmp_path: Path, pair: Pair, database: Database
) -> None:
    client = Client(pair.two.stubs())
    _, paths = imported(Client(pair.one.stubs()), tmp_path / "once", FILES)
    pictures = [pixels(path) for path in paths]
    client.edit("once", set_tags(title="Once"))
    with writer_host(tmp_path / "three", pair.url) as three, Tracer(tmp_path / "once") as tracer:
        assert three.next().startswith("indelibled writer ready")
        until(lambda: len(writers(client)) == 3)
        client.switch("once", True)
        at_work: set[str] = set()
        # A writer has a batch in hand for some tenths of a second: the store is asked, as it answers in time.
        while (written := tracer.writes().total()) < FILES // 2 or (len(at_work) < 3 and written < FILES * 3 // 4):
            at_work |= database.read(lambda tx: set(tx.scalars(sa.select(tables.leases.c.writer_id))))
        with processes.all_end(processes.writers(pair.one.pid) + processes.writers(three.pid)):
            pair.one.kill()
            processes.kill(three.pid)
        end_leases(database, pair.one.data, tmp_path / "three")
        until(lambda: client.status("once").unsynced_items == 0, LONG_PATIENCE_S)
        assert tracer.writes() == Counter(paths)
    assert len(at_work) == 3
    assert {seen(path).title for path in paths} == {"Once"}
    assert [pixels(path) for path in paths] == pictures
    assert client.status("once").failed_items == 0
    nothing_is_left(database, tmp_path / "once")
    pair.one.start()


def test_a_writer_host_without_a_shared_database_is_refused(tmp_path: Path) -> None:
    refusal = finished(
        [sys.executable, "-P", "-m", "indelible_server.main", "writer", "--data", tmp_path / "host"], tmp_path
    )
    assert (refusal.returncode, "give --database" in refusal.stderr) == (2, True)


def test_a_database_that_goes_and_comes_back_costs_nothing(tmp_path: Path, databases: Databases, pair: Pair) -> None:
    """`pg_ctl stop -m immediate` in the middle of a sync: clients are told to try again, writers wait, it goes on."""
    client = Client(pair.two.stubs())
    _, paths = imported(client, tmp_path / "kept", 120)
    client.edit("kept", set_tags(title="Kept"))
    with Tracer(tmp_path / "kept") as tracer, client.statuses("kept") as stream:
        client.switch("kept", True)
        until(lambda: tracer.writes().total() > 20)
        databases.lose_postgresql()
        try:
            with refused("STORE_UNAVAILABLE"):
                client.status("kept")
        finally:
            databases.bring_postgresql_back()
        # The stream was there before, and stays.
        assert any(message.status.unsynced_items == 0 for message in stream)
        assert tracer.writes() == Counter(paths)
    assert client.status("kept").failed_items == 0
    assert {seen(path).title for path in paths} == {"Kept"}
    client.edit("kept", set_tags(title="Again"), selection=globs(paths[0].name))
    client.wait_synced("kept")
    assert seen(paths[0]).title == "Again"
    assert stray_files(tmp_path / "kept") == []
