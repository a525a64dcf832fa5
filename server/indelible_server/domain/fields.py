"""The fields that people edit: which there are, and which values they can have."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import invalid
from ..files import custom_forms
from ..files.dates import InvalidDate, parse_date
from ..files.policy import CustomForm
from ..files.tags import Value

LIST_LENGTH = 5_000
KEYWORD_LENGTH = 500
CUSTOM = "custom."
# XML can't carry these, and no caption means them.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
LINE_BREAKS = re.compile("[\t\n\r]")
COUNTRY_CODE = re.compile(r"[A-Z]{2,3}\Z")


@dataclass(frozen=True)
class Field:
    """A field's kind and the check of one of its values, which gives back the value as it is stored.

    A list has at most `most` values.
    """

    name: str
    is_list: bool
    check: Callable[[str, Any], Any]
    most: int = LIST_LENGTH


def field_of(name: str, custom_fields: Mapping[str, Any], at: str) -> Field:
    """The field of this name; `at` is where the request names it. Raises for an unknown or undeclared one."""
    if name.startswith(CUSTOM):
        if name.removeprefix(CUSTOM) not in custom_fields:
            raise invalid(
                at,
                f"{name!r} is not declared in this catalog; declare it as a custom field first",
                reason="UNDECLARED_CUSTOM_FIELD",
                name=name,
            )
        form = custom_fields[name.removeprefix(CUSTOM)].form
        return Field(name, True, _custom(form), LIST_LENGTH if form in custom_forms.LISTS else 1)
    if name not in FIELDS:
        known = ", ".join(sorted(FIELDS))
        raise invalid(at, f"there is no field {name!r}; the fields are {known}", reason="UNKNOWN_FIELD", name=name)
    return FIELDS[name]


def check_value(field: Field, value: Any, at: str) -> Value:
    """The value as it is stored; raises `InvalidArgument` naming `at` for one that can't be."""
    if not field.is_list:
        checked: Value = field.check(at, value)
        return checked
    return check_values(field, value, at)


def check_values(field: Field, values: Any, at: str) -> list[str]:
    """The elements of a list field, each checked, doubles left out."""
    if not isinstance(values, list | tuple):
        raise invalid(at, "is a list field: give a list of values")
    if len(values) > field.most:
        raise invalid(at, f"has more than {field.most:,} value{'s' * (field.most > 1)}")
    checked = [field.check(f"{at}[{position}]", value) for position, value in enumerate(values)]
    return list(dict.fromkeys(checked))


def _text(length: int, *, lines: bool = True) -> Callable[[str, Any], str]:
    def check(at: str, value: object) -> str:
        if not isinstance(value, str):
            raise invalid(at, "is a text field")
        value = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
        if not value:
            raise invalid(at, "is empty; to remove a value, clear the field", reason="EMPTY_VALUE")
        if len(value) > length:
            raise invalid(at, f"has {len(value):,} characters; at most {length:,} are allowed")
        found = FORBIDDEN.search(value) or (None if lines else LINE_BREAKS.search(value))
        if found:
            raise invalid(at, f"has the control character U+{ord(found[0]):04X}")
        return value

    return check


def _custom(form: CustomForm) -> Callable[[str, Any], str]:
    as_text = _text(10_000)

    def check(at: str, value: Any) -> str:
        try:
            return custom_forms.checked(form, as_text(at, value))
        except ValueError as error:
            raise invalid(at, str(error)) from error

    return check


def _keyword(at: str, value: Any) -> str:
    text = _text(KEYWORD_LENGTH, lines=False)(at, value)
    levels = [level.strip() for level in text.split("|")]
    if not all(levels):
        raise invalid(at, f'{text!r} has an empty level: "|" stands between the levels of a keyword, never inside one')
    return "|".join(levels)


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def check(at: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(at, "is a whole number")
        if not low <= value <= high:
            raise invalid(at, f"is {value}; it must be between {low} and {high}")
        return value

    return check


def _country_code(at: str, value: Any) -> str:
    code = _text(3, lines=False)(at, value).upper()
    if not COUNTRY_CODE.match(code):
        raise invalid(at, f"{code!r} is no ISO 3166 code of two or three letters")
    return code


def _date(at: str, value: Any) -> str:
    text = _text(64, lines=False)(at, value)
    try:
        parse_date(text)
    except InvalidDate as error:
        raise invalid(
            at, f"{text!r} is no date: {error}. Give 1923, 1923-05, 1923-05-17 or 1923-05-17T10:20:30+01:00"
        ) from error
    return text


def _gps(at: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise invalid(at, "is a position: lat, lon and, if known, alt")
    limits = {"lat": 90.0, "lon": 180.0, "alt": 100_000.0}
    for name, number in value.items():
        if name not in limits:
            raise invalid(at, f"has no part {name!r}")
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise invalid(f"{at}.{name}", "is a number")
        if abs(number) > limits[name]:
            raise invalid(f"{at}.{name}", f"is {number}; it must be between {-limits[name]:g} and {limits[name]:g}")
    if not {"lat", "lon"} <= set(value):
        raise invalid(at, "needs both lat and lon")
    return {name: float(number) for name, number in value.items()}


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("title", False, _text(2_000)),
        Field("headline", False, _text(2_000)),
        Field("description", False, _text(100_000)),
        Field("keywords", True, _keyword),
        Field("people", True, _text(500, lines=False)),
        Field("event", False, _text(2_000)),
        Field("rating", False, _whole(-1, 5)),
        Field("label", False, _text(250, lines=False)),
        Field("flag", False, _whole(-1, 1)),
        Field("creators", True, _text(500, lines=False)),
        Field("copyright", False, _text(2_000)),
        Field("credit", False, _text(2_000)),
        Field("source", False, _text(2_000)),
        Field("instructions", False, _text(10_000)),
        Field("place.location", False, _text(1_000, lines=False)),
        Field("place.city", False, _text(1_000, lines=False)),
        Field("place.state", False, _text(1_000, lines=False)),
        Field("place.country", False, _text(1_000, lines=False)),
        Field("place.country_code", False, _country_code),
        Field("gps", False, _gps),
        Field("taken_at", False, _date),
    )
}
