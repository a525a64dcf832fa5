"""GIF: a chain of blocks. XMP lies in an application extension, bare, and not cut into sub-blocks as other data is.

A GIF has no index, so all of it is read to find that there is no other packet: in pieces, and with a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..xmp import SIZE_LIMIT
from .blocks import Blocks
from .container import Container, Range

_VERSIONS = (b"GIF87a", b"GIF89a")
_HEAD = 13
_XMP = b"!\xff\x0bXMP DataXMP"
_LANDING = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Wherever a program lands that takes the packet for sub-blocks, the next steps lead it to the last byte."""
_LANDING_LIMIT = 1024
_CREDENTIALS = b"!\xff\x0bC2PA_GIF"
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF
_WINDOW = 64 * 1024
_STEPS_LIMIT = 1 << 21


@dataclass(frozen=True)
class Block:
    """An extension, an image or the trailer; `label` is that of an extension, else 0."""

    kind: int
    label: int
    start: int
    end: int


class Gif(Container):
    """A GIF file, walked through to its end."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        head = media.read(0, _HEAD)
        if len(head) < _HEAD or not head.startswith(_VERSIONS):
            raise FileProblem(Reason.CORRUPT, "the file is no GIF")
        self.width, self.height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        self._old_version = head.startswith(_VERSIONS[0])
        if self._old_version and head[12]:
            self.refuse(Reason.UNSUPPORTED, "the file's version of GIF has no extensions")
        self._tables_end = self._insert_at = _HEAD + _table_length(head[10])
        self._xmp: Block | None = None
        leading = True
        try:
            for block in _Walk(media).blocks(self._tables_end):
                # What comes first describes the whole file, what comes after it belongs to a picture.
                leading = leading and block.label in (_COMMENT, _APPLICATION)
                if leading:
                    self._insert_at = block.end
                if block.label == _APPLICATION:
                    self._note(block)
        except FileProblem as damage:
            self.refuse(damage.reason, damage.message)

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        if self._xmp is None:
            return None
        return _packet(self.media.read(self._xmp.start, self._xmp.end - self._xmp.start))

    @property
    def content(self) -> tuple[Range, ...]:
        """The tables and the pictures, with what belongs to them, and what comes behind."""
        cuts = [6, self._tables_end, self._insert_at]
        if self._xmp and self._xmp.start >= self._insert_at:
            cuts += [self._xmp.start, self._xmp.end]
        cuts.append(self.media.size)
        return tuple((start, end - start) for start, end in zip(cuts[::2], cuts[1::2], strict=True) if start < end)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put this packet in the place of the old one, or behind the extensions at the beginning."""
        if blocks.xmp is None:
            return ()
        extension = _XMP + blocks.xmp + _LANDING
        if self._xmp is None:
            patch = Patch(self._insert_at, b"", extension)
        else:
            old = self.media.read(self._xmp.start, self._xmp.end - self._xmp.start)
            patch = Patch(self._xmp.start, old, extension)
        return (Patch(0, *_VERSIONS), patch) if self._old_version else (patch,)

    def _note(self, block: Block) -> None:
        head = self.media.read(block.start, len(_XMP))
        if head.startswith(_CREDENTIALS):
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")
        if head != _XMP:
            return
        if self._xmp:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        elif block.end - block.start > SIZE_LIMIT:
            self.refuse(Reason.TOO_LARGE, "the XMP packet is larger than 16 MiB")
        else:
            self._xmp = block
            if _packet(self.media.read(block.start, block.end - block.start)) is None:
                self.refuse(Reason.UNSUPPORTED, "the file's XMP packet has an unknown end")


def _packet(extension: bytes) -> bytes | None:
    """The packet in an extension; None if it cannot be told where it ends."""
    if extension.endswith(_LANDING):
        return extension[len(_XMP) : -len(_LANDING)]
    # Some programs let others land in their own way.
    found = re.search(rb"<\?xpacket end=['\"][rw]['\"]\?>", extension[-_LANDING_LIMIT:])
    return extension[len(_XMP) : len(extension[:-_LANDING_LIMIT]) + found.end()] if found else None


def _table_length(flags: int) -> int:
    """The length of the table of colours that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


class _Walk:
    """One way through a file, read piece after piece."""

    def __init__(self, media: MediaFile) -> None:
        self._media = media
        self._steps = 0
        self._start = 0
        self._window = b""

    def blocks(self, position: int) -> Iterator[Block]:
        """The blocks from here on, without the trailer; raises `FileProblem` (CORRUPT, TOO_LARGE)."""
        while True:
            start, kind = position, self._byte(position)
            if kind == _TRAILER:
                return
            label = 0
            if kind == _EXTENSION:
                label = self._byte(start + 1)
                position = self._behind_data(start + 2)
            elif kind == _IMAGE:
                position = self._behind_data(start + 11 + _table_length(self._byte(start + 9)))
            else:
                raise FileProblem(Reason.CORRUPT, "the file's blocks are damaged")
            yield Block(kind, label, start, position)

    def _behind_data(self, position: int) -> int:
        """The offset behind sub-blocks that begin here."""
        while length := self._byte(position):
            position += length + 1
            if length == 255:
                # Nearly all are as long as can be.
                lengths = self._window[position - self._start :: 256]
                position += 256 * (len(lengths) - len(lengths.lstrip(b"\xff")))
        return position + 1

    def _byte(self, position: int) -> int:
        self._steps += 1
        if self._steps > _STEPS_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file has too many blocks")
        if not self._start <= position < self._start + len(self._window):
            self._start, self._window = position, self._media.read(position, _WINDOW)
        if not self._window:
            raise FileProblem(Reason.CORRUPT, "the file is cut off")
        return self._window[position - self._start]
