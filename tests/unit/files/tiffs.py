"""TIFF files made byte by byte, and looked at."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from indelible_server.files.exif import Ifd
from indelible_server.files.exif_file import FileExif
from indelible_server.files.plan import Patch
from indelible_server.files.tags import Tags
from indelible_server.files.tiff_file import TiffFile
from PIL import Image, ImageSequence
from unit.files.native import ASCII, BYTE, LONG, SHORT, UNDEFINED, Values, dataset

LONG8, IFD8 = 16, 18
XMP, IPTC, PSIR, SUB = 0x02BC, 0x83BB, 0x8649, 0x014A
OLD_IPTC = dataset(2000, b"\0\4") + dataset(2005, b"old title") + dataset(2025, b"word")
DNG: Values = {0xC612: (BYTE, b"\1\4\0\0"), 0x00FE: (LONG, struct.pack("<I", 1))}
_SIZES = {ASCII: 1, SHORT: 2, LONG: 4, 5: 8, UNDEFINED: 1, BYTE: 1, LONG8: 8, IFD8: 8, 99: 1}
EVERYTHING: Tags = {
    "title": "Größe",
    "headline": "H",
    "description": "a caption " * 20,
    "keywords": ["a", "b|c"],
    "people": ["Ann"],
    "event": "E",
    "rating": 4,
    "label": "Red",
    "creators": ["A", "B; C"],
    "copyright": "©",
    "place.city": "Bern",
    "gps": {"lat": -47.3768866, "lon": 8.541694, "alt": -12.25},
    "taken_at": "2021-03-04T05:06:07.25+02:00",
}


@dataclass
class Maker:
    """Makes a file of gray pages, 8 by 2, in two strips each. `later` are the values of the pages behind the first."""

    order: str = "<"
    big: bool = False
    image: Values = field(default_factory=dict)
    exif: Values | None = None
    later: tuple[Values, ...] = ()
    sub: Values | None = None
    strips: int = 2
    begin: bytes = b""
    tail: int = 0

    def number(self, code: str, *numbers: int) -> bytes:
        return struct.pack(f"{self.order}{len(numbers)}{code}", *numbers)

    def made(self) -> bytes:
        self.block = bytearray(self._head(0) + self.begin)
        image = dict(self.image)
        if self.exif is not None:
            image[Ifd.EXIF] = self._pointer(self._directory(self.exif))
        if self.sub is not None:
            image[SUB] = self._pointer(self._directory(self._picture(9) | self.sub))
        followers = self.tail
        for number, values in reversed(list(enumerate(self.later, 2))):
            followers = self._directory(self._picture(number) | values, followers)
        first = self._directory(self._picture(1) | image, followers)
        self.block[: len(self._head(0))] = self._head(first)
        return bytes(self.block)

    def _head(self, first: int) -> bytes:
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + self.number("H", 43, 8, 0) + self.number("Q", first)
        return mark + self.number("H", 42) + self.number("I", first)

    def _pointer(self, at: int) -> tuple[int, bytes]:
        return (IFD8, self.number("Q", at)) if self.big else (LONG, self.number("I", at))

    def _picture(self, number: int) -> Values:
        at = len(self.block)
        self.block += b"".join(bytes([number, 16 * strip % 256]) * 4 for strip in range(self.strips))
        short = {0x0100: 8, 0x0101: self.strips, 0x0102: 8, 0x0103: 1, 0x0106: 1, 0x0115: 1, 0x0116: 1}
        offsets = self.number("I", *range(at, len(self.block), 8))
        values: Values = {tag: (SHORT, self.number("H", value)) for tag, value in short.items()}
        return values | {0x0111: (LONG, offsets), 0x0117: (LONG, self.number("I", *[8] * self.strips))}

    def _directory(self, values: Values, follower: int = 0) -> int:
        inline, code = (8, "Q") if self.big else (4, "I")
        entries = b""
        for tag, (kind, data) in sorted(values.items()):
            entries += self.number("H", tag, kind) + self.number(code, len(data) // _SIZES[kind])
            if len(data) > inline:
                entries += self.number(code, len(self.block))
                self.block += data + bytes(len(data) % 2)
            else:
                entries += data.ljust(inline, b"\0")
        at = len(self.block)
        self.block += self.number("Q" if self.big else "H", len(values)) + entries + self.number(code, follower)
        return at


@dataclass
class Memory:
    """A file in memory."""

    content: bytes
    bytes_read: int = 0

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        data = self.content[offset : offset + length]
        self.bytes_read += len(data)
        return data


def exif_of(content: bytes) -> FileExif:
    return FileExif(TiffFile(Memory(content)))


def value(content: bytes, tag: int, ifd: Ifd = Ifd.IMAGE) -> bytes | None:
    return exif_of(content).value(ifd, tag)


def pages(content: bytes) -> list[bytes]:
    """The pixels of each page, as Pillow sees them; it cannot read the rarest layout."""
    if content.startswith(b"MM\0+"):
        return list(walked(content))
    with Image.open(io.BytesIO(content)) as image:
        return [page.tobytes() for page in ImageSequence.Iterator(image)]


def walked(content: bytes) -> Iterator[bytes]:
    """The strips of each page of a BigTIFF in big-endian order."""
    (at,) = struct.unpack_from(">Q", content, 8)
    while at:
        (count,) = struct.unpack_from(">Q", content, at)
        entries = [struct.unpack_from(">HHQ8s", content, at + 8 + 20 * index) for index in range(count)]
        strips = next(data for tag, _, _, data in entries if tag == 0x0111)
        yield b"".join(content[strip : strip + 8] for strip in struct.unpack(">2I", strips))
        (at,) = struct.unpack_from(">Q", content, at + 8 + 20 * count)


def patched(content: bytes, patches: tuple[Patch, ...]) -> bytes:
    """The file with its patches, which change it where it is, or at its end."""
    after = bytearray(content)
    for patch in patches:
        assert content[patch.offset : patch.offset + len(patch.old)] == patch.old
        assert len(patch.old) == len(patch.new) or patch.offset + len(patch.old) == len(content)
        after[patch.offset : patch.offset + len(patch.old)] = patch.new
    return bytes(after)
