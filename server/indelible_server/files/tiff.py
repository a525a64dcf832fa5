"""The structure of TIFF: directories of entries, and every byte that they are known to use.

A block, as Exif is, is a TIFF file in a few KB of memory. A file is read from where it is, and only as far as needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

from .problems import FileProblem, Reason

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, LONG8, IFD8 = 1, 2, 3, 4, 5, 7, 10, 16, 18
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_BIG_SIZES = SIZES | {LONG8: 8, 17: 8, IFD8: 8}
ENTRY = 12
_EXIF, _GPS, _INTEROP, _SUB = 0x8769, 0x8825, 0xA005, 0x014A
_LINKS = (_EXIF, _GPS, _INTEROP, _SUB)
DATA = ((0x0201, 0x0202), (0x0111, 0x0117), (0x0144, 0x0145))
"""Tags with the offsets of image data, and those with their lengths."""
OPENING = 48 * 1024
Piece = tuple[int, int]
"""A piece of a block or a file: where it starts, and where it ends."""


class Source(Protocol):
    """Where the bytes come from."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there are from `offset` on, at most `length`."""


@dataclass(frozen=True)
class _Memory:
    """Bytes as a source."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@dataclass(frozen=True)
class Layout:
    """How numbers are laid out: their byte order, and the lengths of BigTIFF where `big`."""

    order: str
    big: bool = False

    @property
    def header(self) -> int:
        """The length of the header."""
        return 16 if self.big else 8

    @property
    def entry(self) -> int:
        """The length of an entry."""
        return 20 if self.big else ENTRY

    @property
    def inline(self) -> int:
        """The length of an offset, and of the longest value that is in the entry itself."""
        return 8 if self.big else 4

    @property
    def counter(self) -> int:
        """The length of the number of entries."""
        return 8 if self.big else 2

    @property
    def limit(self) -> int:
        """Behind the last byte that an offset can reach."""
        return 1 << 8 * self.inline

    @property
    def sizes(self) -> dict[int, int]:
        """The lengths of the kinds of values."""
        return _BIG_SIZES if self.big else SIZES

    def number(self, raw: bytes) -> int:
        """An unsigned number of as many bytes as there are."""
        return int.from_bytes(raw, "little" if self.order == "<" else "big")

    def offset(self, number: int) -> bytes:
        """An offset."""
        return number.to_bytes(self.inline, "little" if self.order == "<" else "big")

    def table(self, entries: Iterable[bytes]) -> bytes:
        """A directory of these entries, without its tail."""
        found = list(entries)
        return struct.pack(f"{self.order}{'Q' if self.big else 'H'}", len(found)) + b"".join(found)

    def head(self, tag: int, kind: int, size: int) -> bytes:
        """The beginning of an entry whose value has this size, up to where the value or its offset is."""
        count = size // self.sizes.get(kind, 1)
        return struct.pack(f"{self.order}HH{'Q' if self.big else 'I'}", tag, kind, count)


@dataclass(frozen=True)
class Entry:
    """An entry: `raw` are its own bytes, `at` is where its value is, None if in the entry itself."""

    tag: int
    kind: int
    size: int
    raw: bytes
    source: Source
    at: int | None = None

    @cached_property
    def value(self) -> bytes:
        """The bytes of its value."""
        return self.beginning(self.size)

    @cached_property
    def opening(self) -> bytes:
        """The first bytes of its value, enough to see that a text is too long to be a caption."""
        return self.beginning(OPENING)

    def beginning(self, length: int) -> bytes:
        """The first bytes of its value."""
        length = min(length, self.size)
        if self.at is not None:
            return self.source.read(self.at, length)
        start = 8 if len(self.raw) == ENTRY else 12
        return self.raw[start : start + length]

    @property
    def extents(self) -> tuple[Piece, ...]:
        """The piece that its value is in, if not in the entry itself."""
        return () if self.at is None else ((self.at, self.at + self.size),)


@dataclass(frozen=True)
class Directory:
    """A directory at `at`, `room` bytes long; `tail` is its pointer to the next one, or missing."""

    at: int
    entries: tuple[Entry, ...]
    tail: bytes
    end: int

    @property
    def room(self) -> int:
        return self.end - self.at + len(self.tail)

    @property
    def extents(self) -> list[Piece]:
        """The pieces that it uses, its tail left out."""
        return [(self.at, self.end), *(piece for entry in self.entries for piece in entry.extents)]

    def first(self, tag: int) -> Entry | None:
        """The first entry of this tag."""
        return self._firsts.get(tag)

    @cached_property
    def _firsts(self) -> dict[int, Entry]:
        return {entry.tag: entry for entry in reversed(self.entries)}


class Tiff:
    """A parsed block. `extents` are the pieces of it that something points at."""

    noun: ClassVar[str] = "the Exif block"
    """What it is called in messages."""
    layouts: ClassVar[dict[bytes, Layout]] = {b"II*\0": Layout("<"), b"MM\0*": Layout(">")}
    directories_limit: ClassVar[int] = 64
    entries_limit: ClassVar[int] = 65_535

    def __init__(self, source: Source | bytes) -> None:
        """Parse; raises `FileProblem` (CORRUPT) for loops, and for whatever points out of the block."""
        self.source = _Memory(source) if isinstance(source, bytes) else source
        self.size = self.source.size
        head = self.source.read(0, 16)
        layout = next((layout for magic, layout in self.layouts.items() if head.startswith(magic)), None)
        if layout is None or self.size < layout.header:
            raise self.damage("has no header")
        self.layout = layout
        self.extents: list[Piece] = [(0, layout.header)]
        self._known: dict[int, Directory] = {}
        self.image = self._directory(self.number(head[layout.header - layout.inline : layout.header]))
        self.exif = self._linked(self.image, _EXIF)
        self.gps = self._linked(self.image, _GPS)
        self._follow()

    @property
    def data(self) -> bytes:
        """All of it."""
        return self.source.read(0, self.size)

    @property
    def order(self) -> str:
        """The byte order, as `struct` names it."""
        return self.layout.order

    def number(self, raw: bytes) -> int:
        """An unsigned number of as many bytes as there are."""
        return self.layout.number(raw)

    def numbers(self, entry: Entry) -> list[int]:
        """The values of an entry of unsigned numbers."""
        size = self.layout.sizes.get(entry.kind, 1)
        return [self.number(entry.value[start : start + size]) for start in range(0, len(entry.value), size)]

    def used_by_others(self, start: int, end: int) -> bool:
        """Whether anything but the one owner of this piece uses a byte of it."""
        return sum(a < end and start < b for a, b in self.extents) > 1

    def directories(self) -> Iterator[Directory]:
        """All directories that are known."""
        yield from self._known.values()

    def damage(self, what: str) -> FileProblem:
        """The problem that is told of damage."""
        return FileProblem(Reason.CORRUPT, f"{self.noun} {what}")

    def _linked(self, directory: Directory, tag: int) -> Directory | None:
        entry = directory.first(tag)
        if entry is None or not entry.size:
            return None
        return self._directory(self.number(entry.beginning(self.layout.sizes.get(entry.kind, 1))))

    def _follow(self) -> None:
        """Parse what hangs on the three directories: it is never changed, but it must be known what belongs to it."""
        self._turn_pages()
        seen = 0
        while seen < len(self._known):
            directory = list(self._known.values())[seen]
            seen += 1
            for tag in _LINKS if directory is not self.image else (_SUB,):
                entry = directory.first(tag)
                for target in self.numbers(entry) if entry else ():
                    self._once(target)
            self._note_data(directory)

    def _turn_pages(self) -> None:
        """Parse what comes behind the first directory."""
        if self.image.tail.strip(b"\0"):
            self._once(self.number(self.image.tail))

    def _once(self, at: int) -> None:
        if at not in self._known:
            self._directory(at)

    def _note_data(self, directory: Directory) -> None:
        """Image data that a directory points at, such as the thumbnail."""
        for start, end in self._data_of(directory):
            if end > self.size:
                raise self.damage("points out of itself, at a picture")
            self.extents.append((start, end))

    def _data_of(self, directory: Directory) -> Iterator[Piece]:
        for offsets, lengths in DATA:
            starts, sizes = directory.first(offsets), directory.first(lengths)
            if starts is not None and sizes is not None:
                for start, size in zip(self.numbers(starts), self.numbers(sizes), strict=False):
                    yield start, start + size

    def _directory(self, at: int) -> Directory:
        if at in self._known or len(self._known) >= self.directories_limit:
            raise self.damage("has a loop")
        layout = self.layout
        start = at + layout.counter
        # An offset can be larger than any place that can be asked for.
        count = self.number(self.source.read(at, layout.counter)) if start <= self.size else 0
        end = start + layout.entry * count
        if at < layout.header or end > self.size or count > self.entries_limit:
            raise self.damage("points out of itself, at a directory")
        table = self.source.read(start, end - start + layout.inline)
        raws = [table[place : place + layout.entry] for place in range(0, end - start, layout.entry)]
        entries = tuple(self._entry(raw) for raw in raws)
        tail = table[end - start :]
        directory = Directory(at, entries, tail if len(tail) == layout.inline else b"", end)
        self._known[at] = directory
        self.extents += directory.extents
        return directory

    def _entry(self, raw: bytes) -> Entry:
        layout = self.layout
        tag, kind, count = struct.unpack_from(f"{layout.order}HH{'Q' if layout.big else 'I'}", raw)
        if kind not in layout.sizes and raw.strip(b"\0"):
            self._note_unknown()
        size = layout.sizes.get(kind, 0) * count
        if size <= layout.inline:
            return Entry(tag, kind, size, raw, self.source)
        at = self.number(raw[-layout.inline :])
        if at < layout.header or at + size > self.size:
            raise self.damage("points out of itself, at a value")
        return Entry(tag, kind, size, raw, self.source, at)

    def _note_unknown(self) -> None:
        """Judge an entry of a kind that nobody knows."""
        raise self.damage("has an entry of a kind that nobody knows")
