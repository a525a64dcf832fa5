"""Room in a file: the pieces of it that are free, and what is behind its end."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from .tiff import Piece

_ENDLESS = 1 << 72
_ALIGNMENT = 8


def aligned(offset: int) -> int:
    """The next place where values may begin."""
    return offset + -offset % _ALIGNMENT


def between(start: int, end: int, used: Iterable[Piece]) -> list[Piece]:
    """The pieces between two offsets that are not used, in their order."""
    found = []
    for begin, stop in sorted(used):
        if begin > start:
            found.append((start, min(begin, end)))
        start = max(start, stop)
        if start >= end:
            return found
    return [*found, (start, end)]


class Room:
    """The free pieces of a file, in their order; the last one has no end."""

    def __init__(self, free: Iterable[Piece], end: int) -> None:
        self._free: list[Piece] = [(end, _ENDLESS)]
        for start, stop in free:
            self.add(start, stop)

    def add(self, start: int, end: int) -> None:
        """Let a piece be free."""
        touching = [piece for piece in self._free if piece[0] <= end and start <= piece[1]]
        self._free = [piece for piece in self._free if piece not in touching]
        insort(self._free, (min([start, *(a for a, _ in touching)]), max([end, *(b for _, b in touching)])))

    def take(self, length: int, best: int | None = None) -> int:
        """The place of so many bytes, which are free no longer: the best one, if there is room, or else the first."""
        index, at = self._found(length, best)
        start, end = self._free.pop(index)
        for piece in ((start, at), (at + length, end)):
            if piece[0] < piece[1]:
                insort(self._free, piece)
        return at

    def _found(self, length: int, best: int | None) -> tuple[int, int]:
        """The index of a free piece, and the place in it."""
        for index, (start, end) in enumerate(self._free):
            if best is not None and start <= best and best + length <= end:
                return index, best
        return next(
            (index, aligned(start)) for index, (start, end) in enumerate(self._free) if aligned(start) + length <= end
        )
