"""The open streams: how many a principal may have, and the end of those whose token has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import structlog

from ..domain.principal import Principal
from ..errors import ResourceExhausted, Unauthenticated, Unavailable

log = structlog.get_logger("streams")

# Enough for a wall of dashboards on one token, and too few to fill a server's memory.
STREAMS_A_PRINCIPAL = 2_000
RECHECK_S = 2.0

Authenticate = Callable[[str], Awaitable[Principal]]


class Stream:
    """An open stream, in the task that serves it."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.refusal: Unauthenticated | None = None
        self._task = asyncio.current_task()

    def end(self, why: Unauthenticated) -> None:
        """End it: whoever waits for the next message is told why. A client that reads nothing is cut off."""
        self.refusal = why
        if self._task is not None:
            self._task.cancel()

    def cause(self, error: BaseException) -> BaseException:
        """What the client is to be told of an error that ended the stream."""
        if self.refusal is None or not isinstance(error, asyncio.CancelledError) or self._task is None:
            return error
        self._task.uncancel()
        return self.refusal


class OpenStreams:
    """All streams of a server. For the event loop only."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._open: set[Stream] = set()
        self._by_principal: Counter[str] = Counter()

    @contextlib.contextmanager
    def opened(self, principal: Principal, secret: str) -> Iterator[Stream]:
        """A stream that is open as long as the block lasts. Raises `ResourceExhausted` (TOO_MANY_STREAMS)."""
        if self._by_principal[principal.name] >= STREAMS_A_PRINCIPAL:
            raise ResourceExhausted(
                "TOO_MANY_STREAMS",
                f"{principal.name!r} has {STREAMS_A_PRINCIPAL:,} open streams; end one first.",
                limit="max_streams",
                maximum=str(STREAMS_A_PRINCIPAL),
            )
        stream = Stream(secret)
        self._open.add(stream)
        self._by_principal[principal.name] += 1
        try:
            yield stream
        finally:
            self._open.discard(stream)
            self._by_principal[principal.name] -= 1
            if not self._by_principal[principal.name]:
                del self._by_principal[principal.name]

    async def end_those_without_a_token(self) -> None:
        """Look at all tokens again and again; streams end whose token has expired or was revoked."""
        while True:
            await asyncio.sleep(RECHECK_S)
            for secret in {stream.secret for stream in self._open}:
                try:
                    await self._authenticate(secret)
                except Unauthenticated as refusal:
                    for stream in [each for each in self._open if each.secret == secret]:
                        stream.end(refusal)
                except Unavailable:
                    break  # of no token can be told now; whoever needs the database says so
                except Exception:
                    # What is wrong with one token must not keep those of the others alive.
                    log.exception("a token could not be looked at; it is tried again")
