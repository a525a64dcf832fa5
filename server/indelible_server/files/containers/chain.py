"""A chain of boxes in which each metadata block is a box of its own: what JPEG 2000 and JPEG XL have in common.

New boxes are appended at the end of the file, or put beside the old ones, so that what one gains another can give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..media import MediaFile
from ..patching import shift_of, tailed
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .boxes import Box, box, boxes
from .container import Container

SIZE_LIMIT = 32 * 1024 * 1024
"""A block is not longer."""


class Kind(StrEnum):
    """The kinds of blocks, in the order in which new ones are written."""

    EXIF = "Exif"
    IPTC = "IPTC"
    XMP = "XMP"


@dataclass(frozen=True)
class Held:
    """A box with a block, and the bytes of the box in front of the block."""

    box: Box
    head: bytes

    @property
    def start(self) -> int:
        """Where the block begins."""
        return self.box.data + len(self.head)

    @property
    def length(self) -> int:
        """How long the block is."""
        return self.box.end - self.start


class Chain(Container, ABC):
    """A file that is a chain of boxes."""

    takes_exif = True
    ways = (Mode.PATCH, Mode.APPEND, Mode.REPLACE)
    places = "XMP, Exif"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self.boxes: list[Box] = []
        self._held: dict[Kind, Held] = {}
        try:
            for found in boxes(media, 0, media.size):
                self.boxes.append(found)
                self.note(found)
        except FileProblem as damage:
            self.refuse(damage.reason, damage.message)

    @abstractmethod
    def note(self, found: Box) -> None:
        """Look at a box of the chain, and `hold` it if there is a block in it."""

    @abstractmethod
    def can_move(self) -> bool:
        """Whether nothing in the file is known by its offset, or could be."""

    @abstractmethod
    def new_box(self, kind: Kind) -> tuple[bytes, bytes]:
        """The four letters of a box for a new block, and its bytes in front of the block."""

    def hold(self, kind: Kind, found: Box, head: int) -> None:
        """Take note of a box with a block behind `head` bytes."""
        if kind in self._held:
            self.refuse(Reason.UNSUPPORTED, f"the file has several {kind} blocks")
        elif not head <= found.length <= SIZE_LIMIT:
            self.refuse(Reason.CORRUPT, f"the file's {kind} block is cut off, or very long")
        else:
            self._held[kind] = Held(found, self.media.read(found.data, head))

    def block(self, kind: Kind) -> bytes | None:
        """The block of this kind."""
        held = self._held.get(kind)
        return self.media.read(held.start, held.length) if held else None

    @property
    def xmp(self) -> bytes | None:
        """The packet, padding included."""
        return self.block(Kind.XMP)

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""
        return self.block(Kind.EXIF)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, or into boxes of their own."""
        wanted = self.wanted(blocks)
        patches = [self._replaced(self._held[kind], data) for kind, data in wanted.items() if kind in self._held]
        new = b"".join(
            box(letters, head + wanted[kind])
            for kind in Kind
            if kind in wanted and kind not in self._held
            for letters, head in [self.new_box(kind)]
        )
        if new:
            patches.append(Patch(self._place, b"", new))
        patches = [patch for patch in patches if patch.old != patch.new]
        patches.sort(key=lambda patch: (patch.offset, len(patch.old) > 0))
        if any(shift_of(patches, found.data) for found in self.boxes) and not self.can_move():
            raise FileProblem(Reason.UNSUPPORTED, "parts of the file are found by their place in it, and would move")
        ours = [held.box for held in self._held.values()]
        others = max((found.end for found in self.boxes if found not in ours), default=0)
        return tuple(tailed(self.media, patches, others))

    def wanted(self, blocks: Blocks) -> Mapping[Kind, bytes]:
        """The bytes of the blocks that are to change."""
        wanted = {} if blocks.xmp is None else {Kind.XMP: blocks.xmp}
        return wanted | {Kind.EXIF: blocks.exif} if isinstance(blocks.exif, bytes) else wanted

    def _replaced(self, held: Held, data: bytes) -> Patch:
        if held.length == len(data):
            return Patch(held.start, self.media.read(held.start, held.length), data)
        old = self.media.read(held.box.start, held.box.end - held.box.start)
        return Patch(held.box.start, old, box(held.box.kind, held.head + data))

    @property
    def _place(self) -> int:
        """Where new boxes are put: never behind one whose end is left open."""
        last = self.boxes[-1]
        beside = max((held.box.end for held in self._held.values() if held.box is not last), default=None)
        if beside is not None and self.can_move():
            return beside
        return last.start if last.to_end else last.end
