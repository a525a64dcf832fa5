"""WebP: chunks of a picture, with Exif and XMP behind it, and a head that says what there is."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .chunked import Change, Chunked
from .chunks import chunk
from .container import Range

_HEAD, _LOSSY, _LOSSLESS = b"VP8X", b"VP8 ", b"VP8L"
_EXIF, _XMP, _SIGNATURE = b"EXIF", b"XMP ", b"C2PA"
_HAS_XMP, _HAS_EXIF, _HAS_ALPHA = 0x04, 0x08, 0x10
_HEAD_LENGTH = 10
_PICTURE = (b"ALPH", b"ANIM", b"ANMF", b"VP8 ", b"VP8L")
_EXIF_PREFIX = b"Exif\0\0"


class WebP(Chunked):
    """A WebP file."""

    takes_exif = True
    places = "XMP, Exif"
    spare = None
    kinds = frozenset({_EXIF, _XMP})

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        if not self._chunks or self._chunks[0].kind not in (_HEAD, _LOSSY, _LOSSLESS):
            raise FileProblem(Reason.CORRUPT, "the file does not begin with a picture")
        self._first = self._chunks[0]
        self._exif = self._only(self._of_kind(_EXIF), "Exif blocks")
        self._xmp = self._only(self._of_kind(_XMP), "XMP packets")
        if self._of_kind(_SIGNATURE):
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")
        self._head = self._measured()
        self.width = int.from_bytes(self._head[4:7], "little") + 1
        self.height = int.from_bytes(self._head[7:10], "little") + 1

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._content(self._xmp) if self._xmp else None

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""
        return self._content(self._exif).removeprefix(_EXIF_PREFIX) if self._exif else None

    @property
    def content(self) -> tuple[Range, ...]:
        """The pictures."""
        return tuple((found.data, found.length) for found in self._of_kind(*_PICTURE))

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches to Exif and XMP, and to the head, which a simple file is given."""
        changes, flags = [], self._head[0]
        if isinstance(blocks.exif, bytes):
            prefixed = self._exif is not None and self._content(self._exif).startswith(_EXIF_PREFIX)
            changes.append(Change(self._exif, _EXIF, (_EXIF_PREFIX if prefixed else b"") + blocks.exif))
            flags |= _HAS_EXIF
        if blocks.xmp is not None:
            changes.append(Change(self._xmp, _XMP, blocks.xmp, is_packet=True))
            flags |= _HAS_XMP
        head = bytes([flags]) + self._head[1:]
        if self._first.kind == _HEAD:
            return self._rewritten(changes, [Patch(self._first.data, self._head, head)])
        return self._rewritten(changes, [Patch(self._first.start, b"", chunk(_HEAD, head, self.order))])

    def _measured(self) -> bytes:
        """The head, or what it would be for a file without one."""
        data = self.media.read(self._first.data, min(self._first.length, _HEAD_LENGTH))
        if len(data) < _HEAD_LENGTH and not (self._first.kind == _LOSSLESS and len(data) >= 5):
            raise FileProblem(Reason.CORRUPT, "the picture's head is damaged")
        if self._first.kind == _HEAD:
            return data
        if self._first.kind == _LOSSY:
            if data[3:6] != b"\x9d\x01\x2a":
                raise FileProblem(Reason.CORRUPT, "the picture's head is damaged")
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
            flags = 0
        else:
            bits = int.from_bytes(data[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            flags = _HAS_ALPHA if bits >> 28 & 1 else 0
        if (self._first.kind == _LOSSLESS and data[:1] != b"\x2f") or not width or not height:
            raise FileProblem(Reason.CORRUPT, "the picture's head is damaged")
        return bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
