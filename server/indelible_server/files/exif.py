"""Exif: values of three directories of a TIFF block, or of a TIFF file, changed in place or moved to the end.

Nothing else ever moves, since maker notes and others point at it from places that nobody knows.
"""

from __future__ import annotations

import struct
from typing import Self

from .exif_block import BlockWriter
from .exif_writing import Ifd, NewValue, directory_of
from .problems import FileProblem, Reason
from .tiff import Entry, Tiff
from .tiff_remains import TiffRemains

__all__ = ["Exif", "Ifd"]
_EMPTY = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
# Without these the block says what a change could break: other programs' XMP and IPTC would stay behind in it.
_FOREIGN = (0x02BC, 0x83BB, 0x8649)


class Exif:
    """An Exif block: what it says, what it is to say, and its bytes afterwards."""

    def __init__(self, tiff: Tiff) -> None:
        self._tiff = tiff
        self._new: dict[tuple[Ifd, int], NewValue | None] = {}

    @classmethod
    def empty(cls) -> Self:
        """A block that says nothing."""
        return cls(Tiff(_EMPTY))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a block; raises `FileProblem` (CORRUPT, UNSUPPORTED) for one that cannot be changed for sure."""
        tiff = Tiff(data)
        if any(tiff.image.first(tag) for tag in _FOREIGN):
            raise FileProblem(Reason.UNSUPPORTED, "the Exif block holds XMP or IPTC of its own")
        return cls(tiff)

    @classmethod
    def salvage(cls, data: bytes) -> Self:
        """What can be read of a block that cannot be parsed, not to be changed; raises `FileProblem` for no block."""
        return cls(TiffRemains(data))

    @property
    def big_endian(self) -> bool:
        return self._tiff.order == ">"

    @property
    def changed(self) -> bool:
        """Whether anything was set to what it was not."""
        return bool(self._new)

    def value(self, ifd: Ifd, tag: int) -> bytes | None:
        """The bytes of a value; None if there is none."""
        if (ifd, tag) in self._new:
            new = self._new[ifd, tag]
            return new.value if new else None
        entry = self._old(ifd, tag)
        return entry.value if entry else None

    def kind(self, ifd: Ifd, tag: int) -> int | None:
        """The kind of a value; None if there is none."""
        found = self._new[ifd, tag] if (ifd, tag) in self._new else self._old(ifd, tag)
        return found.kind if found else None

    def set(self, ifd: Ifd, tag: int, kind: int, value: bytes) -> None:
        """Let a value be these bytes, in the block's byte order."""
        old = self._old(ifd, tag)
        if old and (old.kind, old.value) == (kind, value):
            self._new.pop((ifd, tag), None)
        else:
            self._new[ifd, tag] = NewValue(kind, value)

    def remove(self, ifd: Ifd, tag: int) -> None:
        """Let there be no such value."""
        if self._old(ifd, tag):
            self._new[ifd, tag] = None
        else:
            self._new.pop((ifd, tag), None)

    def pack(self, code: str, *numbers: int) -> bytes:
        """Numbers in the block's byte order, by a code of `struct`."""
        return struct.pack(self._tiff.order + code, *numbers)

    def unpack(self, code: str, data: bytes) -> tuple[int, ...]:
        """The reverse of `pack`; empty for too few bytes."""
        size = struct.calcsize(self._tiff.order + code)
        return struct.unpack(self._tiff.order + code, data[:size]) if len(data) >= size else ()

    def to_bytes(self) -> bytes:
        """The block; raises `FileProblem` (UNSUPPORTED) if a value that changes is there twice."""
        return BlockWriter(self._tiff, self._new).written() if self._new else self._tiff.data

    def _old(self, ifd: Ifd, tag: int) -> Entry | None:
        directory = directory_of(self._tiff, ifd)
        return directory.first(tag) if directory else None
