"""TIFF, BigTIFF and DNG: the file itself is the Exif block; XMP, IPTC and Photoshop's resources are values in it."""

from __future__ import annotations

import re
from typing import ClassVar

from ..exif import Exif
from ..exif_file import FileExif
from ..exif_writing import Ifd
from ..media import MediaFile
from ..plan import Mode, Patch
from ..problems import Reason
from ..tiff import BYTE, LONG, UNDEFINED, Directory
from ..tiff_file import TiffFile
from ..xmp import SIZE_LIMIT
from . import ghost
from .blocks import Blocks
from .container import Container, Range

WIDTH, HEIGHT, _SUBFILE, _COMPRESSION, _PHOTOMETRIC = 0x0100, 0x0101, 0x00FE, 0x0103, 0x0106
_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_DNG_VERSION, _CONTENT_CREDENTIALS, _NDPI, _LEAF = 0xC612, 0xCD41, 0xFF8C, 0x8606
_ONCE = (_XMP, _IPTC, _PHOTOSHOP, Ifd.EXIF, Ifd.GPS)
_BYTES = (BYTE, 2, 6, UNDEFINED)
_SENSOR_DATA = frozenset({32803, 34892})
_MAKERS_COMPRESSIONS = frozenset({32767, 32769, 32770, 34713, 65000, 65535})
_RAW_SIGNATURES = re.compile(rb"CR\x02|IIII.waR|MMMMRaw", re.DOTALL)
_DATASET = 0x1C


class TiffImage(Container):
    """A TIFF file; a DNG if it says which version of DNG it is."""

    ways = (Mode.PATCH, Mode.APPEND)
    places = "XMP, Exif, IPTC"
    remark = "IPTC is never begun in a DNG; files that are cut off, and raw files named .tif, go to a sidecar"
    takes_exif = True
    xmp_yields = False
    iptc_apart = True
    parser: ClassVar[type[TiffFile]] = TiffFile
    """What knows the file's directories."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._tiff = self.parser(media)
        self._exif = FileExif(self._tiff)
        self._is_dng = self._tiff.image.first(_DNG_VERSION) is not None
        self.takes_iptc = not self._is_dng
        main = self._main
        self.width, self.height = self._number(main, WIDTH), self._number(main, HEIGHT)
        self._judge()

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._block(_XMP)

    @property
    def exif(self) -> Exif:
        """The values of the file itself."""
        return self._exif

    @property
    def resources(self) -> bytes | None:
        """Photoshop's image resources."""
        return self._block(_PHOTOSHOP)

    @property
    def iptc(self) -> bytes | None:
        """The IPTC block that is a value of its own."""
        data = self._block(_IPTC)
        if data is None or data[0] == _DATASET or data[3:4] != bytes([_DATASET]):
            return data
        # Some writers take it for numbers, and swap their bytes.
        return b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))

    @property
    def content(self) -> tuple[Range, ...]:
        """The image data of all pages."""
        if not self._tiff.has_all_pictures:
            return ()
        found: list[Range] = []
        for start, end in sorted(piece for piece in self._tiff.pictures if piece[0] < piece[1]):
            if found and start <= sum(found[-1]):
                found[-1] = (found[-1][0], max(end, sum(found[-1])) - found[-1][0])
            else:
                found.append((start, end - start))
        return tuple(found)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and those to Exif."""
        self._set(_XMP, BYTE, blocks.xmp)
        self._set(_PHOTOSHOP, BYTE, blocks.resources)
        # Numbers, as Photoshop has it, which not all programs do without.
        self._set(_IPTC, LONG, blocks.iptc)
        patches = self._exif.to_patches()
        if patches:
            patches += ghost.patches(self.media, self._tiff.layout.header)
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _set(self, tag: int, kind: int, data: bytes | None) -> None:
        if data is not None:
            old = self._tiff.image.first(tag)
            self._exif.set_block(tag, old.kind if old else kind, data)

    def _judge(self) -> None:
        """Note what must not be changed."""
        image = self._tiff.image
        if self._tiff.loss is not None:
            self.refuse(self._tiff.loss.reason, self._tiff.loss.message)
        if image.first(_CONTENT_CREDENTIALS):
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")
        if image.first(_NDPI):
            self.refuse(Reason.UNSUPPORTED, "the file is a slide scan with offsets of a kind of its own")
        if not self._is_dng and self._is_raw():
            self.refuse(Reason.UNSUPPORTED, "the file is a camera's raw file")
        tags = [entry.tag for entry in image.entries]
        if any(tags.count(tag) > 1 for tag in _ONCE):
            self.refuse(Reason.UNSUPPORTED, "the file has a metadata block twice")
        for tag in (_XMP, _IPTC, _PHOTOSHOP):
            entry = image.first(tag)
            if entry and entry.kind not in (*_BYTES, *((LONG,) if tag == _IPTC else ())):
                self.refuse(Reason.UNSUPPORTED, "the file has a metadata block of an odd kind")
            if entry and entry.size > SIZE_LIMIT:
                self.refuse(Reason.TOO_LARGE, "the file has a metadata block larger than 16 MiB")

    def _is_raw(self) -> bool:
        """Whether the file is a maker's own, and named like a picture."""
        if _RAW_SIGNATURES.match(self.media.read(8, 8)) or self._tiff.image.first(_LEAF):
            return True
        return any(
            self._number(directory, _PHOTOMETRIC) in _SENSOR_DATA
            or self._number(directory, _COMPRESSION) in _MAKERS_COMPRESSIONS
            for directory in self._tiff.directories()
        )

    @property
    def _main(self) -> Directory:
        """The directory of the main picture: in a DNG the first one is often a preview."""
        found = (each for each in self._tiff.directories() if self._is_dng and self._number(each, _SUBFILE) == 0)
        return next(found, self._tiff.image)

    def _number(self, directory: Directory, tag: int) -> int | None:
        entry = directory.first(tag)
        return self._tiff.number(entry.value) if entry and entry.at is None and entry.value else None

    def _block(self, tag: int) -> bytes | None:
        """A block; None for one that is not there, is blank, or is not to be read."""
        entry = self._tiff.image.first(tag)
        if entry is None or entry.size > SIZE_LIMIT or not entry.value.strip(b"\0"):
            return None
        return entry.value
