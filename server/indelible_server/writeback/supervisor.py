"""The supervisor: keeps writer processes running, renews their leases, and ends those that hang.

A lease never outlives its writer by accident: only leases of writers that are known to live are renewed, and one that
must end is killed and reaped before its leases are dropped. Nor does a writer outlive its lease: where the database
cannot be reached to renew them, the writers are killed in time, by this host's own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
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
from ..storage import hosts, items, jobs, leases, runs, writers
from ..storage.database import Database
from ..storage.hosts import Host
from ..storage.ids import new_id
from ..storage.leases import LEASE_MS, Claim
from .slot import Ended, Slot
from .suspects import Suspect, Suspects

TICK_S = 5.0
GUARD_S = 1.0
# Long before a lease can end: killing and reaping take their time, too.
UNRENEWED_S = LEASE_MS / 1000 / 2
HANGING_S = 120.0

log = structlog.get_logger("supervisor")


class Supervisor:
    """Runs writers on this host until it is stopped. For the event loop's main thread."""

    def __init__(self, database: Database, settings: Settings, roots: Roots, host: Host) -> None:
        self._database = database
        self._environment = settings.as_environment()
        self._roots = roots
        self._host = host
        self._slots = [Slot() for _ in range(settings.writers)]
        self._suspects = Suspects()
        self._stopping = asyncio.Event()
        self._renewed_at = _clock()
        self._loop = asyncio.get_running_loop()
        self._keepers: list[asyncio.Task[None]] = []
        self._chores: list[asyncio.Task[None]] = []
        self._unsubscribe = database.wakeups.subscribe(self._woken)

    async def start(self) -> None:
        """Start the writers. Writers of an earlier server on this data folder must be dead."""
        await self._store(_begin_host, self._host)
        self._renewed_at = _clock()
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        self._chores = [
            asyncio.create_task(self._regularly(self._end_hanging, TICK_S)),
            asyncio.create_task(self._regularly(self._end_unrenewed, GUARD_S)),
            asyncio.create_task(self._regularly(self._renew, TICK_S)),
            asyncio.create_task(self._regularly(self._tend_runs, TICK_S)),
            # By itself: a dead share may take minutes to answer.
            asyncio.create_task(self._regularly(self._probe, TICK_S)),
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
        with contextlib.suppress(Unavailable):
            await self._store(hosts.end, self._host.host_id)

    async def _keep(self, slot: Slot) -> None:
        while not self._stopping.is_set():
            if await self._run_writer(slot) != 0:
                await self._pause(slot.back_off)
                slot.grow_back_off()

    async def _run_writer(self, slot: Slot) -> int:
        """Start a writer, listen to it until it is dead, and clear up behind it."""
        slot.begin(new_id())
        await self._patiently(self._renew)
        # On record before it lives: a writer that is not on record is one that is known to be dead.
        await self._patiently(partial(self._store, writers.insert, slot.writer_id, self._host.host_id))
        status = await self._see_through(slot)
        suspect = self._suspects.of(slot, status)
        if status != 0:
            log.warning("writer ended", status=status, ended=slot.ended, item=slot.in_hand, suspect=suspect)
        await self._patiently(partial(self._store, _bury, slot.writer_id, suspect))
        return status

    async def _see_through(self, slot: Slot) -> int:
        """The writer's life, from its start until it is dead and reaped."""
        if self._stopping.is_set():
            return 0
        arguments = [slot.writer_id, self._host.host_id]
        try:
            slot.child = child = await Child.start("indelible_server.writeback.writer", arguments, self._environment)
        except OSError:
            log.exception("a writer can't be started")
            return 1
        await self._patiently(partial(self._store, writers.set_pid, slot.writer_id, child.pid))
        if self._stopping.is_set():
            child.finish()
        await self._listen(slot, child)
        status = await child.wait()
        slot.child = None
        return status

    async def _listen(self, slot: Slot, child: Child) -> None:
        async for line in child.lines():
            slot.heard_at = time.monotonic()
            word, *rest = line.split()
            if word == "changed":
                # What one writer did is news for the streams, not for the writers.
                self._database.wakeups.deliver([int(rest[0])], except_to=self._woken)
            elif word == "item":
                slot.took(int(rest[0]), int(rest[1]), rest[2])
            else:
                slot.is_idle()

    async def _end_hanging(self) -> None:
        for slot in self._slots:
            if slot.hangs(HANGING_S):
                slot.kill(Ended.HANGING)

    async def _end_unrenewed(self) -> None:
        if _clock() - self._renewed_at > UNRENEWED_S:
            for slot in self._slots:
                slot.kill(Ended.UNRENEWED)

    async def _renew(self) -> None:
        began = _clock()
        await self._store(_renew, self._host.host_id, [slot.writer_id for slot in self._slots if slot.is_renewed])
        self._renewed_at = began

    async def _tend_runs(self) -> None:
        for catalog_id in await self._loop.run_in_executor(None, self._database.read, runs.active_catalogs):
            await self._store(sync.tend_run, catalog_id)

    async def _probe(self) -> None:
        await self._loop.run_in_executor(None, self._roots.probe, self._database, self._host.host_id)

    async def _regularly(self, chore: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
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


def _clock() -> float:
    """Seconds, those in which the machine slept too: leases end meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _renew(tx: Connection, host_id: str, writer_ids: list[str]) -> None:
    leases.renew(tx, writer_ids)
    leases.drop_expired(tx)
    writers.beat(tx, writer_ids)
    hosts.beat(tx, host_id)


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


def _begin_host(tx: Connection, host: Host) -> None:
    """What an earlier server of this host has left is free: all its children are dead."""
    hosts.begin(tx, host)
    jobs.release(tx, host.host_id)
    dead = writers.of_host(tx, host.host_id)
    leases.drop(tx, dead)
    writers.delete(tx, dead)
