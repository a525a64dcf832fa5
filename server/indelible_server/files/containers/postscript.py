"""PostScript, EPS and older Illustrator files: text in which XMP packets lie, also those of placed pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..media import MediaFile
from ..photoshop import entries
from ..problems import FileProblem, Reason
from .packet import InPacket

_DOS = b"\xc5\xd0\xd3\xc6"
_MAGIC = b"%!PS"
_HEADER_LIMIT = 64 * 1024
_SCAN_LIMIT = 64 * 1024 * 1024
_PIECE, _OVERLAP = 1024 * 1024, 64
_RESOURCES_LIMIT = 4 * 1024 * 1024
_METADATA = {1028, 1058, 1060}
"""The numbers of IPTC, Exif and XMP."""
_MARK = re.compile(
    rb"<\?xpacket begin=|<\?xpacket end=.[rw].\?>|^%%BeginDocument\b|^%%EndDocument\b|^%BeginPhotoshop\b", re.MULTILINE
)
_HINT = re.compile(rb"[\r\n]%ADO_ContainsXMP:? ?([^\r\n]*)")
_SEVEN_BITS = re.compile(rb"[\r\n]%%DocumentData: ?Clean7Bit")


class _Found(NamedTuple):
    start: int
    length: int
    is_placed: bool


class PostScript(InPacket):
    """A PostScript program, with or without a binary header in front of it."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._start, self._end = self._program()
        if media.read(self._start, len(_MAGIC)) != _MAGIC:
            raise FileProblem(Reason.UNSUPPORTED, "the file is no PostScript (newer Illustrator files are PDFs)")
        header = media.read(self._start, min(_HEADER_LIMIT, self._end - self._start)).partition(b"%%EndComments")[0]
        hint = _HINT.search(header)
        self._options = hint[1].split() if hint else []
        self._packets: list[_Found] = []
        self._find_packets()
        self._choose()
        if self._place:
            packet = media.read(*self._place)
            self._in_ascii = _SEVEN_BITS.search(header) is not None and packet.partition(b"?>")[2].isascii()

    def _program(self) -> tuple[int, int]:
        head = self.media.read(0, 12)
        if not head.startswith(_DOS):
            return 0, self.media.size
        start = int.from_bytes(head[4:8], "little")
        end = start + int.from_bytes(head[8:12], "little")
        if len(head) < 12 or end > self.media.size:
            raise FileProblem(Reason.CORRUPT, "the file is cut off")
        return start, end

    def _find_packets(self) -> None:
        """Note all whole packets; the first is enough if the file says that this is the main one."""
        end = min(self._end, self._start + _SCAN_LIMIT)
        depth, begin, is_placed = 0, None, False
        for offset, mark in self._marks(end):
            if mark == b"%BeginPhotoshop":
                self._note_resources(offset)
            elif mark.startswith(b"%%"):
                depth = max(depth + (1 if mark == b"%%BeginDocument" else -1), 0)
            elif mark.endswith(b"begin="):
                begin, is_placed = offset, depth > 0
            elif begin is not None:
                self._packets.append(_Found(begin, offset + len(mark) - begin, is_placed))
                if b"MainFirst" in self._options:
                    return
                begin = None
        if end < self._end:
            self.refuse(Reason.TOO_LARGE, "the file is larger than 64 MiB and does not say where its XMP packet is")

    def _note_resources(self, offset: int) -> None:
        """Refuse resources in hex digits which hold metadata: they would have to be as long as before."""
        lines = self.media.read(offset, _RESOURCES_LIMIT).partition(b"%EndPhotoshop")[0].splitlines()[1:]
        try:
            data = bytes.fromhex(b"".join(line.lstrip(b"% ") for line in lines).decode("ascii"))
            found = {entry.number for entry in entries(lambda at, length: data[at : at + length], 0, len(data))}
        except (ValueError, FileProblem):
            found = _METADATA
        if found & _METADATA:
            self.refuse(Reason.UNSUPPORTED, "the file has metadata among Photoshop's resources, which cannot grow")

    def _choose(self) -> None:
        if b"NoMain" in self._options or not self._packets:
            self.refuse(Reason.UNSUPPORTED, "the file has no XMP packet, and none can be made")
        elif len(self._packets) > 1 and b"MainLast" not in self._options:
            self.refuse(Reason.UNSUPPORTED, "the file has several XMP packets and does not say which is the main one")
        elif self._packets[-1].is_placed:
            self.refuse(Reason.UNSUPPORTED, "the file's XMP packet is that of a placed picture")
        else:
            self._settle(self._packets[-1].start, self._packets[-1].length)

    def _marks(self, end: int) -> Iterator[tuple[int, bytes]]:
        for position in range(self._start, end, _PIECE):
            # The byte in front shows whether a line begins.
            piece = self.media.read(position - 1, 1) if position else b"\n"
            piece += self.media.read(position, min(_PIECE + _OVERLAP, end - position))
            for found in _MARK.finditer(piece.replace(b"\r", b"\n")):
                if 1 <= found.start() <= _PIECE:
                    yield position - 1 + found.start(), found[0]
