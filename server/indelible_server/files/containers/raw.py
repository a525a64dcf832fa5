"""Makers' raw files that are built like TIFF: read, and never written, since only makers know what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..media import MediaFile
from ..problems import FileProblem, Reason
from ..tiff import Layout
from ..tiff_file import TiffFile
from .tiff import HEIGHT, WIDTH, TiffImage

_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_PANASONIC, _BORDERS = b"IIU\0", range(4, 8)
"""Of the picture on the sensor: top, left, bottom, right."""


class _RawFile(TiffFile):
    """A file whose header may be of a maker's own."""

    layouts: ClassVar[dict[bytes, Layout]] = TiffFile.layouts | {
        **dict.fromkeys((b"IIRO", b"IIRS", _PANASONIC), Layout("<")),
        b"MMOR": Layout(">"),
    }


class Raw(TiffImage):
    """A raw file: what camera and maker say in it, and perhaps a packet of XMP."""

    parser = _RawFile

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        largest = max(self._sizes(), key=lambda size: (size[0] or 0) * (size[1] or 0))
        self.width, self.height = (side or None for side in largest)
        self.refusal = FileProblem(Reason.UNSUPPORTED, "nothing can be embedded")

    def _sizes(self) -> Iterator[tuple[int | None, int | None]]:
        """Of all pictures, most of which are previews, and what Exif and Panasonic say that the picture has."""
        for directory in self._tiff.directories():
            yield self._number(directory, WIDTH), self._number(directory, HEIGHT)
        if self._tiff.exif is not None:
            yield self._number(self._tiff.exif, _EXIF_WIDTH), self._number(self._tiff.exif, _EXIF_HEIGHT)
        if self.media.read(0, len(_PANASONIC)) == _PANASONIC:
            top, left, bottom, right = (self._number(self._tiff.image, tag) or 0 for tag in _BORDERS)
            yield max(right - left, 0), max(bottom - top, 0)
