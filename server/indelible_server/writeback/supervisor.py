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
from ..storage import items, leases, runs, writers
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
    hanging: bool = False

    def begin(self, writer_id: str) -> None:
        """Make room for a new writer."""
        self.writer_id, self.in_hand, self.hanging = writer_id, None, False
        self.heard_at = time.monotonic()


@dataclass(frozen=True)
class Suspect:
    """An item that has ended its writer, and what is put on record of it."""

    catalog_id: int
    item_id: int
    token: str
    reason: str
    transient: bool
    message: str


class Supervisor:
    """Runs writers on this host until it is stopped. For the event loop's main thread."""

    def __init__(self, database: Database, settings: Settings, roots: Roots) -> None:
        self._database = database
        self._environment = settings.as_environment()
        self._roots = roots
        self._slots = [Slot() for _ in range(settings.writers)]
        self._crashes: Counter[tuple[int, int]] = Counter()
        self._stopping = asyncio.Event()
        # Two servers on one machine have a data folder each.
        self._host = f"{socket.gethostname()}:{settings.data}"
        self._loop = asyncio.get_running_loop()
        self._keepers: list[asyncio.Task[None]] = []
        self._chores: list[asyncio.Task[None]] = []
        self._unsubscribe = database.wakeups.subscribe(self._woken)

    async def start(self) -> None:
        """Start the writers. Writers of an earlier server on this data folder must be dead."""
        await self._store(_free_host, self._host)
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        self._chores = [
            asyncio.create_task(self._regularly(self._end_hanging)),
            asyncio.create_task(self._regularly(self._beat)),
            asyncio.create_task(self._regularly(self._tend_runs)),
            # By itself: a dead share may take minutes to answer.
            asyncio.create_task(self._regularly(self._probe)),
        ]

    async def stop(self) -> None:
        """Let every writer finish its file, then return when all are dead and their leases dropped."""
        self._stopping.set()
        self._unsubscribe()
        for slot in self._slots:
            if slot.child is not None:
                slot.child.finish()
        await asyncio.gather(*self._keepers)
        for chore in self._chores:
            chore.cancel()

    async def _keep(self, slot: Slot) -> None:
        while not self._stopping.is_set():
            try:
                status = await self._run_writer(slot)
            except OSError:
                log.exception("a writer can't be started")
                status = 1
            if status != 0:
                await self._pause(slot.back_off)
                slot.back_off = min(slot.back_off * 2, BACK_OFF_LAST_S)

    async def _run_writer(self, slot: Slot) -> int:
        """Start a writer, listen to it until it is dead, and clear up behind it."""
        slot.begin(new_id())
        child = await Child.start("indelible_server.writeback.writer", [slot.writer_id], self._environment)
        slot.child = child
        if self._stopping.is_set():
            child.finish()
        await self._patiently(partial(self._store, writers.insert, slot.writer_id, self._host, child.pid))
        await self._listen(slot, child)
        status = await child.wait()
        slot.child = None
        suspect = self._suspect(slot, status)
        await self._patiently(partial(self._store, _bury, slot.writer_id, suspect))
        return status

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
                self._crashes.clear()

    def _suspect(self, slot: Slot, status: int) -> Suspect | None:
        """The item that ended the writer, if it is to be blamed."""
        if status == 0 or slot.in_hand is None:
            return None
        log.warning("writer ended", status=status, item=slot.in_hand)
        catalog_id, item_id, token = slot.in_hand
        if slot.hanging:
            return Suspect(catalog_id, item_id, token, "TIMEOUT", True, "Writing this file took too long.")
        self._crashes[catalog_id, item_id] += 1
        if self._crashes[catalog_id, item_id] < CRASHES:
            return None
        message = "This file ended the process that was writing it, twice. It is damaged, or made to do so."
        return Suspect(catalog_id, item_id, token, "CRASHED", False, message)

    async def _end_hanging(self) -> None:
        for slot in self._slots:
            if slot.child is not None and slot.in_hand and time.monotonic() - slot.heard_at > HANGING_S:
                slot.hanging = True
                slot.child.kill()

    async def _beat(self) -> None:
        alive = [slot.writer_id for slot in self._slots if slot.child is not None]
        await self._store(_beat, alive)

    async def _tend_runs(self) -> None:
        for catalog_id in await self._loop.run_in_executor(None, self._database.read, runs.active_catalogs):
            await self._store(sync.tend_run, catalog_id)

    async def _probe(self) -> None:
        await self._loop.run_in_executor(None, self._roots.probe, self._database)

    async def _regularly(self, chore: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await chore()
            except Unavailable as error:
                log.info("a chore waits for the database", message=error.message)
            except Exception:
                # A chore that stops for good would let leases end, or runs go on for ever.
                log.exception("a chore failed; it is tried again")

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _store(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(None, partial(self._database.write, work, *arguments))

    async def _patiently(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do what must be done, however long the database is away; given up only when the server stops meanwhile."""
        while True:
            try:
                await work()
            except Unavailable:
                if self._stopping.is_set():
                    return
                await self._pause(1)
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


def _bury(tx: Connection, writer_id: str, suspect: Suspect | None) -> None:
    """A writer is dead: put on record what it failed at, and free what it held."""
    if suspect is not None:
        item = items.get(tx, suspect.catalog_id, suspect.item_id)
        if item is not None:
            claim = Claim(suspect.token, item, None)
            failed = Failed(claim, suspect.reason, suspect.message, suspect.transient)
            acknowledge(tx, suspect.catalog_id, [failed])
    leases.drop(tx, [writer_id])
    writers.delete(tx, [writer_id])


def _free_host(tx: Connection, host: str) -> None:
    dead = writers.of_host(tx, host)
    leases.drop(tx, dead)
    writers.delete(tx, dead)
