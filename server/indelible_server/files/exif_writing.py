"""The writing of directories in which some values are new. Where things go is up to what is written, block or file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from . import makernotes
from .problems import FileProblem, Reason
from .tiff import BYTE, IFD8, LONG, UNDEFINED, Directory, Entry, Piece, Tiff


class Ifd(IntEnum):
    """The directories whose values are ours to change; the number is the tag by which the first one points at it."""

    IMAGE = 0
    EXIF = 0x8769
    GPS = 0x8825


@dataclass(frozen=True)
class NewValue:
    """A value that is to be written."""

    kind: int
    value: bytes


Changes = Mapping[tuple[Ifd, int], NewValue | None]
"""What values are to be; None for those that are to be removed."""


def directory_of(tiff: Tiff, ifd: Ifd) -> Directory | None:
    """One of the three directories; None if there is none."""
    if ifd is Ifd.IMAGE:
        return tiff.image
    return tiff.exif if ifd is Ifd.EXIF else tiff.gps


class Writer(ABC):
    """The making of a block or a file in which some values are new."""

    first_entries: ClassVar[Mapping[Ifd, tuple[tuple[int, int, bytes], ...]]] = {
        Ifd.EXIF: ((0x9000, UNDEFINED, b"0232"),),
        Ifd.GPS: ((0x0000, BYTE, b"\2\3\0\0"),),
    }
    """What a directory that is made must have: the tag, the kind and the value of each entry."""

    def __init__(self, tiff: Tiff, changes: Changes) -> None:
        self.tiff = tiff
        self.layout = tiff.layout
        self.changes = changes
        self.notes = makernotes.extents(tiff)

    @abstractmethod
    def _write(self, at: int, data: bytes) -> None:
        """Overwrite."""

    @abstractmethod
    def _release(self, start: int, end: int) -> bool:
        """Zero a piece that is no longer needed; False if something else uses it, so that it stays."""

    @abstractmethod
    def _place(self, data: bytes, old: Piece | None) -> int:
        """Write where there is room, best at the old place, which was released; gives back where."""

    @abstractmethod
    def _stays(self, old: Directory, count: int) -> bool:
        """Whether so many entries can be written where the old directory is."""

    def _is_loose(self, entry: Entry) -> bool:
        """Whether an entry's value has to be placed anew although it does not change."""
        return False

    def _is_shared(self, start: int, end: int) -> bool:
        """Whether something else uses a byte of this piece. Notes that were moved point at strange places."""
        return self.tiff.used_by_others(start, end) or any(a < end and start < b for a, b in self.notes)

    def _write_directories(self) -> None:
        """Write what is new, and repoint to what has moved."""
        pointers: dict[int, bytes | None] = {}
        kind = IFD8 if self.layout.big else LONG
        for ifd in (Ifd.GPS, Ifd.EXIF):
            at = self._directory(ifd, {})
            if at is not None:
                pointers[ifd] = self._raw(ifd, kind, self.layout.offset(at), None) if at else None
        at = self._directory(Ifd.IMAGE, pointers)
        if at:
            self._write(self.layout.header - self.layout.inline, self.layout.offset(at))

    def _directory(self, ifd: Ifd, pointers: dict[int, bytes | None]) -> int | None:
        """Write a directory; gives back where it is now if it has moved or come into being, and 0 if it is gone."""
        changes = {tag: new for (its, tag), new in self.changes.items() if its is ifd}
        old = directory_of(self.tiff, ifd)
        if not changes and not pointers and not (old and self._has_loose(old)):
            return None
        entries = self._entries(ifd, old, changes)
        for tag, raw in pointers.items():
            _replace(entries, tag, raw)
        if not entries and ifd is not Ifd.IMAGE:
            if old is not None:
                self._free(old)
            return None if old is None else 0
        table = self.layout.table(raw for _, raw in entries)
        if old is not None and self._stays(old, len(entries)):
            self._put_back(old, table)
            return None
        freed = (old.at, old.end) if old is not None and self._free(old) else None
        return self._place(table + (self._tail(old) if old else bytes(self.layout.inline)), freed)

    def _has_loose(self, old: Directory) -> bool:
        return any(self._is_loose(entry) for entry in old.entries)

    def _entries(self, ifd: Ifd, old: Directory | None, changes: dict[int, NewValue | None]) -> list[tuple[int, bytes]]:
        """The bytes of each entry, by tag; values that have no place yet get one."""
        present = old.entries if old else ()
        found = [(entry.tag, entry.raw if entry.tag in changes else self._kept(entry)) for entry in present]
        for tag, new in sorted(changes.items()):
            before = [entry for entry in present if entry.tag == tag]
            if len(before) > 1:
                raise FileProblem(Reason.UNSUPPORTED, f"{self.tiff.noun} holds a value twice")
            _replace(found, tag, self._changed(tag, before[0] if before else None, new))
        for tag, kind, value in self.first_entries.get(ifd, ()) if old is None and found else ():
            _insert(found, tag, self._raw(tag, kind, value, None))
        return found

    def _kept(self, entry: Entry) -> bytes:
        return self._raw(entry.tag, entry.kind, entry.value, None) if self._is_loose(entry) else entry.raw

    def _changed(self, tag: int, old: Entry | None, new: NewValue | None) -> bytes | None:
        freed = None
        if old is not None and old.at is not None and not self._is_loose(old):
            place = (old.at, old.at + old.size)
            freed = place if self._release(*place) else None
        return None if new is None else self._raw(tag, new.kind, new.value, freed)

    def _raw(self, tag: int, kind: int, value: bytes, freed: Piece | None) -> bytes:
        head, inline = self.layout.head(tag, kind, len(value)), self.layout.inline
        if len(value) <= inline:
            return head + value.ljust(inline, b"\0")
        return head + self.layout.offset(self._place(value, freed))

    def _put_back(self, old: Directory, table: bytes) -> None:
        """Write a directory that has not grown over the old one."""
        owned = self._owns_tail(old)
        room = old.room if owned else old.end - old.at
        if owned or len(table) < room:
            table += self._tail(old)
        self._write(old.at, table.ljust(room, b"\0"))

    def _tail(self, old: Directory) -> bytes:
        """What a directory that was written anew points at behind its entries."""
        return old.tail if self._owns_tail(old) else bytes(self.layout.inline)

    def _free(self, old: Directory) -> bool:
        return self._release(old.at, old.at + old.room if self._owns_tail(old) else old.end)

    def _owns_tail(self, directory: Directory) -> bool:
        """Whether the pointer behind a directory is one, and not the value of an entry, as in careless files."""
        start, end = directory.end, directory.at + directory.room
        return start < end and not any(a < end and start < b for a, b in self.tiff.extents)


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
