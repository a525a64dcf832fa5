"""Foreign programs for tests: run to their end or read while they go on, and what they share with other workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE_S = 120
Finished = subprocess.CompletedProcess[str]


def finished(command: Sequence[str | Path], folder: Path, patience_s: float = PATIENCE_S, **variables: str) -> Finished:
    """A program that was run to its end in this folder; whatever its exit status is, the caller looks at it."""
    environment = os.environ | variables
    return subprocess.run(
        [os.fspath(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience_s,
        env=environment,
    )


class Lines:
    """A running program whose standard output is read line by line, for at most PATIENCE_S from its start.

    It is ended by its own pid, never by a name.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self._process = subprocess.Popen(
            [os.fspath(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._deadline = time.monotonic() + PATIENCE_S
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_lines, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def next(self) -> str:
        """The next line, waited for; a program that says no more fails the test with what it said of errors."""
        try:
            line = self._lines.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"not seen within {PATIENCE_S} s; errors: {''.join(self._errors)}") from None
        if not line:
            raise AssertionError(f"ended with {self._process.wait()}: {''.join(self._errors)}")
        return line

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def go_on(self) -> None:
        """Let a program that has stopped itself do the rest, and return when it has ended well."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.wait(timeout=PATIENCE_S) == 0, "".join(self._errors)

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._readers[1].join()
        self._lines.put("")

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


def free_address() -> str:
    """An address of loopback that was free a moment ago, for a server that must come back at the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Only one process at a time is inside for the same folder: pytest's workers share what is made there."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def made_once(folder: Path, make: Callable[[], None]) -> Path:
    """The folder, after `make` has succeeded for it once, in this process or in another worker."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        made = folder / ".made"
        if not made.exists():
            make()
            made.touch()
    return folder
