"""The blocks of a file that a change writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..exif import Exif


@dataclass(frozen=True)
class Blocks:
    """What the blocks are to be; None leaves one as it is.

    `exif` is the block's bytes or, where the container gave its own, that with its changes. `iptc` is for the place
    that IPTC has outside of `resources`, a multiple of four bytes; `further_iptc` are the container's further blocks.
    `texts` are those of the container's own texts that change; an empty one is to be removed.
    """

    xmp: bytes | None = None
    exif: bytes | Exif | None = None
    resources: bytes | None = None
    further_iptc: tuple[bytes | None, ...] = ()
    iptc: bytes | None = None
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
