"""An independent witness of writes to folders: what inotify tells of them, whoever writes there."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _OVERFLOW = 0x2, 0x8, 0x80, 0x4000
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Tracer:
    """Counts how often each file below a folder came by new content: by a rename, or by being written and closed.

    A file that is changed where it is counts once from its opening to its closing, however many calls that takes; an
    exchange of two files counts once for each. Hidden files, which new content is built in, are not counted, and
    folders that are made later are not seen. Use it in a `with`.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0, os.strerror(ctypes.get_errno())
        self._folders = {self._watch(Path(path)): Path(path) for path, _, _ in os.walk(folder)}
        self._lock = threading.Lock()
        self._counts: Counter[Path] = Counter()
        self._modified: set[Path] = set()
        self._ended = threading.Event()
        # The kernel's queue is short: somebody has to empty it while nobody asks.
        self._reader = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Tracer:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._reader.join()
        os.close(self._descriptor)

    def writes(self) -> Counter[Path]:
        """How often each file was written, up to this moment: what has happened before the call is in it."""
        with self._lock:
            self._read()
            return Counter(self._counts)

    def _watch(self, folder: Path) -> int:
        mask = _MODIFY | _CLOSE_WRITE | _MOVED_TO
        watch = int(_LIBC.inotify_add_watch(self._descriptor, os.fsencode(folder), mask))
        assert watch >= 0, os.strerror(ctypes.get_errno())
        return watch

    def _read_on(self) -> None:
        while not self._ended.is_set():
            select.select([self._descriptor], [], [], 0.1)
            with self._lock:
                self._read()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return
            while data:
                watch, mask, _cookie, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                data = data[_EVENT.size + length :]
                assert not mask & _OVERFLOW, "events were lost"
                if not name.startswith(b"."):
                    self._see(self._folders[watch] / os.fsdecode(name), mask)

    def _see(self, path: Path, mask: int) -> None:
        if mask & _MODIFY:
            self._modified.add(path)
        elif mask & _MOVED_TO or path in self._modified:
            self._counts[path] += 1
            self._modified.discard(path)
