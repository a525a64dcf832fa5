"""How a single text lies in a box of a movie: each kind of box has its own way, and its own way of languages."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..problems import FileProblem, Reason
from ..tags import same_text
from ..text_forms import FIXED_STEPS
from .boxes import box

_UNDETERMINED = 0x55C4
_MACINTOSH_BELOW, _UNSPECIFIED = 0x400, 0x7FFF
_UTF8, _UTF16, _SIGNED, _UNSIGNED, _FLOAT, _DOUBLE = 1, 2, 21, 22, 23, 24
_BOM = b"\xfe\xff"
_ENTRY_LIMIT = 65_535
_BEGIN_OF_TIME = datetime(1904, 1, 1, tzinfo=UTC)
_SIGNED_NUMBER = re.compile(r"[+-]\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Piece:
    """One text of a box in one language; None for something that is no text."""

    language: bytes
    text: str | None


@dataclass(frozen=True)
class Layout:
    """How a kind of box holds its texts. `write` is given the old content, and keeps other languages.

    A box that `stays` is there without a text too: then `write` is given none.
    """

    pieces: Callable[[bytes], list[Piece]]
    write: Callable[[bytes, Sequence[str]], bytes]
    stays: bool = False


def _decoded(raw: bytes) -> str:
    """A text in UTF-8, or in UTF-16 behind a byte order mark."""
    text = raw[2:].decode("utf-16-be", "replace") if raw.startswith(_BOM) else raw.decode("utf-8", "replace")
    return text.partition("\0")[0]


def _encoded_as(old: bytes, text: str) -> bytes:
    return _BOM + text.encode("utf-16-be") if old.startswith(_BOM) else text.encode()


def _data_atoms(content: bytes) -> Iterator[tuple[int, int, bytes, bytes | None]]:
    """The atoms of an item: type, offset of the atom's end, locale, payload; without a payload where it is no data."""
    position = 0
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8 or position + length > len(content):
            return
        is_data = content[position + 4 : position + 8] == b"data" and length >= 16
        kind = int.from_bytes(content[position + 8 : position + 12], "big") if is_data else 0
        end = position + length
        yield kind, end, content[position + 12 : position + 16], content[position + 16 : end] if is_data else None
        position = end


def _data_text(kind: int, payload: bytes) -> str | None:
    if kind in (0, _UTF8):
        return payload.decode("utf-8", "replace").rstrip("\0")
    if kind == _UTF16:
        return payload.decode("utf-16-be", "replace").rstrip("\0")
    if kind in (_SIGNED, _UNSIGNED) and 0 < len(payload) <= 8:
        return str(int.from_bytes(payload, "big", signed=kind == _SIGNED))
    if (kind, len(payload)) in ((_FLOAT, 4), (_DOUBLE, 8)):
        return str(struct.unpack(">f" if kind == _FLOAT else ">d", payload)[0])
    return None


def _data_atom(kind: int, locale: bytes, old: bytes, text: str) -> bytes:
    """An atom of the same type, if that can hold the text."""
    number = int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else None
    if kind == _UTF16:
        payload = text.encode("utf-16-be")
    elif kind in (_SIGNED, _UNSIGNED) and number is not None and number < 1 << (8 * len(old) - 1):
        payload = number.to_bytes(len(old), "big")
    elif kind in (_FLOAT, _DOUBLE) and number is not None:
        payload = struct.pack(">f" if kind == _FLOAT else ">d", number)
    else:
        kind, payload = _UTF8, text.encode()
    return box(b"data", kind.to_bytes(4, "big") + locale + payload)


def _data_pieces(content: bytes) -> list[Piece]:
    atoms = _data_atoms(content)
    return [Piece(locale, _data_text(kind, payload)) for kind, _, locale, payload in atoms if payload is not None]


def _data_written(content: bytes, texts: Sequence[str]) -> bytes:
    """The first atom gets the text, others of its locale go: they were further values of the same list."""
    new, position = b"", 0
    first: Piece | None = None
    for kind, end, locale, payload in _data_atoms(content):
        held = None if payload is None else _data_text(kind, payload)
        if payload is not None and held is not None and first is None:
            first = Piece(locale, held)
            new += b"".join(_data_atom(kind, locale, payload, text) for text in texts)
        elif payload is None or first is None:
            new += content[position:end]
        elif locale != first.language:
            repeats = same_text(held, first.text)
            new += _data_atom(kind, locale, payload, texts[0]) if repeats else content[position:end]
        position = end
    return new + content[position:]


def _entries(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """A QuickTime list of texts: language and text of each, and where the list ends."""
    found: list[tuple[int, bytes]] = []
    position = 0
    while position + 4 <= len(content):
        length, language = struct.unpack_from(">HH", content, position)
        if position + 4 + length > len(content):
            length -= 4  # Some programs count the four bytes in front of the text too.
        if length < 0 or position + 4 + length > len(content) or (found and not length):
            break
        found.append((language, content[position + 4 : position + 4 + length]))
        position += 4 + length
    return found, position


def _is_macintosh(language: int, raw: bytes) -> bool:
    return (language < _MACINTOSH_BELOW or language == _UNSPECIFIED) and not raw.startswith(_BOM)


def _is_utf8(raw: bytes) -> bool:
    try:
        return not raw.isascii() and bool(raw.decode())
    except UnicodeDecodeError:
        return False


def _entry_text(language: int, raw: bytes) -> str:
    if _is_macintosh(language, raw) and not (language == 0 and _is_utf8(raw)):
        return raw.decode("mac_roman").rstrip("\0")
    return _decoded(raw)


def _entry(language: int, old: bytes, text: str) -> bytes:
    """An entry in the same language and encoding; in UTF-8 and no language in particular if that cannot be."""
    raw = _encoded_as(old, text)
    if _is_macintosh(language, old) and not (language == 0 and _is_utf8(old)):
        try:
            raw = text.encode("mac_roman")
        except UnicodeEncodeError:
            language = _UNDETERMINED
        if language == 0 and _is_utf8(raw):
            language, raw = _UNDETERMINED, text.encode()
    if len(raw) > _ENTRY_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "a text does not fit into QuickTime's own field for it")
    return struct.pack(">HH", len(raw), language) + raw


