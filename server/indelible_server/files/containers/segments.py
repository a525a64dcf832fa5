"""The segments of a JPEG: what is before the first scan, in pieces with a marker and a length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..media import MediaFile
from ..problems import FileProblem, Reason

PAYLOAD_LIMIT = 65_533
"""What a segment can hold: its length counts itself and has 16 bits."""
APP0, APP1, APP2, APP11, APP13, COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xFE
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SEGMENTS_LIMIT = 4096
_FILL_LIMIT = 65_536


class Segment(NamedTuple):
    """A segment: `start` is the offset of its marker (behind fill bytes), `data` that of its payload."""

    marker: int
    start: int
    data: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind the segment."""
        return self.data + self.length


def made(marker: int, payload: bytes) -> bytes:
    """The bytes of a segment."""
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def segments(media: MediaFile) -> Iterator[Segment]:
    """The segments up to the first scan; raises `FileProblem` (CORRUPT) where the chain breaks."""
    size = media.size
    position = 2
    for _ in range(_SEGMENTS_LIMIT):
        start, marker = position, media.read(position, 4)
        if marker[:2] == b"\xff\xff":
            start = _skip_fill(media, position)
            marker = media.read(start, 4)
        if len(marker) < 4 or marker[:2] == bytes([0xFF, _EOI]):
            raise FileProblem(Reason.CORRUPT, "the file is cut off: it ends before the picture begins")
        if marker[0] != 0xFF:
            break
        if marker[1] == _SOS:
            return
        if marker[1] in _ALONE:
            position = start + 2
            continue
        segment = Segment(marker[1], start, start + 4, int.from_bytes(marker[2:], "big") - 2)
        if marker[1] in (0, _SOI) or segment.length < 0:
            break
        if segment.end > size:
            raise FileProblem(Reason.CORRUPT, "the file is cut off: it ends before the picture begins")
        yield segment
        position = segment.end
    raise FileProblem(Reason.CORRUPT, "the file's segments are damaged")


def _skip_fill(media: MediaFile, position: int) -> int:
    """The offset of the last 0xFF of a marker's fill bytes."""
    end = position + _FILL_LIMIT
    while position < end and media.read(position, 2) == b"\xff\xff":
        position += 1
    return position
