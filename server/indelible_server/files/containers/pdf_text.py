"""PDF text strings: PDFDocEncoding, UTF-16 and UTF-8."""

from __future__ import annotations

import re

_DOC = dict(zip(range(0x18, 0x20), "\u02d8\u02c7\u02c6\u02d9\u02dd\u02db\u02da\u02dc", strict=True)) | dict(
    zip(
        (*range(0x80, 0x9F), 0xA0),
        "\u2022\u2020\u2021\u2026\u2014\u2013\u0192\u2044\u2039\u203a\u2212\u2030\u201e\u201c\u201d\u2018"
        "\u2019\u201a\u2122\ufb01\ufb02\u0141\u0152\u0160\u0178\u017d\u0131\u0142\u0153\u0161\u017e\u20ac",
        strict=True,
    )
)
_BYTES = {_DOC.get(byte, chr(byte)): byte for byte in (9, 10, 13, *range(0x18, 0x7F), *_DOC, *range(0xA1, 0x100))}
_LANGUAGE = re.compile("\x1b[^\x1b]{0,8}\x1b")
"""A language code inside of a UTF-16 text."""
_MARKS = ((b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"), (b"\xef\xbb\xbf", "utf-8"))
_NOT_PLAIN = re.compile(rb"[^ -'*-\[\]-~]")


def text_of(string: bytes) -> str:
    """The text in a string."""
    for mark, encoding in _MARKS:
        if string.startswith(mark):
            return _LANGUAGE.sub("", string[len(mark) :].decode(encoding, "replace"))
    return "".join(_DOC.get(byte, chr(byte)) for byte in string)


def string_of(text: str) -> bytes:
    """The source of a string with this text: spelled in ASCII, and in UTF-16 where PDFDocEncoding cannot hold it."""
    if all(character in _BYTES for character in text):
        string = bytes(_BYTES[character] for character in text)
        if text_of(string) == text:
            return b"(" + _NOT_PLAIN.sub(lambda found: b"\\%03o" % found[0][0], string) + b")"
    return b"<FEFF" + text.encode("utf-16-be").hex().upper().encode() + b">"
