"""AIFF and AIFC: chunks of sound, texts in chunks of their own, XMP in one of those that belong to a program."""

from __future__ import annotations

from collections.abc import Mapping

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from . import info
from .blocks import Blocks
from .chunked import Change, Chunked
from .chunks import Chunk
from .container import Range

_CHARSET = "mac_roman"
_PROGRAM, _XMP, _TAG = b"APPL", b"XMP ", b"ID3 "
_ONCE, _ANNOTATION = (b"NAME", b"AUTH", b"(c) "), b"ANNO"
_BIAS = 16_383 + 63


class Aiff(Chunked):
    """An AIFF or AIFC file."""

    places = "XMP; its own and ID3 texts that are there"
    remark = "few programs look for XMP in AIFF"
    order = "big"
    spare = None
    kinds = frozenset({_PROGRAM, _TAG, _ANNOTATION, *_ONCE})

    def __init__(self, media: MediaFile) -> None:
        if media.read(0, 4) != b"FORM":
            raise FileProblem(Reason.CORRUPT, "the file does not begin as it should")
        super().__init__(media)
        packets = [found for found in self._of_kind(_PROGRAM) if media.read(found.data, 4) == _XMP]
        self._xmp = self._only(packets, "XMP packets")
        tag = self._open_tag(self._only(self._of_kind(_TAG), "ID3 tags"))
        self._held: dict[str, list[Chunk]] = {}
        for kind in (*_ONCE, _ANNOTATION):
            if found := self._of_kind(kind):
                self._held[kind.decode()] = found
        for kind in _ONCE:
            self._only(self._of_kind(kind), "texts of one kind")
        self._ours += self._of_kind(_ANNOTATION)
        self._sound = self._of_kind(b"SSND")
        self.duration_s = self._duration()
        texts = {key: tuple(self._text(chunk) for chunk in found) for key, found in self._held.items()}
        self.texts = Texts(TextKind.AIFF, texts | tag, TextKind.ID3)

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._content(self._xmp)[len(_XMP) :] if self._xmp else None

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound."""
        return tuple((found.data, found.length) for found in self._sound)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches to the texts, the ID3 tag and the packet."""
        changes, inner = self._tag_changes(blocks.texts)
        changes += self._text_changes(blocks.texts)
        if blocks.xmp is not None:
            changes.append(Change(self._xmp, _PROGRAM, _XMP + blocks.xmp, is_packet=True))
        return self._rewritten(changes, inner)

    def _text_changes(self, texts: Mapping[str, tuple[str, ...]]) -> list[Change]:
        """Of several annotations the first is changed, with those that repeat it; all go if it is to go."""
        changes = []
        for key, found in self._held.items():
            if key in texts:
                content = info.encoded(texts[key][0], _CHARSET) if texts[key] else None
                first = self._text(found[0])
                same = [chunk for chunk in found if content is None or self._text(chunk) == first]
                changes += [Change(chunk, chunk.kind, content) for chunk in same]
        return changes

    def _text(self, found: Chunk) -> str:
        return info.decoded(self._content(found), _CHARSET)

    def _duration(self) -> float | None:
        """The number of sample frames by their rate, which has an exponent and 64 bits."""
        head = next((self.media.read(found.data, 18) for found in self._of_kind(b"COMM")), b"")
        rate = int.from_bytes(head[10:18], "big")
        exponent = int.from_bytes(head[8:10], "big") - _BIAS
        if len(head) < 18 or not rate or not -64 < exponent <= 0:
            return None
        return float(int.from_bytes(head[2:6], "big") / (rate * 2.0**exponent))
