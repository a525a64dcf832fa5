"""Photoshop's image resources: numbered blocks, of which two are ours, IPTC and the digest of it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from .problems import FileProblem, Reason

_IPTC, _XMP, _DIGEST = 0x0404, 0x0424, 0x0425
_SIGNATURES = (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa")


_ENTRIES_LIMIT = 65_536
_TAIL_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """Where a resource lies: it begins at `start`, its `length` bytes of data at `data`; `end` is behind them all."""

    number: int
    start: int
    data: int
    length: int
    end: int


def entries(read: Callable[[int, int], bytes], start: int, end: int) -> Iterator[Entry]:
    """The resources between two offsets of what `read` reads; raises `FileProblem` (CORRUPT) where the list breaks."""
    position = start
    for _ in range(_ENTRIES_LIMIT):
        head = read(position, min(7, end - position))
        if head[:4] not in _SIGNATURES:
            break
        data = position + 6 + (head[6] + 2 & ~1 if len(head) > 6 else 2) + 4
        length = int.from_bytes(read(data - 4, 4), "big")
        if data + length > end:
            raise FileProblem(Reason.CORRUPT, "the Photoshop block is cut off")
        # The last padding byte is missing in some files.
        entry = Entry(int.from_bytes(head[4:6], "big"), position, data, length, min(data + length + length % 2, end))
        yield entry
        position = entry.end
    if end - position > _TAIL_LIMIT or read(position, end - position).strip(b"\0"):
        raise FileProblem(Reason.CORRUPT, "the Photoshop block is damaged")


@dataclass(frozen=True)
class _Resource:
    """A resource, and its bytes as they stand in the file; `data` does not count the padding."""

    number: int
    data: bytes
    raw: bytes
    head: bytes
    """Its signature, its number and its name."""


class Resources:
    """A parsed list of image resources."""

    def __init__(self, resources: list[_Resource], tail: bytes = b"") -> None:
        self._resources = resources
        self._tail = tail

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a list; raises `FileProblem` (CORRUPT, UNSUPPORTED) for one that could not be put together again."""
        resources, position = [], 0
        for entry in entries(lambda start, length: data[start : start + length], 0, len(data)):
            content = data[entry.data : entry.data + entry.length]
            head, raw = data[entry.start : entry.data - 4], data[entry.start : entry.end]
            resources.append(_Resource(entry.number, content, raw, head))
            position = entry.end
        for number in (_IPTC, _DIGEST):
            if sum(resource.number == number for resource in resources) > 1:
                raise FileProblem(Reason.UNSUPPORTED, "the file has several IPTC blocks")
        if any(resource.number == _XMP for resource in resources):
            raise FileProblem(Reason.UNSUPPORTED, "the file has XMP among its image resources")
        return cls(resources, data[position:])

    @property
    def iptc(self) -> bytes | None:
        """The IPTC block."""
        return self._data(_IPTC)

    def is_older_than(self, iptc: bytes) -> bool:
        """Whether this IPTC block was written by a program that did not care about the digest, and so not about XMP."""
        digest = self._data(_DIGEST)
        # Some count the zeros behind a block, and some do not.
        return digest is not None and digest not in (_digest(iptc), _digest(iptc.rstrip(b"\0")))

    def with_iptc(self, iptc: bytes) -> bytes:
        """The whole list with this IPTC block, and with its digest if there was one."""
        return packed(head_of(_IPTC), iptc) + self.to_bytes() if self.iptc is None else self.renewed(iptc)

    def renewed(self, iptc: bytes) -> bytes:
        """The whole list with this IPTC block and its digest in the place of old ones, if there are any."""
        new = {_IPTC: iptc, _DIGEST: _digest(iptc)}
        return b"".join(self._renewed(resource, new) for resource in self._resources) + self._tail

    def to_bytes(self) -> bytes:
        """The list as it is."""
        return b"".join(resource.raw for resource in self._resources) + self._tail

    def _renewed(self, resource: _Resource, new: dict[int, bytes]) -> bytes:
        data = new.get(resource.number, resource.data)
        return resource.raw if data == resource.data else packed(resource.head, data)

    def _data(self, number: int) -> bytes | None:
        return next((resource.data for resource in self._resources if resource.number == number), None)


def _digest(iptc: bytes) -> bytes:
    return hashlib.md5(iptc, usedforsecurity=False).digest()


def head_of(number: int) -> bytes:
    """The head of a new resource, which has no name."""
    return struct.pack(">4sHH", _SIGNATURES[0], number, 0)


def packed(head: bytes, data: bytes) -> bytes:
    """A resource with this head, padded to an even length."""
    return head + len(data).to_bytes(4, "big") + data + bytes(len(data) % 2)
