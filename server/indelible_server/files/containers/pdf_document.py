"""A PDF document: its objects by reference, wherever they are, also inside of object streams."""

from __future__ import annotations

import re

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .pdf_objects import Cut, Dictionary, Reference, Value, damaged, parse
from .pdf_source import Indirect, Source, inflated
from .pdf_xref import CrossReferences, Kind, Row

_TAIL = 1024
"""The end of a file must be within its last bytes, as in other readers."""
_END = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,18})[\0\t\n\f\r ]+%%EOF")
_CHAIN_LIMIT = 8
_INDEX_LIMIT = 1024 * 1024
_STREAMS_KEPT = 8


class Document:
    """What a file holds by its cross-references. All raises `FileProblem` (CORRUPT) where they lead to nothing."""

    def __init__(self, media: MediaFile) -> None:
        self.source = Source(media)
        self.references = CrossReferences(self.source, newest_section(self.source, self.source.size))
        self.trailer = self.references.sections[0].trailer
        self._streams: dict[int, tuple[bytes, list[int]]] = {}

    def resolve(self, value: Value) -> Value:
        """The value itself, where it is a reference."""
        for _ in range(_CHAIN_LIMIT):
            if not isinstance(value, Reference):
                return value
            found = self.object(value)
            value = found.value if found else None
        raise damaged("references go in a circle")

    def object(self, reference: Reference) -> Indirect | None:
        """The object that a reference means; None if it is not there, which is a null."""
        row = self.references.row(reference.number)
        if row is None:
            return None
        found = self._in_stream(reference, row) if row.kind is Kind.IN_STREAM else self.source.indirect(row.place)
        if (found.number, found.generation) != reference:
            raise damaged("an object is not where it should be")
        return found

    def data(self, stream: Indirect) -> bytes:
        """The data of a stream, unpacked."""
        dictionary = stream.dictionary
        length = self.resolve(dictionary.get("Length"))
        if not isinstance(length, int) or length < 0:
            raise damaged("a stream has no length")
        data = self.source.stream(stream, length)
        packed = _single(self.resolve(dictionary.get("Filter")))
        parameters = _single(self.resolve(dictionary.get("DecodeParms")))
        if packed is None:
            return data
        if packed != "FlateDecode" or "F" in dictionary:
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file's metadata are packed in an unusual way")
        if isinstance(parameters, Dictionary) and parameters.number("Predictor", 1) != 1:
            raise FileProblem(Reason.UNSUPPORTED, "the PDF file's metadata are packed in an unusual way")
        return inflated(data)

    def _in_stream(self, reference: Reference, row: Row) -> Indirect:
        if row.place not in self._streams:
            if len(self._streams) >= _STREAMS_KEPT:
                self._streams.clear()
            self._streams[row.place] = self._unpacked(row.place)
        data, index = self._streams[row.place]
        numbers, offsets = index[::2], index[1::2]
        if row.detail >= len(offsets) or numbers[row.detail] != reference.number:
            raise damaged("an object is not where it should be")
        try:
            value, _ = parse(data, offsets[row.detail])
        except Cut:
            raise damaged("an object is cut off") from None
        return Indirect(reference.number, 0, value)

    def _unpacked(self, number: int) -> tuple[bytes, list[int]]:
        """An object stream, and its numbers and offsets by turns."""
        row = self.references.row(number)
        if row is None or row.kind is not Kind.AT_OFFSET:
            raise damaged("an object stream is missing")
        stream = self.source.indirect(row.place)
        if stream.number != number or stream.dictionary.get("Type") != "ObjStm":
            raise damaged("an object stream is missing")
        first, count = stream.dictionary.number("First"), stream.dictionary.number("N")
        data = self.data(stream)
        words = data[: min(first, _INDEX_LIMIT)].split()[: 2 * count]
        if len(words) != 2 * count or not all(word.isdigit() and len(word) <= 10 for word in words):
            raise damaged("an object stream is broken")
        index = [int(word) for word in words]
        index[1::2] = [first + offset for offset in index[1::2]]
        return data + b" endobj ", index


def newest_section(source: Source, end: int) -> int:
    """Where the cross-references begin of a file that ends at `end`."""
    start = max(end - _TAIL, 0)
    found = _END.findall(source.read(start, end - start))
    if not found:
        raise damaged("its end is missing")
    return int(found[-1])


def _single(value: Value) -> Value:
    """A value, also where it is a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
