"""A process that stops itself (SIGSTOP) before a call of its choice, as a writer does whose machine stalls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from indelible_server.files.port import Folder

# All that the engine asks of the kernel while it applies, settles or fences.
CALLS = (
    *("open", "close", "stat", "fstat", "pread", "pwrite", "fsync", "copy_file_range", "rename", "link", "unlink"),
    *("utime", "fchmod", "fchown", "listxattr", "getxattr", "setxattr", "listdir"),
)


class Stalling:
    """A forked process at work, stopped before its call of this number; it lives until it is told to go on."""

    def __init__(self, work: Callable[[], object], call: int) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            self._be_child(work, call)
        _, status = os.waitpid(self._pid, os.WUNTRACED)
        self.stands = os.WIFSTOPPED(status)
        if not self.stands:
            assert status == 0, "the work failed"

    def go_on(self) -> None:
        """Let it do the rest, and return when it has ended."""
        os.kill(self._pid, signal.SIGCONT)
        assert os.waitpid(self._pid, 0)[1] == 0, "the work failed"

    def kill(self) -> None:
        """End it where it stands."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    @staticmethod
    def _be_child(work: Callable[[], object], call: int) -> None:
        status = 1
        try:
            _stop_before(call)
            work()
            status = 0
        finally:
            os._exit(status)


def _stop_before(call: int) -> None:
    """From now on calls are counted; the one of this number waits for SIGCONT."""
    count = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                signal.raise_signal(signal.SIGSTOP)
            return function(*arguments, **options)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    Folder._rename2 = counted(Folder._rename2)  # type: ignore[method-assign] # this process ends with the test
