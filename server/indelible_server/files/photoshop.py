"""Photoshop's image resources: numbered blocks, of which two are ours, IPTC and the digest of it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .problems import FileProblem, Reason

_IPTC, _XMP, _DIGEST = 0x0404, 0x0424, 0x0425
_DATASET = b"\x1c"
_SIGNATURES = (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa")


@dataclass(frozen=True)
class _Resource:
    """A resource, and its bytes as they stand in the file; `data` does not count the padding."""

    number: int
    data: bytes
    raw: bytes

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
        while data[position : position + 4] in _SIGNATURES:
            resource = _resource(data, position)
            resources.append(resource)
            position += len(resource.raw)
        if data[position:].strip(b"\0"):
            raise FileProblem(Reason.CORRUPT, "the Photoshop block is damaged")
        if any(resource.number == _XMP for resource in resources):
            raise FileProblem(Reason.UNSUPPORTED, "the file has XMP among its image resources")
        return cls(resources, data[position:])

    @property
    def iptc(self) -> tuple[bytes, ...]:
        """The IPTC blocks: one, as a rule."""
        return tuple(resource.data for resource in self._resources if resource.is_iptc)

    @property
    def iptc_is_newer(self) -> bool:
        """Whether IPTC was written by a program that did not care about the digest, and so not about XMP either."""
        digests = {resource.data for resource in self._resources if resource.number == _DIGEST}
        return bool(digests and self.iptc) and digests.isdisjoint(map(_digest, self.iptc))

    def with_iptc(self, blocks: Sequence[bytes]) -> bytes:
        """The whole list with these IPTC blocks in the places of the old ones, and the digest if there was one."""
        if not self.iptc:
            return b"".join(_packed(b"8BIM", _IPTC, block) for block in blocks) + self.to_bytes()
        left, parts = list(blocks), []
        for resource in self._resources:
            data = resource.data
            if resource.is_iptc:
                data = left.pop(0)
            elif resource.number == _DIGEST:
                data = _digest(blocks[0])
            same = data == resource.data
            parts.append(resource.raw if same else _packed(resource.raw[:4], resource.number, data))
        return b"".join(parts) + self._tail

    def to_bytes(self) -> bytes:
        """The list as it is."""
        return b"".join(resource.raw for resource in self._resources) + self._tail


def _digest(iptc: bytes) -> bytes:
    return hashlib.md5(iptc, usedforsecurity=False).digest()


def _packed(signature: bytes, number: int, data: bytes) -> bytes:
    return struct.pack(">4sHHI", signature, number, 0, len(data)) + data + bytes(len(data) % 2)


def _resource(data: bytes, position: int) -> _Resource:
    name_length = data[position + 6] if position + 6 < len(data) else 0
    head = position + 6 + (1 + name_length + 1 & ~1)
    if head + 4 > len(data):
        raise FileProblem(Reason.CORRUPT, "the Photoshop block is cut off")
    (number,) = struct.unpack_from(">H", data, position + 4)
    (length,) = struct.unpack_from(">I", data, head)
    start, end = head + 4, head + 4 + length
    if end > len(data):
        raise FileProblem(Reason.CORRUPT, "the Photoshop block is cut off")
    # The last padding byte is missing in some files.
    return _Resource(number, data[start:end], data[position : end + length % 2])
