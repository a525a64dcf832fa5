"""What a crash may leave: the engine's file calls are recorded, and each state in which a disk may be then is made.

The model is weaker than any real file system. Of what was not followed by an fsync, every 512-byte sector may be on
the disk or not, the size may have grown without the data (then there are zeros) or only in part, and every change of
a folder's names may be there or not, whatever else is.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from indelible_server.files import media, port
from indelible_server.files.plan import FilePlan, Identity

SECTOR = 512

Names = dict[bytes, int]


@dataclass(frozen=True)
class Disk:
    """Which name means which file, and what the files hold. The files have numbers of their own."""

    names: Mapping[bytes, int]
    files: Mapping[int, bytes]

    def content(self, name: bytes) -> bytes | None:
        """What the file of this name holds."""
        return self.files[self.names[name]] if name in self.names else None

    @property
    def key(self) -> object:
        """Equal for states that cannot be told apart."""
        return tuple(sorted((name, file, self.files[file]) for name, file in self.names.items()))


@dataclass(frozen=True)
class Write:
    """Bytes written into a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Sync:
    """fsync of a file, or of the folder if it is None."""

    file: int | None


@dataclass(frozen=True)
class Give:
    """A name given to a file: created, or linked."""

    name: bytes
    file: int

    def change(self, names: Names) -> None:
        names[self.name] = self.file


@dataclass(frozen=True)
class Rename:
    """A file given another name, or two that exchange theirs."""

    source: bytes
    to: bytes
    exchange: bool = False

    def change(self, names: Names) -> None:
        if self.source in names and (self.to in names or not self.exchange):
            source, to = names.pop(self.source), names.get(self.to)
            names[self.to] = source
            if self.exchange and to is not None:
                names[self.source] = to


@dataclass(frozen=True)
class Unlink:
    """A name taken away."""

    name: bytes

    def change(self, names: Names) -> None:
        names.pop(self.name, None)


Naming = Give | Rename | Unlink
Call = Write | Sync | Naming


class Recorder:
    """Stands where the engine has the module `os`: makes its calls, notes what they change, and never waits for a disk.

    A call that the model does not know fails the test.
    """

    _READING = frozenset(["fstat", "getxattr", "listxattr", "pread", "stat"])
    _NOT_CONTENT = frozenset(["close", "fchmod", "fchown", "setxattr", "utime"])
    _NO_CALLS = frozenset(["error", "fsdecode", "fsencode", "major", "minor", "stat_result", "strerror"])

    def __init__(self, files: Mapping[int, int], *, exchange: bool, link: bool) -> None:
        self.calls: list[Call] = []
        self._files = dict(files)  # inode -> number of the file
        self._next = max(self._files.values(), default=0) + 100
        self._exchange = exchange
        self._link = link
        self._libc = port._LIBC

    def __getattr__(self, name: str) -> Any:
        known = self._READING | self._NOT_CONTENT | self._NO_CALLS
        assert name in known or name.isupper(), f"the model of crashes does not know os.{name}"
        return getattr(os, name)

    def open(self, path: bytes, flags: int, mode: int = 0o777, **where: Any) -> int:
        descriptor = os.open(path, flags, mode, **where)
        assert not flags & os.O_TRUNC
        if flags & os.O_CREAT:
            self._next += 1
            self._files[os.fstat(descriptor).st_ino] = self._next
            self.calls.append(Give(path, self._next))
        return descriptor

    def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        count = os.pwrite(descriptor, data, offset)
        self.calls.append(Write(self._file(descriptor), offset, bytes(data[:count])))
        return count

    def copy_file_range(self, source: int, to: int, length: int, offset: int, at: int) -> int:
        count = os.copy_file_range(source, to, length, offset, at)
        self.calls.append(Write(self._file(to), at, os.pread(source, count, offset)))
        return count

    def fsync(self, descriptor: int) -> None:
        self.calls.append(Sync(self._files.get(os.fstat(descriptor).st_ino)))

    def rename(self, source: bytes, to: bytes, **where: Any) -> None:
        os.rename(source, to, **where)
        self.calls.append(Rename(source, to))

    def link(self, source: bytes, to: bytes, **where: Any) -> None:
        if not self._link:
            raise OSError(errno.EPERM, "no hard links here")
        os.link(source, to, **where)
        inode = os.stat(to, dir_fd=where["dst_dir_fd"], follow_symlinks=False).st_ino
        self.calls.append(Give(to, self._files[inode]))

    def unlink(self, name: bytes, **where: Any) -> None:
        os.unlink(name, **where)
        self.calls.append(Unlink(name))

    def renameat2(self, folder: int, source: bytes, _to_folder: int, to: bytes, flags: int) -> int:
        if not self._exchange:
            ctypes.set_errno(errno.EINVAL)
            return -1
        answer: int = self._libc.renameat2(folder, source, folder, to, flags)
        if answer == 0:
            self.calls.append(Rename(source, to, exchange=flags == port._RENAME_EXCHANGE))
        return answer

    @contextmanager
    def installed(self) -> Iterator[list[Call]]:
        """The engine's calls go through here; gives the growing list of them."""
        before = port.os, media.os, port._LIBC
        port.os = media.os = self  # type: ignore[assignment]  # it stands for the module
        port._LIBC = self  # type: ignore[assignment]  # as above
        try:
            yield self.calls
        finally:
            port.os, media.os, port._LIBC = before

    def _file(self, descriptor: int) -> int:
        return self._files[os.fstat(descriptor).st_ino]


