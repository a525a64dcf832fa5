"""Patches made as small as they can be, and the guards around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .media import MediaFile
from .plan import Guard, Mode, Patch
from .tiff import Source

_GUARD = 32
_LEVEL_LIMIT = 64 * 1024
_PIECE = 4096


def trimmed(patch: Patch, *, to_end: bool = False) -> Patch:
    """The same change without the bytes that are equal at both ends, or at its front only if it must reach `to_end`."""
    old, new = patch.old, patch.new
    front = _common(old, new)
    shortest = min(len(old), len(new)) - front
    back = 0 if to_end else min(_common(old[::-1], new[::-1]), shortest)
    return Patch(patch.offset + front, old[front : len(old) - back], new[front : len(new) - back])


def scattered(patch: Patch) -> list[Patch]:
    """The same change, of equal lengths, as patches of the pieces that differ, where much between them does not."""
    pieces: list[Patch] = []
    for at in range(0, len(patch.old), _PIECE):
        old, new = patch.old[at : at + _PIECE], patch.new[at : at + _PIECE]
        if old == new:
            continue
        if pieces and pieces[-1].offset + len(pieces[-1].old) == patch.offset + at:
            before = pieces.pop()
            pieces.append(Patch(before.offset, before.old + old, before.new + new))
        else:
            pieces.append(Patch(patch.offset + at, old, new))
    return pieces


def painted(source: Source, writes: Sequence[tuple[int, bytes]]) -> tuple[Patch, ...]:
    """The patches that come of writes at these places, of which the later ones win. The file may become longer."""
    size = source.size
    end = max(size, *(at + len(data) for at, data in writes))
    touched = [(at, min(at + len(data), size)) for at, data in writes if at < size]
    pieces = [*_united(touched), *([(size, end)] if end > size else [])]
    patches = []
    for start, stop in pieces:
        old = source.read(start, stop - start)
        new = bytearray(old.ljust(stop - start, b"\0"))
        for at, data in writes:
            if at < stop and start < at + len(data):
                part = data[max(start - at, 0) : stop - at]
                place = max(at - start, 0)
                new[place : place + len(part)] = part
        patches.append(Patch(start, old, bytes(new)))
    return tuple(patch for patch in patches if patch.old != patch.new)


def _united(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces in their order, those that overlap or touch as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


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
    old, new = _joined(media, patches[first : last + 1], start, end)
    return [*patches[:first], Patch(start, old, new), *patches[last + 1 :]]


def tailed(media: MediaFile, patches: Sequence[Patch], tail: int) -> Sequence[Patch]:
    """The same change with all that the file gains at its very end, if nothing moves but a little behind `tail`."""
    moving = [index for index, patch in enumerate(patches) if len(patch.old) != len(patch.new)]
    if not moving or grown(patches) <= 0:
        return patches
    start, size = patches[moving[0]].offset, media.size
    if start < tail or size - start > _LEVEL_LIMIT:
        return patches
    old, new = _joined(media, patches[moving[0] :], start, size)
    return [*patches[: moving[0]], Patch(start, old, new[: len(old)]), Patch(size, b"", new[len(old) :])]


def _joined(media: MediaFile, patches: Sequence[Patch], start: int, end: int) -> tuple[bytes, bytes]:
    """The bytes between two offsets, before and after."""
    old = media.read(start, end - start)
    return old, spliced(old, patches, start)


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
