"""PDF objects: parsed from their source, which is kept: a value can change, and all else stays as it is spelled."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

from ..problems import FileProblem, Reason

_DEPTH_LIMIT = 64
_REFERENCE_LENGTH = 64
_SPACE = re.compile(rb"(?:[\0\t\n\f\r ]+|%[^\r\n]*)*")
_REFERENCE = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>\[\]{}/%])")
_REGULAR = re.compile(rb"[^\0\t\n\f\r ()<>\[\]{}/%]*")
_INTEGER = re.compile(rb"[+-]?\d{1,18}")
_REAL = re.compile(rb"[+-]*(?:\d+\.?\d*|\.\d+)")
_HEX_IN_NAME = re.compile(rb"#([0-9A-Fa-f]{2})")
_IN_STRING = re.compile(rb"[()\\]")
_ESCAPE = re.compile(rb"\\(\r\n|[0-7]{1,3}|.)|\r\n?", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}
_KEYWORDS: Mapping[bytes, bool | None] = {b"true": True, b"false": False, b"null": None}


class Name(str):
    """A name, without its slash."""

    __slots__ = ()


class Reference(NamedTuple):
    """What points at an indirect object."""

    number: int
    generation: int

    def to_bytes(self) -> bytes:
        """As it is written."""
        return b"%d %d R" % self


class Entry(NamedTuple):
    """A key's value, and where in its dictionary's source the key begins, the value begins, and the value ends."""

    value: Value
    key_start: int
    start: int
    end: int


class Dictionary:
    """A dictionary and its source, from `<<` to `>>`. A key that it has twice raises `FileProblem` when it is used."""

    def __init__(self, source: bytes, entries: Mapping[str, Entry], repeated: Collection[str] = ()) -> None:
        self.source = source
        self._entries = entries
        self._repeated = repeated

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str) -> Value:
        """The value of a key; None if there is none, as for a null."""
        entry = self._entry(key)
        return entry.value if entry else None

    def number(self, key: str, default: int | None = None) -> int:
        """A number that is not negative; raises `FileProblem` (CORRUPT) for anything else."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise damaged(f"/{key} is not a number")
        return value

    def spliced(self, changes: Mapping[str, bytes | None]) -> bytes:
        """The source with these values in the place of the old ones, or without those keys that get None."""
        source, added = self.source, b""
        found = [(entry, value) for key, value in changes.items() if (entry := self._entry(key))]
        for entry, value in sorted(found, reverse=True, key=lambda pair: pair[0].key_start):
            if value is None:
                source = source[: entry.key_start] + source[entry.end :]
            else:
                source = source[: entry.start] + b" " + value + source[entry.end :]
        for key, value in changes.items():
            if key not in self._entries and value is not None:
                added += b"/" + key.encode() + b" " + value + b"\n"
        return source[:-2] + (b"\n" + added if added else b"") + b">>"

    def _entry(self, key: str) -> Entry | None:
        if key in self._repeated:
            raise damaged(f"an object has /{key} twice")
        return self._entries.get(key)


Value: TypeAlias = bool | int | float | Name | bytes | Reference | list["Value"] | Dictionary | None
"""What an object can be. Bytes are a string."""


class Cut(Exception):
    """The data ends before the object does."""


def damaged(what: str) -> FileProblem:
    """The problem with a file that cannot be read for sure."""
    return FileProblem(Reason.CORRUPT, f"the PDF file is damaged: {what}")


def parse(data: bytes, position: int) -> tuple[Value, int]:
    """The object at `position`, and where it ends.

    Raises `Cut` if more data may be needed, and `FileProblem` (CORRUPT) for what is no object.
    """
    return _Parser(data).value(position, 0)


def parse_whole(data: bytes) -> Value:
    """The object that all of `data` is; raises `FileProblem` (CORRUPT) for anything else."""
    try:
        value, _ = parse(data + b" endobj ", 0)
    except Cut:
        raise damaged("an object is cut off") from None
    return value


def skip_space(data: bytes, position: int) -> int:
    """Where the next token begins; raises `Cut` if that is not in the data."""
    found = _SPACE.match(data, position)
    end = found.end() if found else position
    if end == len(data):
        raise Cut
    return end


