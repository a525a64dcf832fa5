"""Chunk offsets of movies: where the tracks in a `moov` box say that their samples are, as places in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import shift_of
from ..plan import Patch
from ..problems import FileProblem, Reason
from .boxes import Box, boxes

_PARENTS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_WIDTHS = {b"stco": 4, b"co64": 8}
_POINTING = frozenset({b"saio", b"meta", b"iloc", b"mvex", b"cmov", b"rmra"})
"""These hold offsets of their own, or hide them."""
_HEAD = 8
_TABLE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class _Table:
    """A table of offsets of so many bytes each: its place in the file, and its bytes."""

    width: int
    at: int
    data: bytes


def adjusted(media: MediaFile, movie: Box, patches: Sequence[Patch]) -> list[Patch]:
    """The patches to the offsets of what other patches move.

    Raises `FileProblem` (CORRUPT, UNSUPPORTED, TOO_LARGE) if not all of them are known, or if one has no room.
    """
    changed = []
    for table in _tables(media, movie):
        old = [
            int.from_bytes(table.data[at : at + table.width], "big") for at in range(0, len(table.data), table.width)
        ]
        try:
            new = b"".join((offset + shift_of(patches, offset)).to_bytes(table.width, "big") for offset in old)
        except OverflowError as error:
            raise FileProblem(Reason.TOO_LARGE, "the film would end behind what its tables can say") from error
        if new != table.data:
            changed.append(Patch(table.at, table.data, new))
    return changed


def _tables(media: MediaFile, parent: Box) -> Iterator[_Table]:
    for child in boxes(media, parent.data, parent.end):
        if child.kind in _POINTING:
            raise FileProblem(Reason.UNSUPPORTED, "the file's film has pointers that a change could break")
        if child.kind in _PARENTS:
            yield from _tables(media, child)
        elif child.kind in _WIDTHS:
            width = _WIDTHS[child.kind]
            length = width * int.from_bytes(media.read(child.data + 4, 4), "big")
            if child.data + _HEAD + length > child.end or length > _TABLE_LIMIT:
                raise FileProblem(Reason.CORRUPT, "the tables of the file's film are damaged")
            yield _Table(width, child.data + _HEAD, media.read(child.data + _HEAD, length))
