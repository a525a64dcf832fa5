"""Files whose XMP packet can be changed where it is, but neither made, nor moved, nor longer than it is."""

from __future__ import annotations

import re

from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from ..xmp import SIZE_LIMIT, fitted
from .blocks import Blocks
from .container import Container, Range

_BEGIN = re.compile(rb"<\?xpacket begin=(['\"])(\xef\xbb\xbf)?\1 id=(['\"])W5M0MpCehiHzreSzNTczkc9d\3.*?\?>", re.DOTALL)
_END = re.compile(rb"<\?xpacket end=(['\"])([rw])\1\?>$")


class InPacket(Container):
    """A file with one main packet, whose place a format's module tells. Its wrapper stays as it is, to the byte."""

    ways = (Mode.PATCH,)
    remark = "only files that have a packet with enough room in it; the others go to a sidecar"
    _place: Range | None = None
    _in_ascii = False
    """Whether the packet must not hold anything else than ASCII."""

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        return self.media.read(*self._place) if self._place else None

    @property
    def content(self) -> tuple[Range, ...]:
        """All but the packet."""
        start, length = self._place or (self.media.size, 0)
        return tuple(found for found in ((0, start), (start + length, self.media.size - start - length)) if found[1])

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patch that puts this packet in the place of the old one; raises TOO_LARGE if it has no room for it."""
        old = self.xmp
        if blocks.xmp is None or old is None or self._place is None:
            raise FileProblem(Reason.UNSUPPORTED, "the file has no XMP packet, and none can be made")
        content = blocks.xmp.partition(b"?>")[2].rpartition(b"<?xpacket ")[0].strip()
        if self._in_ascii:
            content = content.decode().encode("ascii", "xmlcharrefreplace")
        begin, end = old[: old.index(b"?>") + 2], old[old.rindex(b"<?xpacket ") :]
        new = fitted(begin + b"\n" + content + end, len(old))
        if new is None:
            raise FileProblem(Reason.TOO_LARGE, "the file's XMP packet has not enough room, and cannot be made longer")
        return (Patch(self._place[0], old, new),)

    def _settle(self, start: int, length: int) -> None:
        """Let this be the main packet; refuse one that may not be changed."""
        if length > SIZE_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the XMP packet is larger than 16 MiB")
        packet = self.media.read(start, length)
        end = _END.search(packet)
        if not _BEGIN.match(packet) or end is None:
            self.refuse(Reason.UNSUPPORTED, "the file's XMP packet has a wrapper of an unknown kind")
        elif end[2] != b"w":
            self.refuse(Reason.UNSUPPORTED, "the file's XMP packet is marked as read-only")
        self._place = (start, length)
