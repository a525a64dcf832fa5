"""Our update of a PDF file: new versions of a few objects, behind all that was there, in the way that the file's own
cross-references are written. It is known again by being, byte for byte, what would be written, and then replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..problems import FileProblem, Reason
from .pdf_document import Document, newest_section
from .pdf_objects import Dictionary, Reference
from .pdf_source import STREAM_LIMIT, Indirect
from .pdf_xref import CrossReferences, Kind, Section, Stream

_MARK = re.compile(rb"\n%IndelibleUpdate (\d{1,18})\n\Z")
"""Right before the section. It names the place where the update begins."""
_MARK_LENGTH = 48
_OBJECTS_LIMIT = 16
_OFFSET_LIMIT = 9_999_999_999
_SPARE = 1024
"""Room that is left, so that texts may grow a little in place."""


@dataclass(frozen=True)
class Update:
    """An update behind the first `base_size` bytes of a file, whose newest section is `base`.

    `objects` are the sources of the new versions; `free_number` is not in use in those bytes. `length` is that of the
    update as it is in the file, 0 if it is not there yet.
    """

    base: Section
    base_size: int
    free_number: int
    objects: Mapping[Reference, bytes]
    length: int = 0

    def fitted(self) -> bytes:
        """The update as it is to be written: as long as the old one if it fits there, else with spare room."""
        shortest = len(self._written(0))
        spare = self.length - shortest
        if spare < 0:
            return self._written(_SPARE)
        written = self._written(spare)
        # One digit more of the offset, where the room makes it that long.
        excess = len(written) - self.length
        if 0 < excess <= spare:
            written = self._written(spare - excess)
        return written if len(written) == self.length else self._written(spare + _SPARE)

    def _written(self, spare: int) -> bytes:
        parts, length, offsets = [b"\n"], 1, {}
        for reference, source in self.objects.items():
            offsets[reference] = self.base_size + length
            parts.append(b"%d %d obj\n" % reference + source + b"\nendobj\n")
            length += len(parts[-1])
        parts.append(b" " * spare + b"\n%%IndelibleUpdate %d\n" % self.base_size)
        at = self.base_size + length + len(parts[-1])
        section = self._stream(offsets, at) if isinstance(self.base, Stream) else self._table(offsets)
        return b"".join([*parts, section, b"startxref\n%d\n%%%%EOF\n" % at])

    @property
    def next_number(self) -> int:
        """A number that is in use nowhere."""
        return max(self.free_number, *(reference.number + 1 for reference in self.objects), 1)

    def _table(self, offsets: Mapping[Reference, int]) -> bytes:
        if max(offsets.values()) > _OFFSET_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file is too large for the kind of cross-references that it has")
        lines = [b"xref\n"]
        for span in _spans(offsets):
            lines.append(b"%d %d\n" % (span[0].number, len(span)))
            lines += [b"%010d %05d n \n" % (offsets[reference], reference.generation) for reference in span]
        trailer = self.base.trailer.spliced(self._common(self.next_number) | {"XRefStm": None})
        return b"".join([*lines, b"trailer\n", trailer, b"\n"])

    def _stream(self, offsets: Mapping[Reference, int], at: int) -> bytes:
        own = Reference(self.next_number, 0)
        offsets = {**offsets, own: at}
        width = 4 if self.base_size < 1 << 31 else 8
        spans = _spans(offsets)
        data = b"".join(
            b"\1" + offsets[reference].to_bytes(width, "big") + reference.generation.to_bytes(2, "big")
            for span in spans
            for reference in span
        )
        index = b" ".join(b"%d %d" % (span[0].number, len(span)) for span in spans)
        dictionary = self.base.trailer.spliced(
            self._common(own.number + 1)
            | {"Index": b"[%s]" % index, "W": b"[1 %d 2]" % width, "Length": b"%d" % len(data)}
            | {"Filter": None, "DecodeParms": None}
        )
        return b"%d 0 obj\n" % own.number + dictionary + b"\nstream\n" + data + b"\nendstream\nendobj\n"

    def _common(self, size: int) -> dict[str, bytes | None]:
        """What all trailers of an update say: the document's first identifier stays, and the second is its state's."""
        changes: dict[str, bytes | None] = {"Size": b"%d" % size, "Prev": b"%d" % self.base.offset}
        identifier = self.base.trailer.get("ID")
        if isinstance(identifier, list) and len(identifier) == 2 and isinstance(identifier[0], bytes):
            state = hashlib.blake2b(b"".join(self.objects.values()), digest_size=16).digest()
            changes["ID"] = b"[<%s> <%s>]" % (identifier[0].hex().encode(), state.hex().encode())
        return changes


def update_of(document: Document) -> Update:
    """Our update at the end of the file; one without objects if there is none, or if others have changed it."""
    try:
        return _found(document) or _none(document)
    except FileProblem as problem:
        if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
            raise
        return _none(document)


def _none(document: Document) -> Update:
    references = document.references
    return Update(references.sections[0], document.source.size, references.free_number, {})


def _found(document: Document) -> Update | None:
    source, sections = document.source, document.references.sections
    own = sections[0]
    start = max(own.offset - _MARK_LENGTH, 0)
    mark = _MARK.search(source.read(start, own.offset - start))
    if mark is None or len(sections) < 2:
        return None
    base_size = int(mark[1])
    length = source.size - base_size
    if not base_size <= own.offset or length > 2 * STREAM_LIMIT:
        return None
    if newest_section(source, base_size) != sections[1].offset:
        return None
    before = CrossReferences(source, sections[1].offset)
    objects = _objects(document, own)
    update = Update(sections[1], base_size, before.free_number, objects, length)
    return update if update.fitted() == source.read(base_size, length) else None


def _objects(document: Document, own: Section) -> dict[Reference, bytes]:
    """The sources of the objects that a section has, in the order in which they are in the file."""
    if sum(span.rows for span in own.ranges) > _OBJECTS_LIMIT:
        return {}
    numbers = (number for span in own.ranges for number in range(span.first, span.first + span.rows))
    rows = [row for row in map(own.row, numbers) if row is not None and row.kind is Kind.AT_OFFSET]
    found = [document.source.indirect(row.place) for row in sorted(rows, key=lambda row: row.place)]
    return {
        Reference(entry.number, entry.generation): stream_source(entry.dictionary, _data(document, entry))
        for entry in found
        if not (isinstance(own, Stream) and entry.number == own.number)
    }


def _data(document: Document, entry: Indirect) -> bytes | None:
    return None if entry.data_at is None else document.source.stream(entry, entry.dictionary.number("Length"))


def stream_source(dictionary: Dictionary | bytes, data: bytes | None) -> bytes:
    """The source of an object that is a dictionary, with these data if it is a stream."""
    head = dictionary.source if isinstance(dictionary, Dictionary) else dictionary
    return head if data is None else head + b"\nstream\n" + data + b"\nendstream"


def _spans(offsets: Mapping[Reference, int]) -> list[list[Reference]]:
    """The references in runs of consecutive numbers."""
    spans: list[list[Reference]] = []
    for reference in sorted(offsets):
        if spans and spans[-1][-1].number + 1 == reference.number:
            spans[-1].append(reference)
        else:
            spans.append([reference])
    return spans
