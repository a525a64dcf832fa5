"""Patches made as small as they can be, and the guards around them."""

from __future__ import annotations

from collections.abc import Sequence

from .media import MediaFile
from .plan import Guard, Patch

_GUARD = 32


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
