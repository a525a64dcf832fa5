"""How Exif stores a text or a number: each kind of value in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .exif import Exif
from .policy import Policy
from .tags import tidy
from .tiff import ASCII, BYTE, SHORT, UNDEFINED


@dataclass(frozen=True)
class ExifKind:
    """`load` gives the text in a value's bytes, "" for none; `dump` the reverse, None for "no value" or "cannot".

    `dump` is also given the bytes that are there now, since some kinds keep part of them.
    """

    type: int
    load: Callable[[Exif, bytes, Policy], str]
    dump: Callable[[Exif, str | None, bytes], bytes | None]


def text_of(data: bytes, policy: Policy) -> str:
    """A text that should be ASCII, is mostly UTF-8, and is what it is in old files."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(policy.legacy_charset, "replace")


def _load_ascii(_exif: Exif, data: bytes, policy: Policy) -> str:
    return text_of(data.partition(b"\0")[0], policy)


def _dump_ascii(_exif: Exif, text: str | None, _old: bytes) -> bytes | None:
    return text.encode() + b"\0" if text else None


def _dump_copyright(_exif: Exif, text: str | None, old: bytes) -> bytes | None:
    """The photographer's part; the editor's, behind the first NUL, stays."""
    editor = old.partition(b"\0")[2]
    if not editor.strip(b"\0 "):
        editor = b""
    if not text and not editor:
        return None
    # A blank stands for a photographer who is not named, as the standard has it.
    return (text or " ").encode() + b"\0" + editor


def _load_wide(_exif: Exif, data: bytes, _policy: Policy) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "replace").partition("\0")[0]


def _dump_wide(_exif: Exif, text: str | None, _old: bytes) -> bytes | None:
    return text.encode("utf-16-le") + b"\0\0" if text else None


def _load_number(exif: Exif, data: bytes, _policy: Policy) -> str:
    # Some programs write it as a long or a single byte.
    found = exif.unpack({1: "B", 4: "I"}.get(len(data), "H"), data)
    return str(found[0]) if found else ""


def _dump_number(exif: Exif, text: str | None, _old: bytes) -> bytes | None:
    return exif.pack("H", int(text)) if text else None


_IN_ASCII, _IN_UNICODE, _IN_JIS, _UNDEFINED = b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", bytes(8)


def _load_comment(exif: Exif, data: bytes, policy: Policy) -> str:
    mark, rest = data[:8], data[8:]
    if mark == _IN_UNICODE:
        return _unmarked(exif, rest[: len(rest) & ~1]).rstrip("\0")
    if mark == _IN_JIS:
        return rest.decode("iso2022_jp", "replace").partition("\0")[0]
    return text_of(rest.partition(b"\0")[0], policy) if mark in (_IN_ASCII, _UNDEFINED) else ""


def _unmarked(exif: Exif, data: bytes) -> str:
    """UTF-16 whose byte order nobody wrote down: a mark says it, else the zeros of common scripts do."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    high, low = data[::2].count(0), data[1::2].count(0)
    big = exif.big_endian if high == low else high > low
    return data.decode("utf-16-be" if big else "utf-16-le", "replace")


def _dump_comment(exif: Exif, text: str | None, _old: bytes) -> bytes | None:
    if not text:
        return None
    if text.isascii():
        return _IN_ASCII + text.encode()
    return _IN_UNICODE + text.encode("utf-16-be" if exif.big_endian else "utf-16-le")


TEXT = ExifKind(ASCII, _load_ascii, _dump_ascii)
COPYRIGHT = ExifKind(ASCII, _load_ascii, _dump_copyright)
WIDE = ExifKind(BYTE, _load_wide, _dump_wide)
NUMBER = ExifKind(SHORT, _load_number, _dump_number)
COMMENT = ExifKind(UNDEFINED, _load_comment, _dump_comment)

_CAMERA_DEFAULTS = frozenset(
    {
        "OLYMPUS DIGITAL CAMERA",
        "OLYMPUS IMAGING CAMERA",
        "GE DIGITAL CAMERA",
        "SANYO DIGITAL CAMERA",
        "SONY DSC",
        "SAMSUNG",
        "SAMSUNG DIGITAL CAMERA",
        "MINOLTA DIGITAL CAMERA",
        "KONICA MINOLTA DIGITAL CAMERA",
        "KODAK DIGITAL STILL CAMERA",
        "PENTAX DIGITAL CAMERA",
        "BENQ DIGITAL CAMERA",
        "DIGITAL CAMERA",
        "DIGITAL STILL CAMERA",
        "DIGITAL STILLCAMERA",
        "MY BEAUTIFUL PICTURE",
        "DCIM",
        "DCF 1.0",
        "JENOPTIK",
        "MEDION DIGITAL CAMERA",
        "ROLLEI DIGITAL CAMERA",
        "VIVITAR DIGITAL CAMERA",
        "EXIF_JPEG_PICTURE",
        "EXIF JPEG",
        "USER COMMENTS",
        "DEFAULT",
    }
)


def is_camera_default(text: str) -> bool:
    """Whether a text is what a camera puts there by itself."""
    return tidy(text).upper() in _CAMERA_DEFAULTS
