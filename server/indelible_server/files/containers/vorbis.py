"""Vorbis comments: a vendor and `NAME=text` entries, as FLAC and the streams in Ogg have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts

_ENTRIES_LIMIT = 65_536


@dataclass(frozen=True)
class Comments:
    """Comments as they are in the file. Entries that nobody sets stay as they are, byte for byte and in their order."""

    vendor: bytes = b"Indelible"
    entries: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> tuple[Comments, int]:
        """The comments that `data` begins with, and where they end; raises `FileProblem` (CORRUPT, TOO_LARGE)."""
        vendor, position = _text(data, 0)
        count, position = _number(data, position)
        if count > _ENTRIES_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, f"the file says that it has {count} comments")
        entries = []
        for _ in range(count):
            entry, position = _text(data, position)
            entries.append(entry)
        return cls(vendor, tuple(entries)), position

    def texts(self) -> Texts:
        """The texts by their names, in upper case: how a file spells them means nothing."""
        found: dict[str, list[str]] = defaultdict(list)
        for entry in self.entries:
            name, equals, text = entry.partition(b"=")
            if equals:
                found[_key(name)].append(text.decode("utf-8", "replace"))
        return Texts(TextKind.VORBIS, found)

    def with_texts(self, texts: Mapping[str, Sequence[str]]) -> Comments:
        """The comments with other texts; their names keep their spelling.

        What changes goes to the end, right before the padding, so that a cover picture never has to move twice.
        """
        names = {_key(name): name for name in (entry.partition(b"=")[0] for entry in reversed(self.entries))}
        kept = [entry for entry in self.entries if b"=" not in entry or _key(entry.partition(b"=")[0]) not in texts]
        new = [names.get(key, key.encode()) + b"=" + text.encode() for key, told in texts.items() for text in told]
        return Comments(self.vendor, (*kept, *new))

    def to_bytes(self) -> bytes:
        """The comments as they are stored."""
        parts = [self.vendor, *self.entries]
        stored = [len(part).to_bytes(4, "little") + part for part in parts]
        stored.insert(1, len(self.entries).to_bytes(4, "little"))
        return b"".join(stored)


def _key(name: bytes) -> str:
    return name.upper().decode("ascii", "replace")


def _number(data: bytes, position: int) -> tuple[int, int]:
    if position + 4 > len(data):
        raise FileProblem(Reason.CORRUPT, "the file's comments are cut off")
    return int.from_bytes(data[position : position + 4], "little"), position + 4


def _text(data: bytes, position: int) -> tuple[bytes, int]:
    length, position = _number(data, position)
    if position + length > len(data):
        raise FileProblem(Reason.CORRUPT, "the file's comments are cut off")
    return data[position : position + length], position + length
