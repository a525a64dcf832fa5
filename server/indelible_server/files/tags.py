"""Tags: what people say about a file, and when two values of a field are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from .dates import InvalidDate, parse_date

Value = str | int | list[str] | dict[str, float]
Tags = dict[str, Value]
"""Field name to value, flat and sparse: a missing key is "no value". JSON-able."""

LISTS = frozenset({"keywords", "people", "creators"})
NUMBERS = frozenset({"rating", "flag"})
CUSTOM = "custom."
SEPARATOR = "|"
"""Between the levels of a keyword."""

REMEMBERED = 65_536
"""The same words come again and again over many items: this many are not worked out anew."""
GPS_STEPS = 10_000_000
"""A degree is compared, and written, in this many steps (1e-7°)."""
ALTITUDE_STEPS = 100
_BLANKS = " \t\n\xa0\u2028\u2029"
# XML cannot carry these, and no caption means them.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def is_list(field: str) -> bool:
    """Whether the field's value is a list of texts."""
    return field in LISTS or field.startswith(CUSTOM)


def tidy(text: str) -> str:
    """The text as it is compared and written: NFC, line ends LF, no control characters, no blanks at its edges."""
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    text = _NO_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", text).strip(_BLANKS)


def same_text(a: str | None, b: str | None) -> bool:
    """Whether two texts are the same; None is no text."""
    return tidy(a or "") == tidy(b or "")


@lru_cache(maxsize=REMEMBERED)
def levels(keyword: str) -> tuple[str, ...]:
    """The levels of a keyword, outermost first, as they are spelled."""
    return tuple(level for level in (tidy(part) for part in keyword.split(SEPARATOR)) if level)


def unique(field: str, values: Iterable[str]) -> list[str]:
    """The values, without those that are equal to an earlier one or empty."""
    first: dict[Hashable, str] = {}
    for value in values:
        first.setdefault(element(field, value), value)
    return [value for key, value in first.items() if key]


@lru_cache(maxsize=REMEMBERED)
def element(field: str, value: str) -> Hashable:
    """What one element of a list field is compared by; falsy for an empty one."""
    if field == "keywords":
        return tuple(level.casefold() for level in levels(value))
    return tidy(value)


def canonical(field: str, value: Value | None) -> Hashable:
    """What a value is compared by: two values of a field are the same if theirs are equal. None is "no value".

    The one measure of merge, plan, verification, rescan and audit. A keyword that is a level of another keyword of
    the list, and how paths and single words are interleaved, do not count: files cannot tell.
    """
    if value is None:
        return None
    return _CANONICAL.get(field, _canonical_list if is_list(field) else _canonical_text)(field, value)


def same(field: str, a: Value | None, b: Value | None) -> bool:
    """Whether two values of a field are the same."""
    return a == b or canonical(field, a) == canonical(field, b)


def difference(a: Mapping[str, Value], b: Mapping[str, Value]) -> set[str]:
    """The fields whose values are not the same."""
    return {field for field in a.keys() | b.keys() if not same(field, a.get(field), b.get(field))}


def _canonical_text(_field: str, value: Any) -> Hashable:
    return tidy(str(value)) or None


def _canonical_list(field: str, value: Any) -> Hashable:
    values = [value] if isinstance(value, str) else value
    return tuple(element(field, text) for text in unique(field, values)) or None


def _canonical_creators(field: str, value: Any) -> Hashable:
    values = [value] if isinstance(value, str) else value
    return _canonical_list(field, [name for text in values for name in text.split(";")])


def _canonical_keywords(field: str, value: Any) -> Hashable:
    values = [value] if isinstance(value, str) else value
    keys = [levels(keyword.casefold()) for keyword in unique(field, values)]
    paths = [key for key in keys if len(key) > 1]
    # Windows has whole paths with slashes among the words.
    known = {word for path in paths for word in (*path, "/".join(path))}
    return (*paths, *(key for key in keys if len(key) == 1 and key[0] not in known)) or None


def _canonical_number(_field: str, value: Any) -> Hashable:
    return round(float(value)) or None


def _canonical_gps(_field: str, value: Any) -> Hashable:
    altitude = None if value.get("alt") is None else round(value["alt"] * ALTITUDE_STEPS)
    return (round(value["lat"] * GPS_STEPS), round(value["lon"] * GPS_STEPS), altitude)


def _canonical_date(_field: str, value: Any) -> Hashable:
    try:
        date = parse_date(tidy(value))
    except InvalidDate:
        return tidy(value) or None
    second = 0 if date.second is None and date.hour is not None else date.second
    return (
        date.year,
        date.month,
        date.day,
        date.hour,
        date.minute,
        second,
        date.fraction.rstrip("0"),
        date.offset,
    )


def _canonical_code(_field: str, value: Any) -> Hashable:
    return tidy(value).upper() or None


_CANONICAL = {
    "keywords": _canonical_keywords,
    "creators": _canonical_creators,
    "rating": _canonical_number,
    "flag": _canonical_number,
    "gps": _canonical_gps,
    "taken_at": _canonical_date,
    "place.country_code": _canonical_code,
}
