"""The journal of `indelibled file`: each change as it was planned, durable before it is made, and kept for undo.

A folder of segments, one for each process that wrote; a segment is a list of records, each with a checksum. A process
holds a lock on its segment while it lives. What a dead one left is settled by whoever comes next, by content alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..files.plan import FilePlan
from ..files.port import Root
from ..files.settle import settle

KEPT_DAYS = 90
_ENDING = ".segment"
_HEAD = struct.Struct(">II")
_END = b"end"


@dataclass(frozen=True)
class Record:
    """A change of one item: the folder and the name of its file, and the plan for each file that changes."""

    folder: bytes
    name: bytes
    plans: tuple[FilePlan, ...]
    is_undo: bool = False

    def to_bytes(self) -> bytes:
        """The record for the journal; `from_bytes` is the reverse."""
        blobs = [self.folder, self.name, *(plan.to_bytes() for plan in self.plans)]
        head = json.dumps({"undo": self.is_undo, "lengths": [len(blob) for blob in blobs]}).encode()
        return struct.pack(">I", len(head)) + head + b"".join(blobs)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        (length,) = struct.unpack_from(">I", data)
        head = json.loads(data[4 : 4 + length])
        blobs, position = [], 4 + length
        for size in head["lengths"]:
            blobs.append(data[position : position + size])
            position += size
        folder, name, *plans = blobs
        return cls(folder, name, tuple(FilePlan.from_bytes(plan) for plan in plans), head["undo"])

    def settle(self) -> None:
        """Complete what was torn; raises `FileProblem` if the storage cannot be read."""
        with Root(self.folder) as root:
            for plan in self.plans:
                settle(root, plan)


class Segment:
    """The segment of this process. Close it when nothing is under way any more."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"{time.time_ns():020}-{os.getpid()}{_ENDING}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        _sync_folder(folder)

    def add(self, records: Sequence[Record]) -> None:
        """Return when the records are durable: then their changes may be made."""
        if records:
            _write(self._descriptor, b"".join(_framed(record.to_bytes()) for record in records))

    def close(self) -> None:
        """Say that every change was made, refused, or settled."""
        _write(self._descriptor, _framed(_END))
        os.close(self._descriptor)


class Journal:
    """The folder of segments, made for the first of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> Segment:
        """A segment for this process."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Segment(self.folder)

    def clean_up(self) -> None:
        """Settle what processes that have died left under way, and drop what is older than it is kept."""
        for path in self._segments():
            with open(path, "rb+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                records = list(_records(file.read()))
                if records[-1:] != [_END]:
                    for data in records:
                        Record.from_bytes(data).settle()
                    os.truncate(path, sum(_HEAD.size + len(data) for data in records))
                    os.lseek(file.fileno(), 0, os.SEEK_END)
                    _write(file.fileno(), _framed(_END))
            if path.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
                path.unlink()

    def newest_first(self) -> Iterator[Record]:
        """All records that are kept."""
        for path in reversed(self._segments()):
            yield from (Record.from_bytes(data) for data in reversed(list(_records(path.read_bytes()))) if data != _END)

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_ENDING}"))


def _framed(data: bytes) -> bytes:
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def _records(data: bytes) -> Iterator[bytes]:
    """The whole records; one that was cut off by a crash was never begun to be carried out."""
    position = 0
    while position + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, position)
        content = data[position + _HEAD.size : position + _HEAD.size + length]
        if len(content) < length or zlib.crc32(content) != checksum:
            return
        yield content
        position += _HEAD.size + length


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fdatasync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
