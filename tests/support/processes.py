"""The processes of a server as /proc shows them, and their death without a guess at how long it takes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from indelible_server.processes import CHILDREN_LOCK

WRITER = b"indelible_server.writeback.writer"


def children(pid: int) -> list[int]:
    """The living children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def writers(pid: int) -> list[int]:
    """The writer processes of a server."""
    return [child for child in children(pid) if WRITER in _command(child)]


def previewer(pid: int) -> int:
    """The process that looks into files for a server's previews."""
    (found,) = [child for child in children(pid) if b"writeback.previewer" in _command(child)]
    return found


def dies_with_its_server(pid: int) -> bool:
    """Whether a child has come so far that it does, even if it is stopped: the lock is what it takes next."""
    opened = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            opened.add(Path(os.readlink(each)).name)
    return CHILDREN_LOCK in opened


def kill(pid: int) -> None:
    """SIGKILL, and return when the process is dead."""
    with _handle(pid) as handle:
        if handle is not None:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            assert _ended(handle, 10), f"{pid} outlives SIGKILL"


def writer_ids(pid: int) -> dict[str, int]:
    """The writer processes of a server, by the id that each was started with."""
    commands = {writer: _command(writer).split(b"\0") for writer in writers(pid)}
    return {
        os.fsdecode(words[words.index(WRITER) + 1]): writer for writer, words in commands.items() if WRITER in words
    }


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """These processes stand still (SIGSTOP) during the block; those that are dead at its end stay dead."""
    with contextlib.ExitStack() as stack:
        handles = [handle for pid in pids if (handle := stack.enter_context(_handle(pid))) is not None]
        for handle in handles:
            signal.pidfd_send_signal(handle, signal.SIGSTOP)
        try:
            yield
        finally:
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGCONT)


@contextlib.contextmanager
def all_end(pids: list[int], seconds: float = 10) -> Iterator[None]:
    """These processes, alive at the beginning of the block, are dead soon after its end."""
    with contextlib.ExitStack() as stack:
        handles = {pid: stack.enter_context(_handle(pid)) for pid in pids}
        yield
        left = [pid for pid, handle in handles.items() if handle is not None and not _ended(handle, seconds)]
        assert left == [], f"orphans: {left}"


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int | None]:
    """A handle of a process, which no later process of the same number is mistaken for; None if it is dead."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _ended(handle: int, seconds: float) -> bool:
    return bool(select.select([handle], [], [], seconds)[0])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
