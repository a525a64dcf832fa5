"""The structure of a TIFF block, as Exif has it: directories of entries, and every byte that they are known to use."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .problems import FileProblem, Reason

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
HEADER, ENTRY = 8, 12
_EXIF, _GPS, _INTEROP, _SUB = 0x8769, 0x8825, 0xA005, 0x014A
_LINKS = (_EXIF, _GPS, _INTEROP, _SUB)
_DATA = ((0x0201, 0x0202), (0x0111, 0x0117), (0x0144, 0x0145))
"""Tags with the offsets of image data, and those with their lengths."""
_DIRECTORIES_LIMIT = 64


@dataclass(frozen=True)
class Entry:
    """An entry: `raw` are its twelve bytes, `at` is where its value is in the block, None if in the entry itself."""

    tag: int
    kind: int
    count: int
    value: bytes
    raw: bytes
    at: int | None = None


@dataclass(frozen=True)
class Directory:
    """A directory at `at`, `room` bytes long; `tail` is its pointer to the next one, of 4 bytes or missing."""

    at: int
    entries: tuple[Entry, ...]
    tail: bytes

    @property
    def room(self) -> int:
        return 2 + ENTRY * len(self.entries) + len(self.tail)

    def first(self, tag: int) -> Entry | None:
        """The first entry of this tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


class Tiff:
    """A parsed block. `extents` are the pieces of it that something points at, as start and end."""

    def __init__(self, data: bytes) -> None:
        """Parse; raises `FileProblem` (CORRUPT) for loops, and for whatever points out of the block."""
        order = _ORDERS.get(data[:4])
        if order is None or len(data) < HEADER:
            raise _damage("has no header")
        self.data = data
        self.order = order
        self.extents: list[tuple[int, int]] = [(0, HEADER)]
        self._known: dict[int, Directory] = {}
        self.image = self._directory(self.number(data[4:8]))
        self.exif = self._linked(self.image, _EXIF)
        self.gps = self._linked(self.image, _GPS)
        self._follow()

    def number(self, raw: bytes) -> int:
        """An unsigned number of as many bytes as there are."""
        return int.from_bytes(raw, "little" if self.order == "<" else "big")

    def numbers(self, entry: Entry) -> list[int]:
        """The values of a BYTE, SHORT or LONG entry."""
        size = SIZES.get(entry.kind, 1)
        return [self.number(entry.value[start : start + size]) for start in range(0, len(entry.value), size)]

    def used_by_others(self, start: int, end: int) -> bool:
        """Whether anything but the one owner of this piece uses a byte of it."""
        return sum(a < end and start < b for a, b in self.extents) > 1

    def directories(self) -> Iterator[Directory]:
        """All directories."""
        yield from self._known.values()

    def _linked(self, directory: Directory, tag: int) -> Directory | None:
        entry = directory.first(tag)
        return None if entry is None or not entry.value else self._directory(self.numbers(entry)[0])

    def _follow(self) -> None:
        """Parse what hangs on the three directories: it is never changed, but it must be known what belongs to it."""
        if self.image.tail.strip(b"\0"):
            self._once(self.number(self.image.tail))
        seen = 0
        while seen < len(self._known):
            directory = list(self._known.values())[seen]
            seen += 1
            for tag in _LINKS:
                entry = directory.first(tag)
                for target in self.numbers(entry) if entry else ():
                    self._once(target)
            self._note_data(directory)

    def _once(self, at: int) -> None:
        if at not in self._known:
            self._directory(at)

    def _note_data(self, directory: Directory) -> None:
        """Image data that a directory points at, such as the thumbnail."""
        for offsets, lengths in _DATA:
            starts, sizes = directory.first(offsets), directory.first(lengths)
            if starts is None or sizes is None:
                continue
            for start, size in zip(self.numbers(starts), self.numbers(sizes), strict=False):
                if start + size > len(self.data):
                    raise _damage("points out of itself, at a picture")
                self.extents.append((start, start + size))

    def _directory(self, at: int) -> Directory:
        if at in self._known or len(self._known) >= _DIRECTORIES_LIMIT:
            raise _damage("has a loop")
        count = self.number(self.data[at : at + 2])
        end = at + 2 + ENTRY * count
        if at < HEADER or at + 2 > len(self.data) or end > len(self.data):
            raise _damage("points out of itself, at a directory")
        entries = tuple(self._entry(self.data[place : place + ENTRY]) for place in range(at + 2, end, ENTRY))
        directory = Directory(at, entries, self.data[end : end + 4] if end + 4 <= len(self.data) else b"")
        self._known[at] = directory
        self.extents.append((at, end))
        self.extents += [(entry.at, entry.at + len(entry.value)) for entry in entries if entry.at is not None]
        return directory

    def _entry(self, raw: bytes) -> Entry:
        tag, kind, count = struct.unpack_from(f"{self.order}HHI", raw)
        if kind not in SIZES and raw.strip(b"\0"):
            raise _damage("has an entry of a kind that nobody knows")
        size = SIZES.get(kind, 0) * count
        if size <= 4:
            return Entry(tag, kind, count, raw[8 : 8 + size], raw)
        at = self.number(raw[8:])
        if at < HEADER or at + size > len(self.data):
            raise _damage("points out of itself, at a value")
        return Entry(tag, kind, count, self.data[at : at + size], raw, at)


def _damage(what: str) -> FileProblem:
    return FileProblem(Reason.CORRUPT, f"the Exif block {what}")
