"""Starts a process for each job that no other server carries out, and ends jobs whose process has died."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any

import structlog

from ..config import Settings
from ..domain.jobs import IN_PROCESSES
from ..errors import Unavailable
from ..processes import Child
from ..storage import jobs
from ..storage.database import Database
from ..storage.hosts import Host
from ..storage.jobs import Job, JobLost

POLL_S = 1.0
AT_ONCE = 4

log = structlog.get_logger("jobs")


class JobRunner:
    """Runs queued jobs, each in a process of its own, until it is stopped. For the event loop's main thread."""

    def __init__(self, database: Database, settings: Settings, host: Host) -> None:
        self._database = database
        self._host_id = host.host_id
        self._environment = settings.as_environment()
        self._running: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queued = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = database.wakeups.subscribe(self._woken)

    def start(self) -> None:
        """Begin. A job that an earlier server left unfinished is carried out again: files that are known stay."""
        self._follow(self._watch())

    async def stop(self) -> None:
        """End the running jobs' processes; the jobs go on at another server, or at the next start."""
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()
        for child in list(self._running.values()):
            child.kill()
            await child.wait()
        with contextlib.suppress(Unavailable):
            await self._store(jobs.release, self._host_id)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                for job in await self._claim():
                    arguments = [job.job_id, self._host_id]
                    child = await Child.start("indelible_server.library.worker", arguments, self._environment)
                    self._running[job.job_id] = child
                    self._follow(self._attend(job, child))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queued.wait(), POLL_S)
            self._queued.clear()

    async def _claim(self) -> list[Job]:
        running, room = list(self._running), AT_ONCE - len(self._running)
        claimed: list[Job] = []
        if room and await self._loop.run_in_executor(None, self._database.read, jobs.any_active, IN_PROCESSES, running):
            claimed = await self._store(jobs.claim, self._host_id, IN_PROCESSES, running, room)
        return claimed

    async def _attend(self, job: Job, child: Child) -> None:
        async for line in child.lines():
            self._database.wakeups.deliver([int(line.split()[1])], except_to=self._woken)
        status = await child.wait()
        try:
            if status != 0:
                log.warning("job process ended", job=job.job_id, status=status)
                message = f"The job's process ended unexpectedly (status {status}); the log has more. Start it again."
                await self._store(jobs.update, job, state=jobs.FAILED, message=message)
        except JobLost:
            log.info("the job is no longer ours", job=job.job_id)
        finally:
            del self._running[job.job_id]

    def _follow(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, work: Any, *arguments: Any, **values: Any) -> Any:
        return await self._loop.run_in_executor(None, partial(self._database.write, work, *arguments, **values))

    def _woken(self, _catalog_id: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._queued.set)
