"""Chunks, as WebP, WAV, AVI and AIFF are made of: four letters, a length, content, and a byte to make it even."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..media import MediaFile
from ..problems import FileProblem, Reason

HEAD = 8
Order = Literal["little", "big"]
_CHUNKS_LIMIT = 65_536


@dataclass(frozen=True)
class Chunk:
    """A chunk: `start` is the offset of its letters, `data` that of its content, `end` the offset behind its pad."""

    kind: bytes
    start: int
    data: int
    length: int
    end: int


def chunks(media: MediaFile, start: int, end: int, order: Order, long: int | None = None) -> Iterator[Chunk]:
    """The chunks between two offsets; raises `FileProblem` (CORRUPT) where one does not fit.

    `long` is the length of the one that is too long to say so itself.
    """
    for _ in range(_CHUNKS_LIMIT):
        if start >= end:
            return
        head = media.read(start, min(HEAD, end - start))
        kind, length = head[:4], int.from_bytes(head[4:], order)
        if length == 0xFFFFFFFF and long is not None:
            length = long
        data = start + HEAD
        if len(head) < HEAD or data + length > end or not all(0x20 <= letter < 0x7F for letter in kind):
            break
        # The last one's pad is forgotten often enough.
        found = Chunk(kind, start, data, length, min(data + length + length % 2, end))
        yield found
        start = found.end
    raise FileProblem(Reason.CORRUPT, "the file's chunks are damaged")


def chunk(kind: bytes, content: bytes, order: Order) -> bytes:
    """A whole chunk."""
    return kind + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)
