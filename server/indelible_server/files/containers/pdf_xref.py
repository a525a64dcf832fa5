"""Cross-references of a PDF file: where each object is. The newest section comes first; few rows are ever read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from ..problems import FileProblem, Reason
from .pdf_objects import Dictionary, Name, damaged
from .pdf_source import Source, inflated

_SECTIONS_LIMIT = 1024
_RANGES_LIMIT = 65_536
_NUMBER_LIMIT = 8_388_607
"""The highest object number, as Adobe's limits have it."""
_ROW = 20
_KEYWORD = re.compile(rb"[\0\t\n\f\r ]*xref[\0\t\n\f\r ]+")
_RANGE = re.compile(rb"[\0\t\n\f\r ]*(\d{1,10})[\t ]+(\d{1,10})[\t ]*(?:\r\n|\r|\n)")
_TRAILER = re.compile(rb"[\0\t\n\f\r ]*trailer")
_IN_USE = re.compile(rb"(\d{10}) (\d{5}) ([nf])[\r\n ]{2}")


class Kind(IntEnum):
    """What a row says, as cross-reference streams number it."""

    FREE = 0
    AT_OFFSET = 1
    IN_STREAM = 2


class Row(NamedTuple):
    """Where an object is: at an offset, with its generation; or in an object stream, with its index."""

    kind: Kind
    place: int
    detail: int


class Range(NamedTuple):
    """Consecutive object numbers, whose first row is at `start`."""

    first: int
    rows: int
    start: int


class Section(Protocol):
    """One section."""

    offset: int
    trailer: Dictionary
    ranges: list[Range]

    def row(self, number: int) -> Row | None:
        """The row of an object; None if the section does not say anything of it."""


class Table:
    """A section in plain text."""

    def __init__(self, source: Source, offset: int) -> None:
        self._source = source
        self.offset = offset
        self.ranges: list[Range] = []
        keyword = _KEYWORD.match(source.read(offset, 64))
        position = offset + keyword.end() if keyword else offset
        while (found := _RANGE.match(head := source.read(position, 64))) and len(self.ranges) < _RANGES_LIMIT:
            self.ranges.append(_range(int(found[1]), int(found[2]), position + found.end()))
            position += found.end() + int(found[2]) * _ROW
        trailer = _TRAILER.match(head)
        value = source.value(position + trailer.end())[0] if trailer else None
        if not isinstance(value, Dictionary):
            raise damaged("a cross-reference table is broken")
        self.trailer = value

    def row(self, number: int) -> Row | None:
        """The row of an object; None if the section does not say anything of it."""
        place = _row_of(self.ranges, number, _ROW)
        if place is None:
            return None
        found = _IN_USE.fullmatch(self._source.read(place, _ROW))
        if found is None:
            raise damaged("a cross-reference table is broken")
        return Row(Kind.AT_OFFSET if found[3] == b"n" else Kind.FREE, int(found[1]), int(found[2]))


