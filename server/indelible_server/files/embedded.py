"""The embedded home: a container's blocks parsed together, and put together again for writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .containers.blocks import Blocks
from .containers.container import Container
from .exif import Exif
from .forms import Metadata
from .iptc import Iptc
from .photoshop import Resources
from .policy import Policy
from .problems import FileProblem, Reason
from .xmp import PADDING, Packet

Parsed = TypeVar("Parsed")
_NUMBER = 4


@dataclass
class Embedded:
    """What a file holds itself. `damage` are the blocks that could not be parsed: then nothing may be written."""

    metadata: Metadata = field(default_factory=Metadata)
    resources: Resources | None = None
    damage: list[FileProblem] = field(default_factory=list)

    def blocks(self, container: Container, policy: Policy) -> Blocks:
        """The blocks as they are to be written, unchanged ones left out.

        What others gain is taken from the padding of XMP, if there is enough, so that the file keeps its length.
        Raises `FileProblem` (TOO_LARGE, UNSUPPORTED) for what cannot be written.
        """
        exif, iptc = self._exif(container), self._iptc(container, policy)
        resources = self._resources(container, iptc)
        gained = 0
        for new, old in ((exif, container.exif), (resources, container.resources)):
            if isinstance(new, bytes):
                gained += len(new) - (len(old) if isinstance(old, bytes) else 0)
        is_apart = container.iptc is not None or not (self.resources and self.resources.iptc)
        return Blocks(
            xmp=self._xmp(container, gained),
            exif=exif,
            resources=resources,
            iptc=iptc if container.iptc_apart and is_apart else None,
            texts=self.metadata.texts.changed if self.metadata.texts else {},
        )

    def _xmp(self, container: Container, gained: int) -> bytes | None:
        if not container.takes_xmp:
            return None
        limit = container.xmp_limit
        room = len(container.xmp or b"") - (gained if container.xmp_yields else 0)
        return self.metadata.packet().to_packet(room=room if room <= limit else 0, padding=PADDING, limit=limit)

    def _exif(self, container: Container) -> bytes | Exif | None:
        exif = self.metadata.exif
        if exif is None or not exif.changed:
            return None
        return exif if exif is container.exif else exif.to_bytes()

    def _iptc(self, container: Container, policy: Policy) -> bytes | None:
        iptc = self.metadata.iptc
        if iptc is None or not (iptc.changed or self.metadata.iptc_is_newer):
            return None
        data = iptc.to_bytes(policy.legacy_charset)
        # Where it is stored as numbers it has zeros behind it, and the digest counts them.
        return data + bytes(-len(data) % _NUMBER) if container.iptc_apart else data

    def _resources(self, container: Container, iptc: bytes | None) -> bytes | None:
        if iptc is None:
            return None
        if container.iptc_apart:
            return self.resources.renewed(iptc) if self.resources else None
        return (self.resources or Resources([])).with_iptc(iptc)


def open_blocks(container: Container | None) -> Embedded:
    """Parse all blocks, each for itself."""
    embedded = Embedded()
    if container is None:
        return embedded
    damage = embedded.damage
    resources = _try(Resources.parse, container.resources, damage)
    embedded.resources = resources
    iptc = _iptc_block(container, resources, damage)
    embedded.metadata = Metadata(
        xmp=_try(Packet.parse, container.xmp, damage),
        exif=container.exif if isinstance(container.exif, Exif) else _try(Exif.parse, container.exif, damage),
        iptc=_try(Iptc.parse, iptc, damage),
        texts=container.texts,
        takes_xmp=container.takes_xmp,
        xmp_props=container.xmp_props,
        takes_exif=container.takes_exif,
        takes_iptc=container.takes_iptc,
        iptc_is_newer=resources is not None and iptc is not None and resources.is_older_than(iptc),
    )
    return embedded


def _iptc_block(container: Container, resources: Resources | None, damage: list[FileProblem]) -> bytes | None:
    """The IPTC block. Where there are two, they must say the same, since only one of them is read."""
    apart, among = container.iptc, resources.iptc if resources else None
    if apart is None or among is None:
        return among if apart is None else apart
    if apart.rstrip(b"\0") != among.rstrip(b"\0"):
        damage.append(FileProblem(Reason.UNSUPPORTED, "the file has two IPTC blocks that differ"))
    return apart


def _try(parse: Callable[[bytes], Parsed], data: bytes | None, damage: list[FileProblem]) -> Parsed | None:
    if data is None:
        return None
    try:
        return parse(data)
    except FileProblem as problem:
        damage.append(problem)
        return None
