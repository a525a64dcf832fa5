"""The field-level three-way merge of what people want and what others have written into the file meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .tags import Tags, Value, element, is_list, same


class ConflictPolicy(StrEnum):
    """Who wins where catalog and file were changed to different values."""

    CATALOG_WINS = "CATALOG_WINS"
    FILE_WINS = "FILE_WINS"
    HOLD = "HOLD"


@dataclass(frozen=True)
class Conflict:
    """A field that was changed on both sides to different values; None is "no value"."""

    field: str
    base: Value | None
    ours: Value | None
    theirs: Value | None


@dataclass(frozen=True)
class Merged:
    """The merge's result. Under HOLD a conflicting field keeps the file's value in `tags`, so that it is not written.

    `taken_in` are the fields where `tags` follows the file instead of the catalog.
    """

    tags: Tags
    conflicts: tuple[Conflict, ...]
    taken_in: frozenset[str]


def merge(base: Tags, ours: Tags, theirs: Tags, policy: ConflictPolicy = ConflictPolicy.CATALOG_WINS) -> Merged:
    """Merge field by field. `base` is what both sides started from: what was last verified in the file.

    Lists merge by element: `theirs + (ours - base) - (base - ours)`; a changed order alone is a change too. A single
    value that was changed on both sides to different values is a conflict.
    """
    tags: Tags = {}
    conflicts: list[Conflict] = []
    taken_in: set[str] = set()
    for field in sorted(base.keys() | ours.keys() | theirs.keys()):
        values = (base.get(field), ours.get(field), theirs.get(field))
        value, conflicting = _merge_field(field, *values)
        if conflicting:
            conflicts.append(Conflict(field, *values))
            value = values[1] if policy is ConflictPolicy.CATALOG_WINS else values[2]
        if value is not None and value != []:
            tags[field] = value
        if not same(field, value, values[1]) and not (conflicting and policy is ConflictPolicy.HOLD):
            taken_in.add(field)
    return Merged(tags, tuple(conflicts), frozenset(taken_in))


def merge_homes(base: Mapping[str, Tags], ours: Tags, theirs: Mapping[str, Tags], policy: ConflictPolicy) -> Merged:
    """Merge what several homes of an item hold, one after the other, the first in order winning a tie.

    A home that differs from its own base carries an outside change. A home that has no base is new: the values that
    it holds are changes, the fields that it lacks are not.
    """
    known: Tags = {}
    for home in (*theirs, *base):
        known |= {field: value for field, value in base.get(home, {}).items() if field not in known}
    merged = Merged(ours, (), frozenset())
    for home, found in theirs.items():
        step = (
            merge(base[home], merged.tags, found, policy)
            if home in base
            else merge(known, merged.tags, known | found, policy)
        )
        merged = Merged(step.tags, merged.conflicts + step.conflicts, merged.taken_in | step.taken_in)
    return merged


def base_after(base: Tags, wanted: Tags, written: Iterable[str], found: Tags) -> Tags:
    """What both sides start from in a home that was to become `wanted`, and that others have written since.

    If one of the fields that were `written` is found as it was to become, they started from our values: whoever takes
    such a value back now changes it, and must not have it brought back as if others had put it there.
    """
    ours = {field: wanted.get(field) for field in written}
    if not any(_is_taken_over(field, base.get(field), value, found.get(field)) for field, value in ours.items()):
        return base
    return {field: value for field, value in (base | ours).items() if value is not None}


def _is_taken_over(field: str, base: Value | None, wanted: Value | None, found: Value | None) -> bool:
    if same(field, base, wanted):
        return False
    if not is_list(field):
        return same(field, wanted, found)
    before, after, present = ({element(field, value) for value in _listed(values)} for values in (base, wanted, found))
    return after - before <= present and not (before - after) & present


def _merge_field(field: str, base: Value | None, ours: Value | None, theirs: Value | None) -> tuple[Value | None, bool]:
    """The merged value, and whether the field conflicts."""
    if same(field, base, theirs) or same(field, ours, theirs):
        return ours, False
    if same(field, base, ours):
        return theirs, False
    if is_list(field):
        return _merge_list(field, _listed(base), _listed(ours), _listed(theirs)), False
    return None, True


def _merge_list(field: str, base: list[str], ours: list[str], theirs: list[str]) -> Value:
    known = {element(field, value) for value in base}
    wanted = {element(field, value) for value in ours}
    present = {element(field, value) for value in theirs}
    kept = [value for value in theirs if element(field, value) in wanted or element(field, value) not in known]
    added = [value for value in ours if element(field, value) not in known and element(field, value) not in present]
    return kept + added


def _listed(value: Value | None) -> list[str]:
    return value if isinstance(value, list) else []
