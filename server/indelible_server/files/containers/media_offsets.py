"""What points at places in a movie file: tables of chunks, fragments, indexes. They follow when media move."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .boxes import Box
from .movie import FREE, Node, children, meta_start

_TABLES_LIMIT = 64 * 1024 * 1024
_FRAGMENTS = frozenset({b"moof", b"mdat"})
_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"stbl", b"moof", b"traf", b"mfra"})
# These are known to hold no offsets into the file, or only such as count from where they are themselves.
_PLAIN = FREE | frozenset(
    b"ftyp styp pdin mdat wide junk pnot PICT thum frea sidx ssix emsg prft pssh sefd mfro mfhd tfdt trun "
    b"mvhd iods mvex clip ctab load imap tapt matt kmat prfl ainf trgr ludt strk rmra edts tref tkhd mdhd hdlr elng "
    b"vmhd smhd hmhd nmhd sthd gmhd dinf stsd stts ctts cslg stss stsh stps stsc stsz stz2 stdp padb sdtp sbgp sgpd "
    b"subs saiz senc".split()
)
_PLAIN_UUIDS = frozenset(
    bytes.fromhex(uuid)
    for uuid in (
        "be7acfcb97a942e89c71999491e3afac",  # XMP
        "50524f4621d24fcebb88695cfac9c740",  # PROF, Sony
        "55534d5421d24fcebb88695cfac9c740",  # USMT, Sony
        "ffcc8263f8554a938814587a02521fdd",  # spherical video
        "6d1d9b0542d544e680e2141daff757b2",  # tfxd, Smooth Streaming
        "d4807ef2ca3946958e5426cb9e46a79f",  # tfrf, Smooth Streaming
        "a2394f525a9b4f14a2446c427c648df4",  # sample encryption, PIFF
        "d08a4f1810f34a82b6c832d8aba183d3",  # protection header, PIFF
    )
)
Shift = Callable[[int], int]
"""Where an offset is to point afterwards."""


def shifted(media: MediaFile, top: Sequence[Box], shift: Shift) -> list[Patch]:
    """The patches to all offsets in the file.

    Raises `FileProblem` (UNSUPPORTED, TOO_LARGE) if something may be an offset and is not known, or cannot follow.
    """
    offsets = _Offsets(media, shift)
    last = max((box.start for box in top if box.kind in _FRAGMENTS), default=0)
    for box in top:
        if box.kind == b"sidx" and box.end <= last and shift(last) - last != shift(box.end) - box.end:
            raise FileProblem(Reason.UNSUPPORTED, "an index in front of the file's header points at what would move")
        offsets.visit(Node(box))
    return offsets.patches


class _Offsets:
    """A walk through all boxes that collects the patches."""

    def __init__(self, media: MediaFile, shift: Shift) -> None:
        self.patches: list[Patch] = []
        self._media = media
        self._shift = shift
        self._read = 0

    def visit(self, node: Node) -> None:
        """Look for offsets in a box, and in all boxes in it."""
        kind = node.box.kind
        if kind in _PARENTS:
            for child in children(self._media, node):
                self.visit(child)
        elif kind == b"minf":
            self._visit_media_information(node)
        elif kind in (b"udta", b"meta"):
            self._visit_metadata(node)
        elif kind in _TABLES:
            _TABLES[kind](self, node)
        elif kind == b"uuid":
            if self._media.read(node.box.data, min(16, node.box.length)) not in _PLAIN_UUIDS:
                raise _unknown(node)
        elif kind not in _PLAIN:
            raise _unknown(node)

    def _visit_media_information(self, node: Node) -> None:
        """Offsets of media in other files stay as they are."""
        found = list(children(self._media, node))
        is_own = {own for child in found if child.box.kind == b"dinf" for own in self._references(child)}
        if len(is_own) > 1:
            raise FileProblem(Reason.UNSUPPORTED, "a track lies partly in another file")
        for child in found:
            if child.box.kind != b"stbl" or is_own != {False}:
                self.visit(child)

    def _references(self, data_information: Node) -> set[bool]:
        """Whether the data references are to the file itself."""
        own: set[bool] = set()
        for table in children(self._media, data_information):
            if table.box.kind == b"dref":
                entries = children(self._media, table, table.box.data + 8)
                own |= {bool(_flags(self._media, entry) & 1) for entry in entries}
        return own

    def _visit_metadata(self, node: Node) -> None:
        """Users' data are opaque. Only the items of a `meta` box can be anywhere."""
        start = meta_start(self._media, node.box) if node.box.kind == b"meta" else None
        for child in children(self._media, node, start):
            if child.box.kind == b"iloc":
                raise FileProblem(Reason.UNSUPPORTED, "the file has items whose places are not followed")
            if child.box.kind == b"meta":
                self._visit_metadata(child)

    def _visit_chunks(self, node: Node) -> None:
        self._visit_array(node, 8, "I" if node.box.kind == b"stco" else "Q")

    def _visit_auxiliary(self, node: Node) -> None:
        if node.within[-1].kind == b"traf":
            return  # Counted from the fragment.
        head = self._media.read(node.box.data, 4)
        self._visit_array(node, 16 if head[3:] == b"\1" else 8, "Q" if head[:1] == b"\1" else "I")

    def _visit_fragment_header(self, node: Node) -> None:
        if _flags(self._media, node) & 1:
            self._visit_array(node, 8, "Q", counted=False)

    def _visit_array(self, node: Node, start: int, code: str, *, counted: bool = True) -> None:
        """Offsets in a row behind their count, or the only one there is."""
        data = self._content(node)
        width = array(code).itemsize
        count = int.from_bytes(data[start - 4 : start], "big") if counted else 1
        if len(data) < start + count * width:
            raise _damaged()
        old = data[start : start + count * width]
        numbers = array(code, old)
        _swap(numbers)
        try:
            numbers = array(code, [self._shift(number) for number in numbers])
        except OverflowError as error:
            raise _too_far() from error
        _swap(numbers)
        self._patch(node.box.data + start, old, numbers.tobytes())

    def _visit_random_access(self, node: Node) -> None:
        data = self._content(node)
        width = 8 if data[:1] == b"\1" else 4
        lengths = int.from_bytes(data[8:12], "big")
        step = 2 * width + sum((lengths >> bits & 3) + 1 for bits in (0, 2, 4))
        count = int.from_bytes(data[12:16], "big")
        if len(data) < 16 + count * step:
            raise _damaged()
        new = bytearray(data)
        for at in range(16 + width, 16 + width + count * step, step):
            offset = self._shift(int.from_bytes(data[at : at + width], "big"))
            if offset >= 1 << 8 * width:
                raise _too_far()
            new[at : at + width] = offset.to_bytes(width, "big")
        self._patch(node.box.data, data, bytes(new))

    def _content(self, node: Node) -> bytes:
        self._read += node.box.length
        if self._read > _TABLES_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file's tables of offsets are too large")
        return self._media.read(node.box.data, node.box.length)

    def _patch(self, offset: int, old: bytes, new: bytes) -> None:
        if old != new:
            self.patches.append(Patch(offset, old, new))


_TABLES: dict[bytes, Callable[[_Offsets, Node], None]] = {
    b"stco": _Offsets._visit_chunks,
    b"co64": _Offsets._visit_chunks,
    b"saio": _Offsets._visit_auxiliary,
    b"tfhd": _Offsets._visit_fragment_header,
    b"tfra": _Offsets._visit_random_access,
}


def _flags(media: MediaFile, node: Node) -> int:
    return int.from_bytes(media.read(node.box.data + 1, 3), "big")


def _swap(numbers: array[int]) -> None:
    if sys.byteorder == "little":
        numbers.byteswap()


def _unknown(node: Node) -> FileProblem:
    kind = node.box.kind.decode("latin-1")
    return FileProblem(Reason.UNSUPPORTED, f"the file would have to grow, and its box {kind!r} may point into it")


def _damaged() -> FileProblem:
    return FileProblem(Reason.CORRUPT, "the file's tables of offsets are damaged")


def _too_far() -> FileProblem:
    return FileProblem(Reason.TOO_LARGE, "the media would be too far behind for the file's 32-bit offsets")
