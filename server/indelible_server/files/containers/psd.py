"""PSD and PSB: XMP, Exif and IPTC are image resources, which lie in front of the layers; nothing points behind them."""

from __future__ import annotations

from ..media import MediaFile
from ..photoshop import Entry, entries, head_of, packed
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..xmp import SIZE_LIMIT, fitted
from .blocks import Blocks
from .container import Container, Range

_SIGNATURE = b"8BPS"
_COLOURS = 26
"""Where the header ends and the table of colours begins."""
_IPTC, _EXIF, _EXIF_3, _XMP, _DIGEST = 1028, 1058, 1059, 1060, 1061
_IN_LIST = (_IPTC, _DIGEST)


class Psd(Container):
    """A PSD or PSB file, scanned up to its layers."""

    places = "XMP; IPTC and Exif if the file has them"
    takes_iptc = True

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        header = media.read(0, _COLOURS)
        version = int.from_bytes(header[4:6], "big")
        if len(header) < _COLOURS or not header.startswith(_SIGNATURE) or version not in (1, 2):
            raise FileProblem(Reason.CORRUPT, "the file is no PSD")
        self.height, self.width = (int.from_bytes(header[at : at + 4], "big") for at in (14, 18))
        self._length_at = _COLOURS + 4 + self._number(_COLOURS, 4)
        self._start = self._length_at + 4
        self._end = self._start + self._number(self._length_at, 4)
        self._entries: dict[int, Entry] = {}
        wide = 4 * version
        if self._end + wide + self._number(self._end, wide) > media.size:
            self.refuse(Reason.CORRUPT, "the file is cut off")
        try:
            for entry in entries(media.read, self._start, max(self._start, min(self._end, media.size))):
                self._note(entry)
        except FileProblem as damage:
            self.refuse(damage.reason, damage.message)

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        return self._data(_XMP)

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""
        return self._data(_EXIF)

    @property
    def resources(self) -> bytes | None:
        """IPTC and its digest, of all resources."""
        found = [self._raw(self._entries[number]) for number in _IN_LIST if number in self._entries]
        return b"".join(found) if found else None

    @property
    def content(self) -> tuple[Range, ...]:
        """The layers and the picture."""
        return ((self._end, self.media.size - self._end),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones; new ones come first of all resources."""
        new: dict[int, bytes] = {}
        if blocks.resources is not None:
            new |= _listed(blocks.resources)
        if isinstance(blocks.exif, bytes):
            new[_EXIF] = packed(self._head(_EXIF), blocks.exif)
        if blocks.xmp is not None:
            grown = sum(len(raw) - self._room(number) for number, raw in new.items())
            new[_XMP] = self._levelled(blocks.xmp, self._room(_XMP) - grown)
        made = b"".join(raw for number, raw in new.items() if number not in self._entries)
        patches = [Patch(self._start, b"", made)] if made else []
        for entry in sorted(self._entries.values(), key=lambda entry: entry.start):
            raw = new.get(entry.number, self._raw(entry))
            if entry.start == self._start and made:
                patches = [Patch(entry.start, self._raw(entry), made + raw)]
            elif raw != self._raw(entry):
                patches.append(Patch(entry.start, self._raw(entry), raw))
        length = self._end - self._start + sum(len(patch.new) - len(patch.old) for patch in patches)
        if length >= 1 << 32:
            raise FileProblem(Reason.TOO_LARGE, "the image resources do not fit into 4 GiB")
        old = self.media.read(self._length_at, 4)
        return (Patch(self._length_at, old, length.to_bytes(4, "big")), *patches)

    def _levelled(self, packet: bytes, room: int) -> bytes:
        """The resource with a packet, as long as the room that is left for it, if its padding allows that."""
        head = self._head(_XMP)
        return packed(head, fitted(packet, room - len(head) - 4) or packet)

    def _head(self, number: int) -> bytes:
        entry = self._entries.get(number)
        return self.media.read(entry.start, entry.data - 4 - entry.start) if entry else head_of(number)

    def _room(self, number: int) -> int:
        entry = self._entries.get(number)
        return entry.end - entry.start if entry else 0

    def _raw(self, entry: Entry) -> bytes:
        return self.media.read(entry.start, entry.end - entry.start)

    def _data(self, number: int) -> bytes | None:
        entry = self._entries.get(number)
        return self.media.read(entry.data, entry.length) if entry else None

    def _number(self, offset: int, length: int) -> int:
        return int.from_bytes(self.media.read(offset, length), "big")

    def _note(self, entry: Entry) -> None:
        if entry.number == _EXIF_3:
            self.refuse(Reason.UNSUPPORTED, "the file has Exif of a kind that is not known")
        if entry.number not in (*_IN_LIST, _EXIF, _XMP):
            return
        if entry.number in self._entries:
            self.refuse(Reason.UNSUPPORTED, "the file has several metadata blocks of the same kind")
        elif entry.length > SIZE_LIMIT:
            self.refuse(Reason.TOO_LARGE, "the file has a metadata block of more than 16 MiB")
        else:
            self._entries[entry.number] = entry


def _listed(resources: bytes) -> dict[int, bytes]:
    """The resources of a list, by number."""

    def read(start: int, length: int) -> bytes:
        return resources[start : start + length]

    return {entry.number: read(entry.start, entry.end - entry.start) for entry in entries(read, 0, len(resources))}
