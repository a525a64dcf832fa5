"""Tags and edits between the contract and the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from indelible.v1 import tags_pb2

from ..domain.edits import EDITS_A_CALL, Edit
from ..errors import invalid, too_large
from ..files.tags import Tags

SCALARS = (
    *("title", "headline", "description", "event", "rating", "label", "flag"),
    *("copyright", "credit", "source", "instructions", "taken_at"),
)
LISTS = ("keywords", "people", "creators")
PLACE = ("location", "city", "state", "country", "country_code")


def tags_message(tags: Mapping[str, Any]) -> tags_pb2.Tags:
    """The tags as a message; a field without a value is left unset."""
    message = tags_pb2.Tags()
    for name, value in tags.items():
        group, _, rest = name.partition(".")
        if group == "place":
            setattr(message.place, rest, value)
        elif group == "custom":
            message.custom[rest].values.extend(value)
        elif name == "gps":
            message.gps.CopyFrom(tags_pb2.Gps(**value))
        elif name in LISTS:
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


def tags_present(message: tags_pb2.Tags) -> Tags:
    """The fields that are present in a message, as the domain has them."""
    tags: dict[str, Any] = {name: getattr(message, name) for name in SCALARS if _has(message, name)}
    tags |= {name: list(getattr(message, name)) for name in LISTS if getattr(message, name)}
    tags |= {f"place.{name}": getattr(message.place, name) for name in PLACE if _has(message.place, name)}
    tags |= {f"custom.{name}": list(custom.values) for name, custom in message.custom.items()}
    if message.HasField("gps"):
        gps = {"lat": message.gps.lat, "lon": message.gps.lon}
        tags["gps"] = gps | ({"alt": message.gps.alt} if message.gps.HasField("alt") else {})
    return tags


def _has(message: Message, name: str) -> bool:
    return message.HasField(name)


def diff_message(changes: Mapping[str, Sequence[Any]]) -> tags_pb2.TagsDiff:
    """Changed fields with their values before and after; a side without a value is unset there."""
    before = {name: old for name, (old, _new) in changes.items() if old is not None}
    after = {name: new for name, (_old, new) in changes.items() if new is not None}
    return tags_pb2.TagsDiff(fields=sorted(changes), before=tags_message(before), after=tags_message(after))


def edits(messages: Sequence[tags_pb2.Edit]) -> list[Edit]:
    """The edits of a request, one for each field; their values are not checked yet."""
    if len(messages) > EDITS_A_CALL:
        raise too_large("edits", "max_edits", EDITS_A_CALL)
    return [edit for position, message in enumerate(messages) for edit in _edits(message, f"edits[{position}]")]


def _edits(message: tags_pb2.Edit, at: str) -> list[Edit]:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise invalid(at, "says nothing: one of set, clear, add, remove, replace, shift", reason="EMPTY_EDITS")
    found = _KINDS[kind](getattr(message, kind))
    if not found:
        raise invalid(f"{at}.{kind}", "names no field", reason="EMPTY_EDITS")
    at = f"{at}.{kind}"
    return [replace(edit, at=f"{at}.fields[{n}]" if kind == "clear" else at) for n, edit in enumerate(found)]


def _add(message: tags_pb2.AddValues) -> list[Edit]:
    position = message.position if message.HasField("position") else None
    return [Edit("add", message.field, list(message.values), position=position)]


def _replace(message: tags_pb2.ReplaceValue) -> list[Edit]:
    return [Edit("replace", message.field, getattr(message, "from"), to=message.to, subtree=message.subtree)]


def _shift(message: tags_pb2.ShiftTime) -> list[Edit]:
    return [Edit("shift", message.field or "taken_at", seconds=message.by.seconds + message.by.nanos / 1e9)]


_KINDS: dict[str, Callable[[Any], list[Edit]]] = {
    "set": lambda message: [Edit("set", name, value) for name, value in tags_present(message.tags).items()],
    "clear": lambda message: [Edit("clear", name) for name in message.fields],
    "add": _add,
    "remove": lambda message: [Edit("remove", message.field, list(message.values))],
    "replace": _replace,
    "shift": _shift,
}
