"""Wake-ups: whoever waits for a catalog learns that it changed. Only a hint; every waiter also polls.

On PostgreSQL they travel by LISTEN/NOTIFY to every host, at most ten a second for a catalog. On SQLite they stay
in the process; the supervisor carries them to its writers and back through pipes (`writeback/supervisor.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

import sqlalchemy as sa

Listener = Callable[[int], None]

CHANNEL = "indelible"
PAUSE_S = 0.1
RECONNECT_S = 1.0

log = logging.getLogger(__name__)


class Wakeups:
    """Wake-ups inside one process. `notify` and `subscribe` may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(catalog_id)` on every wake-up, from any thread; returns the way to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def notify(self, catalog_ids: Iterable[int]) -> None:
        """Tell all that these catalogs changed. Call it after the commit."""
        self.deliver(catalog_ids)

    def deliver(self, catalog_ids: Iterable[int], except_to: Listener | None = None) -> None:
        """Hand on wake-ups that came from another process, to this process only."""
        for catalog_id in catalog_ids:
            for listener in list(self._listeners):
                if listener != except_to:
                    listener(catalog_id)

    def close(self) -> None:
        """Stop; listeners hear no more."""
        self._listeners.clear()


class PostgresWakeups(Wakeups):
    """Wake-ups through the database. The first of a catalog leaves at once, later ones together."""

    def __init__(self, url: sa.URL) -> None:
        super().__init__()
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._pending: set[int] = set()
        self._something = threading.Condition()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """As above; the first subscription begins to listen on the database."""
        stop = super().subscribe(listener)
        self._start(self._listen)
        return stop

    def notify(self, catalog_ids: Iterable[int]) -> None:
        """As above, and to all other hosts."""
        ids = set(catalog_ids)
        if not ids:
            return
        self.deliver(ids)
        self._start(self._send)
        self._send_later(ids)

    def close(self) -> None:
        """Stop both threads; what is still pending is left to polling."""
        super().close()
        self._closing.set()
        with self._something:
            self._something.notify_all()
        for thread in self._threads:
            thread.join(timeout=3)

    def _send_later(self, ids: set[int]) -> None:
        with self._something:
            self._pending |= ids
            self._something.notify()

    def _start(self, work: Callable[[], None]) -> None:
        with self._something:
            if self._closing.is_set() or any(thread.name == work.__name__ for thread in self._threads):
                return
            thread = threading.Thread(target=self._forever, args=(work,), name=work.__name__, daemon=True)
            self._threads.append(thread)
        thread.start()

    def _forever(self, work: Callable[[], None]) -> None:
        import psycopg  # noqa: PLC0415 - only installed with the extra [postgres]

        while not self._closing.is_set():
            try:
                work()
            except psycopg.Error as error:
                log.info("wake-ups wait for the database: %s", error)
                self._closing.wait(RECONNECT_S)

    def _send(self) -> None:
        import psycopg  # noqa: PLC0415 - as above

        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._closing.is_set():
                with self._something:
                    self._something.wait_for(lambda: bool(self._pending) or self._closing.is_set())
                    ids, self._pending = self._pending, set()
                try:
                    for catalog_id in ids:
                        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(catalog_id)))
                except psycopg.Error:
                    self._send_later(ids)
                    raise
                self._closing.wait(PAUSE_S)

    def _listen(self) -> None:
        import psycopg  # noqa: PLC0415 - as above

        # A direct connection: a pooler in between would lose LISTEN.
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            while not self._closing.is_set():
                for notification in connection.notifies(timeout=0.5):
                    if notification.payload.isdecimal():
                        self.deliver([int(notification.payload)])


def wakeups_for(url: sa.URL) -> Wakeups:
    """The wake-ups that fit the database."""
    return Wakeups() if url.get_backend_name() == "sqlite" else PostgresWakeups(url)
