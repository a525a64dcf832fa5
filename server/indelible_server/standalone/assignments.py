"""Edits and policies as people write them on a command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..domain.edits import Edit, check_edits
from ..domain.fields import CUSTOM, FIELDS
from ..errors import InvalidArgument
from ..files.policy import Policy

_NUMBERS = ("rating", "flag")


class WrongAssignment(ValueError):
    """What was written cannot be understood; the message says what would be."""


def parse_edits(
    policy: Policy,
    *,
    assign: Sequence[str] = (),
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    clear: Sequence[str] = (),
) -> list[Edit]:
    """The edits in the order in which they are applied: clear, set, remove, add; raises `WrongAssignment`.

    Lists and custom fields have `;` between their values.
    """
    edits = [Edit("clear", name, at="--clear") for text in clear for name in _cleared(text)]
    edits += [Edit("set", name, _value(name, text), at="--set") for name, text in _pairs("--set", assign)]
    edits += [Edit("remove", name, _values(text), at="--remove") for name, text in _pairs("--remove", remove)]
    edits += [Edit("add", name, _values(text), at="--add") for name, text in _pairs("--add", add)]
    try:
        return check_edits(edits, policy.custom_fields) if edits else []
    except InvalidArgument as error:
        raise WrongAssignment(error.message.replace("--set.", "--set ")) from error


def parse_policy(assignments: Sequence[str]) -> Policy:
    """The policy that `KEY=VALUE`s make of the default one; a value may be JSON. Raises `WrongAssignment`."""
    values: dict[str, Any] = {}
    for name, text in _pairs("--policy", assignments):
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text.upper() if name not in ("legacy_charset",) else text
        if name in ("excluded_fields", "private_keywords") and isinstance(values[name], str):
            values[name] = [part.strip() for part in text.split(",")]
    try:
        return Policy.from_json(values)
    except (KeyError, TypeError, ValueError) as error:
        raise WrongAssignment(f"--policy: {error}") from error


def _pairs(option: str, assignments: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            kind = "KEY=VALUE" if option == "--policy" else "FIELD=VALUE"
            raise WrongAssignment(f"{option} takes {kind}, not {text!r}")
        found.append((name.strip(), value))
    return found


def _cleared(name: str) -> list[str]:
    below = [field for field in FIELDS if field.startswith(f"{name}.")]
    return below or [name]


def _value(name: str, text: str) -> Any:
    if name in _NUMBERS:
        try:
            return int(text)
        except ValueError:
            raise WrongAssignment(f"--set {name}: {text!r} is no whole number") from None
    if name == "gps":
        return _position(text)
    is_list = name.startswith(CUSTOM) or (name in FIELDS and FIELDS[name].is_list)
    return _values(text) if is_list else text


def _values(text: str) -> list[str]:
    return [value.strip() for value in text.split(";") if value.strip()]


def _position(text: str) -> dict[str, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
        return dict(zip(("lat", "lon", "alt")[: len(numbers)], numbers, strict=True))
    except ValueError:
        raise WrongAssignment(f"--set gps takes LAT,LON[,ALT] in degrees and metres, not {text!r}") from None
