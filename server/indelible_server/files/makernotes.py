"""Makers' notes in Exif: never changed, but some point at pictures behind the block, which then must not move.

What a note means is mostly secret. What is known of its structure, a directory as in TIFF behind a header of its own,
is enough to find all numbers that could be such pointers; that there is a picture where one points settles it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from .media import MediaFile
from .problems import FileProblem, Reason
from .tiff import ENTRY, SIZES, Tiff

_NOTE = 0x927C
_HEADERS: tuple[tuple[bytes, int, int | None], ...] = (
    (b"Nikon\0\2", 18, 10),
    (b"Nikon\0\1", 8, None),
    (b"OLYMPUS\0", 12, 0),
    (b"OM SYSTEM\0", 16, 0),
    (b"OLYMP\0", 8, None),
    (b"EPSON\0", 8, None),
    (b"AOC\0", 6, None),
    (b"PENTAX \0", 10, 0),
    (b"QVC\0", 6, None),
    (b"SONY", 12, None),
    (b"VHAB", 12, None),
    (b"Panasonic\0", 12, None),
    (b"LEICA", 8, None),
    (b"FUJIFILM", 12, 0),
    (b"GENERALE", 12, 0),
    (b"SIGMA\0", 10, None),
    (b"FOVEON\0", 10, None),
    (b"Ricoh", 8, None),
    (b"RICOH\0", 8, 0),
    (b"MKED", 8, None),
    (b"SANYO\0", 8, None),
    (b"Apple iOS\0", 14, 0),
    (b"LSI1\0", 8, None),
    (b"SAMSUNG", 8, 0),
)
"""How a note begins, how long that is, and what its offsets count from: a place in the note, or the block's start."""
_SUB_DIRECTORIES = frozenset({0x0011, 0x0035, *range(0x2010, 0x2060, 0x10), 0x3000, 0x4000, 0x5000})
_POINTERS = (4, 9, 13)
_DIRECTORY, _INLINE, _LONGEST = 13, 4, 64
_ENTRIES_LIMIT = 1000
_LONGEST_DIRECTORY = 64 + ENTRY * _ENTRIES_LIMIT
_DEPTH = 3
_READS_LIMIT = 400
_JPEG, _HEAD = b"\xd8\xff", 48


@dataclass(frozen=True)
class _Note:
    """A maker's note: the block that it is in, where it begins there, and what its offsets may count from."""

    block: bytes
    at: int
    order: str
    bases: tuple[int, ...]


@dataclass(frozen=True)
class Pointer:
    """A number at `at` in the file, `old` as it stands there, by which a note points at the picture at `target`."""

    at: int
    old: bytes
    order: str
    target: int
    exact: bool

    def moved(self, growth: int) -> bytes:
        """The number after the picture has moved; raises `FileProblem` (UNSUPPORTED) if it cannot be told for sure."""
        (number,) = struct.unpack(f"{self.order}I", self.old)
        # Where the picture only begins close to the place, it may be mere chance that the number means it.
        if not self.exact or not 0 <= number + growth <= 0xFFFFFFFF:
            raise FileProblem(Reason.UNSUPPORTED, "the camera's notes point at a picture that would move")
        return struct.pack(f"{self.order}I", number + growth)


def pointers(media: MediaFile, start: int, end: int) -> list[Pointer]:
    """The numbers in the notes of the Exif block at `start` that point at pictures behind `end`."""
    block = media.read(start, end - start)
    try:
        tiff = Tiff(block)
    except FileProblem:
        return []
    at = _note_in(tiff)
    if at is None:
        return []
    likely = dict.fromkeys(
        (place, note.order, start + base + number)
        for note in _readings(block, at)
        for place, number in _numbers(note, _first_directory(note), _DEPTH)
        for base in note.bases
        if end <= start + base + number < media.size
    )
    found = []
    for place, order, target in islice(likely, _READS_LIMIT):
        picture = _picture_at(media, target)
        if picture is not None:
            found.append(Pointer(start + place, block[place : place + 4], order, target, picture))
    return found


def beyond(media: MediaFile, start: int, end: int) -> list[int]:
    """The offsets in the file of the pictures behind `end` that these notes point at."""
    return [pointer.target for pointer in pointers(media, start, end)]


def extents(tiff: Tiff) -> list[tuple[int, int]]:
    """What the notes in a block use of it, as start and end, as far as is known, and rightly or not."""
    at = _note_in(tiff)
    if at is None:
        return []
    block = tiff.source.read(at, _LONGEST_DIRECTORY)
    _, base = _known(block, 0)
    origin = 0 if base is None else at + base
    return [
        (origin + offset, origin + offset + size)
        for note in _readings(block, 0)
        for _, _, _, size, offset in _entries(note, _first_directory(note))
        if size > _INLINE
    ]


def _note_in(tiff: Tiff) -> int | None:
    """Where the note begins in the block; None if there is none."""
    entry = tiff.exif.first(_NOTE) if tiff.exif else None
    return entry.at if entry else None


def _picture_at(media: MediaFile, at: int) -> bool | None:
    """Whether a JPEG begins just here, be its first byte spoiled by the camera; None if none begins close by either."""
    head = media.read(at, _HEAD)
    if head[1:3] == _JPEG:
        return True
    return False if b"\xff\xd8\xff" in head else None


def _readings(block: bytes, at: int) -> Iterable[_Note]:
    """The note in both byte orders: many makers have one of their own."""
    header, _ = _known(block, at)
    bases = (0, at, at + header, at + max(header - 8, 0), at + 10)
    return [_Note(block, at, order, tuple(dict.fromkeys(bases))) for order in "<>"]


def _known(block: bytes, at: int) -> tuple[int, int | None]:
    """The length of the note's own header, and what its offsets count from."""
    found = (entry[1:] for entry in _HEADERS if block.startswith(entry[0], at))
    return next(found, (0, None))


def _first_directory(note: _Note) -> int:
    return note.at + _known(note.block, note.at)[0]


def _entries(note: _Note, at: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Where its value stands, tag, kind, size of the value, and the number in its place, of each entry."""
    count = _number(note, at, "H")
    if count is None or not 0 < count <= _ENTRIES_LIMIT:
        return
    for place in range(at + 2, min(at + 2 + ENTRY * count, len(note.block) - ENTRY + 1), ENTRY):
        tag, kind, length, value = struct.unpack_from(f"{note.order}HHII", note.block, place)
        yield place + ENTRY - _INLINE, tag, kind, SIZES.get(kind, 0) * length, value


def _numbers(note: _Note, at: int, depth: int) -> Iterator[tuple[int, int]]:
    """All numbers in a directory, and in those below it, that could be offsets, and where they stand in the block."""
    for place, tag, kind, size, value in _entries(note, at):
        if size > _INLINE or kind in _POINTERS:
            yield place, value
        if kind in _POINTERS and _INLINE < size <= _LONGEST:
            yield from _array(note, value, size // _INLINE)
        if depth and (kind == _DIRECTORY or tag in _SUB_DIRECTORIES):
            for base in note.bases:
                yield from _numbers(note, base + value, depth - 1)


def _array(note: _Note, offset: int, length: int) -> Iterator[tuple[int, int]]:
    for base in note.bases:
        for place in range(base + offset, base + offset + 4 * length, 4):
            number = _number(note, place, "I")
            if number is not None:
                yield place, number


def _number(note: _Note, at: int, code: str) -> int | None:
    if not 0 <= at <= len(note.block) - struct.calcsize(code):
        return None
    return int(struct.unpack_from(note.order + code, note.block, at)[0])
