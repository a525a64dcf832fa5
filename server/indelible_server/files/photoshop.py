"""Photoshop's image resources: numbered blocks, of which two are ours, IPTC and the digest of it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from .problems import FileProblem, Reason

_IPTC, _XMP, _DIGEST = 0x0404, 0x0424, 0x0425
_DATASET = b"\x1c"
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

    @property
    def is_iptc(self) -> bool:
        """Whether this is an IPTC block. Some programs see those of other signatures too, if they look like one."""
        ours = self.raw.startswith(_SIGNATURES[0])
        return self.number == _IPTC and (ours or self.data.startswith(_DATASET))


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
        if any(resource.number == _XMP for resource in resources):
            raise FileProblem(Reason.UNSUPPORTED, "the file has XMP among its image resources")
        return cls(resources, data[position:])

    @property
    def iptc(self) -> bytes | None:
        """The first IPTC block."""
        return next(iter(self.iptc_blocks), None)

    @property
    def iptc_blocks(self) -> tuple[bytes, ...]:
        """The IPTC blocks: one, as a rule."""
        return tuple(resource.data for resource in self._resources if resource.is_iptc)

    def is_older_than(self, *blocks: bytes) -> bool:
        """Whether these IPTC blocks were written by a program that did not care about the digest, nor about XMP."""
        digests = {resource.data for resource in self._resources if resource.number == _DIGEST}
        # Some count the zeros behind a block, and some do not.
        known = {_digest(data) for block in blocks for data in (block, block.rstrip(b"\0"))}
        return bool(digests and known) and digests.isdisjoint(known)

    def with_iptc(self, *blocks: bytes) -> bytes:
        """The whole list with these IPTC blocks in the places of the old ones, and the digest if there was one."""
        if not self.iptc_blocks:
            return b"".join(packed(head_of(_IPTC), block) for block in blocks) + self.to_bytes()
        left = list(blocks)
        new = (left.pop(0) if resource.is_iptc else resource.data for resource in self._resources)
        return self._with(new, blocks[0])

    def renewed(self, iptc: bytes) -> bytes:
        """The whole list with this IPTC block and its digest in the place of old ones, if there are any."""
        return self._with((iptc if resource.is_iptc else resource.data for resource in self._resources), iptc)

    def to_bytes(self) -> bytes:
        """The list as it is."""
        return b"".join(resource.raw for resource in self._resources) + self._tail

    def _with(self, contents: Iterable[bytes], iptc: bytes) -> bytes:
        """The whole list with these contents, and with the digest of this block wherever there is one."""
        parts = []
        for resource, content in zip(self._resources, contents, strict=True):
            data = _digest(iptc) if resource.number == _DIGEST else content
            parts.append(resource.raw if data == resource.data else packed(resource.head, data))
        return b"".join(parts) + self._tail


def _digest(iptc: bytes) -> bytes:
    return hashlib.md5(iptc, usedforsecurity=False).digest()


def head_of(number: int) -> bytes:
    """The head of a new resource, which has no name."""
    return struct.pack(">4sHH", _SIGNATURES[0], number, 0)


def packed(head: bytes, data: bytes) -> bytes:
    """A resource with this head, padded to an even length."""
    return head + len(data).to_bytes(4, "big") + data + bytes(len(data) % 2)
