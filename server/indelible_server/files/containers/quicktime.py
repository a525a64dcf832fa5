"""MP4, M4A, MOV, 3GP: boxes. XMP is a box at the end of the file or, in QuickTime's own files, in the header `moov`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ..media import MediaFile
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from ..xmp import SIZE_LIMIT
from . import media_offsets, movie_texts
from .blocks import Blocks
from .boxes import UUID, XMP_UUID, Box, box, boxes, resized
from .container import Container, Range
from .movie import (
    FREE,
    HEAD,
    Change,
    Node,
    balanced,
    children,
    freed,
    is_blank,
    joined,
    meta_start,
    patches_of,
    replaced,
)
from .movie_texts import TextBox

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_QUICKTIME = b"qt  "
_USER_XMP = b"XMP_"
_PADDING = bytes(4)
_STAYS_LAST = frozenset({b"mfra", b"sefd", _PADDING})
"""These are found from the end of the file, or hide what comes behind them."""
_NOT_POINTED_AT = FREE | _STAYS_LAST | {b"moov", b"meta", UUID}
_MAKER_AND_MODEL = (
    ("Keys:com.apple.quicktime.make", "Keys:com.apple.quicktime.model"),
    ("Keys:com.android.manufacturer", "Keys:com.android.model"),
    ("udta:©mak", "udta:©mod"),
)


class QuickTime(Container):
    """A movie file: its boxes at the top, and those of its header in which there are texts."""

    ways = (Mode.PATCH, Mode.APPEND, Mode.REPLACE)
    places = "XMP; its own texts that are there"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._top: list[Box] = []
        self._is_quicktime = True
        self._movies: list[Node] = []
        self._end_of_movie = 0
        self._pointed_at: list[int] = []
        self._tracks: list[Box] = []
        self._user_data: tuple[Node, int] | None = None
        self._spaces: list[Node] = []
        self._xmp: list[Node] = []
        self._texts: list[TextBox] = []
        try:
            for found in boxes(media, 0, media.size):
                self._top.append(found)
                self._note(Node(found))
        except FileProblem as damage:
            if damage.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
                raise
            self.refuse(damage.reason, damage.message)
        if len(self._movies) != 1:
            self.refuse(Reason.CORRUPT, "the file has no movie header, or several")
        if len(self._xmp) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        self.texts = Texts(TextKind.QUICKTIME, movie_texts.values(self._texts))
        self.camera = _camera(self.texts)

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        if not self._xmp:
            return None
        packet = self._xmp[0].box
        head = len(XMP_UUID) if packet.kind == UUID else 0
        return self.media.read(packet.data + head, packet.length - head)

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound and the pictures."""
        return tuple((found.data, found.length) for found in self._top if found.kind == b"mdat")

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones, and all that points at what moves."""
        changes = movie_texts.changes(self.media, self._texts, blocks.texts)
        if blocks.xmp is not None:
            changes += self._placed_xmp(blocks.xmp)
        changes = [change for change in changes if change.patch.old != change.patch.new]
        balances = [change for change in changes if not change.within]
        for header in {change.within[0] for change in changes if change.within}:
            inside = [change for change in changes if change.within[:1] == (header,)]
            balances += balanced(self.media, inside, self._spaces_of(header))
        patches = patches_of(self.media, balances)
        shift = _Shift(patches)
        # Tracks matter for themselves: encrypted ones hold tables that are pointed at.
        media_move = any(shift(start) != start for start in self._pointed_at)
        if media_move or any(shift(track.start) != track.start for track in self._tracks):
            patches += media_offsets.shifted(self.media, self._top, shift)
            patches.sort(key=lambda patch: patch.offset)
        return tuple(patches) if media_move else joined(self.media, patches)

    def _spaces_of(self, header: Box) -> list[Node]:
        """The free space in a box at the top, and right behind it."""
        behind = [Node(found) for found in self._top if found.start == header.end and found.kind in FREE]
        return [space for space in self._spaces if space.within[0] == header] + behind

    def _placed_xmp(self, packet: bytes) -> list[Change]:
        old = self._xmp[0] if self._xmp else None
        if self._is_quicktime:
            if old is not None and old.box.kind == _USER_XMP:
                return [replaced(self.media, old, packet)]
            return [self._added_to_movie(box(_USER_XMP, packet)), *([freed(self.media, old)] if old else [])]
        content = XMP_UUID + packet
        if old is not None and old.box.kind == UUID and (len(content) == old.box.length or old.box.end == self._end):
            return [replaced(self.media, old, content)]
        return [*self._added_at_top(box(UUID, content)), *([freed(self.media, old)] if old else [])]

    def _added_to_movie(self, new: bytes) -> Change:
        """Behind what is in `moov/udta`, which is made where it is missing."""
        if self._user_data is not None:
            user_data, end = self._user_data
            return Change(Patch(end, b"", new), user_data.inside)
        return Change(Patch(self._end_of_movie, b"", box(b"udta", new)), self._movies[0].inside)

    def _added_at_top(self, new: bytes) -> list[Change]:
        """In free space that is not behind a header, which may need it; or else behind the last box."""
        headers = {found.end for found in self._top if found.kind in (b"moov", b"meta")}
        for space in self._top:
            left = space.end - space.start - len(new)
            fits = space.kind in FREE and space.start not in headers and (left == 0 or left >= HEAD)
            if fits and is_blank(self.media, space, len(new)):
                rest = left.to_bytes(4, "big") + space.kind if left else b""
                old = self.media.read(space.start, len(new) + len(rest))
                return [Change(Patch(space.start, old, new + rest))]
        added = [Change(Patch(self._end, b"", new))]
        last = self._top[-1]
        if last.to_end and self._end == last.end:
            if last.kind != b"mdat":
                raise FileProblem(Reason.UNSUPPORTED, "the file's last box is open, so nothing can be put behind it")
            added.append(Change(resized(self.media, last, 0)))
        return added

    @property
    def _end(self) -> int:
        """Where a new box can come."""
        last = self._top[-1]
        return last.start if last.kind in _STAYS_LAST else last.end

    def _note(self, node: Node) -> None:
        kind = node.box.kind
        if kind not in _NOT_POINTED_AT or (kind in FREE and not is_blank(self.media, node.box, 0)):
            self._pointed_at.append(node.box.start)
        if kind == b"ftyp":
            self._is_quicktime = self.media.read(node.box.data, 4) == _QUICKTIME
        elif kind == b"moov":
            self._movies.append(node)
            self._note_movie(node)
        elif kind == b"meta":
            self._note_meta(node)
        elif kind == UUID and self._uuid(node) == XMP_UUID:
            self._note_xmp(node)
        elif kind == UUID and self._uuid(node) == _C2PA_UUID:
            self.refuse(Reason.SIGNED, "the file carries Content Credentials, which a change would break")

    def _note_movie(self, movie: Node) -> None:
        self._end_of_movie = movie.box.data
        for node in children(self.media, movie):
            kind = node.box.kind
            self._end_of_movie = node.box.end
            if kind == b"mvhd":
                self._note_duration(node)
                self._texts += movie_texts.in_header(self.media, node)
            elif kind == b"trak":
                self._tracks.append(node.box)
                self._note_track(node)
            elif kind == b"meta":
                self._note_meta(node)
            elif kind == b"udta":
                self._note_user_data(node)
            elif kind in FREE:
                self._spaces.append(node)
            elif kind == b"cmov":
                self.refuse(Reason.UNSUPPORTED, "the movie header is compressed")
            elif kind == UUID and self._uuid(node) == XMP_UUID:
                self.refuse(Reason.UNSUPPORTED, "the file has XMP in an unusual place")

    def _note_user_data(self, user_data: Node) -> None:
        nodes = list(children(self.media, user_data))
        if self._user_data is None:
            self._user_data = user_data, nodes[-1].box.end if nodes else user_data.box.data
        self._texts += movie_texts.in_user_data(self.media, nodes)
        for node in nodes:
            if node.box.kind == _USER_XMP:
                self._note_xmp(node)
            elif node.box.kind == b"meta":
                self._note_meta(node)
            elif node.box.kind in FREE:
                self._spaces.append(node)

    def _note_meta(self, meta: Node) -> None:
        nodes = list(children(self.media, meta, meta_start(self.media, meta.box)))
        self._texts += movie_texts.in_meta(self.media, nodes)
        self._spaces += [node for node in nodes if node.box.kind in FREE]

    def _note_xmp(self, node: Node) -> None:
        if node.box.length > SIZE_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the XMP packet is larger than 16 MiB")
        self._xmp.append(node)

    def _note_duration(self, header: Node) -> None:
        data = self.media.read(header.box.data, min(32, header.box.length))
        at, width = (20, 8) if data[:1] == b"\1" else (12, 4)
        scale = int.from_bytes(data[at : at + 4], "big")
        duration = int.from_bytes(data[at + 4 : at + 4 + width], "big")
        if scale and 0 < duration < (1 << 8 * width) - 1:
            self.duration_s = duration / scale

    def _note_track(self, track: Node) -> None:
        found = {node.box.kind: node for node in children(self.media, track)}
        if b"tkhd" not in found or b"mdia" not in found:
            return
        within = {node.box.kind: node for node in children(self.media, found[b"mdia"])}
        for header in (found[b"tkhd"], within.get(b"mdhd")):
            self._texts += movie_texts.in_header(self.media, header) if header else []
        handler = within.get(b"hdlr")
        if handler and self.width is None and self.media.read(handler.box.data + 8, 4) == b"vide":
            self._note_size(found[b"tkhd"].box)

    def _note_size(self, header: Box) -> None:
        size = self.media.read(header.data, min(header.length, 96))[-8:]
        width, height = int.from_bytes(size[:2], "big"), int.from_bytes(size[4:6], "big")
        if width and height:
            self.width, self.height = width, height

    def _uuid(self, node: Node) -> bytes:
        return self.media.read(node.box.data, min(len(XMP_UUID), node.box.length))


class _Shift:
    """Where a place in the old file is in the new one."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches
        self._ends = [patch.offset + len(patch.old) for patch in patches]
        self._growth = [0, *accumulate(len(patch.new) - len(patch.old) for patch in patches)]

    def __call__(self, offset: int) -> int:
        before = bisect_right(self._ends, offset)
        if before < len(self._patches) and self._patches[before].offset < offset:
            raise FileProblem(Reason.UNSUPPORTED, "the file's tables point into its metadata")
        return offset + self._growth[before]


def _camera(texts: Texts) -> str | None:
    for keys in _MAKER_AND_MODEL:
        words = [text.strip() for key in keys for text in texts.get(key)[:1]]
        if any(words):
            return " ".join(word for word in words if word)
    return None
