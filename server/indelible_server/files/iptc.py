"""IPTC-IIM: a list of numbered datasets, older than Unicode. What is not set stays as it is, in its order.

Datasets are named by one number, record * 1000 + dataset: 2:05 is 2005.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from .problems import FileProblem, Reason

CHARSET, RECORD_VERSION = 1090, 2000
UTF8 = b"\x1b%G"
_MARKER = 0x1C
_EXTENDED = 0x8000
_LONGEST = 0x7FFF
_UTF8_MARKS = (UTF8, b"\x1b%/G", b"\x1b%/H", b"\x1b%/I")
_LATIN1_MARKS = (b"\x1b.A", b"\x1b-A")
_NO_TEXT = frozenset({RECORD_VERSION, 2125, 2200, 2201, 2202})
"""Datasets of the application record that hold numbers or pictures."""


@dataclass(frozen=True)
class Dataset:
    """One dataset, and its bytes as they stand in the file."""

    number: int
    value: bytes
    raw: bytes

    @classmethod
    def of(cls, number: int, value: bytes) -> Dataset:
        """A new dataset; its value is at most 32,767 bytes long."""
        return cls(number, value, struct.pack(">BBBH", _MARKER, *divmod(number, 1000), len(value)) + value)

    @property
    def is_text(self) -> bool:
        return 2000 <= self.number < 3000 and self.number not in _NO_TEXT


class Iptc:
    """A parsed IPTC block."""

    def __init__(self, datasets: list[Dataset], tail: bytes = b"") -> None:
        self.changed = False
        self._datasets = datasets
        self._tail = tail

    @classmethod
    def empty(cls) -> Self:
        """A block that says its version, and nothing else yet."""
        return cls([Dataset.of(CHARSET, UTF8), Dataset.of(RECORD_VERSION, b"\0\4")])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a block; raises `FileProblem` (CORRUPT) for anything but whole datasets and zeros behind them."""
        datasets, position = [], 0
        while data[position : position + 1] == bytes([_MARKER]):
            dataset = _dataset(data, position)
            datasets.append(dataset)
            position += len(dataset.raw)
        if data[position:].strip(b"\0"):
            raise FileProblem(Reason.CORRUPT, "the IPTC block is damaged")
        return cls(datasets, data[position:])

    def has(self, number: int) -> bool:
        """Whether there is such a dataset."""
        return any(dataset.number == number for dataset in self._datasets)

    def texts(self, number: int, legacy_charset: str) -> list[str]:
        """The texts of all datasets of this number."""
        found = [dataset for dataset in self._datasets if dataset.number == number]
        charset = self._charset(legacy_charset) if found else ""
        return [
            dataset.value.decode()
            if isinstance(dataset, _Written)
            else _lenient(dataset.value, charset, legacy_charset)
            for dataset in found
        ]

    def set_texts(self, number: int, texts: list[str]) -> None:
        """Let the datasets of this number be these texts, where the first of them was; an empty list removes them."""
        new = [Dataset.of(number, text.encode()) for text in texts]
        old = [index for index, dataset in enumerate(self._datasets) if dataset.number == number]
        if [self._datasets[index].value for index in old] == [dataset.value for dataset in new]:
            return
        self.changed = True
        # A new one goes behind its record, since records must be in order.
        behind = (index for index, dataset in enumerate(self._datasets) if dataset.number // 1000 > number // 1000)
        at = old[0] if old else next(behind, len(self._datasets))
        before = [dataset for dataset in self._datasets[:at] if dataset.number != number]
        after = [dataset for dataset in self._datasets[at:] if dataset.number != number]
        self._datasets = [*before, *(_Written(dataset.number, dataset.value, dataset.raw) for dataset in new), *after]

    def to_bytes(self, legacy_charset: str) -> bytes:
        """The block in UTF-8, and saying so, without zeros behind it.

        Raises `FileProblem` (UNSUPPORTED) if it cannot be told for sure what all of the old texts say.
        """
        if not self.changed:
            return _joined(self._datasets) + self._tail
        charset = self._charset(legacy_charset)
        datasets = [_transcoded(dataset, charset) for dataset in self._datasets if dataset.number != CHARSET]
        at = next((index for index, dataset in enumerate(datasets) if dataset.number > CHARSET), len(datasets))
        declared = next((dataset for dataset in self._datasets if dataset.number == CHARSET), None)
        mark = declared if declared and declared.value == UTF8 else Dataset.of(CHARSET, UTF8)
        return _joined([*datasets[:at], mark, *datasets[at:]])

    def _charset(self, legacy_charset: str) -> str:
        """The charset of the texts that were there; empty if it cannot be told."""
        mark = next((dataset.value for dataset in self._datasets if dataset.number == CHARSET), None)
        if mark in _UTF8_MARKS:
            return "utf-8"
        if mark in _LATIN1_MARKS:
            return "iso-8859-1"
        old = [dataset.value for dataset in self._datasets if dataset.is_text and not isinstance(dataset, _Written)]
        beyond_ascii = [value for value in old if not value.isascii()]
        valid = [value for value in beyond_ascii if _is_utf8(value)]
        if len(valid) == len(beyond_ascii):
            return "utf-8"
        # Some in UTF-8 and some not: whichever is taken for all would spoil the others.
        return "" if valid or mark is not None else legacy_charset


class _Written(Dataset):
    """A dataset of ours, in UTF-8 whatever the block says."""


def _joined(datasets: list[Dataset]) -> bytes:
    return b"".join(dataset.raw for dataset in datasets)


def _dataset(data: bytes, position: int) -> Dataset:
    damage = FileProblem(Reason.CORRUPT, "the IPTC block is cut off")
    if position + 5 > len(data):
        raise damage
    _marker, record, number, length = struct.unpack_from(">BBBH", data, position)
    start = position + 5
    if length & _EXTENDED:
        size = length & _LONGEST
        if not 1 <= size <= 4 or start + size > len(data):
            raise damage
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise damage
    return Dataset(record * 1000 + number, data[start : start + length], data[position : start + length])


def _transcoded(dataset: Dataset, charset: str) -> Dataset:
    if not dataset.is_text or isinstance(dataset, _Written) or dataset.value.isascii():
        return dataset
    try:
        text = dataset.value.decode(charset or "ascii")
    except UnicodeDecodeError as error:
        raise FileProblem(Reason.UNSUPPORTED, "the charset of the IPTC block cannot be told for sure") from error
    value = text.encode()
    if value == dataset.value:
        return dataset
    if len(value) > _LONGEST:
        raise FileProblem(Reason.UNSUPPORTED, "a text of the IPTC block is too long in UTF-8")
    return Dataset.of(dataset.number, value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lenient(value: bytes, charset: str, legacy_charset: str) -> str:
    if _is_utf8(value) and charset in ("utf-8", ""):
        return value.decode()
    return value.decode(legacy_charset if charset in ("utf-8", "") else charset, "replace")
