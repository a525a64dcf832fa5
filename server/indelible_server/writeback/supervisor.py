"""The supervisor: keeps writer processes running, renews their leases, and ends those that hang.

A lease never outlives its writer by accident: only leases of writers that are known to live are renewed, and one that
must end is killed and reaped before its leases are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from ..config import Settings
from ..domain import sync
from ..domain.outcomes import Failed, acknowledge
from ..errors import Unavailable
from ..processes import Child
from ..roots import Roots
from ..storage import items, leases, writers
from ..storage.database import Database
from ..storage.ids import new_id
from ..storage.leases import Claim

TICK_S = 5.0
HANGING_S = 120.0
BACK_OFF_FIRST_S, BACK_OFF_LAST_S = 0.1, 30.0
# An item that ends its writer this often is not tried again by itself.
CRASHES = 2

log = structlog.get_logger("supervisor")


@dataclass
class Slot:
    """A place for one writer: the process in it now, and the item that it has in hand."""

    writer_id: str = ""
    child: Child | None = None
    in_hand: tuple[int, int, str] | None = None
    heard_at: float = field(default_factory=time.monotonic)
    back_off: float = BACK_OFF_FIRST_S


class Supervisor:
    """Runs writers on this host until it is stopped. For the event loop's main thread."""

    def __init__(self, database: Database, settings: Settings, roots: Roots) -> None:
        self._database = database
        self._environment = settings.as_environment()
        self._roots = roots
        self._slots = [Slot() for _ in range(settings.writers)]
        self._crashes: Counter[tuple[int, int]] = Counter()
        self._stopping = False
        # Two servers on one machine have a data folder each.
        self._host = f"{socket.gethostname()}:{settings.data}"
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe = database.wakeups.subscribe(self._woken)

    async def start(self) -> None:
        """Start the writers. Writers of an earlier server on this data folder must be dead."""
        await self._store(_free_host, self._host)
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        self._tasks.append(asyncio.create_task(self._tick()))

    async def stop(self) -> None:
        """Let every writer finish its file, then return when all are dead and their leases dropped."""
        self._stopping = True
        self._unsubscribe()
        for slot in self._slots:
            if slot.child is not None:
                slot.child.finish()
        await asyncio.gather(*self._tasks[:-1])
        self._tasks[-1].cancel()

    async def _keep(self, slot: Slot) -> None:
        while not self._stopping:
            slot.writer_id, slot.in_hand, slot.heard_at = new_id(), None, time.monotonic()
            slot.child = await Child.start("indelible_server.writeback.writer", [slot.writer_id], self._environment)
            await self._patiently(partial(self._store, writers.insert, slot.writer_id, self._host, slot.child.pid))
            if self._stopping:
                slot.child.finish()
            await self._listen(slot, slot.child)
            status = await slot.child.wait()
            slot.child = None
            await self._patiently(partial(self._bury, slot, status))
            if status != 0 and not self._stopping:
                await asyncio.sleep(slot.back_off)
                slot.back_off = min(slot.back_off * 2, BACK_OFF_LAST_S)

    async def _listen(self, slot: Slot, child: Child) -> None:
        async for line in child.lines():
            slot.heard_at = time.monotonic()
            word, *rest = line.split()
            if word == "changed":
                # What one writer did is news for the streams, not for the writers.
                self._database.wakeups.deliver([int(rest[0])], except_to=self._woken)
            elif word == "item":
                slot.in_hand = int(rest[0]), int(rest[1]), rest[2]
            else:
                slot.in_hand, slot.back_off = None, BACK_OFF_FIRST_S

    async def _bury(self, slot: Slot, status: int) -> None:
        """A writer is dead: find the item that may have killed it, then free what it held."""
        if status != 0:
            log.warning("writer ended", status=status, item=slot.in_hand)
        if status != 0 and slot.in_hand is not None:
            catalog_id, item_id, token = slot.in_hand
            self._crashes[catalog_id, item_id] += 1
            if self._crashes[catalog_id, item_id] >= CRASHES:
                del self._crashes[catalog_id, item_id]
                await self._store(_fail_as_crashed, catalog_id, item_id, token)
        await self._store(_free, [slot.writer_id])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for slot in self._slots:
                if slot.child is not None and slot.in_hand and time.monotonic() - slot.heard_at > HANGING_S:
                    log.warning("writer hangs", pid=slot.child.pid, item=slot.in_hand)
                    slot.child.kill()
            alive = [slot.writer_id for slot in self._slots if slot.child is not None]
            with contextlib.suppress(Unavailable):
                await self._store(_beat, alive)
                await self._loop.run_in_executor(None, self._roots.probe, self._database)

    async def _store(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(None, partial(self._database.write, work, *arguments))

    async def _patiently(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do what must be done, however long the database is away."""
        while True:
            try:
                await work()
            except Unavailable:
                await asyncio.sleep(1)
            else:
                return

    def _woken(self, _catalog_id: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for slot in self._slots:
            if slot.child is not None:
                slot.child.wake()


def _beat(tx: Connection, writer_ids: list[str]) -> None:
    leases.renew(tx, writer_ids)
    leases.drop_expired(tx)
    writers.beat(tx, writer_ids)
    sync.tend_runs(tx)


def _free(tx: Connection, writer_ids: list[str]) -> None:
    leases.drop(tx, writer_ids)
    writers.delete(tx, writer_ids)


def _free_host(tx: Connection, host: str) -> None:
    _free(tx, writers.of_host(tx, host))


def _fail_as_crashed(tx: Connection, catalog_id: int, item_id: int, token: str) -> None:
    item = items.get(tx, catalog_id, item_id)
    if item is not None:
        message = "This file ended the process that was writing it, twice. It is damaged, or made to do so."
        acknowledge(tx, catalog_id, [Failed(Claim(token, item, None), "CRASHED", message, transient=False)])
