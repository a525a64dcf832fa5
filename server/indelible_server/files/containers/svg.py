"""SVG: XMP lies in a `metadata` child of the root. It is cut into the text; nothing else of that is written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from ..media import MediaFile
from ..patching import shift_of
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from ..xmp import SIZE_LIMIT, fitted
from .blocks import Blocks
from .container import Container, Range
from .svg_scan import Packet, Scan, Text

_GZIP = b"\x1f\x8b"
_HEAD = 1024
"""Where programs look for what a file is: XMP in there would make it an XMP file to ExifTool."""
_NAME = re.compile(rb"<[^\s/>]+")


class Svg(Container):
    """An SVG file, parsed to its end: XML has no index."""

    places = "XMP; titles and descriptions that say the same"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        if media.read(0, 2) == _GZIP:
            raise FileProblem(Reason.UNSUPPORTED, "the file is compressed")
        self._scan = scan = Scan(media)
        if scan.root is None or scan.root.inner == scan.root.inner_end:
            raise FileProblem(Reason.CORRUPT, "the file has no picture")
        self._root = scan.root
        if scan.is_signed:
            self.refuse(Reason.SIGNED, "the file is signed, which a change would break")
        if len(scan.packets) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        self._packet: Packet | None = scan.packets[0] if scan.packets else None
        if self._packet and not self._packet.is_whole:
            self.refuse(Reason.UNSUPPORTED, "the file's XMP packet has no end")
        if self._packet and self._packet.end - self._packet.start > SIZE_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the XMP packet is larger than 16 MiB")
        self._texts = {key: [text for text in found if text.is_plain] for key, found in scan.texts.items()}
        shown = {key: [text.text for text in found] for key, found in self._texts.items() if found}
        self.texts = Texts(TextKind.SVG, shown)

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included, with the namespaces that are declared around it."""
        packet = self._packet
        if packet is None:
            return None
        whole = self.media.read(packet.start, packet.end - packet.start)
        tag = whole[packet.element - packet.start : packet.inner - packet.start]
        inherited = b"".join(
            f' xmlns:{prefix}="{escape(uri)}"'.encode()
            for prefix, uri in packet.spaces.items()
            if f"{prefix}:".encode() in whole and f"xmlns:{prefix}=".encode() not in tag
        )
        name = _NAME.match(tag)
        at = packet.element - packet.start + (name.end() if name else 0)
        return whole[:at] + inherited + whole[at:]

    @property
    def content(self) -> tuple[Range, ...]:
        """All but metadata, titles and descriptions."""
        texts = [(text.inner, text.inner_end) for found in self._texts.values() for text in found]
        metadata = [(element.start, element.end) for element in self._scan.metadata]
        found, position = [], 0
        for start, end in sorted([*texts, *metadata, (self.media.size, self.media.size)]):
            if position < start:
                found.append((position, start - position))
            position = end
        return tuple(found)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones; new XMP comes into the first `metadata`."""
        patches = self._changed_texts(blocks.texts)
        if blocks.xmp is not None:
            patches.append(self._placed(blocks.xmp, shift_of(patches, self.media.size)))
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _placed(self, xmp: bytes, grown: int) -> Patch:
        """The patch for a packet, with as much less padding as the texts have grown, if it has that."""
        if self._packet:
            old = self.media.read(self._packet.start, self._packet.end - self._packet.start)
            return Patch(self._packet.start, old, fitted(xmp, len(old) - grown) or xmp)
        # In there, it changes neither what comes first in the picture nor how much there is.
        place = next((found for found in self._scan.metadata if found.inner < found.end), None)
        if place:
            return Patch(place.inner, b"", _blank_head(place.inner) + xmp)
        if self._scan.counts_elements:
            raise FileProblem(Reason.UNSUPPORTED, "the file's style counts elements, so none may be added")
        name = f"{self._scan.prefix}metadata".encode()
        return Patch(self._root.inner, b"", b"<%b>%b%b</%b>" % (name, _blank_head(self._root.inner), xmp, name))

    def _changed_texts(self, texts: Mapping[str, tuple[str, ...]]) -> list[Patch]:
        """The patches for texts that held the old value; one that is to go stays as an empty element."""
        patches = []
        for key, new in texts.items():
            old = next((text.text for text in self._texts[key] if text.text.strip()), "")
            patches += [
                self._changed_text(text, new[0] if new else "") for text in self._texts[key] if text.text == old
            ]
        return patches

    def _changed_text(self, text: Text, new: str) -> Patch:
        old = self.media.read(text.inner, text.inner_end - text.inner)
        return Patch(text.inner, old, escape(new, quote=False).encode())


def _blank_head(offset: int) -> bytes:
    """The lines that keep a packet which comes at this offset out of the head."""
    return b"\n" * (_HEAD - offset)
