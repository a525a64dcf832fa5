"""Boxes, as MP4, HEIC, JPEG 2000 and JPEG XL are made of: a length, four letters, content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason

UUID = b"uuid"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_BOXES_LIMIT = 65_536


@dataclass(frozen=True)
class Box:
    """A box: `start` is the offset of its length, `data` that of its content, `end` the offset behind it.

    `to_end` says that its length is left open: it is the last one, and ends where the file does.
    """

    kind: bytes
    start: int
    data: int
    end: int
    to_end: bool = False

    @property
    def length(self) -> int:
        """How long its content is."""
        return self.end - self.data


def boxes(media: MediaFile, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets; raises `FileProblem` (CORRUPT) where one does not fit."""
    for _ in range(_BOXES_LIMIT):
        if start == end:
            return
        head = media.read(start, min(8, end - start))
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        data, to_end = start + 8, length == 0
        if length == 1:
            length, data = int.from_bytes(media.read(data, 8), "big"), start + 16
        box = Box(kind, start, data, end if to_end else start + length, to_end)
        if len(kind) < 4 or box.end > end or box.data > box.end:
            break
        yield box
        start = box.end
    raise FileProblem(Reason.CORRUPT, "the file's boxes are damaged")


def box(kind: bytes, content: bytes) -> bytes:
    """A whole box."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def resized(media: MediaFile, old: Box, growth: int) -> Patch:
    """The patch to a box's length for so many bytes more; one that was left open is written out."""
    at, width = (old.start + 8, 8) if old.data - old.start == 16 else (old.start, 4)
    length = old.end - old.start + growth
    if length >= 1 << (8 * width):
        raise FileProblem(Reason.TOO_LARGE, "a box of the file would become too large")
    return Patch(at, media.read(at, width), length.to_bytes(width, "big"))
