"""A TIFF file: its first directory, and what else is in it, as far as that can be known with little reading."""

from __future__ import annotations

from typing import ClassVar

from .problems import FileProblem
from .tiff import DATA, Directory, Entry, Layout, Piece, Source, Tiff

_READ_LIMIT = 96 * 1024
_JPEG_TABLES, _JPEG_TABLE_SIZE = (0x0207, 0x0208, 0x0209), 272
"""Tables of JPEG data as it was stored before 1995: offsets without lengths, each of one table of this size at most."""


class TiffFile(Tiff):
    """A parsed file. Pages, sub-images and tiles are looked at only to know which bytes are theirs.

    `is_known` is False if that was too much to read, or said in a way that nobody knows. `loss` says what is missing
    or damaged of them, if so. `pictures` are the pieces of image data, all of them if `has_all_pictures`.
    """

    noun: ClassVar[str] = "the file"
    layouts: ClassVar[dict[bytes, Layout]] = {
        b"II*\0": Layout("<"),
        b"MM\0*": Layout(">"),
        b"II+\0\x08\0\0\0": Layout("<", big=True),
        b"MM\0+\0\x08\0\0": Layout(">", big=True),
    }
    directories_limit: ClassVar[int] = 4096
    entries_limit: ClassVar[int] = 4096

    def __init__(self, source: Source) -> None:
        """Parse; raises `FileProblem` (CORRUPT) if the first directory, or Exif or GPS, is damaged."""
        self.is_known = self.has_all_pictures = True
        self.loss: FileProblem | None = None
        self.pictures: list[Piece] = []
        self._left = _READ_LIMIT
        super().__init__(source)

    def numbers(self, entry: Entry) -> list[int]:
        """The values of an entry of unsigned numbers; none where they are too many to be read."""
        return super().numbers(entry) if self._spend(entry.size) else []

    def _spend(self, length: int) -> bool:
        """Whether so much may still be read."""
        self._left -= length
        if self._left < 0:
            self.is_known = self.has_all_pictures = False
        return self._left >= 0

    def _follow(self) -> None:
        try:
            super()._follow()
        except FileProblem as problem:
            self.is_known = False
            self.loss = problem

    def _turn_pages(self) -> None:
        page, pages = self.image, {self.image.at}
        while page.tail.strip(b"\0") and self._left > 0:
            at = self.number(page.tail)
            if at in pages:
                raise self.damage("has a loop")
            pages.add(at)
            page = self._known.get(at) or self._directory(at)
            self._spend(page.room)
        if not page.tail:
            raise self.damage("ends before its directories do")

    def _once(self, at: int) -> None:
        known = self._known.get(at)
        if known is None and self._left > 0:
            directory = self._directory(at)
            self._spend(directory.room)
            # Another one behind it would be known only to the program that wrote it.
            self.is_known &= not directory.tail.strip(b"\0")
        elif known is not None and self._spend(known.room):
            # What two point at is noted twice, since it must not change for the sake of one.
            self.extents += known.extents

    def _note_data(self, directory: Directory) -> None:
        for tag in _JPEG_TABLES:
            entry = directory.first(tag)
            self.extents += [(at, at + _JPEG_TABLE_SIZE) for at in (self.numbers(entry) if entry else ())]
        found = list(self._data_of(directory))
        if any(end > self.size for _, end in found):
            self.loss = self.damage("ends before its pictures do")
        if any(start < self.layout.header and start < end for start, end in found):
            self.loss = self.damage("has its header where a picture should be")
        if len(found) < sum(self._count(entry) for tag, _ in DATA if (entry := directory.first(tag))):
            # Some writers leave the lengths out.
            self.is_known = self.has_all_pictures = False
        self.extents += found
        self.pictures += found

    def _count(self, entry: Entry) -> int:
        return entry.size // self.layout.sizes.get(entry.kind, 1)

    def _note_unknown(self) -> None:
        self.is_known = False