def _list_pieces(content: bytes) -> list[Piece]:
    return [Piece(language.to_bytes(2, "big"), _entry_text(language, raw)) for language, raw in _entries(content)[0]]


def _list_written(content: bytes, texts: Sequence[str]) -> bytes:
    entries, end = _entries(content)
    old = _entry_text(*entries[0])
    new = b"".join(
        _entry(language, raw, texts[0])
        if index == 0 or same_text(_entry_text(language, raw), old)
        else struct.pack(">HH", len(raw), language) + raw
        for index, (language, raw) in enumerate(entries)
    )
    return new + content[end:]


def _full_pieces(content: bytes) -> list[Piece]:
    if len(content) < 6 or content[:4] != bytes(4):
        return []
    return [Piece(content[4:6], _decoded(content[6:]))]


def _full_written(content: bytes, texts: Sequence[str]) -> bytes:
    ending = b"\0\0" if content[6:8] == _BOM else b"\0"
    return content[:6] + _encoded_as(content[6:], texts[0]) + ending


def _keyword_pieces(content: bytes) -> list[Piece]:
    if len(content) < 7 or content[:4] != bytes(4):
        return []
    found, position = [], 7
    for _ in range(content[6]):
        end = position + 1 + (content[position] if position < len(content) else 0)
        if position >= len(content) or end > len(content):
            return []
        found.append(Piece(content[4:6], _decoded(content[position + 1 : end])))
        position = end
    return found


def _keywords_written(content: bytes, texts: Sequence[str]) -> bytes:
    raw = [text.encode() + b"\0" for text in texts]
    if len(raw) > 255 or any(len(word) > 255 for word in raw):
        raise FileProblem(Reason.TOO_LARGE, "the keywords do not fit into 3GP's own field for them")
    return content[:6] + bytes([len(raw)]) + b"".join(bytes([len(word)]) + word for word in raw)


def _place_at(content: bytes) -> int | None:
    """Where the numbers of a place are: behind its name and its role."""
    if content[:4] != bytes(4):
        return None
    if content[6:8] == _BOM:
        end = next((at for at in range(8, len(content) - 1, 2) if content[at : at + 2] == b"\0\0"), -2) + 2
    else:
        end = content.find(b"\0", 6) + 1
    return end + 1 if 0 < end <= len(content) - 13 else None


def _place_pieces(content: bytes) -> list[Piece]:
    at = _place_at(content)
    if at is None:
        return []
    lon, lat, alt = (number / FIXED_STEPS for number in struct.unpack_from(">iii", content, at))
    altitude = f"{alt:+.2f}" if round(alt, 2) else ""
    return [Piece(content[4:6], f"{lat:+011.7f}{lon:+012.7f}{altitude}/")]


def _place_written(content: bytes, texts: Sequence[str]) -> bytes:
    at = _place_at(content)
    numbers = _SIGNED_NUMBER.findall(texts[0])
    if at is None or not 2 <= len(numbers) <= 3:
        raise FileProblem(Reason.UNSUPPORTED, "the file's own field for the place cannot hold it")
    lat, lon, alt = (round(float(number) * FIXED_STEPS) for number in (*numbers, "0")[:3])
    try:
        return content[:at] + struct.pack(">iii", lon, lat, alt) + content[at + 12 :]
    except struct.error as error:
        raise FileProblem(Reason.TOO_LARGE, "the altitude does not fit into 3GP's own field for it") from error


def _moment_of(content: bytes) -> bytes:
    """The seconds since the beginning of 1904, behind a version that says how many bytes they have."""
    return content[4:12] if content[:1] == b"\1" else content[4:8]


def _moment_pieces(content: bytes) -> list[Piece]:
    raw = _moment_of(content)
    try:
        moment = _BEGIN_OF_TIME + timedelta(seconds=int.from_bytes(raw, "big"))
    except OverflowError:
        return []
    # Headers with another moment than the first are like texts in another language: what they say is their own.
    return [Piece(raw, moment.isoformat())] if any(raw) else []


def _moment_written(content: bytes, texts: Sequence[str]) -> bytes:
    """Zero stands for an unknown moment, and for one that cannot be held."""
    width = len(_moment_of(content))
    seconds = int((datetime.fromisoformat(texts[0]) - _BEGIN_OF_TIME).total_seconds()) if texts else 0
    number = seconds if 0 < seconds < 1 << 8 * width else 0
    return content[:4] + number.to_bytes(width, "big") + content[4 + width :]


ITEM = Layout(_data_pieces, _data_written)
"""An item of `ilst`: atoms with a type and a locale each."""
LIST = Layout(_list_pieces, _list_written)
"""QuickTime's user data: texts with their lengths and languages."""
FULL = Layout(_full_pieces, _full_written)
"""3GP: a version, a language, and a text up to a NUL."""
KEYWORDS = Layout(_keyword_pieces, _keywords_written)
"""3GP's keywords: a version, a language, a count, and a length before each."""
PLACE = Layout(_place_pieces, _place_written)
"""3GP's place, as ISO 6709; its name, its role and its notes stay."""
MOMENT = Layout(_moment_pieces, _moment_written, stays=True)
"""When a movie, a track or its media were made, in UTC: a number in their headers."""
