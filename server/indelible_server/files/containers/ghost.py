"""The note of a cloud-optimised TIFF on its own layout: who changes the file must say that it no longer holds."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason

_BEGIN, _DIGITS, _HEAD = b"GDAL_STRUCTURAL_METADATA_SIZE=", 6, 43
_LONGEST = 4096
_PROMISE, _OLD, _NEW = b"KNOWN_INCOMPATIBLE_EDITION=", b"NO\n ", b"YES\n"


def patches(media: MediaFile, at: int) -> tuple[Patch, ...]:
    """The patches that take back what the note behind the header says of the layout; none if there is no note.

    Raises `FileProblem` (UNSUPPORTED) if it cannot be taken back in its place.
    """
    head = media.read(at, _HEAD)
    digits = head[len(_BEGIN) : len(_BEGIN) + _DIGITS]
    if not head.startswith(_BEGIN):
        return ()
    length = int(digits) if digits.isdigit() else _LONGEST
    note = media.read(at + _HEAD, min(length, _LONGEST))
    place = note.find(_PROMISE)
    if place < 0 or note.startswith(b"YES", place + len(_PROMISE)):
        return ()
    place += len(_PROMISE)
    if not note.startswith(_OLD, place):
        raise FileProblem(Reason.UNSUPPORTED, "the file says of its layout what a change could make untrue")
    return (Patch(at + _HEAD + place, _OLD, _NEW),)
