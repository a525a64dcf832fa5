"""JPEG: a chain of segments before the scan. Metadata lies in APP1 (XMP, Exif), APP2 (MPF) and APP13 (Photoshop)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import makernotes
from ..media import MediaFile
from ..patching import shift_of, trimmed
from ..plan import Patch
from ..problems import FileProblem, Reason
from . import mpf
from .blocks import Blocks
from .container import Container, Range

MAGIC = b"\xff\xd8\xff"
PAYLOAD_LIMIT = 65_533
"""What a segment can hold: its length counts itself and has 16 bits."""

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
EXIF = b"Exif\0"
EXIF_HEAD = 6
PHOTOSHOP = b"Photoshop 3.0\0"
_OLD_PHOTOSHOP = (b"Adobe_Photoshop2.5", b"\x1c\x02")
JFIF = (b"JFIF\0", b"JFXX\0")
_FOTOSTATION = b"\xa1\xb2\xc3\xd4"
_XMP_TRACES = (b"ns.adobe.com/xap/1.0/", b"<?xpacket", b"<x:xmpmeta")
_TRACES_WITHIN = 256
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


class Jpeg(Container):
    """A JPEG file, scanned up to its first scan."""

    places = "XMP, Exif, IPTC"
    takes_exif = True
    takes_iptc = True
    xmp_limit = PAYLOAD_LIMIT - len(XMP)

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._xmp: list[Segment] = []
        self._exif: list[Segment] = []
        self._photoshop: list[Segment] = []
        self._mpf: Segment | None = None
        self._insert_at = 2
        self._scan = 0
        try:
            for segment in _segments(media):
                self._note(segment)
                self._scan = segment.end
        except FileProblem as damage:
            if damage.reason is not Reason.CORRUPT:
                raise
            self.refuse(damage.reason, damage.message)
        if len(self._xmp) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        if len(self._exif) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several Exif blocks")
        end = media.read(max(media.size - 12, 0), 12)
        if end[:4] in (b"AXS!", b"AXS*"):
            self.refuse(Reason.UNSUPPORTED, "an AFCP trailer points into the file")
        if end.endswith(_FOTOSTATION):
            self.refuse(Reason.UNSUPPORTED, "the file has another IPTC block behind the picture")

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        if not self._xmp:
            return None
        segment = self._xmp[0]
        return self.media.read(segment.data + len(XMP), segment.length - len(XMP))

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""
        if not self._exif:
            return None
        return self._whole(self._exif[0])[EXIF_HEAD:]

    @property
    def resources(self) -> bytes | None:
        """Photoshop's image resources, of all segments that they are spread over."""
        if not self._photoshop:
            return None
        return b"".join(self._whole(segment)[len(PHOTOSHOP) :] for segment in self._photoshop)

    @property
    def content(self) -> tuple[Range, ...]:
        """The scans, and what comes behind them."""
        return ((self._scan, self.media.size - self._scan),) if self._scan else ()

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and the image directory in step."""
        patches: list[Patch] = []
        if isinstance(blocks.exif, bytes):
            patches += self._placed_exif(blocks.exif)
        if blocks.xmp is not None:
            patches += self._placed_xmp(XMP + blocks.xmp)
        if blocks.resources is not None:
            patches += self._placed_resources(blocks.resources)
        changing = [patch for patch in patches if patch.old != patch.new]
        patches = _merged(sorted(changing, key=lambda patch: (patch.offset, len(patch.old) > 0)))
        patches += self._dependents(patches)
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _dependents(self, patches: Sequence[Patch]) -> list[Patch]:
        """The patches to what points at places that `patches` move."""
        if self._exif:
            exif = self._exif[0]
            beyond = makernotes.beyond(self.media, exif.data + EXIF_HEAD, exif.end)
            start = shift_of(patches, exif.start)
            if any(shift_of(patches, target) != start for target in beyond):
                raise FileProblem(Reason.UNSUPPORTED, "the camera's notes point at a picture that would move")
        if self._mpf is None:
            return []
        at, length = self._mpf.data + len(mpf.SIGNATURE), self._mpf.length - len(mpf.SIGNATURE)
        return mpf.adjusted(self.media.read(at, length), at, patches)

    def _placed_xmp(self, payload: bytes) -> list[Patch]:
        if not self._xmp:
            return [Patch(self._insert_at, b"", _segment(_APP1, payload))]
        old = self._xmp[0]
        if self._mpf is not None and self._mpf.start < old.start and old.length != len(payload):
            # Growing it there would move the further images away from where the directory says they are.
            old_bytes = self.media.read(old.start, old.end - old.start)
            return [Patch(self._insert_at, b"", _segment(_APP1, payload)), Patch(old.start, old_bytes, b"")]
        return self._replaced(old, payload)

    def _placed_exif(self, block: bytes) -> list[Patch]:
        payload = EXIF + b"\0" + block
        if len(payload) > PAYLOAD_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, f"Exif needs {len(payload)} bytes, and {PAYLOAD_LIMIT} fit")
        if not self._exif:
            return [Patch(self._insert_at, b"", _segment(_APP1, payload))]
        old = self._exif[0]
        return self._replaced(old, self._payload(old, 0, EXIF_HEAD) + block)

    def _placed_resources(self, resources: bytes) -> list[Patch]:
        if not self._photoshop:
            if len(PHOTOSHOP) + len(resources) > PAYLOAD_LIMIT:
                raise FileProblem(Reason.TOO_LARGE, "the IPTC block does not fit into a segment")
            return [Patch(self._insert_at, b"", _segment(_APP13, PHOTOSHOP + resources))]
        change = trimmed(Patch(0, self.resources or b"", resources))
        position = 0
        for segment in self._photoshop:
            length = segment.length - len(PHOTOSHOP)
            if position <= change.offset and change.offset + len(change.old) <= position + length:
                at = change.offset - position + len(PHOTOSHOP)
                old = self._whole(segment)
                payload = old[:at] + change.new + old[at + len(change.old) :]
                if len(payload) > PAYLOAD_LIMIT:
                    break
                return self._replaced(segment, payload)
            position += length
        raise FileProblem(Reason.UNSUPPORTED, "the IPTC block is spread over several segments, or would have to be")

    def _replaced(self, old: Segment, payload: bytes) -> list[Patch]:
        if old.length == len(payload):
            return [Patch(old.data, self._whole(old), payload)]
        return [Patch(old.start, self.media.read(old.start, old.end - old.start), _segment(old.marker, payload))]

    def _whole(self, segment: Segment) -> bytes:
        return self._payload(segment, 0, segment.length)

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
        elif segment.marker == _APP13:
            self._note_app13(segment)
        elif segment.marker == _APP11 and b"c2pa" in self._payload(segment, 0, 256):
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")

    def _note_app1(self, segment: Segment) -> None:
        if self._starts(segment, EXIF):
            self._insert_at = segment.end
            self._exif.append(segment)
        elif self._starts(segment, XMP):
            self._xmp.append(segment)
        elif self._starts(segment, EXTENDED_XMP):
            self.refuse(Reason.UNSUPPORTED, "the file's XMP is spread over several segments")
        elif any(trace in self._payload(segment, 0, _TRACES_WITHIN) for trace in _XMP_TRACES):
            self.refuse(Reason.UNSUPPORTED, "the file has XMP in a segment that is not marked as such")

    def _note_app13(self, segment: Segment) -> None:
        if self._starts(segment, PHOTOSHOP):
            self._photoshop.append(segment)
        elif self._starts(segment, *_OLD_PHOTOSHOP):
            self.refuse(Reason.UNSUPPORTED, "the file has IPTC in an outdated place")

    def _payload(self, segment: Segment, offset: int, length: int) -> bytes:
        return self.media.read(segment.data + offset, min(length, segment.length - offset))

    def _starts(self, segment: Segment, *signatures: bytes) -> bool:
        return self._payload(segment, 0, len(EXTENDED_XMP)).startswith(signatures)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def _merged(patches: list[Patch]) -> list[Patch]:
    """The patches, with insertions made one with what comes next at the same place."""
    found: list[Patch] = []
    for patch in patches:
        if found and found[-1].offset == patch.offset and not found[-1].old:
            found[-1] = Patch(patch.offset, patch.old, found[-1].new + patch.new)
        else:
            found.append(patch)
    return found


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
