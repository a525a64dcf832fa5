"""The writing of an Exif block: what does not fit where it is goes into an area of ours at the block's end.

The area is recognised when the block is written again, and made anew from what is still in use, so that it does not
grow with the number of edits.
"""

from __future__ import annotations

import struct

from .exif_writing import Changes, Writer
from .tiff import Directory, Entry, Piece, Tiff

_SIGNATURE = b"Indelible-area\0\1"
_AREA_HEAD = len(_SIGNATURE) + 8


def area_of(tiff: Tiff) -> int:
    """Where our area begins; the block's end if there is none, or if it is no longer ours alone."""
    size = len(tiff.data)
    at = tiff.data.rfind(_SIGNATURE)
    if at < 0 or at + _AREA_HEAD > size:
        return size
    # It knows its own place: a block that was moved or cut by another program is not taken for ours.
    place, length = struct.unpack_from(">II", tiff.data, at + len(_SIGNATURE))
    if place != at or at + length != size:
        return size
    ours = {directory.at for directory in (tiff.image, tiff.exif, tiff.gps) if directory}
    ours |= {
        entry.at
        for directory in (tiff.image, tiff.exif, tiff.gps)
        for entry in (directory.entries if directory else ())
        if entry.at is not None
    }
    whole = all(start >= at + _AREA_HEAD or end <= at for start, end in tiff.extents)
    return at if whole and all(start in ours for start, _ in tiff.extents if start >= at) else size


class BlockWriter(Writer):
    """The making of a block."""

    def __init__(self, tiff: Tiff, changes: Changes) -> None:
        super().__init__(tiff, changes)
        self._start = area_of(tiff)
        self._block = bytearray(tiff.data[: self._start])
        self._start += self._start % 2
        self._area = bytearray()

    def written(self) -> bytes:
        """The new block."""
        self._write_directories()
        if not self._area:
            return bytes(self._block)
        padding = bytes(self._start - len(self._block))
        head = _SIGNATURE + struct.pack(">II", self._start, _AREA_HEAD + len(self._area))
        return bytes(self._block) + padding + head + bytes(self._area)

    def _write(self, at: int, data: bytes) -> None:
        self._block[at : at + len(data)] = data

    def _release(self, start: int, end: int) -> bool:
        if start >= len(self._block) or self._is_shared(start, end):
            return False
        self._write(start, bytes(end - start))
        return True

    def _place(self, data: bytes, old: Piece | None) -> int:
        if old is not None and len(data) <= old[1] - old[0]:
            self._write(old[0], data)
            return old[0]
        at = self._start + _AREA_HEAD + len(self._area)
        self._area += data + bytes(len(data) % 2)
        return at

    def _stays(self, old: Directory, count: int) -> bool:
        return old.at < len(self._block) and count <= len(old.entries)

    def _is_loose(self, entry: Entry) -> bool:
        """Whether an entry's value is in our area."""
        return entry.at is not None and entry.at >= len(self._block)

    def _has_loose(self, old: Directory) -> bool:
        return old.at >= len(self._block) or super()._has_loose(old)
