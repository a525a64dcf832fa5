"""Movie files, made byte by byte, and read as a player does."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
CHUNKS = (b"the first chunk", b"the second", b"and the third of them")


def box(kind: bytes, *content: bytes) -> bytes:
    """A box."""
    joined = b"".join(content)
    return struct.pack(">I", len(joined) + 8) + kind + joined


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def item(kind: bytes, text: str, *, locale: int = 0, number: int = 1) -> bytes:
    """An item of `ilst` with one atom."""
    return box(kind, box(b"data", struct.pack(">II", number, locale), text.encode()))


def tags(*items: bytes) -> bytes:
    """iTunes' box of items, inside of `udta`."""
    return full(b"meta", handler(b"mdir"), box(b"ilst", *items))


def keyed(values: dict[str, bytes]) -> bytes:
    """Apple's box of items with keys, as it is in QuickTime: without a version. The values are atoms."""
    names = [box(b"mdta", key.encode()) for key in values]
    items = [box(struct.pack(">I", number), atom) for number, atom in enumerate(values.values(), 1)]
    keys = full(b"keys", struct.pack(">I", len(names)), *names)
    return box(b"meta", handler(b"mdta"), keys, box(b"ilst", *items))


def atom(content: bytes, number: int = 1) -> bytes:
    """An atom of an item."""
    return box(b"data", struct.pack(">II", number, 0), content)


def entry(raw: bytes, language: int = 0) -> bytes:
    """A text of QuickTime's user data."""
    return struct.pack(">HH", len(raw), language) + raw


def handler(kind: bytes) -> bytes:
    """Says what a box is about."""
    return full(b"hdlr", bytes(4), kind, bytes(13))


def track(
    offsets: Sequence[int], *tables: bytes, kind: bytes = b"stco", own: bool = True, made: Sequence[int] = (0, 0)
) -> bytes:
    """A track of pictures, 640 x 480, with its chunks at these places; itself and its media `made` at some time."""
    code = "I" if kind == b"stco" else "Q"
    chunks = full(kind, struct.pack(f">I{len(offsets)}{code}", len(offsets), *offsets))
    reference = full(b"dref", struct.pack(">I", 1), full(b"url ", flags=int(own)))
    media = box(b"minf", box(b"dinf", reference), box(b"stbl", full(b"stsd", bytes(4)), chunks, *tables))
    header = full(b"tkhd", struct.pack(">I", made[0]), bytes(68), struct.pack(">II", 640 << 16, 480 << 16))
    of_media = full(b"mdhd", struct.pack(">I", made[1]), bytes(16))
    return box(b"trak", header, box(b"mdia", of_media, handler(b"vide"), media))


def movie(
    brand: bytes = b"isom",
    *header: bytes,
    first: bool = False,
    between: bytes = b"",
    end: bytes = b"",
    kind: bytes = b"stco",
    own: bool = True,
    in_front: bytes = b"",
    made: Sequence[int] = (0, 0, 0),
) -> bytes:
    """A movie of 2.5 seconds. `header` are further boxes of `moov`, `in_front` those before the track.

    `made` are the seconds since 1904 at which movie, track and media were made.
    """
    start = box(b"ftyp", brand, bytes(4), brand) if brand else b""
    duration = full(b"mvhd", struct.pack(">IIII", made[0], 0, 600, 1500), bytes(80))

    def moov(base: int) -> bytes:
        offsets = [base + before for before in accumulate((len(chunk) for chunk in CHUNKS[:-1]), initial=0)]
        return box(b"moov", duration, in_front, track(offsets, kind=kind, own=own, made=made[1:]), *header)

    media = box(b"mdat", *CHUNKS)
    if first:
        base = len(start) + len(moov(0)) + len(between) + 8
        return start + moov(base) + between + media + end
    return start + media + moov(len(start) + 8) + between + end


def fragmented(*header: bytes) -> bytes:
    """A movie in one fragment whose samples are found by an offset from the file's start, with an index at the end."""
    start = box(b"ftyp", b"iso5", bytes(4)) + box(
        b"moov", full(b"mvhd", struct.pack(">IIII", 0, 0, 600, 0), bytes(80)), track([]), box(b"mvex"), *header
    )
    index = full(b"sidx", bytes(20))
    at = len(start) + len(index)

    def fragment(base: int) -> bytes:
        place = full(b"tfhd", struct.pack(">IQ", 1, base), flags=1)
        aux = full(b"saio", struct.pack(">II", 1, 9999))
        return box(b"moof", full(b"mfhd", bytes(4)), box(b"traf", place, aux, full(b"trun", bytes(4))))

    moof = fragment(at + len(fragment(0)) + 8)
    access = full(b"tfra", struct.pack(">IIIQQ3x", 1, 0, 1, 0, at), version=1)
    length = 8 + len(access) + 16
    return (
        start + index + moof + box(b"mdat", CHUNKS[0]) + box(b"mfra", access, full(b"mfro", struct.pack(">I", length)))
    )


def found(content: bytes, *path: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Where the content of each box at this path begins and ends."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, start)
        stop = start + length if length else end
        if kind == path[0] and len(path) == 1:
            yield start + 8, stop
        elif kind == path[0]:
            has_version = kind == b"meta" and not any(content[start + 8 : start + 12])
            yield from found(content, *path[1:], start=start + (12 if has_version else 8), end=stop)
        start = stop


def content_of(content: bytes, *path: bytes) -> bytes:
    """What the only box at this path holds."""
    ((start, end),) = found(content, *path)
    return content[start:end]


def top(content: bytes) -> list[bytes]:
    """The kinds of the boxes at the top."""
    kinds, start = [], 0
    while start < len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        kinds.append(kind)
        start += length or len(content)
    return kinds


def chunks(content: bytes, kind: bytes = b"stco") -> tuple[bytes, ...]:
    """The chunks, found by their table."""
    table = content_of(content, b"moov", b"trak", b"mdia", b"minf", b"stbl", kind)
    offsets = struct.unpack_from(f">3{'I' if kind == b'stco' else 'Q'}", table, 8)
    return tuple(content[at : at + len(chunk)] for at, chunk in zip(offsets, CHUNKS, strict=True))


def packet_at_top(content: bytes) -> bytes:
    """The XMP packet of MP4."""
    held = [content[start:end] for start, end in found(content, b"uuid")]
    (packet,) = (data[16:] for data in held if data.startswith(XMP_UUID))
    return packet
