"""Settings of a catalog as people write them on a command line, `KEY=VALUE`."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from indelible.v1 import catalog_pb2, policy_pb2

from indelible_client.assignments import AssignmentError

_POLICY = policy_pb2.MetadataPolicy.DESCRIPTOR
KEYS = (
    "name",
    "description",
    "quiet_period",
    "root",
    "read_only_root",
    "custom_field",
    "schedule",
    "schedule.time_zone",
    "budget.items_per_minute",
    "budget.bytes_per_second",
    "root.ID.items_per_minute",
    "root.ID.bytes_per_second",
    *(f"policy.{field.name}" for field in _POLICY.fields),
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_SIZE = re.compile(r"(\d+)([kMG]?)")
_BYTES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
_WINDOW = re.compile(r"(?:([a-z][a-z,-]*)\s+)?(\d\d:\d\d)-(\d\d:\d\d)")


def change(catalog: catalog_pb2.Catalog, assignment: str, path: Callable[[str], str] = str) -> str:
    """Apply one `KEY=VALUE` to a catalog as the server gave it; gives the name of the field for the update
    mask.

    An empty value gives the default back. `path` makes a folder's path into what the server is sent.
    AssignmentError says what is wrong.
    """
    key, equals, value = assignment.partition("=")
    if not equals:
        raise AssignmentError(f'a setting is KEY=VALUE, not "{assignment}"')
    if key.startswith("root."):
        _limit_root(catalog, key, value)
        return "roots"
    if key not in KEYS:
        raise AssignmentError(f'there is no setting "{key}"; the settings are: {", ".join(KEYS)}')
    if key.startswith("policy."):
        _set_field(catalog.policy, _POLICY.fields_by_name[key.removeprefix("policy.")], key, value)
        return key
    if key in ("root", "read_only_root"):
        _change_roots(catalog, key, value, path)
        return "roots"
    if key == "custom_field":
        _change_custom_fields(catalog, value)
        return "custom_fields"
    field, _, nested = key.partition(".")
    if key == "quiet_period":
        _set_duration(catalog, value)
    elif key == "schedule":
        del catalog.schedule.windows[:]
        catalog.schedule.windows.extend(_window(text) for text in _split(value, ";"))
    else:
        holder = getattr(catalog, field) if nested else catalog
        name = nested or field
        _set_field(holder, holder.DESCRIPTOR.fields_by_name[name], key, value)
    return field


def parse_duration(key: str, text: str) -> timedelta:
    """Read "2s", "500ms", "1.5h"; AssignmentError if it is something else."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise AssignmentError(f'{key} takes a time like 2s, 500ms, 10m or 1h, not "{text}"')
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def _set_duration(catalog: catalog_pb2.Catalog, text: str) -> None:
    if text:
        catalog.quiet_period.FromTimedelta(parse_duration("quiet_period", text))
    else:
        catalog.ClearField("quiet_period")


def _set_field(message: Any, field: FieldDescriptor, key: str, text: str) -> None:
    """Set a field of any message from text: an enum by its short name, a list with "," between its values."""
    message.ClearField(field.name)
    if not text:
        return
    if key == "policy.label_map":
        message.label_map.update(_pair(key, part, "TEXT:COLOUR") for part in _split(text))
    elif key == "policy.formats":
        message.formats.extend(_format_rule(part) for part in _split(text))
    elif field.is_repeated:
        getattr(message, field.name).extend(_split(text))
    else:
        setattr(message, field.name, _scalar(field, key, text))


def _scalar(field: FieldDescriptor, key: str, text: str) -> str | int | bool:
    if field.enum_type is not None:
        return _enum(field.enum_type, key, text)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in ("true", "false"):
            raise AssignmentError(f'{key} is true or false, not "{text}"')
        return text == "true"
    if field.name == "bytes_per_second":
        return _size(key, text)
    if field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64):
        if not text.isdecimal():
            raise AssignmentError(f'{key} takes a whole number, not "{text}"')
        return int(text)
    return text


