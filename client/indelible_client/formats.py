"""Messages as JSON for programs and as texts for people."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from indelible.v1 import catalog_pb2, job_pb2, sync_pb2, tags_pb2

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def to_json(message: Message) -> str:
    """Give a message as proto3 JSON in one line: the protos' own field names, and all fields, zeros too."""
    return MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        ensure_ascii=False,
        indent=None,
    )


def printable(text: str) -> str:
    """Escape what could steer a terminal, so that no file name or tag can; line breaks stay."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode("ascii") for each in text
    )


def word(message: Message, field: str) -> str:
    """Give the value of an enum field in lower case, without its prefix: "catalog wins"; unspecified is
    empty.
    """
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    assert enum is not None
    number = getattr(message, field)
    if number not in enum.values_by_number:
        return str(number)  # a newer server's
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    name = enum.values_by_number[number].name.removeprefix(prefix)
    return "" if name == "UNSPECIFIED" else name.lower().replace("_", " ")


def count(number: int, noun: str = "") -> str:
    """Give a number with its noun: "1 item", "1,552 items", or "1,552"."""
    if not noun:
        return f"{number:,}"
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(number: float) -> str:
    """Give a number of bytes: "812 B", "3.4 MiB"."""
    for unit in _SIZES:
        if number < 1024 or unit == _SIZES[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def when(moment: Timestamp) -> str:
    """Give a moment in the local time of this machine; empty if it is unset."""
    if not moment.ByteSize():
        return ""
    return moment.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """Give a length of time: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def budget(limits: catalog_pb2.WriteBudget) -> str:
    """Give what may be written on average: "600 items a minute, 19.1 MiB a second"."""
    parts = [
        f"{count(limits.items_per_minute, 'item')} a minute" if limits.items_per_minute else "",
        f"{size(limits.bytes_per_second)} a second" if limits.bytes_per_second else "",
    ]
    return ", ".join(filter(None, parts))


def tag_values(tags: tags_pb2.Tags) -> Iterator[tuple[str, str]]:
    """Give the fields that are set, named as in an edit, with their values; lists have "; " between them."""
    for field, value in tags.ListFields():
        if field.name == "place":
            for nested, text in value.ListFields():
                yield f"place.{nested.name}", text
        elif field.name == "custom":
            for name in sorted(value):
                yield f"custom.{name}", "; ".join(value[name].values)
        elif field.name == "gps":
            yield "gps", position(value)
        else:
            yield field.name, "; ".join(value) if field.is_repeated else str(value)


def position(gps: tags_pb2.Gps) -> str:
    """Give a position as `--set gps=` takes it."""
    numbers = [gps.lat, gps.lon, *([gps.alt] if gps.HasField("alt") else [])]
    return ",".join(f"{number:.7f}".rstrip("0").rstrip(".") for number in numbers)


def differences(diff: tags_pb2.TagsDiff) -> str:
    """Give a difference in a line: "title: old → new, rating: 3 → (none)"."""
    before, after = dict(tag_values(diff.before)), dict(tag_values(diff.after))
    names = dict.fromkeys([*before, *after])
    return ", ".join(f"{name}: {before.get(name, '(none)')} → {after.get(name, '(none)')}" for name in names)


def failure(cause: sync_pb2.Failure) -> str:
    """Give why something failed: "locked: another program has it open (tried 3 times)"."""
    reason = word(cause, "reason")
    text = f"{reason}: {cause.message}" if cause.message else reason
    return f"{text} (tried {cause.attempts} times)" if cause.attempts > 1 else text


def job_counts(job: job_pb2.Job) -> str:
    """Give what came of a job, whatever its kind: "800 added, 12 known, 3 ignored files"; zeros are left out."""
    kind = job.WhichOneof("counts")
    if kind is None:
        return ""
    counts: Message = getattr(job, kind)
    return ", ".join(
        f"{value:,} {field.name.removesuffix('_items').replace('_', ' ')}" for field, value in counts.ListFields()
    )


def setting_values(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give the fields of settings that are set, nested ones with a dot, as text for people."""
    for field, value in message.ListFields():
        name = prefix + field.name
        if field.message_type is None:
            yield name, _setting(message, field, value)
        elif field.message_type.GetOptions().map_entry:
            yield name, ", ".join(f"{key}:{value[key]}" for key in sorted(value))
        elif field.is_repeated:
            yield name, "; ".join(" ".join(text for _, text in setting_values(each)) for each in value)
        elif field.message_type.full_name == "google.protobuf.Duration":
            yield name, f"{value.ToTimedelta().total_seconds():g}s"
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            yield name, when(value)
        else:
            yield from setting_values(value, f"{name}.")


def _setting(message: Message, field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None and not field.is_repeated:
        return word(message, field.name)
    if field.enum_type is not None:
        return ",".join(field.enum_type.values_by_number[each].name.rpartition("_")[2].lower() for each in value)
    if field.is_repeated:
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
