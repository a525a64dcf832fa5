"""Sidecars: XMP files beside the files they belong to; which one is whose, and what a new one is called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .containers import EMBEDDED
from .formats import KIND_RAW, UNKNOWN, XMP_EXTENSION, extension, format_named, kind_of
from .media import MediaFile
from .namespaces import name as xmp_name
from .policy import HomeChoice, Policy, SidecarName
from .port import Folder
from .problems import FileProblem, Reason
from .xmp import SIZE_LIMIT, Packet

_ENDING = b"." + XMP_EXTENSION.encode()
_ENDINGS = (_ENDING, _ENDING.upper())
_FOR_EXTENSION = xmp_name("photoshop:SidecarForExtension")


class Siblings:
    """The names in one folder, found by what they share."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._by_stem: dict[bytes, list[bytes]] = defaultdict(list)
        for name in sorted(names):
            self._by_stem[stem_of(name).lower()].append(name)

    def media(self, stem: bytes) -> list[bytes]:
        """The media files of this stem, in any case."""
        return [name for name in self._by_stem.get(stem.lower(), []) if format_named(name) != UNKNOWN]

    def sidecars(self, stem: bytes) -> list[bytes]:
        """The sidecars that are named by this stem, in any case."""
        return [name for name in self._by_stem.get(stem.lower(), []) if is_sidecar(name)]


ALONE = Siblings(())
"""For a file that is known to have no sidecar."""


@dataclass(frozen=True)
class Found:
    """The sidecars of a file, the one that counts first; `ambiguous` names one that may belong to several files."""

    names: tuple[bytes, ...] = ()
    ambiguous: bytes | None = None


def stem_of(name: bytes) -> bytes:
    """A file name without its extension."""
    stem, dot, _ = name.rpartition(b".")
    return stem if dot and stem else name


def is_sidecar(name: bytes) -> bool:
    """Whether a file of this name is a sidecar."""
    return name.lower().endswith(_ENDING)


def find(folder: Folder, name: bytes, siblings: Siblings | None, known: bytes | None = None) -> Found:
    """The sidecars that belong to a file: the one with its full name, and the one with its stem if that is its own.

    One that is `known` to belong to it comes first. Where `siblings` are not given, the folder is only listed if there
    is something to decide.
    """
    first = (known,) if known and folder.identity(known) else ()
    if siblings is None:
        likely = (base + ending for base in (name, stem_of(name)) for ending in _ENDINGS)
        if not any(folder.identity(candidate) for candidate in likely if candidate not in first):
            return Found(first)
        siblings = Siblings(folder.names())
    names = [*first, *siblings.sidecars(name)]
    for sidecar in siblings.sidecars(stem_of(name)):
        owner = _owner(folder, sidecar, siblings.media(stem_of(name)))
        if owner == name:
            names.append(sidecar)
        elif owner is None and not names:
            return Found(ambiguous=sidecar)
    return Found(tuple(dict.fromkeys(names)))


def new_name(name: bytes, siblings: Siblings, policy: Policy) -> bytes:
    """The name of a new sidecar: by the stem where no other file has a claim on it, else by the full name.

    A file of an unknown kind always gets the full name: by its stem nobody could tell that the sidecar is its own.
    """
    stem = stem_of(name)
    if format_named(name) == UNKNOWN:
        return name + _ENDING
    if policy.sidecar_name is SidecarName.FULL_NAME or siblings.sidecars(stem):
        return name + _ENDING
    rivals = [other for other in siblings.media(stem) if other != name and _needs_sidecar(other, policy)]
    if policy.sidecar_name is SidecarName.AUTO and rivals:
        return name + _ENDING
    return stem + _ENDING


def mark(packet: Packet, sidecar: bytes, name: bytes) -> None:
    """Note in a new sidecar that is named by the stem which of the files of that stem it belongs to."""
    ending = extension(name.decode("utf-8", "replace"))
    if ending and sidecar == stem_of(name) + _ENDING:
        packet.set_text(_FOR_EXTENSION, ending.upper())


def content(media: MediaFile) -> bytes:
    """A sidecar's bytes; raises `FileProblem` (TOO_LARGE) for what can be none."""
    if media.size > SIZE_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "the sidecar is larger than 16 MiB")
    return media.read_anew(0, media.size)


def _owner(folder: Folder, sidecar: bytes, media: list[bytes]) -> bytes | None:
    """The file that a sidecar named by a stem belongs to; None if that cannot be told."""
    if len(media) > 1:
        meant = _extension_in(folder, sidecar)
        named = [name for name in media if meant and extension(name.decode("utf-8", "replace")) == meant]
        raw = [name for name in media if kind_of(format_named(name)) == KIND_RAW]
        media = named or raw
    return media[0] if len(media) == 1 else None


def _extension_in(folder: Folder, sidecar: bytes) -> str:
    try:
        with folder.open(sidecar) as media:
            return (Packet.parse(content(media)).text(_FOR_EXTENSION) or "").lower()
    except FileProblem as problem:
        if problem.reason in (Reason.CORRUPT, Reason.TOO_LARGE):
            return ""
        raise


def _needs_sidecar(name: bytes, policy: Policy) -> bool:
    format_name = format_named(name)
    home = policy.home_of(name.decode("utf-8", "replace"), format_name)
    return home in (HomeChoice.SIDECAR, HomeChoice.EMBED_AND_SIDECAR) or format_name not in EMBEDDED
