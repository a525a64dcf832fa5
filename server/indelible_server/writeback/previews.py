"""Asks a process of its own what would be written: a file that crashes or hangs it costs nothing but its answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from ..domain.previews import Preview
from ..errors import Unavailable
from ..processes import Child

MODULE = "indelible_server.writeback.previewer"
# For one file, from a slow disk.
PATIENCE_S = 30.0
IDLE_S = 60.0
# So often in a row the process may end without having looked at anything.
LIVES = 3
BEGUN, AWAY = "begun", "away"
"""What the process says before it looks into an item's files, and when the database does not answer."""
_MESSAGES = {
    "TIMEOUT": "looking into it took too long",
    "CRASHED": "looking into it ended the process that did",
}

log = structlog.get_logger("previews")


class NothingLookedAt(Exception):
    """The process has ended, or waits for the database: no file is to blame."""


class PreviewProcess:
    """Looks into files without touching them. Started when it is first asked, ended when nobody asks any more.

    For the event loop's main thread. Of several who ask at a time each gets its turn after a batch of another.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._end: asyncio.TimerHandle | None = None
        self._dying: set[asyncio.Future[int]] = set()

    async def of_items(self, catalog_id: int, item_ids: Sequence[int]) -> list[Preview]:
        """The previews of those of these items that there are, in this order.

        An item whose file ends the process, or holds it up, has the failure CRASHED or TIMEOUT. Raises `Unavailable`
        if nothing can be looked at.
        """
        async with self._turn:
            self._keep()
            found: list[Preview] = []
            left, lives = deque(item_ids), LIVES
            try:
                while left:
                    before = len(left)
                    await self._some(catalog_id, left, found)
                    lives = LIVES if len(left) < before else lives - 1
                    if not lives:
                        raise Unavailable("STORE_UNAVAILABLE", "No file can be looked at now; try again.")
            except BaseException:
                # What is still to be said must not be taken for the answer to the next one who asks.
                self._stop()
                raise
            finally:
                self._end = asyncio.get_running_loop().call_later(IDLE_S, self._finish)
            return found

    async def close(self) -> None:
        """End the process, and wait a moment for its end."""
        self._stop()
        if self._dying:
            await asyncio.wait(self._dying, timeout=1.0)

    async def _some(self, catalog_id: int, left: deque[int], found: list[Preview]) -> None:
        """Ask for these until the process ends, and take from `left` what is answered."""
        child = await self._started()
        await child.ask(json.dumps({"catalog_id": catalog_id, "item_ids": list(left)}), PATIENCE_S)
        with contextlib.suppress(NothingLookedAt):
            while left and self._child is child:
                told = await self._answer(child, left[0])
                left.popleft()
                found += [told] if told else []

    async def _answer(self, child: Child, item_id: int) -> Preview | None:
        """What the process says of an item; None if there is none. Raises `NothingLookedAt`."""
        line = await self._said(child)
        has_begun = line == BEGUN
        if has_begun:
            line = await self._said(child)
        if line and line != AWAY:
            told = json.loads(line)
            return None if told is None else Preview.from_json(told)
        self._stop()
        if not has_begun or line == AWAY:
            raise NothingLookedAt
        reason = "TIMEOUT" if line is None else "CRASHED"
        log.warning("a file has ended the process that looked into it", item=item_id, reason=reason)
        return Preview(item_id, failure=reason, message=_MESSAGES[reason])

    async def _said(self, child: Child) -> str | None:
        """The next line of the process; empty if it has ended, None if it says nothing."""
        try:
            return (await child.answer(PATIENCE_S)).strip()
        except TimeoutError:
            return None

    def _stop(self) -> None:
        self._keep()
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            # One that hangs in a dead share dies when that wakes up: nobody waits for it.
            self._dying.add(task := asyncio.ensure_future(child.wait()))
            task.add_done_callback(self._dying.discard)

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
