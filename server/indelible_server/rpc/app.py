"""What all services share: the store behind one bounded executor, the hub, the jobs."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from ..domain import catalogs, requests, sync
from ..domain.bulk import ITEMS_A_PART, PAUSE_S, Bulk
from ..domain.previews import Previews
from ..domain.principal import Principal, Role
from ..domain.sync import SyncStatus
from ..errors import Unauthenticated, invalid
from ..storage import catalogs as catalog_store
from ..storage import tokens
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.parts import parts
from ..storage.requests import RequestKey
from .hub import Hub
from .wrapper import call_name, caller

# More threads than this only queue at the database.
STORE_THREADS = 8
REQUEST_ID_LENGTH = 200

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Message)
Work = Callable[[Connection, Principal], M]
"""One transaction of a mutating call: who makes it, and what it answers."""
Begin = Callable[[Connection, Principal], Bulk]
"""The look around before a call on many items, which finds out what there is to do."""


class Mutation(Protocol):
    """What all requests that change something have."""

    request_id: str
    on_behalf_of: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """As of every message."""


class App:
    """One server's state. For the event loop only; nothing here blocks it."""

    def __init__(self, database: Database, data_dir: str, previews: Previews) -> None:
        self.database = database
        self.previews = previews
        self.data_dir = data_dir
        self._threads = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store")
        # Long calls have threads of their own, so that a bulk edit never holds up a status.
        self._long = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="long")
        self.hub = Hub(database.wakeups, self._status)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(tx, …)` in a read-only transaction."""
        return await self._run(self._threads, partial(self.database.read, work, *args, **kwargs))

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(tx, …)` in a durable transaction."""
        return await self._run(self._threads, partial(self.database.write, work, *args, **kwargs))

    async def long(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a thread for what may take long: bulk edits, and looking at folders."""
        return await self._run(self._long, partial(work, *args, **kwargs))

    async def mutate(self, request: Mutation, answer: type[M], work: Work[M]) -> M:
        """Run `work(tx, who)` in one transaction, once for each request id, and give its answer."""
        who, key = self.who(request), self.request_key(request)

        def in_transaction(tx: Connection) -> bytes:
            return requests.once(tx, key, lambda tx: work(tx, who).SerializeToString())

        return answer.FromString(await self.write(in_transaction))

    async def mutate_many(
        self,
        request: Mutation,
        answer: type[M],
        begin: Begin,
        message: Callable[[int, int], M],
    ) -> M:
        """Like `mutate`, for work on many items: part by part, answered with how many matched and were changed.

        The answer is stored with the last part. What is cut off before that goes on when the request is repeated.
        """
        known = await self.answered(request, answer)
        if known is not None:
            return known
        bulk = await self._run(self._long, partial(self.database.read, begin, self.who(request)))
        *before, last = [*parts(bulk.ids, ITEMS_A_PART)] or [[]]
        changed = 0
        for some in before:
            changed += await self.write(bulk.part, some)
            await asyncio.sleep(PAUSE_S)

        def finish(tx: Connection, _who: Principal) -> M:
            return message(bulk.matched, changed + (bulk.part(tx, last) if last else 0))

        return await self.mutate(request, answer, finish)

    def who(self, request: Mutation) -> Principal:
        """The caller, with the person that it says it acts for."""
        return replace(caller(), on_behalf_of=request.on_behalf_of)

    def request_key(self, request: Mutation) -> RequestKey | None:
        """What makes a request one and the same; None for one without an id."""
        if not request.request_id:
            return None
        if len(request.request_id) > REQUEST_ID_LENGTH:
            raise invalid("request_id", f"is longer than {REQUEST_ID_LENGTH} characters")
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        return RequestKey(caller().name, call_name(), request.request_id, digest)

    async def find_catalog(self, name_or_id: str) -> Catalog:
        """The catalog of this name or id, if it exists for the caller."""
        return await self.read(catalogs.find, caller(), name_or_id)

    async def authenticate(self, secret: str) -> Principal:
        """The principal of a token; `Unauthenticated` for one that is not valid."""
        token = await self.read(tokens.find, secret)
        if token is None:
            raise Unauthenticated("UNAUTHENTICATED", "The token is unknown, expired or revoked.")
        limited = None if token.catalogs is None else frozenset(token.catalogs)
        return Principal(token.name, Role[token.role.upper()], limited)

    async def finish_deletion(self, catalog_id: int) -> None:
        """Carry out a deletion that was begun, as far as it goes now; the housekeeping does the rest."""
        while await self.write(catalogs.delete_part, catalog_id) is catalogs.Deletion.MORE:
            pass

    async def answered(self, request: Mutation, answer: type[M]) -> M | None:
        """The first answer to this request, if it was carried out: for calls that look around before they act."""
        key = self.request_key(request)
        known = None if key is None else await self.read(requests.first_answer, key)
        return None if known is None else answer.FromString(known)

    def close(self) -> None:
        """Let running store calls end, start no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._long.shutdown(wait=True, cancel_futures=True)

    async def _status(self, catalog_id: int) -> SyncStatus | None:
        def work(tx: Connection) -> SyncStatus | None:
            catalog = catalog_store.get(tx, catalog_id)
            return None if catalog is None or catalog.deleted_at is not None else sync.status(tx, catalog)

        return await self.read(work)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        # The call that a thread works for is the one it was made for.
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(threads, context.run, work)
