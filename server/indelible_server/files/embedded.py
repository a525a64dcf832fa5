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
from .problems import FileProblem
from .xmp import PADDING, Packet

Parsed = TypeVar("Parsed")


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
        exif, resources = self._exif(container), self._resources(policy)
        gained = 0
        for new, old in ((exif, container.exif), (resources, container.resources)):
            if isinstance(new, bytes):
                gained += len(new) - (len(old) if isinstance(old, bytes) else 0)
        return Blocks(
            xmp=self._xmp(container, gained),
            exif=exif,
            resources=resources,
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

    def _resources(self, policy: Policy) -> bytes | None:
        iptc, resources = self.metadata.iptc, self.resources or Resources([])
        if iptc is None or not (iptc.changed or self.metadata.iptc_is_newer):
            return None
        return resources.with_iptc(iptc.to_bytes(policy.legacy_charset))


def open_blocks(container: Container | None) -> Embedded:
    """Parse all blocks, each for itself."""
    embedded = Embedded()
    if container is None:
        return embedded
    damage = embedded.damage
    resources = _try(Resources.parse, container.resources, damage)
    embedded.resources = resources
    embedded.metadata = Metadata(
        xmp=_try(Packet.parse, container.xmp, damage),
        exif=container.exif if isinstance(container.exif, Exif) else _try(Exif.parse, container.exif, damage),
        iptc=_try(Iptc.parse, resources.iptc if resources else None, damage),
        texts=container.texts,
        takes_xmp=container.takes_xmp,
        takes_exif=container.takes_exif,
        takes_iptc=container.takes_iptc,
        iptc_is_newer=resources.iptc_is_newer if resources else False,
    )
    return embedded


def _try(parse: Callable[[bytes], Parsed], data: bytes | None, damage: list[FileProblem]) -> Parsed | None:
    if data is None:
        return None
    try:
        return parse(data)
    except FileProblem as problem:
        damage.append(problem)
        return None
