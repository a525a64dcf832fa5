"""JPEG: a chain of segments before the scan. Metadata lies in APP1 (XMP, Exif), APP2 (MPF) and APP13 (Photoshop).

Comments are texts of its own, and old programs hang a further IPTC block behind the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import makernotes
from ..media import MediaFile
from ..patching import shift_of, trimmed
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import COMMENTS, TextKind, Texts
from . import extended_xmp, mpf
from .blocks import Blocks
from .container import Container, Range
from .segments import APP0, APP1, APP2, APP11, APP13, COMMENT, FRAMES, PAYLOAD_LIMIT, Segment, made, segments
from .trailers import Trailer, trailers

MAGIC = b"\xff\xd8\xff"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_SPOILED = b"XMP\0" + XMP[4:]
EXIF = b"Exif\0"
EXIF_HEAD = 6
PHOTOSHOP = b"Photoshop 3.0\0"
_OLD_PHOTOSHOP = (b"Adobe_Photoshop2.5", b"\x1c\x02")
JFIF = (b"JFIF\0", b"JFXX\0")
_XMP_TRACES = (b"ns.adobe.com/xap/1.0/", b"<?xpacket", b"<x:xmpmeta")
_TRACES_WITHIN = 256
_COMMENT_LIMIT = 10_000
"""A longer comment is no caption."""


class Jpeg(Container):
    """A JPEG file, scanned up to its first scan."""

    places = "XMP, Exif, IPTC"
    takes_exif = True
    takes_iptc = True
    xmp_limit = PAYLOAD_LIMIT - len(XMP)

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._xmp: list[Segment] = []
        self._extended_xmp: list[Segment] = []
        self._exif: list[Segment] = []
        self._photoshop: list[Segment] = []
        self._comments: dict[str, Segment] = {}
        self._mpf: Segment | None = None
        self._trailers: list[Trailer] = []
        self._insert_at = 2
        self._scan = 0
        try:
            for segment in segments(media):
                self._note(segment)
                self._scan = segment.end
            self._trailers += trailers(media)
        except FileProblem as problem:
            if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED):
                raise
            self.refuse(problem.reason, problem.message)
        if len(self._xmp) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        if len(self._exif) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several Exif blocks")
        if self._comments:
            self.texts = Texts(TextKind.JPEG, {key: [self._text(segment)] for key, segment in self._comments.items()})

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        if not self._xmp:
            return None
        segment = self._xmp[0]
        return self.media.read(segment.data + len(XMP), segment.length - len(XMP))

    def extended_xmp(self, guid: str) -> bytes | None:
        """The part of XMP that the main packet refers to by this name."""
        return extended_xmp.joined((self._whole(segment) for segment in self._extended_xmp), guid)

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
    def further_iptc(self) -> tuple[bytes, ...]:
        """The IPTC blocks behind the picture."""
        return tuple(self.media.read(*place) for place in self._iptc_places())

    @property
    def content(self) -> tuple[Range, ...]:
        """The scans, and what comes behind them up to the first trailer with metadata."""
        end = min((trailer.start for trailer in self._trailers), default=self.media.size)
        return ((self._scan, end - self._scan),) if self._scan else ()

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and what points at places in step."""
        patches: list[Patch] = []
        if isinstance(blocks.exif, bytes):
            patches += self._placed_exif(blocks.exif)
        if blocks.xmp is not None:
            patches += self._placed_xmp(XMP + blocks.xmp)
        if blocks.resources is not None:
            patches += self._placed_resources(blocks.resources)
        for key, texts in blocks.texts.items():
            patches += self._placed_comment(self._comments[key], texts)
        for (start, length), block in zip(self._iptc_places(), blocks.further_iptc, strict=False):
            patches += [] if block is None else [Patch(start, self.media.read(start, length), block)]
        changing = [patch for patch in patches if patch.old != patch.new]
        patches = _merged(sorted(changing, key=lambda patch: (patch.offset, len(patch.old) > 0)))
        patches = self._with_pointers(patches)
        patches += self._dependents(patches)
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _dependents(self, patches: Sequence[Patch]) -> list[Patch]:
        """The patches to what counts or points at places that `patches` move."""
        found = [patch for trailer in self._trailers for patch in trailer.adjusted(self.media, patches)]
        if self._mpf is not None:
            at, length = self._mpf.data + len(mpf.SIGNATURE), self._mpf.length - len(mpf.SIGNATURE)
            found += mpf.adjusted(self.media.read(at, length), at, self.media.size, patches)
        return found

    def _with_pointers(self, patches: list[Patch]) -> list[Patch]:
        """The patches, and among them those to the camera's notes that point at pictures behind the Exif block."""
        if not self._exif:
            return patches
        exif = self._exif[0]
        start = shift_of(patches, exif.start)
        for pointer in makernotes.pointers(self.media, exif.data + EXIF_HEAD, exif.end):
            growth = shift_of(patches, pointer.target) - start
            if growth:
                patches = _overlaid(patches, Patch(pointer.at, pointer.old, pointer.moved(growth)))
        return patches

    def _placed_xmp(self, payload: bytes) -> list[Patch]:
        if not self._xmp:
            return [Patch(self._insert_at, b"", made(APP1, payload))]
        old = self._xmp[0]
        if self._mpf is not None and self._mpf.start < old.start and old.length != len(payload):
            # Growing it there would move the further images away from where the directory says they are.
            old_bytes = self.media.read(old.start, old.end - old.start)
            return [Patch(self._insert_at, b"", made(APP1, payload)), Patch(old.start, old_bytes, b"")]
        return self._replaced(old, payload)

    def _placed_exif(self, block: bytes) -> list[Patch]:
        payload = EXIF + b"\0" + block
        if len(payload) > PAYLOAD_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, f"Exif needs {len(payload)} bytes, and {PAYLOAD_LIMIT} fit")
        if not self._exif:
            return [Patch(self._insert_at, b"", made(APP1, payload))]
        old = self._exif[0]
        return self._replaced(old, self._payload(old, 0, EXIF_HEAD) + block)

    def _placed_resources(self, resources: bytes) -> list[Patch]:
        within = self._within_one_segment(resources)
        if within is not None:
            return within
        room = PAYLOAD_LIMIT - len(PHOTOSHOP)
        parts = (resources[at : at + room] for at in range(0, len(resources), room))
        new = b"".join(made(APP13, PHOTOSHOP + part) for part in parts)
        if not self._photoshop:
            return [Patch(self._insert_at, b"", new)]
        # Readers join neighbours, so all are put where the first one was.
        old = [Patch(one.start, self.media.read(one.start, one.end - one.start), b"") for one in self._photoshop]
        return [Patch(old[0].offset, old[0].old, new), *old[1:]]

    def _within_one_segment(self, resources: bytes) -> list[Patch] | None:
        """The patches, if only one of the segments has to change and what it gains fits into it."""
        change = trimmed(Patch(0, self.resources or b"", resources))
        position = 0
        for segment in self._photoshop:
            length = segment.length - len(PHOTOSHOP)
            if position <= change.offset and change.offset + len(change.old) <= position + length:
                at = change.offset - position + len(PHOTOSHOP)
                old = self._whole(segment)
                payload = old[:at] + change.new + old[at + len(change.old) :]
                return self._replaced(segment, payload) if len(payload) <= PAYLOAD_LIMIT else None
            position += length
        return None

    def _placed_comment(self, old: Segment, texts: tuple[str, ...]) -> list[Patch]:
        if texts:
            return self._replaced(old, texts[0].encode()[:PAYLOAD_LIMIT])
        return [Patch(old.start, self.media.read(old.start, old.end - old.start), b"")]

    def _replaced(self, old: Segment, payload: bytes) -> list[Patch]:
        if old.length == len(payload):
            return [Patch(old.data, self._whole(old), payload)]
        return [Patch(old.start, self.media.read(old.start, old.end - old.start), made(old.marker, payload))]

    def _iptc_places(self) -> list[Range]:
        return [trailer.iptc for trailer in self._trailers if trailer.iptc]

    def _text(self, segment: Segment) -> str:
        data = self._whole(segment)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def _whole(self, segment: Segment) -> bytes:
        return self._payload(segment, 0, segment.length)

    def _note(self, segment: Segment) -> None:
        if segment.marker in FRAMES and self.width is None:
            height, width = (self._payload(segment, 1, 2), self._payload(segment, 3, 2))
            self.height, self.width = int.from_bytes(height, "big"), int.from_bytes(width, "big")
        elif segment.marker == APP0 and self._starts(segment, *JFIF):
            self._insert_at = segment.end
        elif segment.marker == APP1:
            self._note_app1(segment)
        elif segment.marker == APP2 and self._starts(segment, mpf.SIGNATURE):
            self._mpf = self._mpf or segment
        elif segment.marker == APP13:
            self._note_app13(segment)
        elif segment.marker == COMMENT and segment.length <= _COMMENT_LIMIT and len(self._comments) < len(COMMENTS):
            self._comments[COMMENTS[len(self._comments)]] = segment
        elif segment.marker == APP11 and b"c2pa" in self._payload(segment, 0, 256):
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")

    def _note_app1(self, segment: Segment) -> None:
        if self._starts(segment, EXIF):
            self._insert_at = segment.end
            self._exif.append(segment)
        elif self._starts(segment, XMP, _XMP_SPOILED):
            self._xmp.append(segment)
        elif self._starts(segment, extended_xmp.SIGNATURE):
            self._extended_xmp.append(segment)
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
        return self._payload(segment, 0, len(extended_xmp.SIGNATURE)).startswith(signatures)


def _merged(patches: list[Patch]) -> list[Patch]:
    """The patches, with insertions made one with what comes next at the same place."""
    found: list[Patch] = []
    for patch in patches:
        if found and found[-1].offset == patch.offset and not found[-1].old:
            found[-1] = Patch(patch.offset, patch.old, found[-1].new + patch.new)
        else:
            found.append(patch)
    return found


def _overlaid(patches: list[Patch], pointer: Patch) -> list[Patch]:
    """The patches, with a number changed that one of them may write too, at the same distance from its start."""
    for index, patch in enumerate(patches):
        at = pointer.offset - patch.offset
        if 0 <= at < len(patch.old):
            if patch.new[at : at + len(pointer.old)] != pointer.old:
                raise FileProblem(Reason.UNSUPPORTED, "the camera's notes point at a picture that would move")
            new = patch.new[:at] + pointer.new + patch.new[at + len(pointer.new) :]
            return [*patches[:index], Patch(patch.offset, patch.old, new), *patches[index + 1 :]]
    return [*patches, pointer]
