"""What is common to files of chunks: metadata is gathered at their end, where it can grow and nothing has to move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import grown, levelled, spliced
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from ..xmp import resized
from . import id3
from .chunks import HEAD, Chunk, Order, chunk, chunks
from .container import Container

_FORM = 12
_TAG_LIMIT = 16 * 1024 * 1024
_LENGTH_LIMIT = 0xFFFFFFFF


@dataclass(frozen=True)
class Change:
    """A chunk of ours that is to be different, to come (`old` is None) or to go (`content` is None)."""

    old: Chunk | None
    kind: bytes
    content: bytes | None
    is_packet: bool = False


class Chunked(Container):
    """One outer chunk that spans the file, and the chunks in it. What lies behind it is left where it is."""

    ways = (Mode.PATCH, Mode.APPEND, Mode.REPLACE)
    order: Order = "little"
    spare: bytes | None = b"JUNK"
    """The kind of chunk that says nothing, if there is one: what moves away leaves it, so that all else stays."""

    kinds: frozenset[bytes] = frozenset()
    """The kinds of chunks that can hold metadata."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._ours: list[Chunk] = []
        self._tag: id3.Tag | None = None
        self._tag_chunk: Chunk | None = None
        size = HEAD + self._outer_length()
        if size > media.size:
            self.refuse(Reason.CORRUPT, "the file is shorter than it says")
        self._end = min(size + size % 2, media.size)
        self._chunks: tuple[Chunk, ...] = ()
        try:
            self._chunks = tuple(chunks(media, _FORM, self._end, self.order, self._long()))
        except FileProblem as damage:
            raise self.refusal or damage from damage
        if media.read(self._end, 4) in self.kinds:
            self.refuse(Reason.UNSUPPORTED, "the file has metadata behind its end")

    def _outer_length(self) -> int:
        """The length of all behind the head, as the file says it."""
        return int.from_bytes(self.media.read(4, 4), self.order)

    def _long(self) -> int | None:
        """The length of the chunk that is too long to say it itself, if there can be one."""
        return None

    def _only(self, found: Sequence[Chunk], what: str) -> Chunk | None:
        """The one chunk of a kind, known as ours from now on."""
        if len(found) > 1:
            self.refuse(Reason.UNSUPPORTED, f"the file has several {what}")
        self._ours += found
        return found[0] if found else None

    def _of_kind(self, *kinds: bytes) -> list[Chunk]:
        return [found for found in self._chunks if found.kind in kinds]

    def _content(self, found: Chunk) -> bytes:
        return self.media.read(found.data, found.length)

    def _open_tag(self, found: Chunk | None) -> dict[str, tuple[str, ...]]:
        """The texts of the ID3 tag in a chunk. The file's packet is not in there: another one would contradict it."""
        if found is None:
            return {}
        try:
            self._tag_chunk, self._tag = found, id3.Tag(self.media, found.data, found.data + found.length)
        except FileProblem as problem:
            self.refuse(problem.reason, problem.message)
            return {}
        if self._tag.refusal:
            self.refuse(self._tag.refusal.reason, self._tag.refusal.message)
        if self._tag.xmp is not None:
            self.refuse(Reason.UNSUPPORTED, "the file has XMP in its ID3 tag")
        return self._tag.texts

    def _tag_changes(self, texts: Mapping[str, tuple[str, ...]]) -> tuple[list[Change], list[Patch]]:
        """What the texts change in the ID3 tag: the chunk anew, or patches within it if it keeps its length."""
        if self._tag is None or self._tag_chunk is None:
            return [], []
        patches = levelled(self.media, self._tag.patches(texts, None))
        if grown(patches) == 0:
            return [], list(patches)
        if self._tag_chunk.length > _TAG_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the ID3 tag is too large")
        tag = spliced(self._content(self._tag_chunk), patches, self._tag_chunk.data)
        return [Change(self._tag_chunk, self._tag_chunk.kind, tag)], []

    def _rewritten(self, changes: Sequence[Change], inner: Sequence[Patch] = ()) -> tuple[Patch, ...]:
        """The patches that make these changes, and `inner` ones within or before the chunks that stay.

        What keeps its length stays where it is. The rest goes into the run of our chunks at the end of the file.
        """
        moving = [change for change in changes if len(self._whole(change)) != _length(change.old)]
        if not moving:
            return _sorted([*inner, *(self._in_place(change) for change in changes if change.old)])
        run = self._run(changes)
        start = run[0].start if run else self._end
        patches = [patch for patch in inner if patch.offset < start]
        for change in changes:
            if change.old is not None and change.old.start < start:
                patches.append(self._vacated(change.old) if change in moving else self._in_place(change))
        old = self.media.read(start, self._end - start)
        new = bytes(start % 2) + self._filled(run, changes, moving, inner, len(old))
        patches.append(Patch(start, old, new[: len(old)]))
        # On its own, so that it stays what the file gains at its end, however the rest is trimmed.
        patches.append(Patch(self._end, b"", new[len(old) :]))
        return _sorted([*self._outer(grown(patches)), *patches])

    def _run(self, changes: Sequence[Change]) -> list[Chunk]:
        """The run of our chunks at the end, from the first that is to change."""
        changed = {change.old.start for change in changes if change.old}
        run: list[Chunk] = []
        for found in reversed(self._chunks):
            if found not in self._ours:
                break
            run.insert(0, found)
        while run and run[0].start not in changed:
            del run[0]
        return run

    def _filled(
        self, run: list[Chunk], changes: Sequence[Change], moving: list[Change], inner: Sequence[Patch], room: int
    ) -> bytes:
        """The new run. The packet comes last; its padding makes the run as long as it was, if it can."""
        changed = {change.old.start: change for change in changes if change.old}
        parts: list[bytes] = []
        for found in run:
            change = changed.get(found.start)
            if change is None:
                raw = self.media.read(found.start, found.end - found.start)
                raw = spliced(raw, [p for p in inner if found.start < p.offset < found.end], found.start)
                parts.append(raw + bytes(len(raw) % 2))
            elif not change.is_packet:
                parts.append(self._whole(change))
        parts += (self._whole(change) for change in moving if change.old not in run and not change.is_packet)
        filled = b"".join(parts)
        packet = next((change for change in changes if change.is_packet), None)
        if packet is None or packet.content is None or (packet not in moving and packet.old not in run):
            return filled
        fitting = resized(packet.content, room - len(filled) - HEAD)
        return filled + chunk(packet.kind, fitting or packet.content, self.order)

    def _outer(self, growth: int) -> list[Patch]:
        """The patches to what says how long the whole is."""
        if not growth:
            return []
        length = self._end - HEAD + growth
        if length > _LENGTH_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file cannot grow beyond 4 GiB")
        return [Patch(4, self.media.read(4, 4), length.to_bytes(4, self.order))]

    def _vacated(self, old: Chunk) -> Patch:
        content = self.media.read(old.start, old.end - old.start)
        if self.spare is None:
            return Patch(old.start, content, b"")
        return Patch(old.start, content, self.spare + content[4:HEAD] + bytes(len(content) - HEAD))

    def _in_place(self, change: Change) -> Patch:
        assert change.old is not None
        return Patch(change.old.start, self.media.read(change.old.start, _length(change.old)), self._whole(change))

    def _whole(self, change: Change) -> bytes:
        return b"" if change.content is None else chunk(change.kind, change.content, self.order)


def _length(old: Chunk | None) -> int:
    return old.end - old.start if old else 0


def _sorted(patches: list[Patch]) -> tuple[Patch, ...]:
    changing = (patch for patch in patches if patch.old != patch.new)
    return tuple(sorted(changing, key=lambda patch: patch.offset))
