"""A PDF file as objects at offsets. Reads are small and kept, for neighbours are often asked for next."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .pdf_objects import Cut, Dictionary, Value, damaged, parse, skip_space

STREAM_LIMIT = 16 * 1024 * 1024
"""How much a stream may hold, packed and unpacked."""
_BLOCK = 4096
_BLOCKS_LIMIT = 4096
_OBJECT_LIMIT = 4 * 1024 * 1024
_HEAD = re.compile(rb"[\0\t\n\f\r ]*(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj")
_STREAM = re.compile(rb"stream(\r?\n)")
_END_OF_STREAM = re.compile(rb"[\0\t\n\f\r ]*endstream")


@dataclass(frozen=True)
class Indirect:
    """An object as it is in the file: its number, its generation, its value and, for a stream, where the data begin."""

    number: int
    generation: int
    value: Value
    data_at: int | None = None

    @property
    def dictionary(self) -> Dictionary:
        """The value, which must be a dictionary."""
        if not isinstance(self.value, Dictionary):
            raise damaged("an object is no dictionary")
        return self.value


class Source:
    """What can be read at offsets of a file. All raises `FileProblem` (CORRUPT) where something else is found."""

    def __init__(self, media: MediaFile) -> None:
        self.size = media.size
        self._media = media
        self._blocks: dict[int, bytes] = {}

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there are, at most `length`."""
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        if last - first > 4:
            return self._media.read(offset, length)
        start = offset - first * _BLOCK
        return b"".join(self._block(number) for number in range(first, last + 1))[start : start + length]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= _BLOCKS_LIMIT:
                self._blocks.clear()
            self._blocks[number] = self._media.read(number * _BLOCK, _BLOCK)
        return self._blocks[number]

    def value(self, offset: int) -> tuple[Value, int]:
        """The object whose source begins at `offset`, and the offset behind it."""
        length = 1024
        while True:
            data = self.read(offset, length)
            try:
                value, end = parse(data, 0)
                return value, offset + skip_space(data, end)
            except Cut:
                if len(data) < length:
                    raise damaged("an object is cut off") from None
                if length >= _OBJECT_LIMIT:
                    raise FileProblem(Reason.TOO_LARGE, "an object of the PDF file is larger than 4 MiB") from None
                length *= 4

    def indirect(self, offset: int) -> Indirect:
        """The indirect object at `offset`."""
        head = _HEAD.match(self.read(offset, 64))
        if head is None:
            raise damaged("an object is not where it should be")
        value, end = self.value(offset + head.end())
        behind = self.read(end, 8)
        found = _STREAM.match(behind)
        if behind.startswith(b"stream") and not (found and isinstance(value, Dictionary)):
            raise damaged("a stream does not begin as it should")
        if not found and not behind.startswith(b"endobj"):
            raise damaged("an object does not end")
        return Indirect(int(head[1]), int(head[2]), value, end + found.end() if found else None)

    def stream(self, stream: Indirect, length: int) -> bytes:
        """The data of a stream of this length, as they are stored."""
        if stream.data_at is None:
            raise damaged("an object should be a stream")
        if length > STREAM_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "a stream of the PDF file is larger than 16 MiB")
        data = self.read(stream.data_at, length)
        if len(data) < length or not _END_OF_STREAM.match(self.read(stream.data_at + length, 32)):
            raise damaged("a stream does not end where it should")
        return data


def inflated(data: bytes) -> bytes:
    """Unpacked data; raises `FileProblem` (CORRUPT, TOO_LARGE)."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, STREAM_LIMIT)
    except zlib.error as error:
        raise damaged(f"a stream cannot be unpacked ({error})") from error
    if unpacker.unconsumed_tail:
        raise FileProblem(Reason.TOO_LARGE, "a stream of the PDF file is larger than 16 MiB")
    if not unpacker.eof:
        raise damaged("a stream is cut off")
    return found
