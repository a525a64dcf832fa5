"""Custom fields: the forms that a catalog can declare for them, and the values that each can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .codecs import LIST, Codec, Raw
from .dates import InvalidDate, parse_date
from .policy import CustomForm, Policy
from .problems import FileProblem, Reason
from .tags import Value, tidy

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
LISTS = frozenset({CustomForm.BAG, CustomForm.SEQ})
"""The forms that hold more than one value."""


def checked(form: CustomForm, text: str) -> str:
    """The value as it is stored; raises `ValueError` saying what it is not."""
    return _CHECKS.get(form, tidy)(text)


def _integer(text: str) -> str:
    if not _INTEGER.fullmatch(tidy(text)):
        raise ValueError(f"{text!r} is no whole number")
    return str(int(tidy(text)))


def _real(text: str) -> str:
    if not _REAL.fullmatch(tidy(text)):
        raise ValueError(f"{text!r} is no number")
    return tidy(text)


def _boolean(text: str) -> str:
    spelled = tidy(text).capitalize()
    if spelled not in ("True", "False"):
        raise ValueError(f"{text!r} is neither True nor False")
    return spelled


def _date(text: str) -> str:
    try:
        return str(parse_date(tidy(text)))
    except InvalidDate as error:
        raise ValueError(f"{text!r} is no date: {error}") from error


_CHECKS: Mapping[CustomForm, Callable[[str], str]] = {
    CustomForm.INTEGER: _integer,
    CustomForm.REAL: _real,
    CustomForm.BOOLEAN: _boolean,
    CustomForm.DATE: _date,
}


def codec_of(form: CustomForm) -> Codec:
    """How values of this form are written. What is no such value is not read, and refused for writing."""
    if form in LISTS:
        return LIST

    def encode(value: list[str], _old: Raw, _policy: Policy) -> str | None:
        if len(value) > 1:
            raise FileProblem(Reason.UNSUPPORTED, f"a custom field is declared for one value, and has {len(value)}")
        try:
            return checked(form, value[0]) or None if value else None
        except ValueError as error:
            raise FileProblem(Reason.UNSUPPORTED, f"a custom field is not as it is declared: {error}") from error

    def decode(raw: str, _policy: Policy) -> Value | None:
        try:
            text = checked(form, raw)
        except ValueError:
            return None
        return [text] if text else None

    return Codec(encode, decode)
