"""Pages, as Ogg is made of them: up to 255 segments of packets each, numbered and with a checksum."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..media import MediaFile
from ..problems import FileProblem, Reason

MAGIC = b"OggS"
SEGMENTS = 255
"""How many segments a page can have."""
SEGMENT = 255
"""What a segment can hold; one that is shorter ends its packet."""
PAGE_LIMIT = 27 + SEGMENTS + SEGMENTS * SEGMENT
UNFINISHED = (1 << 64) - 1
"""The position of a page on which no packet ends."""

_HEAD = struct.Struct("<4sBBQIIIB")
_CONTINUED, _BEGINS = 1, 2
_CHECKSUM = 22
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """A page. `position` is how far the sound has come when it ends; `sizes` are its segments' lengths."""

    start: int
    flags: int
    position: int
    serial: int
    number: int
    sizes: bytes
    payload: bytes

    @property
    def data(self) -> int:
        """The offset of its payload."""
        return self.start + _HEAD.size + len(self.sizes)

    @property
    def end(self) -> int:
        """The offset behind the page."""
        return self.data + len(self.payload)

    @property
    def checksum(self) -> int:
        """The offset of its checksum."""
        return self.start + _CHECKSUM

    @property
    def begins(self) -> bool:
        """Whether a stream begins with it."""
        return bool(self.flags & _BEGINS)

    @property
    def continues(self) -> bool:
        """Whether it begins with the rest of a packet."""
        return bool(self.flags & _CONTINUED)

    @property
    def packets_ended(self) -> int:
        """How many packets end on it."""
        return sum(size < SEGMENT for size in self.sizes)

    @property
    def is_closed(self) -> bool:
        """Whether its last packet ends on it."""
        return self.sizes[-1:] < bytes([SEGMENT])

    def to_bytes(self) -> bytes:
        """The page as it is stored, with the checksum that it must have."""
        head = _HEAD.pack(MAGIC, 0, self.flags, self.position, self.serial, self.number, 0, len(self.sizes))
        data = head + self.sizes + self.payload
        return data[:_CHECKSUM] + _checksum(data) + data[_CHECKSUM + 4 :]


def page_at(media: MediaFile, start: int) -> Page:
    """The page at an offset; raises `FileProblem` (CORRUPT) if there is none, or it is damaged."""
    head = media.read(start, _HEAD.size)
    if len(head) == _HEAD.size:
        magic, version, flags, position, serial, number, _, count = _HEAD.unpack(head)
        sizes = media.read(start + _HEAD.size, count)
        payload = media.read(start + _HEAD.size + count, sum(sizes))
        page = Page(start, flags, position, serial, number, sizes, payload)
        whole = len(sizes) == count and len(payload) == sum(sizes)
        if whole and magic == MAGIC and not version and page.to_bytes() == head + sizes + payload:
            return page
    raise FileProblem(Reason.CORRUPT, "the file's first pages are damaged")


def last_of(media: MediaFile) -> tuple[set[int], int]:
    """The serial numbers of the streams that the file ends with, and how far the last of them comes in the end."""
    tail = media.read(max(media.size - PAGE_LIMIT, 0), PAGE_LIMIT)
    serials, furthest = set(), 0
    at = tail.find(MAGIC + b"\0")
    while at >= 0:
        head = tail[at : at + _HEAD.size]
        if len(head) == _HEAD.size and head[5] < 8:
            _, _, _, position, serial, *_ = _HEAD.unpack(head)
            serials.add(serial)
            furthest = furthest if position == UNFINISHED else position
        at = tail.find(MAGIC + b"\0", at + 1)
    return serials, furthest


def packets_of(pages: Sequence[Page]) -> list[bytes]:
    """The packets on these pages, the last of which must end there."""
    payload, packets, start, end = b"".join(page.payload for page in pages), [], 0, 0
    for size in b"".join(page.sizes for page in pages):
        end += size
        if size < SEGMENT:
            packets.append(payload[start:end])
            start = end
    return packets


def relaid(pages: Sequence[Page], packets: Sequence[bytes]) -> list[Page]:
    """As many pages as before, with other packets spread evenly over them.

    Raises `FileProblem` (TOO_LARGE, UNSUPPORTED) if they are too many or too few for these packets: another number of
    pages would mean another number on each page of the file.
    """
    sizes = b"".join(_sizes(len(packet)) for packet in packets)
    if len(sizes) > SEGMENTS * len(pages):
        raise FileProblem(Reason.TOO_LARGE, "there is no room for this in the file's first pages")
    if len(sizes) < len(pages):
        raise FileProblem(Reason.UNSUPPORTED, "the file's first pages would become fewer")
    payload, position = b"".join(packets), 0
    bounds = [len(sizes) * index // len(pages) for index in range(len(pages) + 1)]
    found: list[Page] = []
    for page, (first, end) in zip(pages, pairwise(bounds), strict=True):
        mine = sizes[first:end]
        flags = page.flags & ~_CONTINUED | (_CONTINUED if first and sizes[first - 1] == SEGMENT else 0)
        length = sum(mine)
        # A page of headers is at the very beginning of the sound, if anything ends on it at all.
        until = 0 if min(mine) < SEGMENT else UNFINISHED
        found.append(
            Page(page.start, flags, until, page.serial, page.number, mine, payload[position : position + length])
        )
        position += length
    return found


def room_on(pages: Sequence[Page], others: Sequence[bytes]) -> int:
    """How long a packet can be that shares these pages with others."""
    segments = SEGMENTS * len(pages) - sum(len(_sizes(len(packet))) for packet in others)
    return segments * SEGMENT - 1


def _sizes(length: int) -> bytes:
    return bytes([SEGMENT]) * (length // SEGMENT) + bytes([length % SEGMENT])


def _checksum(data: bytes) -> bytes:
    """Ogg's checksum: that of zlib with the bits of all bytes and of the sum in the other order, and none inverted."""
    inverted = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    # The bits in the other order, as a little-endian number.
    return inverted.to_bytes(4, "big").translate(_REVERSED)
