"""Two servers and a writer host on one PostgreSQL: nothing is written twice, and what one cannot do others do."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from indelible.v1 import admin_service_pb2, sync_pb2
from indelible_server.storage import tables
from indelible_server.storage.database import Database
from support import processes
from support.client import PATIENCE_S, Client, globs, set_tags
from support.contract import refused
from support.databases import Databases
from support.photos import make_photos, pixels, seen, stray_files
from support.programs import finished
from support.server import RunningServer, writer_host
from support.witness import Witness

LONG = os.environ.get("INDELIBLE_LONG") == "1"
FILES = 20_000 if LONG else 300
NAME = "Archive"


@pytest.fixture
def url(databases: Databases, tmp_path: Path) -> str:
    """The address of a fresh database on PostgreSQL."""
    return databases.fresh("postgresql", tmp_path)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The same, open."""
    with contextlib.closing(Database(url)) as opened:
        yield opened


def until(reached: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Look again and again."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "not reached"
        time.sleep(0.02)


def writers(client: Client) -> Any:
    """All living writers, as any server tells them."""
    return client.stubs.admin.ListWriters(admin_service_pb2.ListWritersRequest()).writers


def imported(client: Client, folder: Path, number: int) -> tuple[Any, list[Path]]:
    """A catalog of new photos."""
    paths = make_photos(folder, number)
    catalog = client.create(NAME, folder)
    assert client.import_files(NAME).import_counts.added_items == number
    return catalog, paths


def end_leases(database: Database, *data: Path) -> None:
    """Not waited for, in the short version: the minute in which nobody renews the leases of these dead hosts."""
    if not LONG:
        hosts = [(folder / "host-id").read_text().strip() for folder in data]
        theirs = sa.select(tables.writers.c.writer_id).where(tables.writers.c.host.in_(hosts))
        query = sa.update(tables.leases).where(tables.leases.c.writer_id.in_(theirs)).values(deadline=1)
        database.write(lambda tx: tx.execute(query))


def nothing_is_left(database: Database, folder: Path) -> None:
    """No temp file, no lease, no intent."""
    assert stray_files(folder) == []
    for table in (tables.leases, tables.intents, tables.late_writers):
        assert database.read(lambda tx, table=table: tx.execute(sa.select(table)).all()) == [], table.name


def test_no_item_is_written_twice_and_what_the_dead_leave_is_done_by_others(
    tmp_path: Path, url: str, database: Database
) -> None:
    one, two = RunningServer(tmp_path / "one", url), RunningServer(tmp_path / "two", url)
    with two, writer_host(tmp_path / "three", url) as three:
        one.start()
        assert three.next().startswith("indelibled writer ready")
        client = Client(two.stubs())
        _, paths = imported(Client(one.stubs()), tmp_path / "photos", FILES)
        pictures = [pixels(path) for path in paths]
        client.edit(NAME, set_tags(title="Once"))
        until(lambda: len(writers(client)) == 3)
        at_work: set[str] = set()
        with Witness(tmp_path / "photos") as witness:
            client.switch(NAME, True)
            while witness.writes().total() < FILES // 2:
                at_work |= {each.id for each in writers(client) if each.in_flight_items}
            with processes.all_end(processes.writers(one.pid) + processes.writers(three.pid)):
                one.kill()
                processes.kill(three.pid)
            end_leases(database, tmp_path / "one", tmp_path / "three")
            until(lambda: client.status(NAME).unsynced_items == 0, 900 if LONG else PATIENCE_S)
            assert witness.writes() == Counter(path.name for path in paths)
        assert len(at_work) == 3
        assert {seen(path).title for path in paths} == {"Once"}
        assert [pixels(path) for path in paths] == pictures
        assert client.status(NAME).failed_items == 0
        nothing_is_left(database, tmp_path / "photos")


def test_a_host_that_stands_still_and_wakes_does_no_harm_and_goes_on(
    tmp_path: Path, url: str, database: Database
) -> None:
    with RunningServer(tmp_path / "one", url) as one, RunningServer(tmp_path / "two", url) as two:
        client = Client(two.stubs())
        _, paths = imported(client, tmp_path / "photos", 120)
        pictures = [pixels(path) for path in paths]
        client.edit(NAME, set_tags(title="First"))
        until(lambda: len(writers(client)) == 2)
        still = [one.pid, *processes.writers(one.pid)]
        with Witness(tmp_path / "photos") as witness:
            client.switch(NAME, True)
            until(lambda: witness.writes().total() > 30)
            for pid in still:
                os.kill(pid, signal.SIGSTOP)
        end_leases(database, tmp_path / "one")
        until(lambda: client.status(NAME).unsynced_items == 0, 900 if LONG else PATIENCE_S)
        client.edit(NAME, set_tags(title="Second"))
        client.wait_synced(NAME)
        written = [path.read_bytes() for path in paths]
        for pid in still:
            os.kill(pid, signal.SIGCONT)
        awake = Client(one.stubs())
        awake.edit(NAME, set_tags(title="Third"), selection=globs(paths[0].name))
        awake.wait_synced(NAME)
        assert [path.read_bytes() for path in paths[1:]] == written[1:]
        assert [seen(path).title for path in paths] == ["Third", *["Second"] * (len(paths) - 1)]
        assert [pixels(path) for path in paths] == pictures
        nothing_is_left(database, tmp_path / "photos")


def test_a_host_writes_what_it_reaches_and_a_root_that_another_one_reaches_is_online(
    tmp_path: Path, url: str, database: Database
) -> None:
    """The server has the folder at the path that was approved, no more; the writer host has it elsewhere."""
    with RunningServer(tmp_path / "server", url) as server:
        client = Client(server.stubs())
        catalog, paths = imported(client, tmp_path / "photos", 20)
        root_id = catalog.roots[0].id
        client.edit(NAME, set_tags(title="Elsewhere"))
        (tmp_path / "photos").rename(tmp_path / "mounted here")
        client.switch(NAME, True)
        waiting = client.wait(NAME, lambda status: status.activity == sync_pb2.ACTIVITY_WAITING)
        assert [(wait.reason, wait.root_id) for wait in waiting.waits] == [
            (sync_pb2.WAIT_REASON_STORAGE_OFFLINE, root_id)
        ]
        assert [list(each.root_ids) for each in writers(client)] == [[]]
        with writer_host(tmp_path / "host", url, f"{root_id}={tmp_path / 'mounted here'}") as host:
            host.next()
            assert client.wait_synced(NAME).waits == []
            assert sorted(list(each.root_ids) for each in writers(client)) == [[], [root_id]]
            assert {seen(tmp_path / "mounted here" / path.name).title for path in paths} == {"Elsewhere"}
        nothing_is_left(database, tmp_path / "mounted here")


def test_a_writer_host_without_a_shared_database_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "indelible_server.main", "writer", "--data", tmp_path / "host"]
    for database in ([], ["--database", f"sqlite:///{tmp_path / 'a.sqlite'}"]):
        refusal = finished([*command, *database], tmp_path)
        assert (refusal.returncode, "give --database" in refusal.stderr) == (2, True)


