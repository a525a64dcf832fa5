"""What old programs hang behind a picture, with an IPTC block in it: AFCP, and FotoStation's records.

AFCP is a directory with offsets in the file, found from the file's end; FotoStation's are records that each end with
their own length. Both are forms of IPTC, and both must stay in step with what comes before them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import shift_of
from ..plan import Patch
from ..problems import FileProblem, Reason
from .container import Range

_FOTOSTATION = b"\xa1\xb2\xc3\xd4"
_FOTOSTATION_END = struct.Struct(">HI4s")
_FOTOSTATION_IPTC = 1
_AFCP = {b"AXS!": ">", b"AXS*": "<"}
_AFCP_END, _AFCP_HEAD, _AFCP_ENTRY = 12, 12, 12
_RECORDS_LIMIT, _ENTRIES_LIMIT = 64, 256
_IPTC_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Trailer:
    """A record or directory that begins at `start`.

    `iptc` is its IPTC block, `sizes` are the places of numbers that count that block's length, `pointers` those of
    offsets in the file; `code` is how these numbers are packed.
    """

    start: int
    code: str
    iptc: Range | None = None
    sizes: tuple[int, ...] = ()
    pointers: tuple[int, ...] = ()

    def adjusted(self, media: MediaFile, patches: Sequence[Patch]) -> list[Patch]:
        """The patches to its numbers that follow from `patches` to the file."""
        found = []
        for at in (*self.sizes, *self.pointers):
            old = media.read(at, struct.calcsize(self.code))
            (number,) = struct.unpack(self.code, old)
            growth = shift_of(patches, number) if at in self.pointers else self._growth(patches)
            found.append(Patch(at, old, struct.pack(self.code, number + growth)))
        return [patch for patch in found if patch.old != patch.new]

    def _growth(self, patches: Sequence[Patch]) -> int:
        at = self.iptc[0] if self.iptc else -1
        return sum(len(patch.new) - len(patch.old) for patch in patches if patch.offset == at)


def trailers(media: MediaFile) -> Iterator[Trailer]:
    """The trailers that are known, from the file's end; raises `FileProblem` (UNSUPPORTED) for one out of step."""
    end = media.size
    for _ in range(_RECORDS_LIMIT):
        last = media.read(max(end - _AFCP_END, 0), min(_AFCP_END, end))
        if last.endswith(_FOTOSTATION):
            found = _fotostation(media, end)
        elif last[:4] in _AFCP:
            found = _afcp(media, end, last)
        else:
            return
        yield found
        end = found.start
    raise _out_of_step()


def _fotostation(media: MediaFile, end: int) -> Trailer:
    at = end - _FOTOSTATION_END.size
    kind, size, _signature = _FOTOSTATION_END.unpack(media.read(at, _FOTOSTATION_END.size))
    if not _FOTOSTATION_END.size <= size <= end:
        raise _out_of_step()
    start, length = end - size, size - _FOTOSTATION_END.size
    if kind != _FOTOSTATION_IPTC or not length:
        return Trailer(start, ">I")
    return Trailer(start, ">I", _block(start, length), sizes=(at + 2,))


def _afcp(media: MediaFile, end: int, last: bytes) -> Trailer:
    order = _AFCP[last[:4]]
    start, checksum = struct.unpack(f"{order}II", last[4:])
    head = media.read(start, _AFCP_HEAD)
    if start + _AFCP_HEAD > end or head[:4] != last[:4] or checksum:
        raise _out_of_step()
    (count,) = struct.unpack_from(f"{order}H", head, 6)
    table = media.read(start + _AFCP_HEAD, count * _AFCP_ENTRY)
    if count > _ENTRIES_LIMIT or len(table) < count * _AFCP_ENTRY:
        raise _out_of_step()
    iptc, sizes = None, []
    pointers = [end - _AFCP_END + 4]
    for index in range(count):
        tag, size, offset = struct.unpack_from(f"{order}4sII", table, index * _AFCP_ENTRY)
        place = start + _AFCP_HEAD + index * _AFCP_ENTRY
        if not start <= offset <= offset + size <= end or (tag == b"IPTC" and iptc):
            raise _out_of_step()
        if tag == b"IPTC" and size:
            iptc, sizes = _block(offset, size), [place + 4]
        pointers.append(place + 8)
    return Trailer(start, f"{order}I", iptc, tuple(sizes), tuple(pointers))


def _block(start: int, length: int) -> Range:
    if length > _IPTC_LIMIT:
        raise _out_of_step()
    return start, length


def _out_of_step() -> FileProblem:
    return FileProblem(Reason.UNSUPPORTED, "what is behind the picture is not in step with the file")
