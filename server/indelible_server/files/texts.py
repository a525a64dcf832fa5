"""A container's own texts: titles and the like that its format had before XMP, each under the format's own key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum


class TextKind(StrEnum):
    """The kinds of texts. What a key is depends on the kind; `table.py` has all keys that are known."""

    ID3 = "ID3"
    VORBIS = "Vorbis"
    QUICKTIME = "QuickTime"
    PNG = "PNG"
    PDF = "PDF"
    RIFF = "RIFF"
    AIFF = "AIFF"
    SVG = "SVG"
    JPEG = "JPEG"


COMMENTS = tuple(f"comment {number}" for number in range(1, 9))
"""The keys of the comments in a JPEG, in their order; any further ones are left alone."""


class Texts:
    """The texts that a container holds, and those that it is to hold. Keys that are not known stay unread.

    Some containers hold texts of another kind besides; no key is in two kinds that are found together.
    """

    def __init__(self, kind: TextKind, values: Mapping[str, Sequence[str]], *others: TextKind) -> None:
        self.kinds = frozenset({kind, *others})
        self._values = {key: tuple(texts) for key, texts in values.items()}
        self._new: dict[str, tuple[str, ...]] = {}

    def has(self, key: str) -> bool:
        """Whether there is a text of this key, be it blank."""
        return bool(self._new[key]) if key in self._new else key in self._values

    def get(self, key: str) -> tuple[str, ...]:
        """The texts of this key, in their order."""
        return self._new.get(key, self._values.get(key, ()))

    def set(self, key: str, texts: Sequence[str]) -> None:
        """Let the texts of this key be these; none removes it."""
        if tuple(texts) == self._values.get(key, ()):
            self._new.pop(key, None)
        else:
            self._new[key] = tuple(texts)

    @property
    def changed(self) -> Mapping[str, tuple[str, ...]]:
        """What is to be other than it is, by key; an empty one is to be removed."""
        return dict(self._new)
