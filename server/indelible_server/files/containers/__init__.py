"""Containers: where a format keeps its metadata blocks. A file is judged by its content, not by its name."""

from __future__ import annotations

from typing import Protocol

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem
from . import jpeg
from .blocks import Blocks

EMBEDDABLE = frozenset({"JPEG"})
"""The formats that have a container module."""


class Container(Protocol):
    """A file whose blocks are located. Nothing is ever parsed that could change on writing."""

    @property
    def width(self) -> int | None:
        """Of the picture, in pixels, as stored."""

    @property
    def height(self) -> int | None:
        """Of the picture, in pixels, as stored."""

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""

    @property
    def xmp_limit(self) -> int:
        """How long a packet can be."""

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""

    @property
    def resources(self) -> bytes | None:
        """Photoshop's image resources, among them IPTC; None if there are none."""

    @property
    def refusal(self) -> FileProblem | None:
        """Why nothing can be embedded, if so."""

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and all that depends on their lengths.

        Raises `FileProblem` (TOO_LARGE, UNSUPPORTED) if they do not fit, or if something else would be lost.
        """


def identify(media: MediaFile) -> Container | None:
    """The container in a file; None for a format that nothing can be embedded into."""
    if media.read(0, 3) == jpeg.MAGIC:
        return jpeg.Jpeg(media)
    return None
