"""The chunks of a PNG, and the texts and profiles that some of them hold."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..media import MediaFile
from ..problems import FileProblem, Reason

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_FRAME = 12
_LATIN, _PACKED, _UNICODE = TEXTS
_CHUNKS_LIMIT = 1 << 18
_LENGTH_LIMIT = (1 << 31) - 1
_TEXT_LIMIT = 40 * 1024 * 1024
_KEYWORD_LIMIT = 79
_HEX_LINE = 72


@dataclass(frozen=True)
class Chunk:
    """A chunk or, if `count` says so, several of the same kind and length in a row. `start` is that of the first."""

    kind: bytes
    start: int
    length: int
    count: int = 1

    @property
    def end(self) -> int:
        """The offset behind the last one's checksum."""
        return self.start + self.count * (self.length + _FRAME)


def chunks(media: MediaFile) -> Iterator[Chunk]:
    """The chunks, IEND included; raises `FileProblem` (CORRUPT) where the chain breaks.

    Image data of a length that repeats is skipped with few reads: a big picture has 100,000 chunks of it.
    """
    size, position, kind = media.size, len(SIGNATURE), b""
    for _ in range(_CHUNKS_LIMIT):
        head = media.read(position, 8)
        kind = head[4:]
        chunk = Chunk(kind, position, int.from_bytes(head[:4], "big"))
        if len(head) < 8 or chunk.length > _LENGTH_LIMIT or chunk.end > size or not kind.isalpha():
            break
        if kind == b"IDAT":
            chunk = replace(chunk, count=_run(media, chunk, head))
        yield chunk
        if kind == b"IEND":
            return
        position = chunk.end
    raise FileProblem(Reason.CORRUPT, "the file's chunks are damaged")


def _run(media: MediaFile, first: Chunk, head: bytes) -> int:
    """How many chunks with this head follow each other at the very least."""
    count, step = 1, 1
    while step:
        if _repeats(media, first, head, count + step - 1):
            count += step
            step *= 2
        else:
            step //= 2
    return count


def _repeats(media: MediaFile, first: Chunk, head: bytes, index: int) -> bool:
    """Whether there is such a chunk at this place of a run, and room for it."""
    found = replace(first, count=index + 1)
    return found.end <= media.size and media.read(found.end - first.length - _FRAME, 8) == head


def packed(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def payload(media: MediaFile, chunk: Chunk) -> bytes:
    """A chunk's data; raises `FileProblem` (CORRUPT, TOO_LARGE) for one that is not as its checksum says."""
    if chunk.length > _TEXT_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "the file has a metadata chunk of more than 40 MiB")
    whole = media.read(chunk.start, chunk.end - chunk.start)
    data = whole[8:-4]
    if whole != packed(chunk.kind, data):
        raise FileProblem(Reason.CORRUPT, "a chunk with metadata is damaged")
    return data


def keyword_of(media: MediaFile, chunk: Chunk) -> str:
    """The keyword of a text chunk; empty if it has none."""
    head = media.read(chunk.start + 8, min(chunk.length, _KEYWORD_LIMIT + 1))
    keyword, end, _ = head.partition(b"\0")
    return keyword.decode("latin-1") if end else ""


@dataclass(frozen=True)
class Text:
    """A text chunk: its kind says how `body`, which is not compressed, stands in the file."""

    kind: bytes
    keyword: str
    body: bytes
    compressed: bool = False
    language: str = ""
    translated: bytes = b""

    @property
    def text(self) -> str:
        """The body as text. Many programs write UTF-8 where the format wants Latin-1."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            return self.body.decode("utf-8" if self.kind == _UNICODE else "latin-1", "replace")

    def with_text(self, text: str) -> Text:
        """The chunk with another text; it becomes an international one if the text needs that."""
        if self.kind != _UNICODE:
            try:
                latin = replace(self, body=text.encode("latin-1"))
            except UnicodeEncodeError:
                latin = self
            if latin.text == text:
                return latin
        return replace(self, kind=_UNICODE, body=text.encode())

    def with_body(self, body: bytes) -> Text:
        """The chunk with another body."""
        return replace(self, body=body)

    def to_chunk(self) -> bytes:
        """The chunk's bytes."""
        body = zlib.compress(self.body, 9) if self.compressed else self.body
        head = self.keyword.encode("latin-1") + b"\0"
        if self.kind == _PACKED:
            head += b"\0"
        elif self.kind == _UNICODE:
            head += bytes([self.compressed, 0]) + self.language.encode("latin-1") + b"\0" + self.translated + b"\0"
        return packed(self.kind, head + body)


def parse_text(kind: bytes, data: bytes) -> Text:
    """A text chunk; raises `FileProblem` (CORRUPT, TOO_LARGE) for one that is none."""
    keyword, _, rest = data.partition(b"\0")
    text = Text(kind, keyword.decode("latin-1"), rest)
    if kind == _PACKED:
        text = replace(text, body=_inflated(rest[:1], rest[1:]), compressed=True)
    elif kind == _UNICODE:
        parts = rest[2:].split(b"\0", 2)
        if len(parts) < 3 or rest[0] > 1:
            raise FileProblem(Reason.CORRUPT, "a text in the file is damaged")
        language, translated, body = parts
        body = _inflated(rest[1:2], body) if rest[0] else body
        text = Text(kind, text.keyword, body, bool(rest[0]), language.decode("latin-1"), translated)
    return text


def _inflated(method: bytes, data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(data, _TEXT_LIMIT) if method == b"\0" else b""
    except zlib.error:
        body = b""
    if inflater.unconsumed_tail:
        raise FileProblem(Reason.TOO_LARGE, "a text in the file is larger than 40 MiB")
    if not inflater.eof:
        raise FileProblem(Reason.CORRUPT, "a compressed text in the file is damaged")
    return body


def profile(text: Text) -> bytes:
    """What ImageMagick keeps as hex digits in a text; raises `FileProblem` (CORRUPT) if they are no whole profile."""
    try:
        _, _, length, digits = text.body.split(b"\n", 3)
        data = bytes.fromhex(digits.decode("ascii"))
        whole = int(length) == len(data)
    except ValueError:
        whole = False
    if not whole:
        raise FileProblem(Reason.CORRUPT, f"the {text.keyword!r} in the file is damaged")
    return data


def with_profile(text: Text, data: bytes) -> Text:
    """The text with another profile, under the name that stands in it."""
    name, digits = text.body.split(b"\n", 3)[1], data.hex().encode()
    lines = [digits[at : at + _HEX_LINE] for at in range(0, len(digits), _HEX_LINE)]
    return text.with_body(b"\n".join([b"", name, b"%8d" % len(data), *lines, b""]))
