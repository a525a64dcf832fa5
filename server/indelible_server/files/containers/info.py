"""RIFF's own texts: a list of chunks, one for each text, in WAV and AVI alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..media import MediaFile
from .chunks import Chunk, chunk, chunks

INFO = b"INFO"
KINDS = (b"INAM", b"ICMT", b"IART", b"ICOP", b"IKEY")
CHARSET = "cp1252"
"""What readers take a text for, unless they see that it is UTF-8."""


def is_info(media: MediaFile, found: Chunk) -> bool:
    """Whether a list is the one of texts."""
    return found.kind == b"LIST" and media.read(found.data, len(INFO)) == INFO


def texts_of(media: MediaFile, found: Chunk) -> dict[str, tuple[str, ...]]:
    """The texts of a list, by their keys; raises `FileProblem` (CORRUPT) if it is damaged."""
    texts: dict[str, tuple[str, ...]] = {}
    for part in _parts(media, found):
        if part.kind in KINDS:
            key = part.kind.decode()
            texts[key] = (*texts.get(key, ()), decoded(media.read(part.data, part.length)))
    return texts


def with_texts(media: MediaFile, found: Chunk, texts: Mapping[str, Sequence[str]]) -> bytes:
    """The content of the list with other texts: each in its place, and once."""
    pieces, done = [INFO], set()
    for part in _parts(media, found):
        key = part.kind.decode("latin-1")
        if key not in texts:
            pieces.append(media.read(part.start, part.end - part.start))
        elif texts[key] and key not in done:
            pieces.append(chunk(part.kind, encoded(texts[key][0]) + b"\0", "little"))
            done.add(key)
    return b"".join(piece + bytes(len(piece) % 2) for piece in pieces)


def decoded(data: bytes, charset: str = CHARSET) -> str:
    """A text up to its first NUL: nothing says in what it is written, but what looks like UTF-8 is."""
    data = data.partition(b"\0")[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(charset, "replace")


def encoded(text: str, charset: str = CHARSET) -> bytes:
    """A text that is read again as itself, in the old alphabet if it can be."""
    try:
        data = text.encode(charset)
    except UnicodeEncodeError:
        return text.encode()
    return data if decoded(data, charset) == text else text.encode()


def _parts(media: MediaFile, found: Chunk) -> Iterator[Chunk]:
    return chunks(media, found.data + len(INFO), found.data + found.length, "little")
