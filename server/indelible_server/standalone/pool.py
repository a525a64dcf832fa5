"""Many files over several processes. A file that crashes or hangs its process costs nothing but itself."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..files.problems import shown
from .journal import Journal
from .results import Result, failed
from .work import Task, Worker

_CHUNK = 16
_ALONE_BELOW = 4
"""So few files are not worth a process."""
_PATIENCE_S = 120.0
_COPIED_A_SECOND = 5_000_000
"""A file may have to be copied as a whole, from and to a slow disk."""

_Paths = tuple[bytes, ...]


def run(task: Task, paths: Sequence[bytes], processes: int) -> Iterator[Result]:
    """The result of each path, as they come."""
    if len(paths) <= _ALONE_BELOW or processes <= 1:
        worker = Worker(task)
        try:
            for path in paths:
                yield from worker.work([path])
        finally:
            worker.close()
        return
    # An undo that was carried out must not be handed out again: it would take back one change more.
    size = 1 if task.action == "undo" else _CHUNK
    chunks = deque(tuple(paths[start : start + size]) for start in range(0, len(paths), size))
    yield from _Pool(task, chunks).results(min(processes, len(chunks)))


@dataclass
class _Child:
    """A process, what it has in hand, and until when it has time for that."""

    process: BaseProcess
    pipe: Connection
    paths: _Paths = ()
    patience: float = 0.0
    deadline: float = 0.0

    def give(self, paths: _Paths) -> None:
        self.paths, self.patience = paths, patience(paths)
        self.deadline = time.monotonic() + self.patience
        self.pipe.send(paths)


class _Pool:
    """Hands out chunks, and gives the chunk of a process that died to another one, file by file."""

    def __init__(self, task: Task, chunks: deque[_Paths]) -> None:
        self._task = task
        self._chunks = chunks
        # This program has one thread, so it can be forked; what it has imported need not be imported again.
        self._context = multiprocessing.get_context("fork")
        self._children: list[_Child] = []

    def results(self, processes: int) -> Iterator[Result]:
        try:
            for _ in range(processes):
                self._start()
            while self._children:
                yield from self._round()
        finally:
            for child in self._children:
                child.process.kill()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._task, theirs), daemon=True)
        process.start()
        theirs.close()
        child = _Child(process, ours)
        self._children.append(child)
        self._feed(child)

    def _feed(self, child: _Child) -> None:
        if self._chunks:
            child.give(self._chunks.popleft())
            return
        child.pipe.send(None)
        self._children.remove(child)
        child.process.join()

    def _round(self) -> Iterator[Result]:
        ready = wait([child.pipe for child in self._children], timeout=1.0)
        for child in list(self._children):
            if child.pipe in ready:
                try:
                    results = child.pipe.recv()
                except EOFError:
                    yield from self._lost(child, "CRASHED", "the file crashed the program that reads it")
                    continue
                yield from results
                self._feed(child)
            elif time.monotonic() > child.deadline:
                yield from self._lost(child, "TIMEOUT", f"the file takes more than {child.patience:.0f} s")

    def _lost(self, child: _Child, reason: str, message: str) -> Iterator[Result]:
        child.process.kill()
        child.process.join()
        self._children.remove(child)
        Journal(Path(self._task.journal)).clean_up()
        if len(child.paths) == 1:
            yield failed(child.paths[0], reason, f"{message} ({shown(child.paths[0])})")
        else:
            self._chunks.extendleft((path,) for path in reversed(child.paths))
        self._start()


def patience(paths: _Paths) -> float:
    """How many seconds there are for these files."""
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += os.stat(path).st_size
    return _PATIENCE_S + size / _COPIED_A_SECOND


def _serve(task: Task, pipe: Connection) -> None:
    """What a process does until it is told that there is no more."""
    worker = Worker(task)
    while (paths := pipe.recv()) is not None:
        pipe.send(worker.work(paths))
    worker.close()
