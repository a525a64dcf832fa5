"""JPEG 2000: a chain of boxes, with metadata in `uuid` boxes beside the codestream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..media import MediaFile
from ..photoshop import Resources
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .boxes import C2PA_UUID, UUID, XMP_UUID, Box, boxes
from .chain import SIZE_LIMIT, Chain, Kind
from .container import Range

_EXIF_UUID, _IPTC_UUID = b"JpgTiffExif->JP2", bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_KINDS = {
    XMP_UUID: Kind.XMP,
    _EXIF_UUID: Kind.EXIF,
    bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"): Kind.EXIF,
    _IPTC_UUID: Kind.IPTC,
    bytes.fromhex("09a14e97c0b442e0bebf36df6f0ce36f"): Kind.IPTC,
}
_NEW = {Kind.XMP: XMP_UUID, Kind.EXIF: _EXIF_UUID, Kind.IPTC: _IPTC_UUID}
_PHOTOSHOP_UUID = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
_GEO_UUID = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
_RESOURCE_HEAD = 12
_DIGEST = b"8BIM\x04\x25"
_XMP_END = b"<?xpacket end"
_OLD_HEAD = b"Exif\0\0"
_XMP_TRACES = (b"<?xpacket", b"<x:xmpmeta", b"<rdf:RDF")
_TRACES_WITHIN = 1024
_HEADER, _SIZE, _CODE, _XML, _JUMB = b"jp2h", b"ihdr", b"jp2c", b"xml ", b"jumb"
_MOVABLE = frozenset(
    {b"jP  ", b"ftyp", _HEADER, _CODE, _XML, _JUMB, b"rreq", b"jp2i", b"uinf", b"free", b"lbl ", b"nlst"}
)
"""Boxes that neither hold offsets in the file nor are found by one, as those of fragments and indexes are."""
_HELD_UUIDS = frozenset({*_KINDS, _PHOTOSHOP_UUID, _GEO_UUID})


class Jp2(Chain):
    """A JPEG 2000 file of the JP2 or JPX kind."""

    places = "XMP, Exif, IPTC"
    remark = "a bare codestream has no place for tags, so they go to a sidecar"

    def __init__(self, media: MediaFile) -> None:
        self._movable = True
        super().__init__(media)
        if not any(found.kind == _CODE for found in self.boxes):
            self.refuse(Reason.UNSUPPORTED, "the file has no picture of its own")

    @property
    def resources(self) -> bytes | None:
        """The IPTC block, as an image resource, but without padding."""
        iptc = self.block(Kind.IPTC)
        return None if iptc is None else Resources([]).with_iptc(iptc)[: _RESOURCE_HEAD + len(iptc)]

    @property
    def content(self) -> tuple[Range, ...]:
        """The codestreams."""
        return tuple((found.data, found.length) for found in self.boxes if found.kind == _CODE)

    def wanted(self, blocks: Blocks) -> Mapping[Kind, bytes]:
        """The bytes of the blocks that are to change."""
        wanted = dict(super().wanted(blocks))
        iptc = Resources.parse(blocks.resources).iptc if blocks.resources else None
        if blocks.resources and iptc is not None:
            wanted[Kind.IPTC] = iptc
            # XMP made up for a resource with its padding, which there is none of here.
            start, mark, end = wanted.get(Kind.XMP, b"").rpartition(_XMP_END)
            if mark:
                spare = len(blocks.resources) - _RESOURCE_HEAD - len(iptc)
                wanted[Kind.XMP] = start + b" " * spare + mark + end
        return wanted

    def can_move(self) -> bool:
        """Whether all boxes are of kinds that can."""
        return self._movable

    def new_box(self, kind: Kind) -> tuple[bytes, bytes]:
        """A `uuid` box."""
        return UUID, _NEW[kind]

    def note(self, found: Box) -> None:
        """Look at a box."""
        head = self.media.read(found.data, min(found.length, _TRACES_WITHIN))
        if found.kind == UUID:
            self._note_uuid(found, head)
        elif found.kind == _XML and any(trace in head for trace in _XMP_TRACES):
            self.refuse(Reason.UNSUPPORTED, "the file has XMP in a box that is not marked as such")
        elif found.kind == _JUMB and b"c2pa" in head:
            self._refuse_signed()
        elif found.kind == _HEADER:
            self._measure(found)
        self._movable = self._movable and (found.kind in _MOVABLE or (found.kind == UUID and head[:16] in _HELD_UUIDS))

    def _note_uuid(self, found: Box, head: bytes) -> None:
        name, rest = head[:16], head[16:]
        if name in _KINDS:
            spare = len(_OLD_HEAD) if name == _EXIF_UUID and rest.startswith(_OLD_HEAD) else 0
            self.hold(_KINDS[name], found, len(name) + spare)
        elif name == _PHOTOSHOP_UUID:
            self._check_resources(self.media.read(found.data, min(found.length, SIZE_LIMIT))[len(name) :])
        elif name == C2PA_UUID:
            self._refuse_signed()

    def _check_resources(self, data: bytes) -> None:
        """Photoshop's image resources are left alone, so there must be no IPTC among them, nor the digest of it."""
        try:
            if Resources.parse(data).iptc is None and _DIGEST not in data:
                return
        except FileProblem as problem:
            self.refuse(problem.reason, problem.message)
        self.refuse(Reason.UNSUPPORTED, "the file has IPTC among Photoshop's image resources")

    def _refuse_signed(self) -> None:
        self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")

    def _measure(self, header: Box) -> None:
        for found in self._inside(header):
            if found.kind == _SIZE and found.length >= 8:
                size = self.media.read(found.data, 8)
                self.height, self.width = int.from_bytes(size[:4], "big"), int.from_bytes(size[4:], "big")

    def _inside(self, header: Box) -> Iterator[Box]:
        return boxes(self.media, header.data, header.end)
