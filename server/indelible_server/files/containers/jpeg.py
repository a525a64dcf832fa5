"""JPEG: a chain of segments before the scan. Metadata lies in APP1 (XMP, Exif), APP2 (MPF) and APP13 (Photoshop)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from . import mpf

MAGIC = b"\xff\xd8\xff"
PAYLOAD_LIMIT = 65_533
"""What a segment can hold: its length counts itself and has 16 bits."""

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
EXIF = b"Exif\0"
PHOTOSHOP = b"Photoshop 3.0\0"
JFIF = (b"JFIF\0", b"JFXX\0")
_APP0, _APP1, _APP2, _APP11, _APP13 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SEGMENTS_LIMIT = 4096
_FILL_LIMIT = 65_536


@dataclass(frozen=True)
class Segment:
    """A segment: `start` is the offset of its marker (behind fill bytes), `data` that of its payload."""

    marker: int
    start: int
    data: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind the segment."""
        return self.data + self.length


class Jpeg:
    """A JPEG file, scanned up to its first scan."""

    def __init__(self, media: MediaFile) -> None:
        self.width: int | None = None
        self.height: int | None = None
        self.refusal: FileProblem | None = None
        self.legacy = False
        self.xmp_limit = PAYLOAD_LIMIT - len(XMP)
        self._media = media
        self._xmp: list[Segment] = []
        self._mpf: Segment | None = None
        self._insert_at = 2
        try:
            for segment in _segments(media):
                self._note(segment)
        except FileProblem as damage:
            if damage.reason is not Reason.CORRUPT:
                raise
            self._refuse(damage.reason, damage.message)
        if len(self._xmp) > 1:
            self._refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        if media.read(max(media.size - 12, 0), 4) in (b"AXS!", b"AXS*"):
            self._refuse(Reason.UNSUPPORTED, "an AFCP trailer points into the file")

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        if not self._xmp:
            return None
        segment = self._xmp[0]
        return self._media.read(segment.data + len(XMP), segment.length - len(XMP))

    def set_xmp(self, packet: bytes) -> tuple[Patch, ...]:
        """The patches that put this packet in the place of the old one, and the image directory in step."""
        patches = self._placed(XMP + packet)
        if self._mpf is not None:
            start, length = self._mpf.data + len(mpf.SIGNATURE), self._mpf.length - len(mpf.SIGNATURE)
            patches += mpf.adjusted(self._media.read(start, length), start, patches)
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _placed(self, payload: bytes) -> list[Patch]:
        segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
        if not self._xmp:
            return [Patch(self._insert_at, b"", segment)]
        old = self._xmp[0]
        if old.length == len(payload):
            return [Patch(old.data, self._media.read(old.data, old.length), payload)]
        old_bytes = self._media.read(old.start, old.end - old.start)
        if self._mpf is not None and self._mpf.start < old.start:
            # Growing it there would move the further images away from where the directory says they are.
            return [Patch(self._insert_at, b"", segment), Patch(old.start, old_bytes, b"")]
        return [Patch(old.start, old_bytes, segment)]

    def _note(self, segment: Segment) -> None:
        if segment.marker in _FRAMES and self.width is None:
            height, width = (self._payload(segment, 1, 2), self._payload(segment, 3, 2))
            self.height, self.width = int.from_bytes(height, "big"), int.from_bytes(width, "big")
        elif segment.marker == _APP0 and self._starts(segment, *JFIF):
            self._insert_at = segment.end
        elif segment.marker == _APP1:
            self._note_app1(segment)
        elif segment.marker == _APP2 and self._starts(segment, mpf.SIGNATURE):
            self._mpf = self._mpf or segment
        elif segment.marker == _APP13 and self._starts(segment, PHOTOSHOP):
            self.legacy = self.legacy or b"8BIM\4\4" in self._payload(segment, 0, segment.length)
        elif segment.marker == _APP11 and b"c2pa" in self._payload(segment, 0, 256):
            self._refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")

    def _note_app1(self, segment: Segment) -> None:
        if self._starts(segment, EXIF):
            self._insert_at = segment.end
            self.legacy = True
        elif self._starts(segment, XMP):
            self._xmp.append(segment)
        elif self._starts(segment, EXTENDED_XMP):
            self._refuse(Reason.UNSUPPORTED, "the file's XMP is spread over several segments")

    def _payload(self, segment: Segment, offset: int, length: int) -> bytes:
        return self._media.read(segment.data + offset, min(length, segment.length - offset))

    def _starts(self, segment: Segment, *signatures: bytes) -> bool:
        return self._payload(segment, 0, len(EXTENDED_XMP)).startswith(signatures)

    def _refuse(self, reason: Reason, message: str) -> None:
        if self.refusal is None:
            self.refusal = FileProblem(reason, message)


def _segments(media: MediaFile) -> Iterator[Segment]:
    """The segments up to the first scan; raises `FileProblem` (CORRUPT) where the chain breaks."""
    size = media.size
    position = 2
    for _ in range(_SEGMENTS_LIMIT):
        start = _skip_fill(media, position)
        marker = media.read(start, 4)
        if len(marker) < 4 or marker[0] != 0xFF:
            break
        if marker[1] == _SOS:
            return
        if marker[1] in _ALONE:
            position = start + 2
            continue
        segment = Segment(marker[1], start, start + 4, int.from_bytes(marker[2:], "big") - 2)
        if marker[1] in (0, _EOI, 0xD8) or segment.length < 0 or segment.end > size:
            break
        yield segment
        position = segment.end
    raise FileProblem(Reason.CORRUPT, "the file's segments are damaged")


def _skip_fill(media: MediaFile, position: int) -> int:
    """The offset of the last 0xFF of a marker's fill bytes."""
    end = position + _FILL_LIMIT
    while position < end and media.read(position, 2) == b"\xff\xff":
        position += 1
    return position
