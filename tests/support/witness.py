"""An independent witness of writes to a folder: what the kernel tells (inotify), not what we say of ourselves."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

_CLOSE_WRITE, _MOVED_TO, _OVERFLOW = 0x8, 0x80, 0x4000
_HEAD = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Witness:
    """Counts for each file of a folder how often it was written: in place (closed after writing), or by a new one."""

    def __init__(self, folder: Path) -> None:
        self._inotify = _LIBC.inotify_init1(os.O_CLOEXEC)
        assert _LIBC.inotify_add_watch(self._inotify, os.fsencode(folder), _CLOSE_WRITE | _MOVED_TO) >= 0
        self._end, self._ending = os.pipe()
        self._counts: Counter[str] = Counter()
        self._lost = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._ending)
        self._thread.join()
        for descriptor in (self._inotify, self._end):
            os.close(descriptor)

    def writes(self) -> Counter[str]:
        """How often each file was written until now."""
        assert not self._lost, "the kernel has dropped events"
        return Counter(self._counts)

    def _watch(self) -> None:
        while True:
            ready = select.select([self._inotify, self._end], [], [])[0]
            if self._inotify in ready:
                self._take(os.read(self._inotify, 1 << 20))
            elif ready:
                return

    def _take(self, events: bytes) -> None:
        position = 0
        while position < len(events):
            _, mask, _, length = _HEAD.unpack_from(events, position)
            name = os.fsdecode(events[position + _HEAD.size :][:length].rstrip(b"\0"))
            position += _HEAD.size + length
            self._lost = self._lost or bool(mask & _OVERFLOW)
            if not name.startswith(".indelible-"):
                self._counts[name] += 1
