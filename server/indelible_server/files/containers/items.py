"""Items, as HEIC and AVIF keep pictures and metadata: what each one is, what it describes, and where its data lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ..problems import FileProblem, Reason

MIME = b"mime"
_NARROW = 0xFFFF


class Fields:
    """Numbers and texts of a box, read one after the other; raises `FileProblem` (CORRUPT) where they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if self._at + length > len(self._data):
            raise damage()
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, length: int) -> int:
        """The next number of so many bytes; 0 for none."""
        return int.from_bytes(self.take(length), "big")

    def text(self) -> bytes:
        """The next text, which a NUL ends, or the end of the box."""
        text, _, _ = self._data[self._at :].partition(b"\0")
        self._at = min(self._at + len(text) + 1, len(self._data))
        return text

    @property
    def rest(self) -> bytes:
        """What is not read yet."""
        return self._data[self._at :]


def damage() -> FileProblem:
    """Why a file with such items is left alone."""
    return FileProblem(Reason.CORRUPT, "the file's directory of items is damaged")


@dataclass(frozen=True)
class Item:
    """An entry of `infe`: its kind has four letters, and the kind `mime` says more."""

    number: int
    kind: bytes
    protected: bool
    mime: bytes = b""
    encoding: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse the content of an `infe` box."""
        fields = Fields(data)
        version = fields.number(1)
        fields.take(3)
        number = fields.number(4 if version > 2 else 2)
        protected = fields.number(2) != 0
        kind = fields.take(4) if version > 1 else MIME
        fields.text()
        mime, encoding = (fields.text(), fields.text()) if kind == MIME else (b"", b"")
        return cls(number, kind, protected, mime, encoding)

    def to_bytes(self) -> bytes:
        """The content of an `infe` box: the item is hidden, since it is not a picture."""
        wide = self.number > _NARROW
        head = (b"\3" if wide else b"\2") + b"\0\0\1" + self.number.to_bytes(4 if wide else 2, "big")
        return head + bytes([0, self.protected]) + self.kind + b"\0" + (self.mime + b"\0" if self.mime else b"")


@dataclass(frozen=True)
class Extent:
    """A piece of an item's data; `index` is of no use, except in files that build items from items."""

    index: int
    offset: int
    length: int


@dataclass(frozen=True)
class Location:
    """Where an item's data lie: in the file (`method` 0), in the box `idat` (1), or in other items (2).

    Extents count from `base`. `source` is 0 for data that are in this file.
    """

    number: int
    method: int
    source: int
    base: int
    extents: tuple[Extent, ...]

    @property
    def in_file(self) -> bool:
        """Whether its extents are places in this file."""
        return self.method & 0xF == 0 and self.source == 0

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        """Offset and length of its extents, base included."""
        return tuple((self.base + extent.offset, extent.length) for extent in self.extents)

    def moved(self, places: Sequence[int]) -> Location:
        """The same item with its extents at these places; the base moves with them, if it is in use."""
        base = self.base + places[0] - self.pieces[0][0] if self.base and places else self.base
        extents = [replace(extent, offset=place - base) for extent, place in zip(self.extents, places, strict=True)]
        return replace(self, base=base, extents=tuple(extents))