class Stream:
    """A section in a stream, unpacked when a row is asked for."""

    def __init__(self, source: Source, offset: int) -> None:
        self._source = source
        self._object = source.indirect(offset)
        self._data: bytes | None = None
        self.offset = offset
        self.trailer = trailer = self._object.dictionary
        self.number = self._object.number
        if trailer.get("Type") != "XRef":
            raise damaged("there is no cross-reference section where one should be")
        self._widths = _naturals(trailer.get("W"))
        if len(self._widths) != 3 or not 0 < sum(self._widths) <= 24:
            raise damaged("a cross-reference stream is broken")
        index = _naturals(trailer.get("Index") or [0, trailer.number("Size")])
        self.ranges = []
        start = 0
        for first, count in zip(index[::2], index[1::2], strict=False):
            self.ranges.append(_range(first, count, start))
            start += count
        if len(self.ranges) > _RANGES_LIMIT or len(index) % 2:
            raise damaged("a cross-reference stream is broken")

    def row(self, number: int) -> Row | None:
        """The row of an object; None if the section does not say anything of it."""
        index = _row_of(self.ranges, number, 1)
        if index is None:
            return None
        fields = []
        position = 0
        row = self._bytes_of(index)
        for width in self._widths:
            fields.append(int.from_bytes(row[position : position + width], "big"))
            position += width
        kind = fields[0] if self._widths[0] else Kind.AT_OFFSET
        if len(row) < position or kind not in tuple(Kind):
            raise damaged("a cross-reference stream is broken")
        return Row(Kind(kind), fields[1], fields[2])

    def _bytes_of(self, index: int) -> bytes:
        if self._data is None:
            self._data = self._unpacked()
        width = sum(self._widths)
        if not self._is_predicted:
            return self._data[index * width : (index + 1) * width]
        # Each row is the difference to the one above it, since the last one that is not.
        filters = self._data[0 :: width + 1][: index + 1]
        if filters.strip(b"\0\2"):
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file's cross-references are packed in an unusual way")
        begin = max(filters.rfind(b"\0"), 0)
        span = self._data[begin * (width + 1) : (index + 1) * (width + 1)]
        return bytes(sum(span[column :: width + 1]) & 0xFF for column in range(1, width + 1))

    @property
    def _is_predicted(self) -> bool:
        parameters = _single(self.trailer.get("DecodeParms"))
        if not isinstance(parameters, Dictionary) or parameters.number("Predictor", 1) == 1:
            return False
        if parameters.number("Predictor") < 10 or parameters.number("Columns", 1) != sum(self._widths):
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file's cross-references are packed in an unusual way")
        return True

    def _unpacked(self) -> bytes:
        data = self._source.stream(self._object, self.trailer.number("Length"))
        packed = _single(self.trailer.get("Filter"))
        if packed is None:
            return data
        if not isinstance(packed, Name) or packed != "FlateDecode":
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file's cross-references are packed in an unusual way")
        return inflated(data)


class CrossReferences:
    """All sections that count, from the newest on; raises `FileProblem` (CORRUPT) if the chain is broken."""

    def __init__(self, source: Source, newest: int) -> None:
        self.sections = list(_sections(source, newest))

    def row(self, number: int) -> Row | None:
        """Where an object is; None if there is none of this number."""
        rows = (section.row(number) for section in self.sections)
        found = next((row for row in rows if row is not None), None)
        return None if found is None or found.kind is Kind.FREE else found

    @property
    def free_number(self) -> int:
        """A number that no object has had."""
        sizes = [section.trailer.number("Size") for section in self.sections]
        number = max(*sizes, *(span.first + span.rows for section in self.sections for span in section.ranges), 1)
        if number > _NUMBER_LIMIT:
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file has no number left for a new object")
        return number


def _sections(source: Source, newest: int) -> Iterator[Section]:
    offset: int | None = newest
    seen: set[int] = set()
    while offset is not None:
        section = _section(source, offset, seen)
        yield section
        beside = section.trailer.get("XRefStm")
        if isinstance(section, Table) and beside is not None:
            yield _section(source, section.trailer.number("XRefStm"), seen)
        offset = section.trailer.number("Prev") if "Prev" in section.trailer else None


def _section(source: Source, offset: int, seen: set[int]) -> Section:
    if offset in seen or len(seen) >= _SECTIONS_LIMIT:
        raise damaged("its cross-references go in a circle")
    if offset >= source.size:
        raise damaged("its cross-references point beyond its end")
    seen.add(offset)
    return Table(source, offset) if _KEYWORD.match(source.read(offset, 64)) else Stream(source, offset)


def _range(first: int, count: int, start: int) -> Range:
    if first + count > _NUMBER_LIMIT + 1:
        raise damaged("its cross-references have numbers that are too high")
    return Range(first, count, start)


def _row_of(ranges: list[Range], number: int, step: int) -> int | None:
    found = next((span for span in ranges if span.first <= number < span.first + span.rows), None)
    return None if found is None else found.start + (number - found.first) * step


def _naturals(value: object) -> list[int]:
    if not isinstance(value, list) or not all(type(number) is int and number >= 0 for number in value):
        raise damaged("a cross-reference stream is broken")
    return value


def _single(value: object) -> object:
    """A value, also where it is a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
