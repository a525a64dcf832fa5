"""Stray tags: ID3 and APE around a format that has comments of its own. Many programs read them all the same."""

from __future__ import annotations

from ..media import MediaFile

_ID3_LIMIT = 64 * 1024
_ID3V1 = 128
_FRAMES = {
    2: (b"TT2", b"TP1", b"COM", b"POP", b"TXX", b"TCR", b"PRV"),
    3: (b"TIT2", b"TPE1", b"COMM", b"POPM", b"TXXX", b"TCOP", b"PRIV"),
}


def id3_length(media: MediaFile) -> int:
    """How long an ID3v2 tag is that the file begins with; 0 if it begins with none."""
    head = media.read(0, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    length = 0
    for byte in head[6:]:
        length = length << 7 | byte & 0x7F
    return 10 + length + (10 if head[5] & 0x10 else 0)


def strays(media: MediaFile) -> str | None:
    """The kind of a tag in front of the file's own content or behind it that may hold our fields too."""
    length = id3_length(media)
    tag = media.read(0, min(length, _ID3_LIMIT))
    if length > _ID3_LIMIT or (tag and any(frame in tag for frame in _FRAMES[2 if tag[3] == 2 else 3])):
        return "ID3"
    end = media.read(max(media.size - 2 * _ID3V1, 0), 2 * _ID3V1)
    if b"APETAGEX" in end:
        return "APE"
    old = end[-_ID3V1:]
    # Title and comment; what else is there is not ours.
    return "ID3" if old.startswith(b"TAG") and (old[3:33].strip(b" \0") or old[97:127].strip(b" \0")) else None