class _Parser:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def value(self, position: int, depth: int) -> tuple[Value, int]:
        if depth > _DEPTH_LIMIT:
            raise damaged("objects are nested too deeply")
        position = skip_space(self._data, position)
        first = self._data[position : position + 1]
        if first == b"/":
            return self._name(position)
        if first == b"(":
            return self._literal(position)
        if first == b"[":
            return self._list(position, depth)
        if first == b"<":
            if position + 2 >= len(self._data):
                raise Cut
            double = self._data[position + 1 : position + 2] == b"<"
            return self._dictionary(position, depth) if double else self._hexadecimal(position)
        return self._plain(position)

    def _regular(self, position: int) -> tuple[bytes, int]:
        found = _REGULAR.match(self._data, position)
        end = found.end() if found else position
        if end == len(self._data):
            raise Cut
        return self._data[position:end], end

    def _name(self, position: int) -> tuple[Name, int]:
        token, end = self._regular(position + 1)
        plain = _HEX_IN_NAME.sub(lambda found: bytes([int(found[1], 16)]), token)
        return Name(plain.decode("latin-1")), end

    def _plain(self, position: int) -> tuple[Value, int]:
        token, end = self._regular(position)
        if token in _KEYWORDS:
            return _KEYWORDS[token], end
        if _INTEGER.fullmatch(token):
            # A reference may be cut off behind its first number.
            found = _REFERENCE.match(self._data, position)
            if found and found.end() < len(self._data):
                return Reference(int(found[1]), int(found[2])), found.end()
            if end + _REFERENCE_LENGTH > len(self._data):
                self._raise_if_cut(end)
            return int(token), end
        if _REAL.fullmatch(token):
            return 0.0, end
        raise damaged("there is something else where an object should be")

    def _raise_if_cut(self, end: int) -> None:
        """Raise `Cut` if what follows a number up to the end of the data can be the rest of a reference."""
        if re.fullmatch(rb"[\0\t\n\f\r ]+(?:\d{1,5}(?:[\0\t\n\f\r ]+R?)?)?", self._data[end:]):
            raise Cut

    def _list(self, position: int, depth: int) -> tuple[list[Value], int]:
        found: list[Value] = []
        position = skip_space(self._data, position + 1)
        while self._data[position : position + 1] != b"]":
            value, position = self.value(position, depth + 1)
            found.append(value)
            position = skip_space(self._data, position)
        return found, position + 1

    def _dictionary(self, start: int, depth: int) -> tuple[Dictionary, int]:
        entries: dict[str, Entry] = {}
        repeated: set[str] = set()
        position = skip_space(self._data, start + 2)
        while self._data[position : position + 1] == b"/":
            key_start = position
            key, position = self._name(position)
            value_start = position
            value, position = self.value(position, depth + 1)
            if key in entries:
                repeated.add(key)
            entries[key] = Entry(value, key_start - start, value_start - start, position - start)
            position = skip_space(self._data, position)
        closing = self._data[position : position + 2]
        if len(closing) < 2:
            raise Cut
        if closing != b">>":
            raise damaged("a dictionary is broken")
        return Dictionary(self._data[start : position + 2], entries, repeated), position + 2

    def _literal(self, start: int) -> tuple[bytes, int]:
        depth, position = 0, start
        while True:
            found = _IN_STRING.search(self._data, position)
            if found is None:
                raise Cut
            position = found.end()
            if found[0] == b"\\":
                position += 1
            else:
                depth += 1 if found[0] == b"(" else -1
                if depth == 0:
                    return _ESCAPE.sub(_unescaped, self._data[start + 1 : position - 1]), position

    def _hexadecimal(self, start: int) -> tuple[bytes, int]:
        end = self._data.find(b">", start)
        if end < 0:
            raise Cut
        digits = bytes(byte for byte in self._data[start + 1 : end] if byte not in b"\0\t\n\f\r ")
        try:
            return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii")), end + 1
        except ValueError:
            raise damaged("a string is broken") from None


def _unescaped(found: re.Match[bytes]) -> bytes:
    escaped = found[1]
    if escaped is None:
        return b"\n"
    if escaped.isdigit() and escaped < b"8":
        return bytes([int(escaped, 8) & 0xFF])
    return _ESCAPES.get(escaped, escaped)
