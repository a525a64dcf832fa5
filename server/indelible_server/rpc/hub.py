"""The hub: what streams wait for. A subscriber holds a place, never a queue, so a slow client costs nothing.

For each catalog that is watched one task reads the status when the catalog changes, and publishes the newest snapshot:
at once when a switch, an activity, a wait or a run's state changed, otherwise at most four times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..domain.sync import SyncStatus
from ..errors import NotFound, Unavailable
from ..storage.wakeups import Wakeups

COUNTS_EVERY_S = 0.25
# Wake-ups are hints: this often the hub looks without one.
POLL_S = 1.0

T = TypeVar("T")
ReadStatus = Callable[[int], Awaitable[SyncStatus | None]]


class Latest(Generic[T]):
    """The newest value of something, with a number that grows. Waiting for it skips what was passed over."""

    def __init__(self) -> None:
        self.number = 0
        self.value: T | None = None
        self._changed = asyncio.Event()

    def publish(self, value: T | None) -> None:
        """Make `value` the newest and wake all who wait."""
        self.value = value
        self.number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, number: int) -> int:
        """Return when there is a value newer than `number`; its number."""
        while self.number <= number:
            await self._changed.wait()
        return self.number


@dataclass(frozen=True)
class Snapshot:
    """A status with the number of its read: one that was begun later never shows an earlier state."""

    order: int
    status: SyncStatus


class Hub:
    """Wake-ups and status snapshots for all streams of this server. For the event loop only."""

    def __init__(self, wakeups: Wakeups, read_status: ReadStatus) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_status = read_status
        self._signals: dict[int, Latest[None]] = {}
        self._anything: Latest[None] = Latest()
        self._watched: dict[int, tuple[Latest[Snapshot], asyncio.Task[None]]] = {}
        self._reads = 0
        self._stopping = asyncio.Event()
        self._unsubscribe = wakeups.subscribe(self._woken)

    def stop(self) -> None:
        """End all streams with a status from which a client resumes."""
        self._stopping.set()
        self._unsubscribe()
        for _latest, task in self._watched.values():
            task.cancel()

    async def changed(self, catalog_id: int, after: int, patience: float = POLL_S) -> int:
        """Return when the catalog may have changed since the signal numbered `after`; the signal's number."""
        signal = self._signals.setdefault(catalog_id, Latest())
        with contextlib.suppress(TimeoutError):
            await self._or_stop(signal.after(after), patience)
        return signal.number

    async def any_change(self, after: int, patience: float = POLL_S) -> int:
        """Like `changed`, for all catalogs."""
        with contextlib.suppress(TimeoutError):
            await self._or_stop(self._anything.after(after), patience)
        return self._anything.number

    async def statuses(self, catalog_id: int) -> AsyncIterator[SyncStatus]:
        """The catalog's status: the present one first, then each newest one that the reader has time for.

        Raises `NotFound` when the catalog is gone and `Unavailable` when the server stops.
        """
        latest, number = self._watch(catalog_id), 0
        # Read for this subscriber: what it did before it asked must be in its first snapshot.
        shown = await self._read(catalog_id)
        while shown is not None:
            yield shown.status
            newer = None
            while newer is None or newer.order < shown.order or newer.status == shown.status:
                number = await self._or_stop(latest.after(number), None)
                newer = latest.value
                if newer is None:
                    break
            shown = newer
        raise NotFound("CATALOG_NOT_FOUND", "The catalog was deleted.", catalog=str(catalog_id))

    def _woken(self, catalog_id: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._signal, catalog_id)

    def _signal(self, catalog_id: int) -> None:
        self._anything.publish(None)
        if catalog_id in self._signals:
            self._signals[catalog_id].publish(None)

    async def _read(self, catalog_id: int) -> Snapshot | None:
        self._reads += 1
        order = self._reads
        status = await self._read_status(catalog_id)
        return None if status is None else Snapshot(order, status)

    def _watch(self, catalog_id: int) -> Latest[Snapshot]:
        if catalog_id not in self._watched:
            latest: Latest[Snapshot] = Latest()
            self._watched[catalog_id] = latest, asyncio.create_task(self._follow(catalog_id, latest))
        return self._watched[catalog_id][0]

    async def _follow(self, catalog_id: int, latest: Latest[Snapshot]) -> None:
        published_at, seen = 0.0, 0
        while True:
            try:
                read = await self._read(catalog_id)
            except Unavailable:
                seen = await self.changed(catalog_id, seen)
                continue
            if read is None:
                break
            status, published = read.status, None if latest.value is None else latest.value.status
            wait = published_at + COUNTS_EVERY_S - self._loop.time()
            if published is None or _switches(status) != _switches(published) or (status != published and wait <= 0):
                latest.publish(read)
                published_at, published = self._loop.time(), status
            later = status != published
            seen = await self.changed(catalog_id, seen, patience=max(wait, 0.001) if later else POLL_S)
        latest.publish(None)
        del self._watched[catalog_id]

    async def _or_stop(self, waiting: Awaitable[int], patience: float | None) -> int:
        """What `waiting` gives; `Unavailable` when the server stops first."""
        task, stop = asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({task, stop}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if stop in done:
                raise Unavailable("SERVER_STOPPING", "The server is stopping; resume on the next one.")
            if task not in done:
                raise TimeoutError
            return task.result()
        finally:
            task.cancel()
            stop.cancel()


def _switches(status: SyncStatus) -> tuple[object, ...]:
    """What is shown at once when it changes."""
    run = status.run
    reasons = tuple((wait.reason, wait.root_id) for wait in status.waits)
    catalog = status.catalog
    return (
        catalog.auto_sync,
        catalog.name,
        status.activity,
        reasons,
        None if run is None else (run.run_id, run.state),
    )
