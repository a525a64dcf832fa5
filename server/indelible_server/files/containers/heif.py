"""HEIC and AVIF: pictures and metadata are items, which a `meta` box says what they are and where they lie.

What does not fit where it is goes into a box of ours behind the pictures, so that they need not move for it. That box
is recognised when the file is written again, and laid out anew, so that it does not grow with the number of edits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from .. import makernotes
from ..media import MediaFile
from ..patching import scattered, shift_of
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from . import media_offsets
from .blocks import Blocks
from .boxes import C2PA_UUID, UUID, XMP_UUID, Box, box, boxes
from .container import Container, Range
from .directory import Directory
from .items import MIME, Item

_XMP, _EXIF = MIME, b"Exif"
_KINDS = (_XMP, _EXIF)
"""The kinds of items that are ours, in the order in which they lie in our box."""
_XMP_TYPE = b"application/rdf+xml"
_EXIF_HEAD = b"\0\0\0\6Exif\0\0"
_OFFSET = 4
_TYPE, _META, _DATA, _FREE, _FILM = b"ftyp", b"meta", b"mdat", b"free", b"moov"
_BEFORE_OURS = frozenset({_TYPE, _META, _DATA, _FREE, b"skip", b"wide", _FILM})
"""Boxes that ours may follow. Others, as those of motion photos, are found from the end of the file."""
_MOVABLE = _BEFORE_OURS | {b"mpvd", b"sefd"}
"""Boxes that are as good in another place: what they point at is in them, or is told where it went."""
_SIGNATURE = b"Indelible-items\1"
_DIRECTORY_ROOM, _EXIF_ROOM = 248, 1024
_BOX_HEAD = 8
_PIECES_LIMIT = 16
_SIZE_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True)
class _Ours:
    """An item of metadata about the primary picture, and the places of its data."""

    item: Item
    pieces: tuple[Range, ...]


class Heif(Container):
    """A HEIC or AVIF file."""

    takes_exif = True
    xmp_yields = False
    ways = (Mode.PATCH, Mode.APPEND, Mode.REPLACE)
    places = "XMP, Exif"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._boxes: list[Box] = []
        self._ours: dict[bytes, _Ours] = {}
        self._read: dict[bytes, bytes] = {}
        try:
            for found in boxes(media, 0, media.size):
                self._note(found)
        except FileProblem as damage:
            self.refuse(damage.reason, damage.message)
        directories = [found for found in self._boxes if found.kind == _META]
        if len(directories) != 1:
            raise self.refusal or FileProblem(Reason.UNSUPPORTED, "the file has no directory of items, or several")
        self._directory = Directory(media, directories[0])
        self.width, self.height = self._directory.dimensions or (None, None)
        for item in self._directory.items.values():
            self._note_item(item)
        self._check_places()

    @property
    def xmp(self) -> bytes | None:
        """The packet of the primary picture."""
        return self._data(_XMP)

    @property
    def exif(self) -> bytes | None:
        """The Exif block of the primary picture, beginning with its TIFF header."""
        data = self._data(_EXIF)
        return None if data is None else data[_exif_start(data) :]

    @property
    def content(self) -> tuple[Range, ...]:
        """The data of all other items, as they lie in the file."""
        ours = {found.item.number for found in self._ours.values()}
        joined: list[tuple[int, int]] = []
        for start, length in sorted(
            piece
            for entry in self._directory.locations.entries
            if entry.in_file and entry.number not in ours
            for piece in entry.pieces
        ):
            end = min(start + length, self.media.size)
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            elif start < end:
                joined.append((start, end))
        return tuple((start, end - start) for start, end in joined)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and tell the directory where they are."""
        new = {kind: data for kind, data in self._wanted(blocks).items() if data != self._data(kind)}
        moving = {kind: data for kind, data in new.items() if self._length(kind) != len(data)}
        if moving:
            # What lies in our box, or in the directory, is made anew with it.
            for kind in self._ours:
                if kind not in moving and self._is_remade(kind):
                    moving[kind] = new.get(kind) or self._data(kind) or b""
        patches = [patch for kind in new if kind not in moving for patch in self._in_place(kind, new[kind])]
        if moving:
            patches += self._moved(moving)
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _wanted(self, blocks: Blocks) -> dict[bytes, bytes]:
        wanted = {} if blocks.xmp is None else {_XMP: blocks.xmp}
        if isinstance(blocks.exif, bytes):
            old = self._data(_EXIF)
            wanted[_EXIF] = (_EXIF_HEAD if old is None else old[: _exif_start(old)]) + blocks.exif
        return wanted

    def _in_place(self, kind: bytes, data: bytes) -> Iterator[Patch]:
        old, position = self._data(kind) or b"", 0
        for offset, length in self._ours[kind].pieces:
            end = position + length
            yield from scattered(Patch(offset, old[position:end], data[position:end]))
            position = end

    def _moved(self, data: Mapping[bytes, bytes]) -> list[Patch]:
        """The patches that put data of these kinds into our box, and all that follows from it."""
        stored, places = self._stored(data)
        added = self._new_items(data)
        numbers = {item.kind: item.number for item in (*added, *(ours.item for ours in self._ours.values()))}
        extents = {numbers[kind]: (place, len(data[kind])) for kind, place in places.items()}
        erased = [piece for kind in data if kind in self._ours for piece in self._ours[kind].pieces]
        # How long the directory gets is known before what it says.
        draft = [self._renewed(added, extents, erased, []), *stored]
        ahead = shift_of(draft, stored[0].offset)
        extents = {number: (place + ahead, length) for number, (place, length) in extents.items()}
        patches = [self._renewed(added, extents, erased, draft), *scattered(stored[0]), stored[1]]
        for offset, length in erased:
            if not any(patch.offset <= offset < patch.offset + len(patch.old) for patch in draft):
                patches.append(Patch(offset, self.media.read(offset, length), bytes(length)))
        if _EXIF in data and self._pictures_beyond:
            raise FileProblem(Reason.UNSUPPORTED, "the camera's notes point at a picture from where they are")
        patches += self._dependents(draft)
        return [patch for patch in patches if patch.old != patch.new]

    def _dependents(self, patches: Sequence[Patch]) -> list[Patch]:
        """The patches to what points at places that `patches` move, but for the directory."""
        moving = [found for found in self._boxes if shift_of(patches, found.data)]
        if not moving:
            return []
        if not self._directory.is_known or any(found.kind not in _MOVABLE for found in self._boxes):
            raise FileProblem(Reason.UNSUPPORTED, "the file has parts of an unknown kind, which would move")
        if _EXIF in self._ours:
            shifts = {shift_of(patches, place) for place in (self._ours[_EXIF].pieces[0][0], *self._pictures_beyond)}
            if len(shifts) > 1:
                raise FileProblem(Reason.UNSUPPORTED, "the camera's notes point at a picture that would move")
        films = [found for found in self._boxes if found.kind == _FILM]
        return media_offsets.shifted(self.media, films, lambda offset: offset + shift_of(patches, offset))

    @cached_property
    def _pictures_beyond(self) -> list[int]:
        """The pictures outside of the Exif block that the camera's notes in it point at."""
        if _EXIF not in self._ours or len(self._ours[_EXIF].pieces) != 1:
            return []
        start, length = self._ours[_EXIF].pieces[0]
        head = len(self._data(_EXIF) or b"") - len(self.exif or b"")
        return makernotes.beyond(self.media, start + head, start + length)

    def _stored(self, data: Mapping[bytes, bytes]) -> tuple[list[Patch], dict[bytes, int]]:
        """The patches that put data into our box, and where each of them is then, as if nothing before it moved."""
        old = self._store[1] if self._store else b""
        start = self._store[0].start if self._store else self._place
        content, places = _SIGNATURE, {}
        for kind in _KINDS:
            if kind in data:
                places[kind] = start + _BOX_HEAD + len(content)
                content += data[kind]
        room = len(old) - _BOX_HEAD - len(content)
        new = box(_DATA, content + bytes(room if room >= 0 else _EXIF_ROOM))
        # What it gains is a patch of its own, so that it can be appended at the end of the file.
        return [Patch(start, old, new[: len(old)]), Patch(start + len(old), b"", new[len(old) :])], places

    def _new_items(self, data: Mapping[bytes, bytes]) -> list[Item]:
        added: list[Item] = []
        for kind in data:
            if kind not in self._ours:
                number = self._directory.new_number(item.number for item in added)
                added.append(Item(number, kind, protected=False, mime=_XMP_TYPE if kind == _XMP else b""))
        return added

    def _renewed(
        self,
        added: Sequence[Item],
        extents: Mapping[int, Range],
        erased: Sequence[Range],
        patches: Sequence[Patch],
    ) -> Patch:
        """The patch of the directory and of the free space behind it, when `patches` move what they move."""
        old = self._directory.locations
        entries = [
            entry.moved([offset + shift_of(patches, offset) for offset, _ in entry.pieces])
            for entry in old.entries
            if entry.in_file and entry.number not in extents
        ]
        entries += [old.new(number, *piece) for number, piece in extents.items()]
        new = self._directory.changed(
            added,
            old.widened().with_entries(entries),
            [piece for piece in erased if _lies_in(piece, self._directory.box)],
        )
        start, end = self._directory.box.start, (self._room or self._directory.box).end
        left = end - start - len(new)
        if left >= _BOX_HEAD:
            # Of the free space only the head is written.
            new += left.to_bytes(4, "big") + _FREE
            end = start + len(new)
        elif left:
            new += box(_FREE, bytes(_DIRECTORY_ROOM))
        return Patch(start, self.media.read(start, end - start), new)

    @cached_property
    def _room(self) -> Box | None:
        """The free space right behind the directory."""
        index = self._boxes.index(self._directory.box) + 1
        behind = self._boxes[index] if index < len(self._boxes) else None
        if behind is None or behind.kind != _FREE or behind.to_end or behind.length > _SIZE_LIMIT:
            return None
        return behind

    @cached_property
    def _store(self) -> tuple[Box, bytes] | None:
        """Our box, and its bytes."""
        for found in self._boxes:
            if found.kind == _DATA and self.media.read(found.start + _BOX_HEAD, len(_SIGNATURE)) == _SIGNATURE:
                whole = self.media.read(found.start, min(found.end - found.start, _SIZE_LIMIT))
                if self._is_store(found, whole):
                    return found, whole
        return None

    def _is_store(self, found: Box, whole: bytes) -> bool:
        """Whether nothing but zeros and the items that are ours is in a box that says that it is our own."""
        if found.to_end or found.end - found.start > len(whole):
            return False
        rest = bytearray(whole)
        rest[: _BOX_HEAD + len(_SIGNATURE)] = bytes(_BOX_HEAD + len(_SIGNATURE))
        numbers = {ours.item.number for ours in self._ours.values()}
        for entry in self._directory.locations.entries:
            for offset, length in self._directory.pieces(entry) or ():
                if entry.number in numbers and _lies_in((offset, length), found):
                    rest[offset - found.start : offset - found.start + length] = bytes(length)
                elif _overlap((offset, length), (found.start, found.end - found.start)):
                    return False
        return not any(rest)

    @property
    def _place(self) -> int:
        """Where our box is to be, if there is none: at the end, but for what must stay there."""
        place = self.media.size
        for found in reversed(self._boxes):
            if found.kind in _BEFORE_OURS and not found.to_end:
                break
            place = found.start
        return place

    def _is_remade(self, kind: bytes) -> bool:
        """Whether an item's data lie in what is made anew when any of ours moves."""
        areas = [self._directory.box, *([self._store[0]] if self._store else [])]
        return any(_lies_in(piece, area) for piece in self._ours[kind].pieces for area in areas)

    def _length(self, kind: bytes) -> int | None:
        ours = self._ours.get(kind)
        return sum(length for _, length in ours.pieces) if ours else None

    def _data(self, kind: bytes) -> bytes | None:
        if kind not in self._ours:
            return None
        if kind not in self._read:
            self._read[kind] = b"".join(self.media.read(*piece) for piece in self._ours[kind].pieces)
        return self._read[kind]

    def _note(self, found: Box) -> None:
        self._boxes.append(found)
        if found.kind == _TYPE and len(self._boxes) > 1:
            self.refuse(Reason.UNSUPPORTED, "another file is appended to the file")
        if found.kind == UUID:
            name = self.media.read(found.data, len(XMP_UUID))
            if name == C2PA_UUID:
                self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")
            elif name == XMP_UUID:
                self.refuse(Reason.UNSUPPORTED, "the file has XMP outside of its directory of items")

    def _note_item(self, item: Item) -> None:
        if item.kind != _EXIF and (item.kind, item.mime.lower()) != (_XMP, _XMP_TYPE):
            return
        described = self._directory.described_by(item)
        if described and self._directory.primary not in described:
            return
        if not described:
            self.refuse(Reason.UNSUPPORTED, "the file has metadata that are not said to be about any picture")
        location = self._directory.locations.of(item.number)
        pieces = self._directory.pieces(location) if location else None
        if item.protected or item.encoding or not pieces or sum(length for _, length in pieces) > _SIZE_LIMIT:
            self.refuse(Reason.UNSUPPORTED, "the file's metadata are encrypted, compressed, or in an unknown place")
        elif len(pieces) > _PIECES_LIMIT:
            self.refuse(Reason.UNSUPPORTED, "the file's metadata are in very many pieces")
        elif item.kind in self._ours:
            self.refuse(Reason.UNSUPPORTED, "the main picture has several blocks of the same kind of metadata")
        else:
            self._ours[item.kind] = _Ours(item, pieces)

    def _check_places(self) -> None:
        """Refuse a file in which something else lies where our data do, or where the directory can grow."""
        numbers = {ours.item.number for ours in self._ours.values()}
        areas = sorted(piece for ours in self._ours.values() for piece in ours.pieces)
        sound = not any(_overlap(one, other) for one, other in pairwise(areas))
        for entry in self._directory.locations.entries:
            found = self._directory.pieces(entry)
            if entry.in_file and found is None:
                self.refuse(Reason.CORRUPT, "the file is cut off")
            pieces = found or ()
            if entry.in_file and len(pieces) == 1 and pieces[0][1] == 0:
                self.refuse(Reason.UNSUPPORTED, "the file has an item whose end is left open")
            foreign = [] if entry.number in numbers else areas
            sound = sound and not any(_overlap(piece, area) for piece in pieces for area in foreign)
            sound = sound and not (entry.in_file and any(self._is_astray(piece) for piece in pieces))
        if not sound:
            self.refuse(Reason.CORRUPT, "parts of the file lie on each other")

    def _is_astray(self, piece: Range) -> bool:
        """Whether a piece of data is not inside of one box, or in the directory or in the room that it has."""
        index = bisect_right(self._boxes, piece[0], key=lambda found: found.data) - 1
        around = self._boxes[index] if index >= 0 else None
        return around in (None, self._directory.box, self._room) or not _lies_in(piece, around)


def _exif_start(data: bytes) -> int:
    """Where the TIFF header is in the data of an Exif item."""
    return _OFFSET + int.from_bytes(data[:_OFFSET], "big")


def _lies_in(piece: Range, area: Box | None) -> bool:
    return area is not None and area.data <= piece[0] and sum(piece) <= area.end


def _overlap(one: Range, other: Range) -> bool:
    return one[0] < sum(other) and other[0] < sum(one)
