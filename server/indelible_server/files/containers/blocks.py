"""The blocks of a file that a change writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blocks:
    """What the blocks are to be; None leaves one as it is."""

    xmp: bytes | None = None
    exif: bytes | None = None
    resources: bytes | None = None
