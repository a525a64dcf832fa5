"""Clients that edit without a pause and give nothing up: what they were not answered they ask again, as it was."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from support.client import PATIENCE_S, Client, add, globs, set_tags
from support.repeating import Repeating
from support.server import RunningServer, Stubs, fresh_id


class Editor(Repeating):
    """A client with a field of its own and keywords that no other client adds. It works until the end of the `with`.

    Every edit has a request id and is repeated until it is answered, so that what an item must hold is known exactly:
    `texts` are the field's last values, `keywords` all that were added, by the item's path.
    """

    def __init__(
        self, server: RunningServer, catalog: str, field: str, paths: Sequence[Path], seed: int, pause_s: float
    ) -> None:
        super().__init__(pause_s)
        self.field = field
        self.texts: dict[str, str] = {}
        self.keywords: dict[str, set[str]] = defaultdict(set)
        self.repeated = 0
        self._server = server
        self._catalog = catalog
        self._names = [path.name for path in paths]
        self._dice = random.Random(seed)
        self._number = 0
        self._stubs: Stubs | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._hang_up()

    @property
    def acknowledged(self) -> int:
        """How many edits were answered."""
        return sum(len(keywords) for keywords in self.keywords.values())

    def work(self) -> None:
        """Edit one item."""
        self._number += 1
        name, text = self._dice.choice(self._names), f"{self.field}-{self._number}"
        self._insist(set_tags(**{self.field: text}), add("keywords", text), selection=globs(name))
        self.texts[name] = text
        self.keywords[name].add(text)

    def _insist(self, *edits: Any, selection: Any) -> None:
        request_id = fresh_id()
        while True:
            try:
                self._client().edit(self._catalog, *edits, selection=selection, request_id=request_id)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.repeated += 1
                self._hang_up()
            else:
                return

    def _client(self) -> Client:
        if self._stubs is None:
            assert self._server.running.wait(PATIENCE_S), "the server does not come back"
            self._stubs = Stubs(self._server.address, self._server.token)
        return Client(self._stubs)

    def _hang_up(self) -> None:
        if self._stubs is not None:
            self._stubs.close()
            self._stubs = None
