"""Codecs: how a field's value becomes the text or the list of texts of one form, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .dates import InvalidDate, parse_date
from .policy import Policy
from .tags import Value, tidy

Raw = Any
"""What a form holds: a text, or a list of texts where its shape is a list."""


@dataclass(frozen=True)
class Codec:
    """A pair of functions. None stands for "no value", and for a value that the form cannot hold.

    `encode` is also given what the form holds now, since some forms keep part of it.
    """

    encode: Callable[[Any, Raw, Policy], Raw | None]
    decode: Callable[[Raw, Policy], Value | None]


def _numbers(pairs: dict[int, str]) -> Codec:
    """Numbers that are stored as other numbers; one that is not listed cannot be held."""
    back = {text: number for number, text in pairs.items()}
    return Codec(lambda value, _old, _policy: pairs.get(value), lambda raw, _policy: back.get(tidy(raw)))


def _decode_rating(raw: str, _policy: Policy) -> int | None:
    try:
        rating = round(float(tidy(raw)))
    except (ValueError, OverflowError):
        return None
    return rating if -1 <= rating <= 5 else None


def _decode_percent(raw: str, _policy: Policy) -> int | None:
    try:
        percent = round(float(tidy(raw)))
    except (ValueError, OverflowError):
        return None
    return next((stars for stars, most in enumerate((0, 12, 37, 62, 87, 100)) if 0 <= percent <= most), None)


_EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d)(.*)")
_APART = re.compile(r" (?=([+-]\d\d:\d\d|Z)$)")


def date_text(raw: str) -> str | None:
    """A date as a file spells it, in our spelling; None for what is no date."""
    # Agencies are known to write a blank before the zone.
    text = _APART.sub("", _EXIF_DATE.sub(r"\1-\2-\3\4", tidy(raw)))
    try:
        return str(parse_date(text))
    except InvalidDate:
        return None


def _encode_exif_date(value: str, _old: Raw, _policy: Policy) -> str | None:
    try:
        date = parse_date(tidy(value))
    except InvalidDate:
        return None
    if date.hour is None:
        return None
    day, _, time = str(replace(date, second=date.second or 0, fraction="", offset=None)).partition("T")
    return f"{day.replace('-', ':')} {time}"


def _colour_number(colours: tuple[str, ...]) -> Codec:
    def encode(value: str, _old: Raw, policy: Policy) -> str | None:
        colour = policy.label_map.get(tidy(value))
        return str(colours.index(colour)) if colour in colours else None

    def decode(raw: str, policy: Policy) -> str | None:
        text = tidy(raw)
        number = int(text) if text.isdecimal() else 0
        return policy.label_of(colours[number]) if 0 < number < len(colours) else None

    return Codec(encode, decode)


def _texts(value: Any) -> list[str]:
    return [text for text in (tidy(text) for text in value) if text]


def split_names(text: str) -> list[str]:
    """The names in a `; ` list; one in quotes may hold a semicolon."""
    found = re.findall(r'\s*("(?:[^"]|"")*"|[^;]*)\s*(?:;|$)', text)
    names = [name[1:-1].replace('""', '"') if name.startswith('"') and name.endswith('"') else name for name in found]
    return _texts(names)


def join_names(names: list[str]) -> str:
    """Names as a `; ` list."""
    return "; ".join(f'"{name}"' if ";" in name else name for name in names)


TEXT = Codec(lambda value, _old, _policy: tidy(value) or None, lambda raw, _policy: tidy(raw) or None)
LIST = Codec(lambda value, _old, _policy: _texts(value) or None, lambda raw, _policy: _texts(raw) or None)
NAMES = Codec(lambda value, _old, _policy: join_names(value) or None, lambda raw, _policy: split_names(raw) or None)
CODE = Codec(lambda value, _old, _policy: tidy(value).upper() or None, lambda raw, _policy: tidy(raw).upper() or None)
DATE = Codec(lambda value, _old, _policy: tidy(value) or None, lambda raw, _policy: date_text(raw))
EXIF_DATE = Codec(_encode_exif_date, lambda raw, _policy: date_text(raw))
RATING = Codec(lambda value, _old, _policy: str(value), _decode_rating)
STARS = Codec(lambda value, _old, _policy: str(value) if value >= 0 else None, _decode_rating)
PERCENT = Codec(
    lambda value, _old, _policy: str((0, 1, 25, 50, 75, 99)[value]) if value >= 0 else None, _decode_percent
)
PICK = _numbers({1: "1", 0: "0", -1: "-1"})
GOOD = Codec(
    lambda value, _old, _policy: {1: "True", -1: "False"}.get(value),
    lambda raw, _policy: {"true": 1, "false": -1}.get(tidy(raw).lower()),
)
PICK_LABEL = _numbers({-1: "1", 0: "0", 1: "3"})
LABEL_COLOUR = Codec(
    lambda value, _old, policy: policy.label_map.get(tidy(value)),
    lambda raw, policy: policy.label_of(tidy(raw)),
)
DIGIKAM_COLOUR = _colour_number(
    ("none", "red", "orange", "yellow", "green", "blue", "purple", "gray", "black", "white")
)
PHOTOMECHANIC_COLOUR = _colour_number(("none", "purple", "red", "orange", "yellow", "green", "cyan", "blue", "gray"))