def _size(key: str, text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match:
        raise AssignmentError(f'{key} takes a number of bytes like 500k, 20M or 1G, not "{text}"')
    return int(match[1]) * _BYTES[match[2]]


def _enum(enum: EnumDescriptor, key: str, text: str) -> int:
    """Find the value of an enum by what comes after the prefix that all of its names have."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    choices = {value.name.removeprefix(prefix).lower(): value.number for value in enum.values[1:]}
    number = choices.get(text.lower().replace("-", "_"))
    if number is None:
        raise AssignmentError(f'{key} is one of {", ".join(choices)}, not "{text}"')
    return number


def _format_rule(text: str) -> policy_pb2.FormatRule:
    formats, mode = _pair("policy.formats", text, "FORMAT+FORMAT:MODE")
    number = _enum(policy_pb2.FormatMode.DESCRIPTOR, "policy.formats", mode)
    return policy_pb2.FormatRule(formats=formats.split("+"), mode=policy_pb2.FormatMode.ValueType(number))


def _change_roots(catalog: catalog_pb2.Catalog, key: str, text: str, path: Callable[[str], str]) -> None:
    if text.startswith("+") and len(text) > 1:
        catalog.roots.add(path=path(text[1:]), read_only=key == "read_only_root")
        return
    gone = [root for root in catalog.roots if text == f"-{root.id}"]
    if not gone:
        known = ", ".join(f"-{root.id} ({root.path})" for root in catalog.roots)
        raise AssignmentError(f'{key} takes +PATH, or one of: {known or "no root is there"}; not "{text}"')
    catalog.roots.remove(gone[0])


def _limit_root(catalog: catalog_pb2.Catalog, key: str, text: str) -> None:
    """Set a part of a root's budget: "root.ID.bytes_per_second"."""
    root_id, _, name = key.removeprefix("root.").partition(".")
    found = [root for root in catalog.roots if root.id == root_id]
    field = catalog_pb2.WriteBudget.DESCRIPTOR.fields_by_name.get(name)
    if not found or field is None:
        known = ", ".join(f"{root.id} ({root.path})" for root in catalog.roots)
        raise AssignmentError(
            f'there is no setting "{key}"; a root has root.ID.items_per_minute and root.ID.bytes_per_second, '
            f"and ID is one of: {known or 'no root is there'}"
        )
    _set_field(found[0].budget, field, key, text)


def _change_custom_fields(catalog: catalog_pb2.Catalog, text: str) -> None:
    if text.startswith("+") and len(text) > 1:
        catalog.custom_fields.add(name=text[1:])
        return
    gone = [field for field in catalog.custom_fields if text == f"-{field.name}"]
    if not gone:
        raise AssignmentError(f'custom_field takes +PRESET, or -NAME of one that is there; not "{text}"')
    catalog.custom_fields.remove(gone[0])


def _window(text: str) -> catalog_pb2.WriteWindow:
    """Read "mon-fri 22:00-06:00", "sat,sun 00:00-24:00" or "22:00-06:00"."""
    match = _WINDOW.fullmatch(text)
    if not match:
        raise AssignmentError(f'a window is like "mon-fri 22:00-06:00", not "{text}"')
    days, start, end = match.groups()
    numbers = [number for part in _split(days or "") for number in _days(part)]
    return catalog_pb2.WriteWindow(
        days=[catalog_pb2.Weekday.ValueType(number) for number in numbers], start=start, end=end
    )


def _days(text: str) -> list[int]:
    """Give the ISO numbers of "fri" or of "fri-mon"."""
    first, dash, last = text.partition("-")
    try:
        start, end = _DAYS.index(first), _DAYS.index(last if dash else first)
    except ValueError:
        raise AssignmentError(f'a day is one of {", ".join(_DAYS)}, not "{text}"') from None
    return [(start + step) % 7 + 1 for step in range((end - start) % 7 + 1)]


def _split(text: str, separator: str = ",") -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _pair(key: str, text: str, form: str) -> tuple[str, str]:
    left, colon, right = text.rpartition(":")
    if not colon:
        raise AssignmentError(f'{key} takes {form}, not "{text}"')
    return left.strip(), right.strip()
