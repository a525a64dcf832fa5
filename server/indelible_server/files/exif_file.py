"""The Exif values of a TIFF file, and the writing of them: in place, in room of ours, or at the end of the file.

What we write at the end is an area of ours: a trailer behind it says so. Room that becomes free in it is used again, so
that the file does not grow with the number of edits. An area that anything was written behind is left alone.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import ClassVar

from .exif import Exif
from .exif_writing import Changes, Ifd, Writer
from .patching import painted
from .plan import Patch
from .problems import FileProblem, Reason
from .room import Room, aligned, between
from .tiff import OPENING, SHORT, UNDEFINED, Directory, Piece
from .tiff_file import TiffFile

_SIGNATURE = b"Indelible-area\0\2"
_TRAILER = len(_SIGNATURE) + 16
_SLACK = 1024
_LOOK_LIMIT = 64 * 1024


class FileExif(Exif):
    """The Exif values of a file. Of a text longer than a caption can be only the beginning is read, nothing written."""

    def __init__(self, tiff: TiffFile) -> None:
        super().__init__(tiff)
        self._file = tiff

    def value(self, ifd: Ifd, tag: int) -> bytes | None:
        entry = self._old(ifd, tag)
        if (ifd, tag) in self._new or entry is None:
            return super().value(ifd, tag)
        return entry.opening

    def set(self, ifd: Ifd, tag: int, kind: int, value: bytes) -> None:
        self._refuse_long(ifd, tag)
        super().set(ifd, tag, kind, value)

    def remove(self, ifd: Ifd, tag: int) -> None:
        self._refuse_long(ifd, tag)
        super().remove(ifd, tag)

    def set_block(self, tag: int, kind: int, value: bytes) -> None:
        """Let an entry of the first directory be a block, however long the old one is."""
        super().set(Ifd.IMAGE, tag, kind, value)

    def to_patches(self) -> tuple[Patch, ...]:
        """The patches of the file; raises `FileProblem` (UNSUPPORTED, TOO_LARGE) for what cannot be written."""
        return _FileWriter(self._file, self._new).patches() if self._new else ()

    def _refuse_long(self, ifd: Ifd, tag: int) -> None:
        entry = self._old(ifd, tag)
        if entry is not None and entry.size > OPENING:
            raise FileProblem(Reason.UNSUPPORTED, "the file has a text that is too long to be changed")


class _FileWriter(Writer):
    """The making of a file's patches."""

    # Validators demand more of a TIFF file than of a block: these two say that nothing is known.
    first_entries: ClassVar[Mapping[Ifd, tuple[tuple[int, int, bytes], ...]]] = {
        **Writer.first_entries,
        Ifd.EXIF: (*Writer.first_entries[Ifd.EXIF], (0xA000, UNDEFINED, b"0100"), (0xA001, SHORT, b"\xff\xff")),
    }

    def __init__(self, tiff: TiffFile, changes: Changes) -> None:
        super().__init__(tiff, changes)
        self._file = tiff
        self._writes: list[tuple[int, bytes]] = []
        self._area = _area_of(tiff)
        gaps = _gaps(tiff, self._area) if self._area is not None else []
        self._end = tiff.size if self._area is None else tiff.size - _TRAILER
        self._room = Room(gaps, self._end if self._area is not None else aligned(tiff.size))

    def patches(self) -> tuple[Patch, ...]:
        """All that changes."""
        self._write_directories()
        end = max(at + len(data) for at, data in self._writes)
        if end > self._end:
            self._grow(end)
        return painted(self._file.source, self._writes)

    def _grow(self, end: int) -> None:
        """Put the trailer behind the new end."""
        size, start = self._file.size, self._area
        if start is None:
            start = aligned(size)
        else:
            self._writes.insert(0, (self._end, bytes(_TRAILER)))
        trailer = aligned(end + _SLACK)
        self._write(trailer, _SIGNATURE + struct.pack(">QQ", start, trailer + _TRAILER))

    def _write(self, at: int, data: bytes) -> None:
        self._writes.append((at, data))

    def _release(self, start: int, end: int) -> bool:
        if self._is_shared(start, end):
            return False
        self._write(start, bytes(end - start))
        self._room.add(start, end)
        return True

    def _place(self, data: bytes, old: Piece | None) -> int:
        at = self._room.take(len(data), old[0] if old else None)
        if at + len(data) > self.layout.limit:
            raise FileProblem(Reason.TOO_LARGE, "the file would become larger than a TIFF file can be")
        self._write(at, data)
        return at

    def _stays(self, old: Directory, count: int) -> bool:
        return count <= len(old.entries) and not self._is_shared(old.at, old.end)

    def _tail(self, old: Directory) -> bytes:
        # Here it leads to the next page, whatever else it may be taken for.
        return old.tail or bytes(self.layout.inline)

    def _is_shared(self, start: int, end: int) -> bool:
        if self._area is not None and start >= self._area:
            # What points at places is older than our area, unless it is known.
            return self.tiff.used_by_others(start, end)
        return not self._file.is_known or super()._is_shared(start, end)


def _area_of(tiff: TiffFile) -> int | None:
    """Where our area begins; None if the file does not end with one."""
    trailer = tiff.source.read(max(tiff.size - _TRAILER, 0), _TRAILER)
    if not trailer.startswith(_SIGNATURE) or len(trailer) < _TRAILER:
        return None
    start, size = struct.unpack_from(">QQ", trailer, len(_SIGNATURE))
    # It knows its own place: an area that was moved or cut by another program is not taken for ours.
    if size != tiff.size or not tiff.layout.header <= start <= size - _TRAILER:
        return None
    return None if any(end > size - _TRAILER for _, end in tiff.extents) else int(start)


def _gaps(tiff: TiffFile, start: int) -> list[Piece]:
    """The unused pieces of our area, the last ones first; none unless they are as empty as we left them."""
    tables = [(directory.at, directory.at + directory.room) for directory in tiff.directories()]
    gaps = between(start, tiff.size - _TRAILER, [*tiff.extents, *tables])
    found: list[Piece] = []
    left = _LOOK_LIMIT
    for begin, end in reversed(gaps):
        left -= end - begin
        if left < 0:
            break
        if any(tiff.source.read(begin, end - begin)):
            return []
        found.append((begin, end))
    return found
