"""Wake-ups: after the commit, never before; to every process; few, and the newest always."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from indelible_server.storage import catalogs, wakeups
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database, touch
from sqlalchemy import Connection
from support.children import child
from support.edits import edit, title
from support.samples import add_items, make_catalog

PATIENCE_S = 20


class Heard:
    """What a subscriber was woken for."""

    def __init__(self, database: Database) -> None:
        self._queue: queue.Queue[int] = queue.Queue()
        self.stop = database.wakeups.subscribe(self._queue.put)

    def next(self) -> int:
        """The next wake-up, waited for."""
        return self._queue.get(timeout=PATIENCE_S)

    def all(self) -> list[int]:
        """Those that have come."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]


def listening(other: Database) -> Heard:
    """A subscriber that is known to listen: LISTEN takes effect some time after `subscribe`."""
    heard = Heard(other)
    until(lambda: backends(other, "LISTEN%"))
    return heard


def until(done: Callable[[], object]) -> None:
    """Return when it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_commit_wakes_after_it_is_visible_to_others(database: Database, other: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a"])
    seen: list[int] = []

    def look(catalog_id: int) -> None:
        # Those that come by way of the database come in another thread, and may be of an earlier commit.
        if threading.current_thread() is threading.main_thread():
            seen.append(other.read(catalogs.counts, catalog_id).unsynced)

    database.wakeups.subscribe(look)
    edit(database, catalog, title("new"))
    assert seen == [1]


def test_nothing_is_heard_of_a_transaction_that_is_undone_or_touches_nothing(
    database: Database, catalog: Catalog
) -> None:
    heard = Heard(database)

    def fail(tx: Connection) -> None:
        touch(tx, 4712)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(fail)
    database.write(catalogs.list_all)
    database.write(touch, 4711)
    assert set(iter(heard.next, 4711)) <= {catalog.catalog_id}


def test_each_change_that_a_client_can_see_wakes(database: Database, catalog: Catalog) -> None:
    heard = Heard(database)
    add_items(database, catalog, ["a"])
    assert heard.next() == catalog.catalog_id
    other_catalog = make_catalog(database, "Other", b"/other")
    until(lambda: other_catalog.catalog_id in heard.all())


def test_who_has_stopped_hears_no_more(database: Database, catalog: Catalog) -> None:
    one, two = Heard(database), Heard(database)
    one.stop()
    database.write(touch, catalog.catalog_id)
    assert two.next() == catalog.catalog_id
    assert one.all() == []


def test_what_comes_through_a_pipe_is_handed_on_to_all_but_its_sender(database: Database) -> None:
    heard: list[str] = []

    def one(catalog_id: int) -> None:
        heard.append(f"one {catalog_id}")

    database.wakeups.subscribe(one)
    database.wakeups.subscribe(lambda catalog_id: heard.append(f"two {catalog_id}"))
    database.wakeups.deliver([7], except_to=one)
    assert heard == ["two 7"]


def test_wake_ups_reach_other_processes_on_postgresql(postgresql: Database) -> None:
    heard = listening(postgresql)
    with child("wake", postgresql, 42):
        assert heard.next() == 42
    with child("listen", postgresql) as process:
        until(lambda: len(backends(postgresql, "LISTEN%")) == 2)
        postgresql.write(touch, 43)
        assert process.next() == "43\n"


def test_a_catalog_wakes_other_hosts_ten_times_a_second_at_most_and_for_its_newest_change(
    postgresql: Database, other_postgresql: Database
) -> None:
    catalog = make_catalog(postgresql)
    (item,) = add_items(postgresql, catalog, ["a"])
    heard = listening(other_postgresql)

    begun = time.monotonic()
    last, edits = 0, 0
    while edits < 30 or time.monotonic() - begun < 1:
        last, edits = edit(postgresql, catalog, title(f"{edits}"), items=[item]).last_revision, edits + 1

    seen: list[int] = []
    until(lambda: seen.extend(_revisions(other_postgresql, heard)) or last in seen)
    took = time.monotonic() - begun
    assert 1 <= len(seen) <= 10 * took + 2


def test_a_wake_up_is_not_lost_with_the_connection(
    postgresql: Database, other_postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "RECONNECT_S", 0.05)
    heard = listening(other_postgresql)
    postgresql.write(touch, 41)
    assert heard.next() == 41
    end(postgresql, "SELECT pg_notify%")
    postgresql.write(touch, 42)
    assert heard.next() == 42


def test_a_listener_listens_again_when_its_connection_was_lost(
    postgresql: Database, other_postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "RECONNECT_S", 0.05)
    heard = listening(other_postgresql)
    end(postgresql, "LISTEN%")
    until(lambda: backends(postgresql, "LISTEN%"))
    postgresql.write(touch, 42)
    assert heard.next() == 42


def test_sqlite_wakes_its_own_process_only(sqlite: Database) -> None:
    """The supervisor carries wake-ups to its writers, and polling is the net below."""
    elsewhere = Database(str(sqlite.url))
    heard, here = Heard(elsewhere), Heard(sqlite)
    sqlite.write(touch, 1)
    assert here.next() == 1
    assert heard.all() == []
    elsewhere.close()


def backends(database: Database, last_query: str) -> list[int]:
    """The server's processes whose last query on this PostgreSQL database is done and was like this."""
    query = sa.text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query LIKE :like"
    )
    return database.read(lambda tx: list(tx.scalars(query, {"like": last_query})))


def end(database: Database, last_query: str) -> None:
    """End the one connection whose last query was like this."""
    (pid,) = backends(database, last_query)
    query = sa.text("SELECT pg_terminate_backend(:pid, 5000)")
    assert database.read(lambda tx: tx.scalar(query, {"pid": pid}))


def _revisions(database: Database, heard: Heard) -> list[int]:
    return [database.read(catalogs.counts, catalog_id).revision for catalog_id in heard.all()]
