"""The fingerprint of a file's content: what people see or hear, whatever its metadata and its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .media import MediaFile

_SAMPLE = 64 * 1024


def fingerprint(media: MediaFile, content: Sequence[tuple[int, int]]) -> str:
    """A hash of the content's length and of its beginning, middle and end; empty where it is not known.

    Two files with the same one are taken for the same picture only together with their size or names: in between,
    nothing is read.
    """
    # Of a damaged file, the end may be before the beginning.
    content = [(offset, length) for offset, length in content if length > 0]
    total = sum(length for _, length in content)
    if not total:
        return ""
    found = hashlib.blake2b(total.to_bytes(8, "big"), digest_size=16)
    for start in sorted({0, max(0, total // 2 - _SAMPLE // 2), max(0, total - _SAMPLE)}):
        found.update(_piece(media, content, start, min(_SAMPLE, total - start)))
    return found.hexdigest()


def _piece(media: MediaFile, content: Sequence[tuple[int, int]], start: int, length: int) -> bytes:
    """A piece of the content, as if its ranges lay one behind the other."""
    found = b""
    for offset, size in content:
        if start < size and length > 0:
            part = media.read(offset + start, min(length, size - start))
            found, length, start = found + part, length - len(part), 0
        else:
            start -= size
    return found
