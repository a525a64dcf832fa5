"""What all containers have in common: a file whose blocks are located, and that nothing else is known of."""

from __future__ import annotations

from ..exif import Exif
from ..media import MediaFile
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from ..texts import Texts
from ..xmp import SIZE_LIMIT
from .blocks import Blocks

Range = tuple[int, int]
"""A piece of a file: its offset and its length."""


class Container:
    """A file whose blocks are located. Nothing is ever parsed that could change on writing.

    A format's module makes one of these, with what it finds; what it leaves alone is not there. The constructor raises
    `FileProblem` (CORRUPT, UNSUPPORTED) for a file that could not be changed for sure; one that can at least be read
    sets `refusal` instead.
    """

    takes_xmp = True
    """Whether the format has a place for an XMP packet."""
    takes_exif = False
    """Whether an Exif block can be made where there is none."""
    takes_iptc = False
    """Whether an IPTC block can be made where there is none."""
    ways: tuple[Mode, ...] = (Mode.PATCH, Mode.REPLACE)
    """How a file of the format can be written; which way it is depends on the file."""
    places = "XMP"
    """What is written in such a file, for people."""
    remark = ""
    """What people should know about the format, if there is anything."""
    xmp_yields = True
    """Whether padding of XMP makes up for what other blocks gain, since they lie in one chain."""
    iptc_apart = False
    """Whether IPTC has a place outside of Photoshop's resources; in those it is then only kept in step."""
    xmp_limit = SIZE_LIMIT
    """How long a packet can be."""

    def __init__(self, media: MediaFile) -> None:
        self.media = media
        self.refusal: FileProblem | None = None
        """Why nothing can be embedded, if so: the first reason that was found."""
        self.width: int | None = None
        self.height: int | None = None
        """Of the picture, in pixels, as stored."""
        self.duration_s: float | None = None
        """Of sound and video, in seconds."""
        self.camera: str | None = None
        """Maker and model, where the format says so outside of Exif."""
        self.xmp_props: frozenset[str] | None = None
        """The only properties that XMP may have, where a standard that the file follows says so."""
        self.texts: Texts | None = None
        """The format's own texts."""

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        return None

    @property
    def exif(self) -> bytes | Exif | None:
        """The Exif block, beginning with its TIFF header, or parsed already where it is the file itself."""
        return None

    @property
    def resources(self) -> bytes | None:
        """Photoshop's image resources, among them IPTC; None if there are none."""
        return None

    @property
    def further_iptc(self) -> tuple[bytes, ...]:
        """The IPTC blocks that stand outside of the resources, beside those in them."""
        return ()

    def extended_xmp(self, guid: str) -> bytes | None:
        """The part of XMP that the main packet refers to by this name; None if there is none.

        Raises `FileProblem` (CORRUPT, TOO_LARGE) if it cannot be put together.
        """
        return None

    @property
    def iptc(self) -> bytes | None:
        """The IPTC block that is outside of Photoshop's resources."""
        return None

    @property
    def content(self) -> tuple[Range, ...]:
        """What people see or hear, and no change of metadata touches; empty if that cannot be told."""
        return ()

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and all that depends on their lengths.

        Raises `FileProblem` (TOO_LARGE, UNSUPPORTED) if they do not fit, or if something else would be lost.
        """
        raise FileProblem(Reason.UNSUPPORTED, "nothing can be embedded")

    def refuse(self, reason: Reason, message: str) -> None:
        """Note why nothing can be embedded; an earlier reason stands."""
        if self.refusal is None:
            self.refusal = FileProblem(reason, message)
