"""InDesign: a database of pages, behind which XMP lies as one of some streams, each with a header and a trailer."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .container import Range
from .packet import InPacket

_MAGIC = bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d")
_HEADER = bytes.fromhex("de39397951884b6c8e63eef8aee0dd38")
_TRAILER = bytes.fromhex("fdcedb70f7864b4fa4d3c728b3417106")
_PAGE = 4096
_ENDS = 32
"""The length of a stream's header, and of its trailer: an id, and what both say about the stream."""
_CHECKSUM = 28
_NO_CHECKSUM = b"\xff\xff\xff\xff"
_WRITABLE = 0x40000000
_STREAMS_LIMIT = 4096


class InDesign(InPacket):
    """An InDesign document or template."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        pages = [media.read(at, _PAGE) for at in (0, _PAGE)]
        if any(len(page) < _PAGE or not page.startswith(_MAGIC) for page in pages):
            raise FileProblem(Reason.CORRUPT, "the file's master pages are damaged")
        first, second = (int.from_bytes(page[264:272], "little") for page in pages)
        page = pages[1] if second > first else pages[0]
        if page[24] not in (1, 2):
            raise FileProblem(Reason.UNSUPPORTED, "the file has an unknown byte order")
        self._order = page[24]
        self._checksums: tuple[int, ...] = ()
        self._walk(int.from_bytes(page[280:284], "little") * _PAGE)
        if self._place is None:
            self.refuse(Reason.UNSUPPORTED, "the file has no XMP packet, and none can be made")

    @property
    def content(self) -> tuple[Range, ...]:
        """All but the packet and what its stream says about itself."""
        if self._place is None:
            return super().content
        start, end = self._checksums[0], self._checksums[1] + 4
        return ((0, start), (end, self.media.size - end))

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patch for the packet, and those that say that the stream has no checksum."""
        patches = [*super().set_blocks(blocks)]
        patches += [Patch(at, self.media.read(at, 4), _NO_CHECKSUM) for at in self._checksums]
        changing = (patch for patch in patches if patch.old != patch.new)
        return tuple(sorted(changing, key=lambda patch: patch.offset))

    def _walk(self, position: int) -> None:
        for _ in range(_STREAMS_LIMIT):
            header = self.media.read(position, _ENDS)
            if not header.startswith(_HEADER):
                if header.strip(b"\0") or position > self.media.size:
                    break
                return
            data, length = position + _ENDS, int.from_bytes(header[24:28], "little")
            trailer = self.media.read(data + length, _ENDS)
            if not trailer.startswith(_TRAILER) or trailer[16:24] != header[16:24] or len(trailer) < _ENDS:
                break
            if b"<?xpacket begin=" in self.media.read(data, min(length, 56)):
                self._note(header, data, length)
            position = data + length + _ENDS
        raise FileProblem(Reason.CORRUPT, "the file's streams are damaged")

    def _note(self, header: bytes, data: int, length: int) -> None:
        if self._place:
            self.refuse(Reason.UNSUPPORTED, "the file has several XMP packets")
            return
        stated = int.from_bytes(self.media.read(data, 4), "little" if self._order == 1 else "big")
        if stated > length - 4:
            raise FileProblem(Reason.CORRUPT, "the file's XMP packet is cut off")
        if not int.from_bytes(header[20:24], "little") & _WRITABLE:
            self.refuse(Reason.UNSUPPORTED, "the file's XMP packet is marked as read-only")
        self._settle(data + 4, stated)
        self._checksums = (data - _ENDS + _CHECKSUM, data + length + _CHECKSUM)
