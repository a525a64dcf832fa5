"""The multi-picture directory of a JPEG (MPF): sizes and offsets of the pictures in the file, kept in step."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from ..patching import shift_of
from ..plan import Patch

SIGNATURE = b"MPF\0"
_ENTRIES, _ENTRY_SIZE = 0xB002, 16


def adjusted(directory: bytes, start: int, end: int, patches: Sequence[Patch]) -> list[Patch]:
    """The patches to the directory (its TIFF header is at `start`) that follow from `patches` to the file.

    The first picture's size counts all that is before the next one; the other offsets count from the TIFF header.
    What points behind the file's `end` is no place, and stays as it is.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(directory[:4])
    if order is None:
        return []
    found = []
    for position, size, offset in _pictures(directory, order):
        if (start + offset if offset else size) > end:
            continue
        new_size = size + shift_of(patches, size) if offset == 0 else size
        new_offset = 0 if offset == 0 else offset + shift_of(patches, start + offset) - shift_of(patches, start)
        old, new = struct.pack(f"{order}II", size, offset), struct.pack(f"{order}II", new_size, new_offset)
        if old != new:
            found.append(Patch(start + position + 4, old, new))
    return found


def _pictures(directory: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """Position in the directory, size and offset of each picture that it lists."""
    try:
        (at,) = struct.unpack_from(f"{order}I", directory, 4)
        (count,) = struct.unpack_from(f"{order}H", directory, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _kind, length, value = struct.unpack_from(f"{order}HHII", directory, entry)
            if tag == _ENTRIES:
                for position in range(value, value + length - _ENTRY_SIZE + 1, _ENTRY_SIZE):
                    _attributes, size, offset = struct.unpack_from(f"{order}III", directory, position)
                    yield position, size, offset
    except struct.error:
        return
