"""Requests that can't be decoded: gRPC would call that an internal error; it is the sender's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
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
            return decode(data)
        except DecodeError:
            return Undecodable(_reason(getattr(decode, "__self__", None), data))

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


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
