"""The journal of `indelibled file`: each change as it was planned, durable before it is made, and kept for undo.

A folder of segments, one for each process that wrote; a segment is a list of records, each with a checksum. A process
holds a lock on its segment while it lives. What a dead one left is settled by whoever comes next, by content alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..files.plan import FilePlan
from ..files.port import Root
from ..files.problems import FileProblem, Telling
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
        is_undo, folder, name, *plans = _parts(data)
        return cls(folder, name, tuple(FilePlan.from_bytes(plan) for plan in plans), is_undo)

    def settle(self) -> bool:
        """Complete what was torn; False if the storage cannot be reached, or refuses."""
        try:
            with Root(self.folder) as root:
                for plan in self.plans:
                    settle(root, plan)
        except FileProblem:
            return False
        return True


@dataclass(frozen=True)
class Place:
    """Where a record is in the journal."""

    segment: Path
    offset: int
    length: int


class Segment:
    """The segment of this process. Close it when nothing is under way any more."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"{time.time_ns():020}-{os.getpid()}{_ENDING}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        _sync_folder(folder)
        self._length = 0

    def add(self, records: Sequence[Record]) -> None:
        """Return when the records are durable: then their changes may be made.

        Raises `FileProblem` if they cannot be written; then none of them is there.
        """
        data = b"".join(_framed(record.to_bytes()) for record in records)
        with Telling("write", b"the journal"):
            try:
                _write(self._descriptor, self._length, data)
            except OSError:
                os.ftruncate(self._descriptor, self._length)
                raise
        self._length += len(data)

    def close(self, *, settled: bool) -> None:
        """Say, if so, that every change was made, refused, or settled; else the next run sees to them."""
        if settled:
            with contextlib.suppress(OSError):
                _write(self._descriptor, self._length, _framed(_END))
        os.close(self._descriptor)


class Journal:
    """The folder of segments, made for the first of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> Segment:
        """A segment for this process; raises `FileProblem` if there can be none."""
        with Telling("write", b"the journal"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Segment(self.folder)

    def clean_up(self) -> None:
        """Settle what processes that have died left under way, and drop what is older than it is kept.

        What lies on a storage that is not there waits for it, and keeps nobody from working elsewhere.
        """
        for path in self._segments():
            with contextlib.suppress(FileNotFoundError), open(path, "rb+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if _is_settled(file) and os.fstat(file.fileno()).st_mtime < time.time() - KEPT_DAYS * 86_400:
                    path.unlink()

    def places(self) -> Mapping[tuple[bytes, bytes], Sequence[Place]]:
        """Where all records are that are kept, by the folder and the name of the file, the newest first."""
        found: dict[tuple[bytes, bytes], list[Place]] = defaultdict(list)
        for path in self._segments():
            with contextlib.suppress(FileNotFoundError):
                for offset, data in _records(path.read_bytes()):
                    if data != _END:
                        _, folder, name, *_ = _parts(data)
                        found[folder, name].insert(0, Place(path, offset, len(data)))
        return found

    def record(self, place: Place) -> Record:
        """The record at a place."""
        with open(place.segment, "rb") as file:
            return Record.from_bytes(os.pread(file.fileno(), place.length, place.offset))

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_ENDING}"))


def _framed(data: bytes) -> bytes:
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def _parts(data: bytes) -> Iterator[Any]:
    """Whether the record is of an undo, and its folder, its name and its plans, as they are stored."""
    (length,) = struct.unpack_from(">I", data)
    head = json.loads(data[4 : 4 + length])
    yield head["undo"]
    position = 4 + length
    for size in head["lengths"]:
        yield data[position : position + size]
        position += size


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole records and their offsets; one that was cut off by a crash was never begun to be carried out."""
    position = 0
    while position + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        content = data[position : position + length]
        if len(content) < length or zlib.crc32(content) != checksum:
            return
        yield position, content
        position += length


def _is_settled(segment: BinaryIO) -> bool:
    """Settle the records of a segment that nobody writes any more; False if some have to wait."""
    found = list(_records(segment.read()))
    if found and found[-1][1] == _END:
        return True
    waiting = [data for _, data in found if not Record.from_bytes(data).settle()]
    if waiting:
        return False
    end = sum(_HEAD.size + len(data) for _, data in found)
    segment.truncate(end)
    _write(segment.fileno(), end, _framed(_END))
    return True


def _write(descriptor: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset, view = offset + written, view[written:]
    os.fdatasync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
