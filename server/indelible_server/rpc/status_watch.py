"""One stream of the statuses of several catalogs: always the newest of each, never a queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence

from indelible.v1 import sync_pb2, sync_service_pb2

from ..domain import catalogs
from ..errors import NotFound
from ..storage.catalogs import Catalog
from .app import App
from .convert import status_message
from .wrapper import caller


async def watch_statuses(app: App, names: Sequence[str]) -> AsyncIterator[sync_service_pb2.WatchSyncStatusResponse]:
    """Snapshots of the named catalogs, or of all that the caller may see, also those that come later."""
    watch = StatusWatch(app)
    for name in names:
        watch.follow(await app.find_catalog(name))
    if not names:
        watch.follow_all_visible()
    try:
        while True:
            yield await watch.next()
    finally:
        watch.stop()


class StatusWatch:
    """What one stream follows: a task for each catalog, and a place for its newest snapshot."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._newest: dict[int, sync_service_pb2.WatchSyncStatusResponse] = {}
        self._ready = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._error: BaseException | None = None

    def follow(self, catalog: Catalog) -> None:
        """Send this catalog's snapshots from now on."""
        if catalog.catalog_id not in self._tasks:
            self._start(catalog.catalog_id, self._follow(catalog))

    def follow_all_visible(self) -> None:
        """Follow every catalog that the caller may see, as they come."""
        self._start(0, self._follow_all())

    async def next(self) -> sync_service_pb2.WatchSyncStatusResponse:
        """The next snapshot; raises what ended a task, so that the stream ends with it."""
        while not self._newest:
            if self._error is not None:
                raise self._error
            self._ready.clear()
            await self._ready.wait()
        return self._newest.pop(next(iter(self._newest)))

    def stop(self) -> None:
        """Leave nothing running."""
        for task in self._tasks.values():
            task.cancel()

    async def _follow(self, catalog: Catalog) -> None:
        try:
            async for status in self._app.hub.statuses(catalog.catalog_id):
                self._put(catalog.catalog_id, sync_service_pb2.WatchSyncStatusResponse(status=status_message(status)))
        except NotFound:
            gone = sync_pb2.SyncStatus(catalog_id=str(catalog.catalog_id), catalog_name=catalog.name)
            self._put(catalog.catalog_id, sync_service_pb2.WatchSyncStatusResponse(status=gone, removed=True))

    async def _follow_all(self) -> None:
        who, seen = caller(), 0
        while True:
            for catalog in await self._app.read(catalogs.visible, who):
                self.follow(catalog)
            seen = await self._app.hub.any_change(seen)

    def _put(self, catalog_id: int, message: sync_service_pb2.WatchSyncStatusResponse) -> None:
        self._newest[catalog_id] = message
        self._ready.set()

    def _start(self, key: int, work: Coroutine[None, None, None]) -> None:
        self._tasks[key] = asyncio.create_task(work)
        self._tasks[key].add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._ready.set()