@dataclass(frozen=True)
class Locations:
    """The content of an `iloc` box, and what is behind it. `sizes` are those of offset, length, base and index."""

    version: int
    flags: bytes
    sizes: tuple[int, int, int, int]
    entries: tuple[Location, ...]
    rest: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse; raises `FileProblem` (CORRUPT, UNSUPPORTED) for what could not be put together again."""
        fields = Fields(data)
        version, flags = fields.number(1), fields.take(3)
        nibbles = fields.take(2).hex()
        offset, length, base, index = (int(nibble, 16) for nibble in nibbles)
        if version > 2 or not {offset, length, base} <= {0, 4, 8} or (version and index not in (0, 4, 8)):
            raise FileProblem(Reason.UNSUPPORTED, "the file's directory of items is of an unknown kind")
        sizes = (offset, length, base, index)
        count = fields.number(4 if version > 1 else 2)
        entries = tuple(cls._entry(fields, version, sizes) for _ in range(count))
        if len({entry.number for entry in entries}) < count:
            raise damage()
        return cls(version, flags, sizes, entries, fields.rest)

    @staticmethod
    def _entry(fields: Fields, version: int, sizes: tuple[int, int, int, int]) -> Location:
        number = fields.number(4 if version > 1 else 2)
        method = fields.number(2) if version else 0
        source, base = fields.number(2), fields.number(sizes[2])
        extents, count = [], fields.number(2)
        if count > 1 and not any((sizes[0], sizes[1])):
            raise damage()
        for _ in range(count):
            index = fields.number(sizes[3]) if version else 0
            extents.append(Extent(index, fields.number(sizes[0]), fields.number(sizes[1])))
        return Location(number, method, source, base, tuple(extents))

    def of(self, number: int) -> Location | None:
        """Where an item is; None if nothing is said about it."""
        return next((entry for entry in self.entries if entry.number == number), None)

    def new(self, number: int, place: int, length: int) -> Location:
        """An item at this place, told as the others are: some programs look only at the base where there is one."""
        base = place if any(entry.base for entry in self.entries) else 0
        return Location(number, 0, 0, base, (Extent(0, place - base, length),))

    def with_entries(self, entries: Iterable[Location]) -> Locations:
        """These locations in the place of those of the same items, or added at the end."""
        new = {entry.number: entry for entry in entries}
        kept = [new.pop(entry.number, entry) for entry in self.entries]
        return replace(self, entries=(*kept, *new.values()))

    def widened(self) -> Locations:
        """The same, so that every item can have an offset and a length."""
        offset, length, base, index = self.sizes
        return replace(self, sizes=(offset or 4, length or 4, base, index))

    def to_bytes(self) -> bytes:
        """The content of an `iloc` box; raises `FileProblem` (TOO_LARGE) if a number does not fit."""
        offset, length, base, index = self.sizes
        parts = [bytes([self.version]), self.flags, bytes([offset << 4 | length, base << 4 | index])]
        parts.append(packed(len(self.entries), 4 if self.version > 1 else 2))
        for entry in self.entries:
            parts.append(packed(entry.number, 4 if self.version > 1 else 2))
            if self.version:
                parts.append(packed(entry.method, 2))
            parts += [packed(entry.source, 2), packed(entry.base, base), packed(len(entry.extents), 2)]
            for extent in entry.extents:
                if self.version:
                    parts.append(packed(extent.index, index))
                parts += [packed(extent.offset, offset), packed(extent.length, length)]
        return b"".join([*parts, self.rest])


@dataclass(frozen=True)
class Reference:
    """A relation of one item to others: for `cdsc`, metadata to the pictures that they describe."""

    kind: bytes
    source: int
    targets: tuple[int, ...]

    @classmethod
    def parse(cls, kind: bytes, data: bytes, width: int) -> Self:
        """Parse a box of `iref`, in which numbers of items are `width` bytes long."""
        fields = Fields(data)
        source = fields.number(width)
        return cls(kind, source, tuple(fields.number(width) for _ in range(fields.number(2))))

    def to_bytes(self, width: int) -> bytes:
        """The content of such a box."""
        numbers = b"".join(packed(number, width) for number in self.targets)
        return packed(self.source, width) + packed(len(self.targets), 2) + numbers


def associations(data: bytes) -> Iterator[tuple[int, int]]:
    """Of an `ipma` box, each item with the place, counted from 1, of a property of it."""
    fields = Fields(data)
    version, flags = fields.number(1), fields.number(3)
    width = 2 if flags & 1 else 1
    for _ in range(fields.number(4)):
        number = fields.number(4 if version else 2)
        for _ in range(fields.number(1)):
            yield number, fields.number(width) & ((1 << (8 * width - 1)) - 1)


def packed(number: int, length: int) -> bytes:
    """A number in so many bytes; raises `FileProblem` (TOO_LARGE) if it does not fit."""
    try:
        return number.to_bytes(length, "big")
    except OverflowError as error:
        raise FileProblem(Reason.TOO_LARGE, "the file's directory of items has no room for the metadata") from error
