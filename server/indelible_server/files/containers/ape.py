"""APE tags, as some programs put them behind the sound of MP3: items of a name and one or several texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import grown
from ..plan import Patch
from ..problems import FileProblem, Reason

MAGIC = b"APETAGEX"
LENGTH = 32
"""Of the foot, and of the head if there is one."""
_LENGTH_AT, _COUNT_AT = 12, 16
_HAS_HEAD, _NO_TEXT = 0x80000000, 0x06
_LIMIT = 8 * 1024 * 1024
_ITEMS_LIMIT = 4096
_KEYS = {key.lower(): f"APE:{key}" for key in ("Title", "Comment", "Copyright", "Keywords", "Artist", "Year")}
_LISTS = frozenset({"APE:Keywords", "APE:Artist"})


@dataclass(frozen=True)
class Item:
    """An item: `name` is the key of its text if it is one of ours, `raw` the whole of it, `value` its content."""

    name: str | None
    start: int
    raw: bytes
    value: bytes

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(text.decode("utf-8", "replace") for text in self.value.split(b"\0"))


class Ape:
    """The APE tag that ends at an offset; raises `FileProblem` (CORRUPT, TOO_LARGE) for one that is damaged."""

    def __init__(self, media: MediaFile, end: int) -> None:
        self._media = media
        self._foot = end - LENGTH
        foot = media.read(self._foot, LENGTH)
        length, count = (int.from_bytes(foot[at : at + 4], "little") for at in (_LENGTH_AT, _COUNT_AT))
        self._begin = end - length
        has_head = int.from_bytes(foot[20:24], "little") & _HAS_HEAD
        self.start = self._begin - LENGTH if has_head else self._begin
        if length > _LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the APE tag is too large")
        if not 0 <= self.start <= self._begin <= self._foot or count > _ITEMS_LIMIT:
            raise FileProblem(Reason.CORRUPT, "the APE tag is damaged")
        if has_head and media.read(self.start, len(MAGIC)) != MAGIC:
            raise FileProblem(Reason.CORRUPT, "the APE tag is damaged")
        self._items = self._parsed(media.read(self._begin, self._foot - self._begin), count)

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The texts that fields can be in, by their keys."""
        return {
            item.name: item.texts if item.name in _LISTS else item.texts[:1]
            for item in reversed(self._items)
            if item.name is not None
        }

    def patches(self, texts: Mapping[str, Sequence[str]]) -> list[Patch]:
        """What makes the texts these; none of a key removes it, and all but the first of its items go anyway."""
        patches, done = [], set()
        for item in self._items:
            if item.name is None or item.name not in texts:
                continue
            values = list(texts[item.name]) if item.name not in done else []
            done.add(item.name)
            patches.append(Patch(item.start, item.raw, _renewed(item, values) if values else b""))
        growth, gone = grown(patches), sum(not patch.new for patch in patches)
        heads = [self._foot] if self.start == self._begin else [self.start, self._foot]
        for head in heads if growth or gone else []:
            numbers = self._media.read(head + _LENGTH_AT, 8)
            length = int.from_bytes(numbers[:4], "little") + growth
            count = int.from_bytes(numbers[4:], "little") - gone
            new = length.to_bytes(4, "little") + count.to_bytes(4, "little")
            patches.append(Patch(head + _LENGTH_AT, numbers, new))
        return sorted(patches, key=lambda patch: patch.offset)

    def _parsed(self, data: bytes, count: int) -> list[Item]:
        found, position = [], 0
        for _ in range(count):
            end_of_name = data.find(b"\0", position + 8)
            end = end_of_name + 1 + int.from_bytes(data[position : position + 4], "little")
            if end_of_name < 0 or end > len(data):
                break
            name = data[position + 8 : end_of_name].decode("latin-1").lower()
            is_text = not data[position + 4] & _NO_TEXT
            key = _KEYS.get(name) if is_text else None
            found.append(Item(key, self._begin + position, data[position:end], data[end_of_name + 1 : end]))
            position = end
        if len(found) < count or position != len(data):
            raise FileProblem(Reason.CORRUPT, "the APE tag is damaged")
        return found


def _renewed(item: Item, values: list[str]) -> bytes:
    """The item with other texts; of a list that only its first text was asked of, the others stay."""
    texts = values if item.name in _LISTS else [*values, *item.texts[1:]]
    value = b"\0".join(text.encode() for text in texts)
    return len(value).to_bytes(4, "little") + item.raw[4 : len(item.raw) - len(item.value)] + value
