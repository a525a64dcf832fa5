"""Requests that can't be decoded: gRPC would call that an internal error; it is the sender's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from ..errors import InvalidArgument, invalid

DEPTH = 20


class Undecodable:
    """Stands for a request that could not be decoded, until the wrapper refuses it."""

    def __init__(self, error: InvalidArgument) -> None:
        self.error = error


def lenient(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The same deserializer, but giving an `Undecodable` instead of failing inside gRPC."""

    def decoded(data: bytes) -> Any:
        try:
            message = decode(data)
        except DecodeError:
            return Undecodable(_reason(getattr(decode, "__self__", None), data))
        # PostgreSQL can't store one, and no text means it.
        at = next((path for path, text in _texts(message) if "\0" in text), "") if b"\0" in data else ""
        return Undecodable(invalid(at, "has a zero byte")) if at else message

    return decoded


def _reason(message: Any, data: bytes) -> InvalidArgument:
    descriptor = getattr(message, "DESCRIPTOR", None)
    try:
        field = next(_not_text(descriptor, data), "") if isinstance(descriptor, Descriptor) else ""
    except DecodeError:
        field = ""
    return invalid(field, "is not valid UTF-8") if field else invalid("request", "can't be decoded: it is damaged")


def _not_text(descriptor: Descriptor, data: bytes, depth: int = DEPTH) -> Iterator[str]:
    """The paths of string fields whose bytes are no UTF-8, in a message that does not decode."""
    fields: Any = UnknownFieldSet(Empty.FromString(data))  # its types lack that it can be iterated
    for unknown in fields:
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or not isinstance(unknown.data, bytes):
            continue
        if field.type == FieldDescriptor.TYPE_STRING and not _is_text(unknown.data):
            yield field.name
        elif field.message_type is not None and depth:
            for path in _not_text(field.message_type, unknown.data, depth - 1):
                yield f"{field.name}.{path}"


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    """Every text in a message, with the path of its field."""
    for field, value in message.ListFields():
        values: Any = [value]
        if isinstance(value, Mapping):
            values = [*value.keys(), *value.values()]
        elif not isinstance(value, Message | str | bytes) and isinstance(value, Iterable):
            values = value
        for each in values:
            if isinstance(each, str):
                yield field.name, each
            elif isinstance(each, Message):
                yield from ((f"{field.name}.{path}", text) for path, text in _texts(each))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
