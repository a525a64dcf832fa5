"""The embedded home: a container's blocks parsed together, and put together again for writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .containers.blocks import Blocks
from .containers.container import Container
from .exif import Exif
from .fields import properties_of
from .forms import Metadata
from .iptc import Iptc
from .namespaces import name
from .photoshop import Resources
from .policy import Policy
from .problems import FileProblem, Reason
from .xmp import PADDING, Packet

Parsed = TypeVar("Parsed")
_EXTENDED = name("xmpNote:HasExtendedXMP")


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
            further_iptc=self._further_iptc(policy),
            texts=self.metadata.texts.changed if self.metadata.texts else {},
        )

    def _xmp(self, container: Container, gained: int) -> bytes | None:
        if not container.takes_xmp:
            return None
        limit = container.xmp_limit
        room = len(container.xmp or b"") - gained
        return self.metadata.packet().to_packet(room=room if room <= limit else 0, padding=PADDING, limit=limit)

    def _exif(self, container: Container) -> bytes | Exif | None:
        exif = self.metadata.exif
        if exif is None or not exif.changed:
            return None
        return exif if exif is container.exif else exif.to_bytes()

    def _resources(self, policy: Policy) -> bytes | None:
        resources = self.resources or Resources([])
        ours = self._all_iptc[: len(resources.iptc)]
        if self.metadata.begun_iptc:
            ours = self._all_iptc
        if not any(iptc.changed or self.metadata.iptc_is_newer for iptc in ours):
            return None
        return resources.with_iptc([iptc.to_bytes(policy.legacy_charset) for iptc in ours])

    def _further_iptc(self, policy: Policy) -> tuple[bytes | None, ...]:
        if self.metadata.begun_iptc:
            return ()
        further = self._all_iptc[len(self.resources.iptc) if self.resources else 0 :]
        return tuple(iptc.to_bytes(policy.legacy_charset) if iptc.changed else None for iptc in further)

    @property
    def _all_iptc(self) -> list[Iptc]:
        return [self.metadata.iptc, *self.metadata.further_iptc] if self.metadata.iptc else []


def open_blocks(container: Container | None, policy: Policy) -> Embedded:
    """Parse all blocks, each for itself."""
    embedded = Embedded()
    if container is None:
        return embedded
    damage = embedded.damage
    resources = _try(Resources.parse, container.resources, damage)
    embedded.resources = resources
    places = [*(resources.iptc if resources else ()), *container.further_iptc]
    iptc = [block for block in (_try(Iptc.parse, place, damage) for place in places) if block]
    embedded.metadata = Metadata(
        xmp=_try(Packet.parse, container.xmp, damage),
        exif=container.exif if isinstance(container.exif, Exif) else _try(Exif.parse, container.exif, damage),
        iptc=next(iter(iptc), None),
        further_iptc=tuple(iptc[1:]),
        texts=container.texts,
        takes_xmp=container.takes_xmp,
        takes_exif=container.takes_exif,
        takes_iptc=container.takes_iptc,
        iptc_is_newer=resources.iptc_is_newer if resources else False,
    )
    try:
        _look_into_extended_xmp(embedded.metadata, container, policy)
    except FileProblem as problem:
        damage.append(problem)
    return embedded


def _look_into_extended_xmp(metadata: Metadata, container: Container, policy: Policy) -> None:
    """Take in what extended XMP says of our fields; raises `FileProblem` if it does, or if that cannot be told.

    It stays as it is while the main packet changes, so nothing in it may have to change.
    """
    guid = metadata.xmp.text(_EXTENDED) if metadata.xmp else None
    data = container.extended_xmp(guid) if guid else None
    if data is None:
        return
    extension = Packet.parse(data)
    names = extension.names()
    if names & properties_of(policy):
        metadata.packet().take_in(extension)
        metadata.names |= names
        raise FileProblem(Reason.UNSUPPORTED, "a part of the tags is in the file's extended XMP")


def _try(parse: Callable[[bytes], Parsed], data: bytes | None, damage: list[FileProblem]) -> Parsed | None:
    if data is None:
        return None
    try:
        return parse(data)
    except FileProblem as problem:
        damage.append(problem)
        return None
