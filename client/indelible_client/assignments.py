"""Edits of tags as people write them on a command line, `FIELD=VALUE`, turned into messages."""

import re
from collections.abc import Sequence
from datetime import timedelta

from indelible.v1 import tags_pb2

TEXTS = (
    "title",
    "headline",
    "description",
    "event",
    "label",
    "copyright",
    "credit",
    "source",
    "instructions",
    "taken_at",
    "place.location",
    "place.city",
    "place.state",
    "place.country",
    "place.country_code",
)
NUMBERS = ("rating", "flag")
LISTS = ("keywords", "people", "creators")
FIELDS = (*TEXTS, *NUMBERS, *LISTS, "gps", "custom.NAME")

_CUSTOM = "custom."
_CLOCK = re.compile(r"([+-])(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_POSITION = re.compile(f"{_NUMBER},{_NUMBER}(?:,{_NUMBER})?")
_UNITS = re.compile(r"([+-])(\d{1,7})([dh])")


class AssignmentError(ValueError):
    """What was written can't be understood; the message says what would be."""


def edits(
    *,
    clear: Sequence[str] = (),
    set: Sequence[str] = (),  # noqa: A002 - the name of the edit, here and in the contract
    replace: Sequence[str] = (),
    remove: Sequence[str] = (),
    add: Sequence[str] = (),
    shift: Sequence[str] = (),
) -> list[tags_pb2.Edit]:
    """Give the edits in the order in which they are applied: clear, set, replace, remove, add, shift.

    All of `set` become one edit, and so do all values that one list gets or loses. AssignmentError says what
    is wrong.
    """
    found = []
    if clear:
        found.append(tags_pb2.Edit(clear=tags_pb2.ClearFields(fields=[_clearable(name) for name in clear])))
    if set:
        found.append(tags_pb2.Edit(set=tags_pb2.SetTags(tags=parse_tags(set))))
    found += [tags_pb2.Edit(replace=_replacement(text)) for text in replace]
    found += [
        tags_pb2.Edit(remove=tags_pb2.RemoveValues(field=name, values=values))
        for name, values in _list_values("--remove", remove).items()
    ]
    found += [
        tags_pb2.Edit(add=tags_pb2.AddValues(field=name, values=values))
        for name, values in _list_values("--add", add).items()
    ]
    found += [tags_pb2.Edit(shift=_shift(text)) for text in shift]
    return found


def parse_tags(assignments: Sequence[str]) -> tags_pb2.Tags:
    """Give the tags that `FIELD=VALUE`s stand for; lists and custom fields have ";" between their values.

    A value with a ";" in it can only be added. No field may come twice.
    """
    tags = tags_pb2.Tags()
    seen: list[str] = []
    for text in assignments:
        name, value = _split("--set", text)
        if name in seen:
            raise AssignmentError(f"{name} is set twice")
        if not value.strip():
            raise AssignmentError(f"{name} gets no value; use --clear {name} to empty it")
        seen.append(name)
        _assign(tags, name, value)
    return tags


def _assign(tags: tags_pb2.Tags, name: str, value: str) -> None:
    if name in TEXTS:
        holder = tags.place if name.startswith("place.") else tags
        setattr(holder, name.removeprefix("place."), value)
    elif name in NUMBERS:
        setattr(tags, name, _whole(name, value))
    elif name in LISTS:
        getattr(tags, name).extend(_values(name, value))
    elif name == "gps":
        tags.gps.CopyFrom(_position(value))
    else:
        tags.custom[_custom(name)].values.extend(_values(name, value))


def _split(option: str, text: str) -> tuple[str, str]:
    """Take `FIELD=VALUE` apart; the field exists."""
    name, equals, value = text.partition("=")
    if not equals:
        raise AssignmentError(f'{option} takes FIELD=VALUE, not "{text}"')
    return _known(name.strip()), value


def _known(name: str) -> str:
    if name not in FIELDS[:-1] and not _custom(name):
        raise AssignmentError(f'there is no field "{name}"; the fields are: {", ".join(FIELDS)}')
    return name


def _custom(name: str) -> str:
    """Give the NAME of `custom.NAME`; empty if it is no such field."""
    return name.removeprefix(_CUSTOM) if name.startswith(_CUSTOM) else ""


def _clearable(name: str) -> str:
    return name if name in ("place", "custom") else _known(name)


def _values(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(";") if value.strip()]
    if not values:
        raise AssignmentError(f"{name} gets no value; use --clear {name} to empty it")
    return values


def _list_values(option: str, assignments: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in assignments:
        name, value = _split(option, text)
        if name not in LISTS and not _custom(name):
            raise AssignmentError(f"{name} is not a list; {option} takes {', '.join(LISTS)} and custom.NAME")
        if not value.strip():
            raise AssignmentError(f"{option} {name}= has no value")
        found.setdefault(name, []).append(value.strip())
    return found


def _replacement(text: str) -> tags_pb2.ReplaceValue:
    """Read `FIELD=FROM=TO`; the keywords below a keyword are taken along."""
    name, values = _split("--replace", text)
    old, equals, new = values.partition("=")
    if not (equals and old.strip() and new.strip()):
        raise AssignmentError(f'--replace takes FIELD=FROM=TO, not "{text}"')
    if name in NUMBERS or name == "gps":
        raise AssignmentError(f"{name} is not a text or a list; use --set {name}=")
    replacement = tags_pb2.ReplaceValue(field=name, to=new.strip(), subtree=name == "keywords")
    setattr(replacement, "from", old.strip())  # "from" is a word of Python's
    return replacement


def _shift(text: str) -> tags_pb2.ShiftTime:
    """Read `taken_at=±HH:MM[:SS]`, `±Nh` or `±Nd`."""
    name, value = _split("--shift", text)
    if name != "taken_at":
        raise AssignmentError(f"--shift moves taken_at, not {name}")
    if clock := _CLOCK.fullmatch(value):
        sign, hours, minutes, seconds = clock.groups()
        by = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
    elif units := _UNITS.fullmatch(value):
        sign, number, unit = units.groups()
        by = timedelta(days=int(number)) if unit == "d" else timedelta(hours=int(number))
    else:
        raise AssignmentError(f'--shift takes taken_at=±HH:MM[:SS], ±Nh or ±Nd, not "{value}"')
    if not by:
        raise AssignmentError("--shift by nothing changes nothing")
    shift = tags_pb2.ShiftTime(field=name)
    shift.by.FromTimedelta(-by if sign == "-" else by)
    return shift


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise AssignmentError(f'{name} takes a whole number, not "{text}"') from None


def _position(text: str) -> tags_pb2.Gps:
    match = _POSITION.fullmatch(text.replace(" ", ""))
    if not match:
        raise AssignmentError(f'gps takes LAT,LON[,ALT] in degrees and metres, not "{text}"')
    lat, lon, alt = match.groups()
    return tags_pb2.Gps(lat=float(lat), lon=float(lon), alt=float(alt) if alt else None)
