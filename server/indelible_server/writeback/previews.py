"""Asks a process of its own what would be written: a file that crashes or hangs it costs nothing but its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

import structlog

from ..domain.previews import Preview
from ..processes import Child

MODULE = "indelible_server.writeback.previewer"
# For one file, from a slow disk.
PATIENCE_S = 120.0
IDLE_S = 60.0

log = structlog.get_logger("previews")


class PreviewProcess:
    """Looks into files without touching them. Started when it is first asked, ended when nobody asks any more.

    For the event loop's main thread. Of several who ask at a time each gets its turn after a batch of another.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._end: asyncio.TimerHandle | None = None

    async def of_items(self, catalog_id: int, item_ids: Sequence[int]) -> list[Preview]:
        """The previews of those of these items that there are, in this order.

        An item whose file ends the process, or holds it up, has the failure CRASHED or TIMEOUT.
        """
        async with self._turn:
            self._keep()
            found: list[Preview] = []
            left = list(item_ids)
            try:
                while left:
                    left = await self._some(catalog_id, left, found)
            finally:
                self._end = asyncio.get_running_loop().call_later(IDLE_S, self._finish)
            return found

    async def stop(self) -> None:
        """End the process."""
        self._keep()
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            await child.wait()

    async def _some(self, catalog_id: int, item_ids: Sequence[int], found: list[Preview]) -> list[int]:
        """Ask for these, until the process ends; returns those that it has not answered for."""
        child = await self._started()
        try:
            await child.ask(json.dumps({"catalog_id": catalog_id, "item_ids": list(item_ids)}), PATIENCE_S)
            for place, item_id in enumerate(item_ids):
                told = await self._answer(child, item_id)
                found += [told] if told else []
                if self._child is None:
                    return list(item_ids[place + 1 :])
        except BaseException:
            # Whoever asked has gone: what is still to be said must not be taken for the next one's answer.
            await self.stop()
            raise
        return []

    async def _answer(self, child: Child, item_id: int) -> Preview | None:
        """What the process says of an item: None if there is none. It is gone if it had nothing to say."""
        try:
            line = await child.answer(PATIENCE_S)
        except TimeoutError:
            return await self._lost(item_id, "TIMEOUT", "looking into it took too long")
        if not line:
            return await self._lost(item_id, "CRASHED", "looking into it ended the process that did")
        told = json.loads(line)
        return None if told is None else Preview.from_json(told)

    async def _lost(self, item_id: int, reason: str, message: str) -> Preview:
        log.warning("a file has ended the process that looked into it", item=item_id, reason=reason)
        await self.stop()
        return Preview(item_id, failure=reason, message=message)

    async def _started(self) -> Child:
        if self._child is None:
            self._child = await Child.start(MODULE, [], self._environment)
        return self._child

    def _keep(self) -> None:
        if self._end is not None:
            self._end.cancel()

    def _finish(self) -> None:
        """Nobody has asked for a while: end the process."""
        child, self._child = self._child, None
        if child is not None:
            child.finish()
