"""Child processes: programs of ours that touch files, started by the server and never outliving it.

They are spawned as fresh programs, because a process that has started gRPC can't be forked safely. Parent and child
talk in lines: the parent writes an empty line to wake the child, the child writes what it wants known.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import math
import os
import resource
import select
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence

PR_SET_PDEATHSIG = 1
CHILDREN_LOCK = "children.lock"
# Of its own: what it maps of files and libraries does not count.
MEMORY_LIMIT = 2 * 1024**3
LINE_LIMIT = 16 * 1024**2


class Child:
    """A running child, seen from its parent."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start `python -m module`. Call it from the main thread: the child dies with the thread that made it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the server, which lets its children finish their file
        )
        return cls(process)

    async def lines(self) -> AsyncIterator[str]:
        """What the child says, line by line, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield line.decode().rstrip("\n")

    async def ask(self, line: str, patience: float) -> None:
        """Send the child a line; it takes no more than it can keep up with."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(f"{line}\n".encode())
            await asyncio.wait_for(self._process.stdin.drain(), patience)

    async def answer(self, patience: float) -> str:
        """The next line that the child says; empty if it has ended. Raises `TimeoutError`."""
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), patience)).decode()

    def wake(self) -> None:
        """Wake the child if it waits. One that is busy has enough of one wake-up."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing() and not stdin.transport.get_write_buffer_size():
            stdin.write(b"\n")

    def finish(self) -> None:
        """Ask the child to finish what it has in hand and end."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the child at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> int:
        """The exit status, once the child is dead and reaped."""
        return await self._process.wait()


class Parent:
    """The parent, seen from a child."""

    def __init__(self) -> None:
        self._gone = False

    @property
    def wants_end(self) -> bool:
        """Whether the parent has asked us to end, or is gone."""
        return self._gone or self._poll(0)

    def say(self, line: str) -> None:
        """Tell the parent something."""
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), f"{line}\n".encode())

    def wait(self, seconds: float) -> None:
        """Sleep until the parent wakes us, or the time is over."""
        self._poll(seconds)

    def _poll(self, seconds: float) -> bool:
        stdin = sys.stdin.fileno()
        if select.select([stdin], [], [], max(seconds, 0))[0] and not os.read(stdin, 65536):
            self._gone = True
        return self._gone


def be_child(data_dir: str) -> Parent:
    """Make this process a child: it dies when its parent dies, and holds the lock that says that it lives.

    What a hostile file makes of it costs the machine no more than MEMORY_LIMIT.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    handle = os.open(os.path.join(data_dir, CHILDREN_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)  # held until the process ends, however it ends
    return Parent()


def limit_cpu(seconds: int) -> None:
    """Let this process use the processor for so long from now on; then it is ended, unless it is told anew."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


async def wait_for_orphans(data_dir: str) -> None:
    """Return when no child of an earlier server on this data folder is alive: what they held is then free."""
    handle = os.open(os.path.join(data_dir, CHILDREN_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await asyncio.sleep(0.02)
    finally:
        os.close(handle)
