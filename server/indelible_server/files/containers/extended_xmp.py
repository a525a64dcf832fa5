"""Extended XMP in JPEG: what does not fit into the main packet, in chunks behind it. It is read, and never changed."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ..problems import FileProblem, Reason
from ..xmp import SIZE_LIMIT

SIGNATURE = b"http://ns.adobe.com/xmp/extension/\0"
_HEAD = struct.Struct(">32sII")


def joined(payloads: Iterable[bytes], guid: str) -> bytes | None:
    """The packet that the main one refers to by `guid`, put together; None if there is no chunk of it.

    Raises `FileProblem` (CORRUPT, TOO_LARGE) if a part of it is missing or there twice, or if it is beyond bounds.
    """
    chunks: dict[int, bytes] = {}
    totals = set()
    for payload in payloads:
        head = payload[len(SIGNATURE) : len(SIGNATURE) + _HEAD.size]
        if len(head) < _HEAD.size or head[:32] != guid.encode("ascii", "replace"):
            continue
        _guid, total, offset = _HEAD.unpack(head)
        totals.add(total)
        if chunks.setdefault(offset, data := payload[len(SIGNATURE) + _HEAD.size :]) != data:
            raise FileProblem(Reason.CORRUPT, "the file's extended XMP is damaged")
    if not chunks:
        return None
    if max(totals) > SIZE_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "the file's extended XMP is larger than 16 MiB")
    whole = b""
    for offset, data in sorted(chunks.items()):
        if offset != len(whole):
            raise FileProblem(Reason.CORRUPT, "the file's extended XMP is damaged")
        whole += data
    if totals != {len(whole)}:
        raise FileProblem(Reason.CORRUPT, "the file's extended XMP is damaged")
    return whole
