"""Patches made as small as they can be, and the guards around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .media import MediaFile
from .plan import Guard, Mode, Patch

_GUARD = 32
_LEVEL_LIMIT = 64 * 1024


def trimmed(patch: Patch) -> Patch:
    """The same change without the bytes that are equal at both ends."""
    old, new = patch.old, patch.new
    front = _common(old, new)
    shortest = min(len(old), len(new)) - front
    back = min(_common(old[::-1], new[::-1]), shortest)
    return Patch(patch.offset + front, old[front : len(old) - back], new[front : len(new) - back])


def _common(a: bytes, b: bytes) -> int:
    """How many bytes two strings begin with in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def shift_of(patches: Sequence[Patch], offset: int) -> int:
    """How far the byte at `offset` moves."""
    return grown(patch for patch in patches if patch.offset < offset)


def _growth(patch: Patch) -> int:
    return len(patch.new) - len(patch.old)


def grown(patches: Iterable[Patch]) -> int:
    """By how much the patches make the file longer."""
    return sum(_growth(patch) for patch in patches)


def spliced(data: bytes, patches: Sequence[Patch], start: int = 0) -> bytes:
    """The data, which is at `start` in the file, with the patches made."""
    pieces, position = [], 0
    for patch in patches:
        pieces += [data[position : patch.offset - start], patch.new]
        position = patch.offset - start + len(patch.old)
    return b"".join([*pieces, data[position:]])


def levelled(media: MediaFile, patches: Sequence[Patch]) -> Sequence[Patch]:
    """The same change with patches that keep their lengths, if what one block gains another gives close by."""
    moving = [index for index, patch in enumerate(patches) if len(patch.old) != len(patch.new)]
    if not moving or grown(patches) != 0:
        return patches
    first, last = moving[0], moving[-1]
    start, end = patches[first].offset, patches[last].offset + len(patches[last].old)
    if end - start > _LEVEL_LIMIT:
        return patches
    old = media.read(start, end - start)
    return [*patches[:first], Patch(start, old, spliced(old, patches[first : last + 1], start)), *patches[last + 1 :]]


def way(patches: Sequence[Patch], size: int) -> Mode:
    """How a file of this size can be changed by these patches with the least that is written."""
    if all(len(patch.old) == len(patch.new) for patch in patches):
        return Mode.PATCH
    *before, last = patches
    at_end = last.offset + len(last.old) == size and len(last.new) > len(last.old)
    return Mode.APPEND if at_end and all(len(patch.old) == len(patch.new) for patch in before) else Mode.REPLACE


def guards(media: MediaFile, patches: Sequence[Patch]) -> tuple[Guard, ...]:
    """A few bytes before and behind each patch, as they are in the file."""
    found = []
    before = 0
    for index, patch in enumerate(patches):
        end = patch.offset + len(patch.old)
        after = patches[index + 1].offset if index + 1 < len(patches) else media.size
        for start, stop in ((max(before, patch.offset - _GUARD), patch.offset), (end, min(after, end + _GUARD))):
            if start < stop:
                found.append(Guard(start, media.read(start, stop - start)))
        before = min(after, end + _GUARD)
    return tuple(found)
