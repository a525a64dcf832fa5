"""Exif and IPTC made byte by byte."""

from __future__ import annotations

import hashlib
import struct

from unit.files.library import segment

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, BYTE, SRATIONAL = 2, 3, 4, 5, 7, 1, 10
_SIZES = {ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, BYTE: 1, SRATIONAL: 8}
_EXIF, _GPS = 0x8769, 0x8825
Values = dict[int, tuple[int, bytes]]


def text(value: str) -> tuple[int, bytes]:
    """An ASCII value."""
    return ASCII, value.encode() + b"\0"


def wide(value: str) -> tuple[int, bytes]:
    """A Windows value."""
    return BYTE, value.encode("utf-16-le") + b"\0\0"


def tiff(order: str, image: Values, exif: Values | None = None, gps: Values | None = None) -> bytes:
    """A TIFF block with these directories, the values of each behind it, and a thumbnail."""
    block = bytearray({"<": b"II*\0", ">": b"MM\0*"}[order] + bytes(4))

    def directory(values: Values, follower: bool) -> int:
        at = len(block)
        block.extend(bytes(2 + 12 * len(values) + 4))
        table = struct.pack(f"{order}H", len(values))
        for tag, (kind, data) in sorted(values.items()):
            table += struct.pack(f"{order}HHI", tag, kind, len(data) // _SIZES[kind])
            if len(data) > 4:
                table += struct.pack(f"{order}I", len(block))
                block.extend(data + bytes(len(data) % 2))
            else:
                table += data.ljust(4, b"\0")
        table += struct.pack(f"{order}I", len(block) if follower else 0)
        block[at : at + len(table)] = table
        return at

    pointers = {}
    for tag, values in ((_EXIF, exif), (_GPS, gps)):
        if values is not None:
            pointers[tag] = (LONG, struct.pack(f"{order}I", directory(values, False)))
    struct.pack_into(f"{order}I", block, 4, len(block))
    directory(image | pointers, True)
    thumbnail = len(block) + 2 + 24 + 4
    number = struct.Struct(f"{order}I").pack
    directory({0x0201: (LONG, number(thumbnail)), 0x0202: (LONG, number(9))}, False)
    return bytes(block) + b"thumbnail"


def with_note(order: str, image: Values) -> bytes:
    """A block with a maker's note whose one entry points, from the block's start, at the note's last 16 bytes."""

    def build(at: int) -> bytes:
        entry = struct.pack(f"{order}HHHII", 1, 0x0007, ASCII, 16, at + 18)
        return tiff(order, image, {0x927C: (UNDEFINED, entry + bytes(4) + b"secret of camera"), 0x9003: DATE})

    return build(build(0).index(b"secret") - 18)


DATE = text("2020:01:02 03:04:05")


def noted(block: bytes, order: str) -> bytes:
    """What the entry of the maker's note points at."""
    at = block.index(b"secret") - 18
    (offset,) = struct.unpack_from(f"{order}I", block, at + 10)
    return block[offset : offset + 16]


def exif_segment(block: bytes) -> bytes:
    """An APP1 segment with an Exif block."""
    return segment(0xE1, b"Exif\0\0" + block)


def exif_of(content: bytes) -> bytes:
    """The Exif block of a file that has its Exif segment first."""
    at = content.index(b"Exif\0\0")
    (length,) = struct.unpack_from(">H", content, at - 2)
    return content[at + 6 : at - 2 + length]


def dataset(number: int, value: bytes) -> bytes:
    """An IIM dataset; 2005 is 2:05."""
    return struct.pack(">BBBH", 0x1C, *divmod(number, 1000), len(value)) + value


def resource(number: int, data: bytes) -> bytes:
    """One of Photoshop's image resources, with a name."""
    return b"8BIM" + struct.pack(">H", number) + b"\x03abc" + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)


def iptc_segment(iptc: bytes, digest: bytes | None = None) -> bytes:
    """An APP13 segment with this IPTC block, and other resources around it."""
    parts = resource(0x03ED, b"resolution odd") + resource(0x0404, iptc) + resource(0x040A, b"x")
    if digest is not None:
        parts += resource(0x0425, digest)
    return segment(0xED, b"Photoshop 3.0\0" + parts)


def digest_of(iptc: bytes) -> bytes:
    """The digest that says that XMP is as new as this block."""
    return hashlib.md5(iptc).digest()


def resource_list(content: bytes) -> list[tuple[int, bytes]]:
    """The image resources of a file, in their order, joined over all segments."""
    data, found, position = b"", [], 0
    for at in range(len(content)):
        if content.startswith(b"Photoshop 3.0\0", at):
            (length,) = struct.unpack_from(">H", content, at - 2)
            data += content[at + 14 : at - 2 + length]
    while position < len(data):
        (number,) = struct.unpack_from(">H", data, position + 4)
        start = position + 6 + (data[position + 6] + 2 & ~1) + 4
        (size,) = struct.unpack_from(">I", data, start - 4)
        found.append((number, data[start : start + size]))
        position = start + size + size % 2
    return found


def resources_of(content: bytes) -> dict[int, bytes]:
    """The image resources of a file, by their numbers."""
    return dict(resource_list(content))


def datasets_in(data: bytes) -> list[tuple[int, bytes]]:
    """The datasets of an IPTC block, in their order."""
    found, position = [], 0
    while position < len(data):
        _, record, number, size = struct.unpack_from(">BBBH", data, position)
        found.append((record * 1000 + number, data[position + 5 : position + 5 + size]))
        position += 5 + size
    return found


def datasets_of(content: bytes) -> list[tuple[int, bytes]]:
    """The datasets of a file's IPTC block, in their order."""
    return datasets_in(resources_of(content)[0x0404])
