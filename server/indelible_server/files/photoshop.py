"""Photoshop's image resources: numbered blocks, of which two are ours, IPTC and the digest of it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Self

from .problems import FileProblem, Reason

_IPTC, _XMP, _DIGEST = 0x0404, 0x0424, 0x0425
_SIGNATURES = (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa")


@dataclass(frozen=True)
class _Resource:
    """A resource, and its bytes as they stand in the file; `data` does not count the padding."""

    number: int
    data: bytes
    raw: bytes


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
        for number in (_IPTC, _DIGEST):
            ours = [resource for resource in resources if resource.number == number]
            if len(ours) > 1:
                raise FileProblem(Reason.UNSUPPORTED, "the file has several IPTC blocks")
            if any(not resource.raw.startswith(_SIGNATURES[0]) for resource in ours):
                raise FileProblem(Reason.UNSUPPORTED, "the file has IPTC of a kind that some programs do not see")
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
        return _packed(_IPTC, iptc) + self.to_bytes() if self.iptc is None else self.renewed(iptc)

    def renewed(self, iptc: bytes) -> bytes:
        """The whole list with this IPTC block and its digest in the place of old ones, if there are any."""
        new = {_IPTC: iptc, _DIGEST: _digest(iptc)}
        return b"".join(self._renewed(resource, new) for resource in self._resources) + self._tail

    def to_bytes(self) -> bytes:
        """The list as it is."""
        return b"".join(resource.raw for resource in self._resources) + self._tail

    def _renewed(self, resource: _Resource, new: dict[int, bytes]) -> bytes:
        data = new.get(resource.number, resource.data)
        return resource.raw if data == resource.data else _packed(resource.number, data)

    def _data(self, number: int) -> bytes | None:
        return next((resource.data for resource in self._resources if resource.number == number), None)


def _digest(iptc: bytes) -> bytes:
    return hashlib.md5(iptc, usedforsecurity=False).digest()


def _packed(number: int, data: bytes) -> bytes:
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(data)) + data + bytes(len(data) % 2)


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
