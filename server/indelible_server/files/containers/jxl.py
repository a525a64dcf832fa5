"""JPEG XL: a chain of boxes, with metadata in boxes of their own beside the codestream.

A bare codestream has no place for metadata.
"""

from __future__ import annotations

from ..media import MediaFile
from ..problems import Reason
from .boxes import Box
from .chain import Chain, Kind
from .container import Range

_EXIF, _XML, _PACKED, _REBUILD, _JUMB = b"Exif", b"xml ", b"brob", b"jbrd", b"jumb"
_WHOLE, _PART = b"jxlc", b"jxlp"
_OFFSET = 4
_CODE_START = b"\xff\x0a"
_MOVABLE = frozenset({b"JXL ", b"ftyp", b"jxll", b"jxli", b"jhgm", b"free", _EXIF, _XML, _PACKED, _JUMB, _WHOLE, _PART})
_XMP_TRACES = (b"<?xpacket", b"<x:xmpmeta", b"<rdf:RDF")
_TRACES_WITHIN = 1024
_SIZE_WITHIN = 16
_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Jxl(Chain):
    """A JPEG XL file that is made of boxes."""

    remark = "tags of a bare codestream, and of a file that a JPEG can be made from again, go to a sidecar"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        if not self.content:
            self.refuse(Reason.CORRUPT, "the file has no picture")

    @property
    def content(self) -> tuple[Range, ...]:
        """The codestream, and its number in front of each part of it."""
        return tuple((found.data, found.length) for found in self.boxes if found.kind in (_WHOLE, _PART))

    def can_move(self) -> bool:
        """Whether all boxes are of kinds that hold no offsets in the file."""
        return all(found.kind in _MOVABLE for found in self.boxes)

    def new_box(self, kind: Kind) -> tuple[bytes, bytes]:
        """A box named after what is in it."""
        return (_EXIF, bytes(_OFFSET)) if kind is Kind.EXIF else (_XML, b"")

    def note(self, found: Box) -> None:
        """Look at a box."""
        head = self.media.read(found.data, min(found.length, _TRACES_WITHIN))
        if found.kind == _EXIF:
            self.hold(Kind.EXIF, found, _OFFSET + int.from_bytes(head[:_OFFSET], "big"))
        elif found.kind == _XML and any(trace in head for trace in _XMP_TRACES):
            self.hold(Kind.XMP, found, 0)
        elif found.kind == _PACKED and head[:4] in (_EXIF, _XML, _JUMB):
            self.refuse(Reason.UNSUPPORTED, "the file's metadata are compressed")
        elif found.kind == _REBUILD:
            self.refuse(
                Reason.UNSUPPORTED, "a JPEG can be made from the file again, which other metadata would prevent"
            )
        elif found.kind == _JUMB and b"c2pa" in head:
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")
        elif found.kind in (_WHOLE, _PART) and self.width is None:
            self._measure(head[_OFFSET if found.kind == _PART else 0 :])

    def _measure(self, code: bytes) -> None:
        if not code.startswith(_CODE_START) or len(code) < _SIZE_WITHIN:
            return
        bits = _Bits(code[len(_CODE_START) : _SIZE_WITHIN])
        small = bits.take(1) == 1
        self.height = _length(bits, small)
        ratio = bits.take(3)
        if ratio:
            over, under = _RATIOS[ratio - 1]
            self.width = self.height * over // under
        else:
            self.width = _length(bits, small)


class _Bits:
    """Numbers of so many bits each, the lowest bits of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """The next number."""
        number = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return number


def _length(bits: _Bits, small: bool) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take(_BITS[bits.take(2)]) + 1
