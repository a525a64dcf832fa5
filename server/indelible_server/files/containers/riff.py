"""What WAV and AVI have in common: a list of texts, an XMP packet, and for some an ID3 tag, among their chunks."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from . import info
from .blocks import Blocks
from .chunked import Change, Chunked

PACKET = b"_PMX"
_TAGS = (b"id3 ", b"ID3 ")
_CHARSET = b"CSET"


class Riff(Chunked):
    """A WAV or an AVI file."""

    places = "XMP; INFO and ID3 texts that are there"
    kinds = frozenset({PACKET, *_TAGS, b"LIST"})

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._xmp = self._only(self._of_kind(PACKET), "XMP packets")
        lists = [found for found in self._of_kind(b"LIST") if info.is_info(media, found)]
        self._info = self._only(lists, "lists of texts")
        tag = self._open_tag(self._only(self._of_kind(*_TAGS), "ID3 tags"))
        if self._of_kind(_CHARSET):
            self.refuse(Reason.UNSUPPORTED, "the file's texts are in an alphabet of their own")
        try:
            texts = info.texts_of(media, self._info) if self._info else {}
        except FileProblem as damage:
            self.refuse(damage.reason, damage.message)
            texts = {}
        self.texts = Texts(TextKind.RIFF, texts | tag, TextKind.ID3)

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._content(self._xmp) if self._xmp else None

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches to the list of texts, the ID3 tag and the packet."""
        changes, inner = self._tag_changes(blocks.texts)
        texts = {key: values for key, values in blocks.texts.items() if key.encode() in info.KINDS}
        if texts and self._info:
            changes.append(Change(self._info, self._info.kind, info.with_texts(self.media, self._info, texts)))
        if blocks.xmp is not None:
            changes.append(Change(self._xmp, PACKET, blocks.xmp, is_packet=True))
        return self._rewritten(changes, inner)
