"""Something that a thread of its own does again and again while a test goes on."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Repeating(ABC):
    """Does its `work` until the end of the `with`, with pauses. An error ends it, and is raised there."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._end = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    @abstractmethod
    def work(self) -> None:
        """Do it once."""

    def _run(self) -> None:
        try:
            while not self._end.wait(self._pause_s):
                self.work()
        except Exception as error:
            self._error = error
