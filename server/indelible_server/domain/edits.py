"""Edits of tags: six kinds, applied to the tags as they are at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from ..errors import invalid
from ..files.dates import shift_date
from ..files.tags import Tags, Value, element, unique
from .fields import check_value, check_values, field_of

EDITS_A_CALL = 200
SHIFT_LIMIT_S = 200 * 366 * 24 * 3600


@dataclass(frozen=True)
class Edit:
    """One edit. Which of the attributes matter depends on `kind`: set, clear, add, remove, replace or shift.

    `at` is where the request names it, if not in its own place.
    """

    kind: str
    field: str
    value: Value | None = None
    position: int | None = None
    to: str = ""
    subtree: bool = False
    seconds: float = 0
    at: str = ""

    def to_json(self) -> dict[str, Any]:
        """For a durable change."""
        return asdict(self)


def check_edits(edits: Sequence[Edit], custom_fields: Mapping[str, Any]) -> list[Edit]:
    """The edits with their values as they are stored; raises `InvalidArgument` for the first that can't be."""
    if not edits:
        raise invalid("edits", "is empty: say what to change", reason="EMPTY_EDITS")
    return [
        _checked(edit, custom_fields, edit.at or f"edits[{position}].{edit.kind}")
        for position, edit in enumerate(edits)
    ]


def apply_edits(tags: Tags, edits: Sequence[Edit]) -> Tags:
    """The tags after these edits, in their order. `tags` itself stays as it is."""
    result = dict(tags)
    for edit in edits:
        value = _APPLY[edit.kind](result.get(edit.field), edit)
        if value is None or value == []:
            result.pop(edit.field, None)
        else:
            result[edit.field] = value
    return result


def _checked(edit: Edit, custom_fields: Mapping[str, Any], at: str) -> Edit:
    field = field_of(edit.field, custom_fields, at if edit.kind in ("set", "clear") else f"{at}.field")
    at = f"{at}.{edit.field}" if edit.kind == "set" else at
    if edit.kind == "set":
        return Edit("set", edit.field, check_value(field, edit.value, at))
    if edit.kind == "clear":
        return Edit("clear", edit.field)
    if edit.kind == "shift":
        if edit.field != "taken_at":
            raise invalid(f"{at}.field", "only taken_at can be shifted")
        if not edit.seconds or abs(edit.seconds) > SHIFT_LIMIT_S:
            raise invalid(f"{at}.by", "is zero or longer than 200 years")
        return Edit("shift", edit.field, seconds=edit.seconds)
    if not field.is_list or (field.most == 1 and edit.kind == "add"):
        raise invalid(f"{at}.field", f"{edit.field} holds one value: use set or clear")
    if edit.kind == "replace":
        old, new = field.check(f"{at}.from", edit.value), field.check(f"{at}.to", edit.to)
        return Edit("replace", edit.field, old, to=new, subtree=edit.subtree)
    values = check_values(field, edit.value, f"{at}.values")
    if not values:
        raise invalid(f"{at}.values", "is empty", reason="EMPTY_EDITS")
    if edit.position is not None and edit.position < 0:
        raise invalid(f"{at}.position", "is negative; 0 is the front")
    return Edit(edit.kind, edit.field, values, position=edit.position)


def _listed(value: Value | None) -> list[str]:
    return list(value) if isinstance(value, list) else []


def _add(present: Value | None, edit: Edit) -> Value:
    values = _listed(present)
    known = [element(edit.field, value) for value in values]
    new = [value for value in unique(edit.field, _listed(edit.value)) if element(edit.field, value) not in known]
    position = len(values) if edit.position is None else min(edit.position, len(values))
    return [*values[:position], *new, *values[position:]]


def _remove(present: Value | None, edit: Edit) -> Value:
    gone = [element(edit.field, value) for value in _listed(edit.value)]
    return [value for value in _listed(present) if element(edit.field, value) not in gone]


def _replace(present: Value | None, edit: Edit) -> Value:
    old, renamed = str(edit.value), []
    for value in _listed(present):
        below = value[: len(old) + 1] if edit.subtree else ""
        if element(edit.field, value) == element(edit.field, old):
            renamed.append(edit.to)
        elif below.endswith("|") and element(edit.field, below[:-1]) == element(edit.field, old):
            renamed.append(edit.to + value[len(old) :])
        else:
            renamed.append(value)
    return unique(edit.field, renamed)


def _shift(present: Value | None, edit: Edit) -> Value | None:
    return shift_date(present, timedelta(seconds=edit.seconds)) if isinstance(present, str) else present


_APPLY: dict[str, Callable[[Value | None, Edit], Value | None]] = {
    "set": lambda _present, edit: edit.value,
    "clear": lambda _present, _edit: None,
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "shift": _shift,
}
