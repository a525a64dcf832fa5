"""Exif: values of three directories of a TIFF block, changed in place or in an area of ours at its end.

Nothing else in the block ever moves, since maker notes and others point at it from places that nobody knows. What does
not fit where it is goes into our area: values, and the directories that have grown. The area is recognised when the
file is written again, and made anew from what is still in use, so that it does not grow with the number of edits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from . import makernotes
from .problems import FileProblem, Reason
from .tiff import BYTE, LONG, SIZES, UNDEFINED, Directory, Entry, Tiff

_SIGNATURE = b"Indelible-area\0\1"
_AREA_HEAD = len(_SIGNATURE) + 8
_EMPTY = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
_INLINE = 4
# Without these the block says what a change could break: other programs' XMP and IPTC would stay behind in it.
_FOREIGN = (0x02BC, 0x83BB, 0x8649)


class Ifd(IntEnum):
    """The directories whose values are ours to change; the number is the tag by which the first one points at it."""

    IMAGE = 0
    EXIF = 0x8769
    GPS = 0x8825


_FIRST_ENTRIES = {Ifd.EXIF: (0x9000, UNDEFINED, b"0232"), Ifd.GPS: (0x0000, BYTE, b"\2\3\0\0")}


@dataclass(frozen=True)
class NewValue:
    """A value that is to be written."""

    kind: int
    value: bytes


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
        return _Writer(self._tiff, self._new).written() if self._new else self._tiff.data

    def _old(self, ifd: Ifd, tag: int) -> Entry | None:
        directory = directory_of(self._tiff, ifd)
        return directory.first(tag) if directory else None


def directory_of(tiff: Tiff, ifd: Ifd) -> Directory | None:
    """One of the three directories; None if there is none."""
    return {Ifd.IMAGE: tiff.image, Ifd.EXIF: tiff.exif, Ifd.GPS: tiff.gps}[ifd]


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


@dataclass
class _Writer:
    """The making of a block in which some values are new."""

    tiff: Tiff
    new: dict[tuple[Ifd, int], NewValue | None]
    area: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.notes = makernotes.extents(self.tiff)
        self.start = area_of(self.tiff)
        self.block = bytearray(self.tiff.data[: self.start])
        self.start += self.start % 2

    def written(self) -> bytes:
        """The new block."""
        pointers: dict[int, bytes | None] = {}
        for ifd in (Ifd.GPS, Ifd.EXIF):
            at = self._directory(ifd, {})
            if at is not None:
                pointers[ifd] = self._raw(ifd, LONG, self._long(at), None) if at else None
        at = self._directory(Ifd.IMAGE, pointers)
        if at:
            self.block[4:8] = self._long(at)
        return self._joined()

    def _long(self, number: int) -> bytes:
        return struct.pack(f"{self.tiff.order}I", number)

    def _joined(self) -> bytes:
        if not self.area:
            return bytes(self.block)
        padding = bytes(self.start - len(self.block))
        head = _SIGNATURE + struct.pack(">II", self.start, _AREA_HEAD + len(self.area))
        return bytes(self.block) + padding + head + bytes(self.area)

    def _directory(self, ifd: Ifd, pointers: dict[int, bytes | None]) -> int | None:
        """Write a directory; gives back where it is now if it has moved or come into being, and 0 if it is gone."""
        changes = {tag: new for (its, tag), new in self.new.items() if its is ifd}
        old = directory_of(self.tiff, ifd)
        inside = old is not None and (old.at >= len(self.block) or any(self._is_inside(e) for e in old.entries))
        if not changes and not pointers and not inside:
            return None
        entries = self._entries(ifd, old, changes)
        for tag, raw in pointers.items():
            _replace(entries, tag, raw)
        if not entries and ifd is not Ifd.IMAGE:
            if old is not None:
                self._free(old)
            return None if old is None else 0
        table = struct.pack(f"{self.tiff.order}H", len(entries)) + b"".join(raw for _, raw in entries)
        if old is not None and old.at < len(self.block):
            if len(entries) <= len(old.entries):
                self._put_back(old, table)
                return None
            self._free(old)
        tail = old.tail if old is not None and self._owns_tail(old) else bytes(4)
        return self._appended(table + tail)

    def _entries(self, ifd: Ifd, old: Directory | None, changes: dict[int, NewValue | None]) -> list[tuple[int, bytes]]:
        """The twelve bytes of each entry, by tag; values that have no place yet get one."""
        present = old.entries if old else ()
        found = [(entry.tag, entry.raw if entry.tag in changes else self._kept(entry)) for entry in present]
        for tag, new in sorted(changes.items()):
            before = [entry for entry in present if entry.tag == tag]
            if len(before) > 1:
                raise FileProblem(Reason.UNSUPPORTED, "the Exif block holds a value twice")
            _replace(found, tag, self._changed(tag, before[0] if before else None, new))
        if old is None and found and ifd in _FIRST_ENTRIES:
            tag, kind, value = _FIRST_ENTRIES[ifd]
            _insert(found, tag, self._raw(tag, kind, value, None))
        return found

    def _is_inside(self, entry: Entry) -> bool:
        """Whether an entry's value is in our area."""
        return entry.at is not None and entry.at >= len(self.block)

    def _kept(self, entry: Entry) -> bytes:
        if not self._is_inside(entry):
            return entry.raw
        return self._raw(entry.tag, entry.kind, entry.value, None)

    def _changed(self, tag: int, old: Entry | None, new: NewValue | None) -> bytes | None:
        place = None
        if old is not None and old.at is not None and not self._is_inside(old):
            end = old.at + len(old.value)
            if not self._is_shared(old.at, end):
                self._zero(old.at, end)
                if new is not None and _INLINE < len(new.value) <= len(old.value):
                    place = old.at
        return None if new is None else self._raw(tag, new.kind, new.value, place)

    def _raw(self, tag: int, kind: int, value: bytes, place: int | None) -> bytes:
        head = struct.pack(f"{self.tiff.order}HHI", tag, kind, len(value) // SIZES.get(kind, 1))
        if len(value) <= _INLINE:
            return head + value.ljust(_INLINE, b"\0")
        if place is None:
            place = self._appended(value)
        else:
            self.block[place : place + len(value)] = value
        return head + struct.pack(f"{self.tiff.order}I", place)

    def _appended(self, data: bytes) -> int:
        at = self.start + _AREA_HEAD + len(self.area)
        self.area += data + bytes(len(data) % 2)
        return at

    def _put_back(self, old: Directory, table: bytes) -> None:
        """Write a directory that has not grown over the old one."""
        owned = self._owns_tail(old)
        room = old.room if owned else old.room - len(old.tail)
        if owned or len(table) < room:
            table += old.tail if owned else bytes(4)
        self.block[old.at : old.at + room] = table.ljust(room, b"\0")

    def _free(self, old: Directory) -> None:
        if old.at < len(self.block):
            self._zero(old.at, old.at + old.room - (0 if self._owns_tail(old) else len(old.tail)))

    def _owns_tail(self, directory: Directory) -> bool:
        """Whether the pointer behind a directory is one, and not the value of an entry, as in careless files."""
        end = directory.at + directory.room
        begin = end - len(directory.tail)
        return len(directory.tail) == 4 and not any(a < end and begin < b for a, b in self.tiff.extents)

    def _zero(self, start: int, end: int) -> None:
        if not self._is_shared(start, end):
            self.block[start:end] = bytes(end - start)

    def _is_shared(self, start: int, end: int) -> bool:
        """Whether something else uses a byte of this piece. Notes that were moved point at strange places."""
        return self.tiff.used_by_others(start, end) or any(a < end and start < b for a, b in self.notes)


def _replace(entries: list[tuple[int, bytes]], tag: int, raw: bytes | None) -> None:
    """Let there be one entry of this tag, or none."""
    at = next((index for index, (other, _) in enumerate(entries) if other == tag), None)
    if at is None:
        if raw is not None:
            _insert(entries, tag, raw)
    elif raw is None:
        del entries[at]
    else:
        entries[at] = (tag, raw)


def _insert(entries: list[tuple[int, bytes]], tag: int, raw: bytes) -> None:
    """Insert an entry in the order of tags; entries that are out of order stay where they are."""
    at = next((index for index, (other, _) in enumerate(entries) if other > tag), len(entries))
    entries.insert(at, (tag, raw))
