"""The content of ID3 frames: texts in the encodings that a tag's version knows, comments, ratings and dates."""

from __future__ import annotations

from collections.abc import Sequence

from ..codecs import join_names, split_names

LATIN, WIDE, WIDE_BIG, UTF8 = range(4)
_NAMES = {LATIN: "cp1252", WIDE: "utf-16", WIDE_BIG: "utf-16-be", UTF8: "utf-8"}
WINDOWS_SCALE = frozenset(
    {
        b"Windows Media Player 9 Series",
        b"no@email",
        b"rating@winamp.com",
        b"MusicBee",
        b"Banshee",
    }
)
"""Who is known to rate 1, 64, 128, 196 and 255."""


def latin(data: bytes) -> str:
    """What is said to be Latin-1, as everyone has written it: with the signs that Windows adds."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


def split(encoding: int, data: bytes) -> list[bytes]:
    """The parts of `data` between its NULs; what ends in one has nothing behind it."""
    if encoding in (LATIN, UTF8):
        parts = data.split(b"\0")
    else:
        units = [data[at : at + 2] for at in range(0, len(data), 2)]
        parts, part = [], b""
        for unit in units:
            if unit == b"\0\0":
                parts.append(part)
                part = b""
            else:
                part += unit
        parts.append(part)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def decoded(encoding: int, part: bytes) -> str:
    """A text in one of the encodings; what is no text in it becomes signs that say so."""
    if encoding == LATIN:
        return latin(part)
    if encoding == WIDE and part[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        # The order is told once, or not at all: then it is that of the network.
        encoding = WIDE_BIG
    return part.decode(_NAMES.get(encoding, "latin-1"), "replace")


def encoded(encoding: int, text: str) -> bytes:
    """A text in one of the encodings; little-endian where it says so itself."""
    if encoding == WIDE:
        return b"\xff\xfe" + text.encode("utf-16-le")
    return text.encode("latin-1" if encoding == LATIN else _NAMES[encoding])


def texts_of(content: bytes) -> list[str]:
    """The texts behind an encoding: several, if the frame holds a list."""
    if not content:
        return [""]
    parts = split(content[0], content[1:])
    if content[0] == WIDE and parts[0][:2] == b"\xff\xfe":
        parts = [part if part[:2] in (b"\xff\xfe", b"\xfe\xff") else b"\xff\xfe" + part for part in parts]
    return [decoded(content[0], part) for part in parts]


def with_texts(texts: Sequence[str], old: bytes, version: int, prefix: bytes = b"") -> bytes:
    """A frame's content: its encoding, `prefix`, and texts; in the old encoding if version and texts allow it."""
    encoding = _encoding(texts, old, version)
    end = b"\0" if encoding in (LATIN, UTF8) else b"\0\0"
    return bytes([encoding]) + prefix + end.join(encoded(encoding, text) for text in texts)


def _encoding(texts: Sequence[str], old: bytes, version: int) -> int:
    present = old[0] if old else LATIN
    if present == LATIN and all(_is_latin(text) for text in texts):
        return LATIN
    if version < 4:
        return WIDE
    return present if present in (WIDE, WIDE_BIG) else UTF8


def _is_latin(text: str) -> bool:
    return all(" " <= sign <= "~" or sign == "\n" or "\xa0" <= sign <= "\xff" for sign in text)


def comment(content: bytes) -> tuple[bytes, str, str]:
    """The language, the description and the text of a comment."""
    description, *text = texts_of(content[:1] + content[4:])
    return content[1:4], description, text[0] if text else ""


def with_comment(text: str, old: bytes, version: int) -> bytes:
    """A comment without a description, in its old language."""
    return with_texts(["", text], old, version, old[1:4].ljust(3, b"X"))


def popularity(content: bytes) -> tuple[bytes, int, bytes]:
    """The owner, the rating (0 for none) and the counter of a rating."""
    owner, _, rest = content.partition(b"\0")
    return owner, rest[0] if rest else 0, rest[1:]


def with_popularity(rating: int, old: bytes) -> bytes | None:
    """The same owner's rating; None if there is nothing left to say."""
    owner, _, counter = popularity(old)
    return None if not rating and not any(counter) else owner + b"\0" + bytes([rating]) + counter


def names_of(content: bytes) -> tuple[str, ...]:
    """The names in a list of values, or in one text."""
    return tuple(name for text in texts_of(content) for name in split_names(text))


def with_names(names: Sequence[str], old: bytes, version: int) -> bytes:
    """Names as the frame had them: each a value, or all in one text."""
    values = names if version >= 4 and len(texts_of(old)) > 1 else [join_names(list(names))]
    return with_texts(values, old, version)


def date(year: str, day: str, time: str) -> str:
    """The date that year (YYYY), day (DDMM) and time (HHMM) say together, as far as they do."""
    text = f"{year[:4]}-{day[2:]}-{day[:2]}" if len(day) == 4 else year[:4]
    return f"{text}T{time[:2]}:{time[2:]}" if len(day) == len(time) == 4 else text


def parts_of_date(text: str) -> tuple[str, str, str]:
    """The year, the day and the time in a date; empty where it has none."""
    whole_day, _, time = text.partition("T")
    year, _, day = whole_day.partition("-")
    return year, day[3:] + day[:2] if len(day) == 5 else "", time.replace(":", "")
