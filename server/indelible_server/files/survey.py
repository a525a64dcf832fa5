"""A survey: an item's file and its sidecar, open and parsed, as reading and planning both start from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from . import sidecar as sidecars
from .containers import identify
from .containers.container import Container
from .embedded import Embedded, open_blocks
from .exif import Ifd
from .exif_values import text_of
from .formats import format_of
from .forms import Metadata
from .media import MediaFile
from .metadata import read_tags
from .plan import Home, Identity
from .policy import Policy
from .port import Folder, Root
from .problems import FileProblem, Reason
from .sidecar import Siblings
from .tags import Tags, tidy
from .xmp import Packet

NO_BASE: Mapping[str, Tags] = MappingProxyType({})
"""Nothing was verified yet."""


@dataclass
class SidecarFile:
    """A sidecar as it is: its name in the folder, its bytes, and what they say."""

    name: bytes
    identity: Identity
    data: bytes
    metadata: Metadata
    tags: Tags


@dataclass
class Survey:
    """What was found. `refusal` says why nothing can be embedded; `warnings` what is wrong but does no harm.

    `embedded_tags` are what the file holds by the plain reading rule, `told` what it says to those who know what it
    held before: the two differ where another program has changed one form of a field, and left others as they were.
    The first of several sidecars is the one that counts; what the others say beyond it is told by it too.
    """

    folder: Folder
    name: bytes
    media: MediaFile
    identity: Identity
    format: str
    container: Container | None
    embedded: Embedded
    embedded_tags: Tags
    told: Tags
    sidecars: tuple[SidecarFile, ...]
    refusal: FileProblem | None
    warnings: list[str]

    @property
    def bytes_read(self) -> int:
        """How much was read, so far."""
        return self.media.bytes_read + sum(len(sidecar.data) for sidecar in self.sidecars)

    @property
    def sidecar(self) -> SidecarFile | None:
        """The sidecar that counts."""
        return self.sidecars[0] if self.sidecars else None

    @property
    def tags(self) -> Tags:
        """What the item says by the reading rule: the sidecar's values, then the file's."""
        found: Tags = {}
        for held in reversed(self.homes.values()):
            found |= held
        return found

    @property
    def homes(self) -> dict[Home, Tags]:
        """What each home holds; the sidecar comes first, as its values do."""
        said: Tags = {}
        for sidecar in reversed(self.sidecars):
            said |= sidecar.tags
        found = {Home.SIDECAR: said} if self.sidecars else {}
        return found | {Home.EMBEDDED: self.told} if self.container else found


def alike(base: Mapping[str, Tags], stale: Mapping[str, Collection[str]]) -> dict[str, Tags]:
    """What was last verified, without the fields that not all forms of a home said alike: they prove nothing."""
    return {
        home: {field: value for field, value in tags.items() if field not in stale.get(home, ())}
        for home, tags in base.items()
    }


@contextlib.contextmanager
def survey(
    root: Root,
    target: bytes,
    policy: Policy,
    base: Mapping[str, Tags] = NO_BASE,
    known: bytes | None = None,
    siblings: Siblings | None = None,
) -> Iterator[Survey]:
    """Open and parse. `base` is what was last verified, per home; `known` the path of the item's sidecar, if any is.

    Raises `FileProblem` if the file cannot be read, is a sidecar itself, or has one that is damaged.
    """
    with root.folder_of(target) as (folder, name), folder.open(name) as media:
        if sidecars.is_sidecar(name):
            raise FileProblem(Reason.UNSUPPORTED, "the file is a sidecar: name the one that it belongs to")
        # Taken before anything is read, so that whatever changes from now on is noticed.
        identity = media.identity
        format_name = format_of(name, media.read(0, 64))
        container = identify(media, format_name)
        refusal = container.refusal if container else FileProblem(Reason.UNSUPPORTED, "nothing can be embedded")
        embedded = open_blocks(container, policy)
        refusal = refusal or next(iter(embedded.damage), None)
        warnings = [damage.message for damage in embedded.damage]
        found = sidecars.find(folder, name, siblings, known.rpartition(b"/")[2] if known else None)
        if found.ambiguous:
            shown = found.ambiguous.decode("utf-8", "backslashreplace")
            warnings.append(f"{shown} may belong to several files, so it is left alone")
        before = base.get(Home.EMBEDDED) if embedded.metadata.texts else None
        tags = read_tags(embedded.metadata, policy)
        yield Survey(
            folder=folder,
            name=name,
            media=media,
            identity=identity,
            format=format_name,
            container=container,
            embedded=embedded,
            embedded_tags=tags,
            told=tags
            if before is None or embedded.metadata.texts is None
            else read_tags(embedded.metadata, policy, before),
            sidecars=tuple(_load(folder, sidecar, policy) for sidecar in found.names),
            refusal=refusal,
            warnings=warnings,
        )


def _load(folder: Folder, name: bytes, policy: Policy) -> SidecarFile:
    with folder.open(name) as media:
        identity = media.identity
        data = sidecars.content(media)
    metadata = Metadata(Packet.parse(data))
    return SidecarFile(name, identity, data, metadata, read_tags(metadata, policy))


def camera_of(found: Survey) -> str:
    """Maker and model of the camera, as one name; empty where the file does not say."""
    exif = found.embedded.metadata.exif
    if exif is None:
        return (found.container.camera or "") if found.container else ""
    maker, model = (tidy(text_of(exif.value(Ifd.IMAGE, tag) or b"", Policy())) for tag in (0x010F, 0x0110))
    return model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
