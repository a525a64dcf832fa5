"""File systems with the manners of network shares: in memory, spoken over /dev/fuse without a library. Only for root.

python -m support.shares CHARACTER MOUNT_POINT

*smb* refuses to rename onto a file that anyone has open, knows no exchange, hard links, owners, modes or extended
attributes, tells times in steps of two seconds, and takes names in any case. *nfs* has hard links and no exchange; told
to, it fails when others do not (at fsync, at close), says that what it renamed was not there, and gives its files new
inode numbers. Each line of input is such an order.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import pytest

TESTS = Path(__file__).parent.parent
_ROOT = 1
_DIRECT_IO = 1
_HEADER = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY = struct.Struct("<QQQQII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Share:
    """A mounted share of one character. The test is not run where nothing may be mounted."""

    def __init__(self, character: str, folder: Path) -> None:
        if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
            _not_here()
        self.path = folder / character
        self.path.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.shares", character, os.fspath(self.path)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not self._heard():
            _not_here()

    def __enter__(self) -> Share:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LIBC.umount2(os.fsencode(self.path), 2)
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self.path, ignore_errors=True)

    def fail(self, operation: str, number: int, *, done: bool = False, times: int = 1) -> None:
        """Let the next operations of this name fail, without or after having done what was asked."""
        self._order(f"fail {operation} {number} {int(done)} {times}")

    def relent(self) -> None:
        """Let nothing fail any more."""
        self._order("relent")

    def mount_again(self) -> None:
        """All files have new inode numbers."""
        self._order("renumber")

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        assert self._heard(), "the share has ended"

    def _heard(self) -> bool:
        assert self._process.stdout is not None
        return self._process.stdout.readline() == "ok\n"


def _not_here() -> NoReturn:
    if os.environ.get("INDELIBLE_REQUIRE_TOOLS") == "1":
        pytest.fail("needs root that may mount by /dev/fuse")
    pytest.skip("needs root that may mount by /dev/fuse")


class Refused(Exception):
    """The errno that the caller is to see."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


@dataclass
class Node:
    """A file."""

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    mtime_ns: int = field(default_factory=time.time_ns)
    links: int = 1
    opened: int = 0


@dataclass
class Fault:
    """What is to fail: with which errno, after it was done or without, and how often."""

    number: int
    done: bool
    times: int