@dataclass
class Bench:
    """A real folder that is put into one state after another. `plan` is the plan as of the state that is laid."""

    folder: Path
    store: Path
    plan: FilePlan
    old: bytes | None
    exchange: bool = True
    link: bool = True

    ORIGINAL = 0

    @property
    def start(self) -> Disk:
        """The state before anything is done."""
        if self.old is None:
            return Disk({}, {})
        return Disk({self.plan.target: self.ORIGINAL}, {self.ORIGINAL: self.old})

    def lay(self, disk: Disk) -> Recorder:
        """Put the folder into this state; gives the recorder of what is done next.

        All files are there before the first of them is removed, so that no two have had the same inode.
        """
        for name in os.listdir(self.folder):
            os.unlink(self.folder / name)
        if self.old is not None:
            self._write(self.ORIGINAL, self.old)
            status = self._path(self.ORIGINAL).stat()
            identity = Identity(status.st_size, status.st_mtime_ns, status.st_ino)
            self.plan = replace(self.plan, identity=identity)
        for file in set(disk.names.values()):
            if file != self.ORIGINAL or disk.files[file] != self.old:
                self._write(file, disk.files[file])
        inodes = {}
        for name, file in disk.names.items():
            os.link(self._path(file), os.fsencode(self.folder) + b"/" + name)
            inodes[self._path(file).stat().st_ino] = file
        for left in os.listdir(self.store):
            os.unlink(self.store / left)
        return Recorder(inodes, exchange=self.exchange, link=self.link)

    def _write(self, file: int, content: bytes) -> None:
        path = self._path(file)
        again = path.exists()
        path.write_bytes(content)
        if again:
            os.utime(path, ns=(0, 1_000_000_000))  # a clock too coarse to show it must not make it look unwritten

    def _path(self, file: int) -> Path:
        return self.store / str(file)


def after(start: Disk, calls: Sequence[Call], dice: random.Random, most: int) -> Iterator[Disk]:
    """The states in which a disk may be after a loss of power behind the last of these calls.

    All of them if there are at most `most`; else those in which the first, or the last, of what was to be written is
    there, and so many others.
    """
    safe, lost = _split(start, calls)
    namings = [call for call in lost if not isinstance(call, Write)]
    seen: set[object] = set()
    for names in _namings(safe.names, namings):
        files = sorted(set(names.values()))
        versions = [_versions(safe.files.get(file, b""), _writes(lost, file), dice, most) for file in files]
        for contents in product(*versions):
            disk = Disk(names, dict(zip(files, contents, strict=True)))
            if disk.key not in seen:
                seen.add(disk.key)
                yield disk


def at_once(start: Disk, calls: Sequence[Call]) -> Disk:
    """The state that other processes see behind the last of these calls, and that a kill leaves."""
    return _split(start, [*calls, Sync(None), *[Sync(call.file) for call in calls if isinstance(call, Write)]])[0]


def _split(start: Disk, calls: Sequence[Call]) -> tuple[Disk, list[Write | Naming]]:
    """What is on the disk for sure, and what may be."""
    names, files = dict(start.names), dict(start.files)
    lost: list[Write | Naming] = []
    for call in calls:
        if not isinstance(call, Sync):
            lost.append(call)
            continue
        kept: list[Write | Naming] = []
        for each in lost:
            if isinstance(each, Write) and each.file == call.file:
                files[each.file] = _written(files.get(each.file, b""), [(each.offset, each.data)])
            elif not isinstance(each, Write) and call.file is None:
                each.change(names)
            else:
                kept.append(each)
        lost = kept
    return Disk(names, dict.fromkeys(names.values(), b"") | files), lost


def _namings(safe: Mapping[bytes, int], changes: Sequence[Naming]) -> Iterator[Names]:
    for chosen in product((False, True), repeat=len(changes)):
        names = dict(safe)
        for change, there in zip(changes, chosen, strict=True):
            if there:
                change.change(names)
        yield names


def _writes(lost: Iterable[Call], file: int) -> list[Write]:
    return [call for call in lost if isinstance(call, Write) and call.file == file]


def _versions(safe: bytes, writes: Sequence[Write], dice: random.Random, most: int) -> list[bytes]:
    """Everything that a file may hold of which these writes are not safe yet."""
    pieces = [piece for write in writes for piece in _sectors(write)]
    sizes = _sizes(len(safe), writes)
    found = {}
    for chosen in _chosen(len(pieces), dice, max(most // len(sizes), 1)):
        whole = _written(safe, [piece for piece, there in zip(pieces, chosen, strict=True) if there])
        for size in sizes:
            found[whole[:size].ljust(size, b"\0")] = True
    return list(found)


def _chosen(number: int, dice: random.Random, most: int) -> Iterator[Sequence[bool]]:
    if 2**number <= most:
        yield from product((False, True), repeat=number)
        return
    for count in range(number + 1):
        yield [index < count for index in range(number)]
        yield [index >= count for index in range(number)]
    for _ in range(most):
        yield [dice.random() < 0.5 for _ in range(number)]


def _sizes(size: int, writes: Sequence[Write]) -> list[int]:
    """How long the file may be: it grows with each write, at once or sector by sector."""
    found = [size]
    for write in writes:
        for offset, data in _sectors(write):
            found.append(max(found[-1], offset + len(data)))
    return sorted(set(found))


def _sectors(write: Write) -> Iterator[tuple[int, bytes]]:
    offset, end = write.offset, write.offset + len(write.data)
    while offset < end:
        stop = min(end, offset - offset % SECTOR + SECTOR)
        yield offset, write.data[offset - write.offset : stop - write.offset]
        offset = stop


def _written(content: bytes, pieces: Iterable[tuple[int, bytes]]) -> bytes:
    data = bytearray(content)
    for offset, piece in pieces:
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(piece)] = piece
    return bytes(data)