def test_an_import_goes_on_at_another_server_when_its_own_has_died(tmp_path: Path, url: str) -> None:
    number = 600
    one, two = RunningServer(tmp_path / "one", url, writers=0), RunningServer(tmp_path / "two", url, writers=0)
    make_photos(tmp_path / "photos", number)
    with one:
        Client(one.stubs()).create(NAME, tmp_path / "photos")
        job = Client(one.stubs()).start_import(NAME)
        until(lambda: Client(one.stubs()).status(NAME).total_items)
        with two, contextlib.closing(Database(url)) as database:
            one.kill()
            silent = sa.update(tables.hosts).values(heartbeat_at=1)
            host_id = (tmp_path / "one" / "host-id").read_text().strip()
            database.write(lambda tx: tx.execute(silent.where(tables.hosts.c.host_id == host_id)))
            client = Client(two.stubs())
            assert client.job(job.id).done_items == number
            assert client.status(NAME).total_items == number


def test_a_database_that_goes_and_comes_back_costs_nothing(tmp_path: Path) -> None:
    """`pg_ctl stop -m immediate` in the middle of a sync: clients are told to try again, writers wait, it goes on."""
    own = Databases(tmp_path)
    try:
        url = own.fresh("postgresql", tmp_path)
        with RunningServer(tmp_path / "data", url, writers=2) as server:
            client = Client(server.stubs())
            _, paths = imported(client, tmp_path / "photos", 120)
            client.edit(NAME, set_tags(title="Kept"))
            with Witness(tmp_path / "photos") as witness, client.statuses(NAME) as stream:
                client.switch(NAME, True)
                until(lambda: witness.writes().total() > 20)
                own.lose_postgresql()
                with refused("STORE_UNAVAILABLE"):
                    client.status(NAME)
                own.bring_postgresql_back()
                # The stream was there before, and stays.
                assert any(message.status.unsynced_items == 0 for message in stream)
                assert witness.writes() == Counter(path.name for path in paths)
            assert client.status(NAME).failed_items == 0
            assert {seen(path).title for path in paths} == {"Kept"}
            client.edit(NAME, set_tags(title="Again"), selection=globs(paths[0].name))
            client.wait_synced(NAME)
            assert seen(paths[0]).title == "Again"
            assert stray_files(tmp_path / "photos") == []
            assert not [line for line in server.log if "[error" in line], "".join(server.log)
    finally:
        own.stop()
