"""The `meta` box of a HEIC or AVIF file: the directory of its items, and their relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .boxes import Box, box, boxes
from .container import Range
from .items import Fields, Item, Location, Locations, Reference, associations, damage, packed

_DESCRIBES = b"cdsc"
_SINGLE = (b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat", b"grpl")
_HARMLESS = frozenset({*_SINGLE, b"hdlr", b"dinf", b"ipro", b"free", b"skip", b"uuid"})
_SIZE_LIMIT = 4 * 1024 * 1024
_FULL = 4
_NARROW = 0xFFFF


class Directory:
    """The parsed box. The constructor raises `FileProblem` (CORRUPT, UNSUPPORTED) for one that cannot be changed."""

    def __init__(self, media: MediaFile, whole: Box) -> None:
        if whole.to_end or whole.end - whole.start > _SIZE_LIMIT:
            raise FileProblem(Reason.UNSUPPORTED, "the file's directory of items has no end, or is very long")
        self.box = whole
        self._media = media
        self._data = media.read(whole.start, whole.end - whole.start)
        self._children = list(self._boxes(whole.data + _FULL, whole.end))
        self._named = {child.kind: child for child in self._children}
        if any(sum(child.kind == kind for child in self._children) > 1 for kind in _SINGLE):
            raise damage()
        if not {b"pitm", b"iinf", b"iloc"} <= self._named.keys():
            raise FileProblem(Reason.UNSUPPORTED, "the file has no main picture")
        self.primary = self._primary()
        self.items = self._items()
        if self.primary not in self.items:
            raise damage()
        self.locations = Locations.parse(self._content(b"iloc"))
        self._references = self._all_references()

    @property
    def is_known(self) -> bool:
        """Whether there is nothing in the box that could point at something else."""
        return all(child.kind in _HARMLESS for child in self._children)

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Width and height of the primary picture, as stored."""
        parts = self._inside(b"iprp")
        places = {
            place
            for part in parts
            if part.kind == b"ipma"
            for number, place in associations(self._media.read(part.data, part.length))
            if number == self.primary
        }
        properties = (entry for part in parts if part.kind == b"ipco" for entry in self._boxes(part.data, part.end))
        for place, found in enumerate(properties, start=1):
            if place in places and found.kind == b"ispe":
                fields = Fields(self._media.read(found.data + _FULL, min(found.length, 12) - _FULL))
                return fields.number(4), fields.number(4)
        return None

    def described_by(self, item: Item) -> set[int]:
        """The pictures that an item of metadata is about."""
        return {
            target
            for reference in self._references
            if reference.kind == _DESCRIBES and reference.source == item.number
            for target in reference.targets
        }

    def pieces(self, location: Location) -> tuple[Range, ...] | None:
        """Where in the file an item's data are; None if they are elsewhere, or outside of what they are in."""
        ranges, end = location.pieces, self._media.size
        if location.source or location.method & 0xF > 1:
            return None
        if location.method & 0xF == 1:
            data = self._named.get(b"idat")
            if data is None:
                return None
            ranges, end = tuple((data.data + offset, length) for offset, length in ranges), data.end
        return ranges if all(offset + length <= end for offset, length in ranges) else None

    def new_number(self, taken: Iterable[int] = ()) -> int:
        """A number for a new item, that no item or group has."""
        groups = {
            Fields(self._media.read(group.data + _FULL, 4)).number(4)
            for group in (self._inside(b"grpl") if b"grpl" in self._named else ())
        }
        used = {*self.items, *(entry.number for entry in self.locations.entries), *groups, *taken}
        return next(number for number in count(max([*self.items, self.primary]) + 1) if number not in used)

    def changed(self, added: Sequence[Item], locations: Locations, erased: Iterable[Range]) -> bytes:
        """The box with items added that describe the primary picture, other locations, and bytes of it blanked."""
        data = bytearray(self._data)
        for offset, length in erased:
            start = offset - self.box.start
            data[start : start + length] = bytes(length)
        new = {b"iloc": locations.to_bytes()}
        if added:
            new |= {b"iinf": self._with_items(added), b"iref": self._with_references(added)}
        parts = [self._data[self.box.data - self.box.start :][:_FULL]]
        for child in self._children:
            content = new.pop(child.kind, None)
            start, end = child.start - self.box.start, child.end - self.box.start
            parts.append(bytes(data[start:end]) if content is None else box(child.kind, content))
        parts += [box(kind, content) for kind, content in new.items()]
        return box(b"meta", b"".join(parts))

    def _with_items(self, added: Sequence[Item]) -> bytes:
        old = self._content(b"iinf")
        width = 4 if old[0] else 2
        number = packed(len(self.items) + len(added), width)
        return old[:_FULL] + number + old[_FULL + width :] + b"".join(box(b"infe", item.to_bytes()) for item in added)

    def _with_references(self, added: Sequence[Item]) -> bytes:
        wide = any(number > _NARROW for number in (self.primary, *(item.number for item in added)))
        old = self._content(b"iref") if b"iref" in self._named else bytes([wide, 0, 0, 0])
        width = 4 if old[0] else 2
        new = [Reference(_DESCRIBES, item.number, (self.primary,)) for item in added]
        return old + b"".join(box(reference.kind, reference.to_bytes(width)) for reference in new)

    def _primary(self) -> int:
        fields = Fields(self._content(b"pitm"))
        version = fields.number(1)
        fields.take(3)
        return fields.number(4 if version else 2)

    def _items(self) -> dict[int, Item]:
        entries = self._named[b"iinf"]
        width = 4 if self._content(b"iinf")[:1] > b"\0" else 2
        start = entries.data + _FULL + width
        if start > entries.end:
            raise damage()
        items = [Item.parse(self._media.read(entry.data, entry.length)) for entry in self._boxes(start, entries.end)]
        found = {item.number: item for item in items}
        stated = int.from_bytes(self._content(b"iinf")[_FULL : _FULL + width], "big")
        if not len(found) == len(items) == stated:
            raise damage()
        return found

    def _all_references(self) -> list[Reference]:
        if b"iref" not in self._named:
            return []
        whole = self._named[b"iref"]
        width = 4 if self._content(b"iref")[:1] > b"\0" else 2
        found = self._boxes(whole.data + _FULL, whole.end)
        return [Reference.parse(entry.kind, self._media.read(entry.data, entry.length), width) for entry in found]

    def _inside(self, kind: bytes) -> list[Box]:
        parent = self._named.get(kind)
        return list(self._boxes(parent.data, parent.end)) if parent else []

    def _boxes(self, start: int, end: int) -> Iterator[Box]:
        """The boxes between two offsets, none of which may leave its end open: something can be put behind it."""
        for found in boxes(self._media, start, end):
            if found.to_end:
                raise damage()
            yield found

    def _content(self, kind: bytes) -> bytes:
        child = self._named[kind]
        return self._data[child.data - self.box.start : child.end - self.box.start]