class Files:
    """One folder with files, and the answers to what the kernel asks about them."""

    def __init__(self, *, smb: bool) -> None:
        self._smb = smb
        self._names: dict[bytes, Node] = {}
        self._nodes: dict[int, Node] = {}
        self._numbers = count(_ROOT + 1)
        self.faults: dict[str, Fault] = {}
        self.generation = 0
        self.operations: dict[int, tuple[str, Callable[[int, bytes], bytes]]] = {
            1: ("lookup", self._lookup),
            3: ("getattr", self._getattr),
            4: ("setattr", self._setattr),
            10: ("unlink", self._unlink),
            12: ("rename", self._rename),
            13: ("link", self._link),
            14: ("open", self._open),
            15: ("read", self._read),
            16: ("write", self._write),
            17: (
                "statfs",
                lambda _node, _body: struct.pack("<QQQQQIIII24x", 9999, 9999, 9999, 9999, 9999, 4096, 255, 4096, 0),
            ),
            18: ("release", self._release),
            20: ("fsync", lambda _node, _body: b""),
            25: ("flush", lambda _node, _body: b""),
            26: ("init", self._init),
            27: ("opendir", lambda _node, _body: struct.pack("<QII", 0, 0, 0)),
            28: ("readdir", self._readdir),
            29: ("releasedir", lambda _node, _body: b""),
            30: ("fsyncdir", self._fsyncdir),
            35: ("create", self._create),
            45: ("rename2", self._rename2),
        }

    def answer(self, operation: int, node: int, body: bytes) -> bytes:
        """What is asked, done; raises `Refused`."""
        if operation not in self.operations:
            raise Refused(errno.ENOSYS)
        name, work = self.operations[operation]
        fault = self.faults.get(name)
        if fault is None or not fault.times:
            return work(node, body)
        fault.times -= 1
        if fault.done:
            work(node, body)
        raise Refused(fault.number)

    def _key(self, name: bytes) -> bytes:
        return name.lower() if self._smb else name

    def _named(self, name: bytes) -> Node:
        node = self._names.get(self._key(name))
        if node is None:
            raise Refused(errno.ENOENT)
        return node

    def _init(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHH32x", 7, 31, 1 << 17, 0, 12, 9, 1 << 17, 1, 32, 0)

    def _statfs(self, _node: int, _body: bytes) -> bytes:
        return struct.pack("<QQQQQIIII24x", *[9999] * 5, 4096, 255, 4096, 0)

    def _attributes(self, number: int) -> bytes:
        if number == _ROOT:
            return _ATTRIBUTES.pack(_ROOT, 4096, 8, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        node = self._nodes[number]
        step = 2_000_000_000 if self._smb else 1
        seconds, rest = divmod(node.mtime_ns - node.mtime_ns % step, 1_000_000_000)
        mode = 0o100644 if self._smb else node.mode
        size = len(node.data)
        inode = node.number + self.generation * 100_000
        times = (seconds, seconds, seconds, rest, rest, rest)
        return _ATTRIBUTES.pack(inode, size, (size + 511) // 512, *times, mode, node.links, 0, 0, 0, 4096, 0)

    def _entry(self, node: Node) -> bytes:
        return _ENTRY.pack(node.number, 0, 0, 0, 0, 0) + self._attributes(node.number)

    def _lookup(self, _node: int, body: bytes) -> bytes:
        return self._entry(self._named(body.rstrip(b"\0")))

    def _getattr(self, node: int, _body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _setattr(self, number: int, body: bytes) -> bytes:
        valid, size, mtime, rest, mode = struct.unpack("<I12xQ16xQ12xI4xI16x", body[:88])
        node = self._nodes[number]
        if valid & 0b110 or (valid & 1 and self._smb):
            raise Refused(errno.EPERM)
        if valid & 1:
            node.mode = mode
        if valid & 8:
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))
        if valid & 32:
            node.mtime_ns = time.time_ns() if valid & 256 else mtime * 1_000_000_000 + rest
        return self._getattr(number, b"")

    def _unlink(self, _node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        self._named(name).links -= 1
        del self._names[self._key(name)]
        return b""

    def _rename(self, _node: int, body: bytes) -> bytes:
        source, to = body[8:].rstrip(b"\0").split(b"\0")
        node, target = self._named(source), self._names.get(self._key(to))
        if self._smb and target is not None and target.opened:
            raise Refused(errno.EACCES)
        if target is node:
            return b""
        if target is not None:
            target.links -= 1
        self._names[self._key(to)] = self._names.pop(self._key(source))
        return b""

    def _rename2(self, node: int, body: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", body, 8)
        if flags:
            raise Refused(errno.EINVAL)
        return self._rename(node, body[:8] + body[16:])

    def _link(self, _node: int, body: bytes) -> bytes:
        (number,) = struct.unpack_from("<Q", body)
        if self._smb:
            raise Refused(errno.EPERM)
        name, node = body[8:].rstrip(b"\0"), self._nodes[number]
        if self._key(name) in self._names:
            raise Refused(errno.EEXIST)
        self._names[self._key(name)] = node
        node.links += 1
        return self._entry(node)

    def _create(self, _node: int, body: bytes) -> bytes:
        (_flags, mode) = struct.unpack_from("<II", body)
        name = body[16:].rstrip(b"\0")
        if self._key(name) in self._names:
            raise Refused(errno.EEXIST)
        node = Node(next(self._numbers), mode)
        self._names[self._key(name)] = self._nodes[node.number] = node
        return self._entry(node) + self._open(node.number, b"")

    def _open(self, number: int, _body: bytes) -> bytes:
        self._nodes[number].opened += 1
        return struct.pack("<QII", number, _DIRECT_IO, 0)

    def _release(self, number: int, _body: bytes) -> bytes:
        self._nodes[number].opened -= 1
        return b""

    def _read(self, number: int, body: bytes) -> bytes:
        offset, size = struct.unpack_from("<QI", body, 8)
        return bytes(self._nodes[number].data[offset : offset + size])

    def _write(self, number: int, body: bytes) -> bytes:
        offset, size = struct.unpack_from("<QI", body, 8)
        node = self._nodes[number]
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset : offset + size] = body[40 : 40 + size]
        node.mtime_ns = time.time_ns()
        return struct.pack("<II", size, 0)

    def _readdir(self, _node: int, body: bytes) -> bytes:
        offset, size = struct.unpack_from("<QI", body, 8)
        listed = b""
        for index, (name, node) in enumerate(self._names.items(), 1):
            entry = struct.pack("<QQII", node.number, index, len(name), 8) + name + bytes(-len(name) % 8)
            if index > offset and len(listed) + len(entry) <= size:
                listed += entry
        return listed

    def _fsyncdir(self, _node: int, _body: bytes) -> bytes:
        if self._smb:
            raise Refused(errno.EINVAL)
        return b""


def _obey(files: Files) -> None:
    for line in sys.stdin:
        order, *arguments = line.split()
        if order == "fail":
            operation, *numbers = arguments
            number, done, times = map(int, numbers)
            files.faults[operation] = Fault(number, bool(done), times)
        elif order == "relent":
            files.faults.clear()
        else:
            files.generation += 1
        print("ok", flush=True)


def _serve(character: str, mount_point: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions".encode()
    if _LIBC.mount(b"share", os.fsencode(mount_point), b"fuse", 6, options) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    files = Files(smb=character == "smb")
    threading.Thread(target=_obey, args=(files,), daemon=True).start()
    print("ok", flush=True)
    while True:
        try:
            message = os.read(device, 1 << 18)
        except OSError:
            return  # it was unmounted
        _, operation, unique, node, *_rest = _HEADER.unpack_from(message)
        if operation in (2, 36, 42):
            continue  # nothing is forgotten, nor interrupted
        try:
            answer, number = files.answer(operation, node, message[_HEADER.size :]), 0
        except Refused as refused:
            answer, number = b"", refused.number
        os.write(device, _ANSWER.pack(_ANSWER.size + len(answer), -number, unique) + answer)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
