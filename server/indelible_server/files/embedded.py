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
from .namespaces import name
from .photoshop import Resources
from .policy import Policy
from .problems import FileProblem, Reason
from .table import properties_of
from .xmp import PADDING, Packet

Parsed = TypeVar("Parsed")
_EXTENDED = name("xmpNote:HasExtendedXMP")
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
            iptc=iptc[0] if iptc and container.iptc_apart and is_apart else None,
            further_iptc=self._further_iptc(container, iptc),
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

    def _iptc(self, container: Container, policy: Policy) -> list[bytes]:
        """The IPTC blocks as they are to be; none if none of them changes."""
        metadata = self.metadata
        blocks = [metadata.iptc, *metadata.further_iptc] if metadata.iptc else []
        if not metadata.iptc_is_newer and not any(block.changed for block in blocks):
            return []
        found = [block.to_bytes(policy.legacy_charset) for block in blocks]
        # Where it is stored as numbers it has zeros behind it, and the digest counts them.
        return [data + bytes(-len(data) % _NUMBER) for data in found] if container.iptc_apart else found

    def _resources(self, container: Container, iptc: list[bytes]) -> bytes | None:
        if not iptc:
            return None
        if container.iptc_apart:
            return self.resources.renewed(iptc[0]) if self.resources else None
        ours = iptc if self.metadata.begun_iptc else iptc[: self._in_resources]
        return (self.resources or Resources([])).with_iptc(*ours) if ours else None

    def _further_iptc(self, container: Container, iptc: list[bytes]) -> tuple[bytes, ...]:
        return () if container.iptc_apart or self.metadata.begun_iptc else tuple(iptc[self._in_resources :])

    @property
    def _in_resources(self) -> int:
        """How many IPTC blocks the resources hold."""
        return len(self.resources.iptc_blocks) if self.resources else 0


def open_blocks(container: Container | None, policy: Policy) -> Embedded:
    """Parse all blocks, each for itself."""
    embedded = Embedded()
    if container is None:
        return embedded
    damage = embedded.damage
    resources = _try(Resources.parse, container.resources, damage)
    embedded.resources = resources
    places = _iptc_places(container, resources, damage)
    iptc = [block for block in (_try(Iptc.parse, place, damage) for place in places) if block]
    embedded.metadata = Metadata(
        xmp=_try(Packet.parse, container.xmp, damage),
        exif=_exif(container, damage),
        iptc=next(iter(iptc), None),
        further_iptc=tuple(iptc[1:]),
        texts=container.texts,
        takes_xmp=container.takes_xmp,
        xmp_props=container.xmp_props,
        takes_exif=container.takes_exif,
        takes_iptc=container.takes_iptc,
        iptc_is_newer=resources is not None and resources.is_older_than(*places),
    )
    try:
        _look_into_extended_xmp(embedded.metadata, container, policy)
    except FileProblem as problem:
        damage.append(problem)
    return embedded


def _exif(container: Container, damage: list[FileProblem]) -> Exif | None:
    """The Exif block. Of a damaged one what is left is read: cameras' dates must not be lost for a bad thumbnail."""
    if isinstance(container.exif, Exif):
        return container.exif
    return _try(Exif.parse, container.exif, damage) or _try(Exif.salvage, container.exif, [])


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


def _iptc_places(container: Container, resources: Resources | None, damage: list[FileProblem]) -> list[bytes]:
    """The IPTC blocks. Where one is kept twice, both must say the same, since only one of them is read."""
    apart, among = container.iptc, list(resources.iptc_blocks) if resources else []
    if not container.iptc_apart:
        return [*among, *container.further_iptc]
    found = [*([] if apart is None else [apart]), *among]
    if any(block.rstrip(b"\0") != found[0].rstrip(b"\0") for block in found):
        damage.append(FileProblem(Reason.UNSUPPORTED, "the file has two IPTC blocks that differ"))
    return found[:1]


def _try(parse: Callable[[bytes], Parsed], data: bytes | None, damage: list[FileProblem]) -> Parsed | None:
    if data is None:
        return None
    try:
        return parse(data)
    except FileProblem as problem:
        damage.append(problem)
        return None
