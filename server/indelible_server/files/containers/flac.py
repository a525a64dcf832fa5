"""FLAC: a chain of metadata blocks before the sound; one has Vorbis comments, others are padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .container import Container, Range
from .strays import id3_length, strays
from .vorbis import Comments

MAGIC = b"fLaC"
BLOCK_LIMIT = (1 << 24) - 1
"""What a block can hold: its length has 24 bits."""

_STREAMINFO, _PADDING, _COMMENTS, _INVALID = 0, 1, 4, 127
_STREAMINFO_LENGTH = 34
_LAST = 0x80
_HEAD = 4
_ROOM = 4096
_SYNCS = (b"\xff\xf8", b"\xff\xf9")
_BLOCKS_LIMIT = 4096


@dataclass(frozen=True)
class Block:
    """A metadata block: `start` is the offset of its head, `data` that of its content."""

    kind: int
    start: int
    length: int
    last: bool

    @property
    def data(self) -> int:
        """The offset of its content."""
        return self.start + _HEAD

    @property
    def end(self) -> int:
        """The offset behind the block."""
        return self.data + self.length


@dataclass(frozen=True)
class Run:
    """Blocks side by side that a change may use as it likes: padding, and the comments."""

    blocks: tuple[Block, ...]

    @property
    def start(self) -> int:
        """The offset of its first block."""
        return self.blocks[0].start

    @property
    def end(self) -> int:
        """The offset behind its last block."""
        return self.blocks[-1].end

    @property
    def last(self) -> bool:
        """Whether no block follows."""
        return self.blocks[-1].last

    @property
    def told(self) -> int:
        """How much of it has a meaning: all but the zeros of the padding that it ends with."""
        last = self.blocks[-1]
        return (last.data if last.kind == _PADDING else last.end) - self.start

    @property
    def has_comments(self) -> bool:
        """Whether the comments are in it."""
        return any(block.kind == _COMMENTS for block in self.blocks)

    def takes(self, length: int) -> bool:
        """Whether a block with this much content fits, alone or with padding behind it."""
        rest = self.end - self.start - _HEAD - length
        return rest == 0 or rest >= _HEAD


class Flac(Container):
    """A FLAC file, scanned up to its sound."""

    takes_xmp = False
    places = "Vorbis comments"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        start = id3_length(media)
        if media.read(start, len(MAGIC)) != MAGIC:
            raise FileProblem(Reason.CORRUPT, "the file has no FLAC signature")
        self._blocks = list(_blocks(media, start + len(MAGIC)))
        self._sound = self._blocks[-1].end
        info = self._blocks[0]
        if info.kind != _STREAMINFO or info.length != _STREAMINFO_LENGTH:
            raise FileProblem(Reason.CORRUPT, "the file does not begin with information on its stream")
        if media.size > self._sound and media.read(self._sound, 2) not in _SYNCS:
            raise FileProblem(Reason.CORRUPT, "no sound follows where the file's blocks end")
        # Rate, channels, depth and number of samples share eight bytes.
        numbers = int.from_bytes(media.read(info.data + 10, 8), "big")
        rate, samples = numbers >> 44, numbers & (1 << 36) - 1
        self.duration_s = samples / rate if rate and samples else None
        found = [block for block in self._blocks if block.kind == _COMMENTS]
        self._comments = self._parsed(found[0]) if found else Comments()
        self.texts = self._comments.texts()
        if len(found) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several blocks of comments")
        if stray := strays(media):
            self.refuse(Reason.UNSUPPORTED, f"the file has texts in a tag of another format too ({stray})")

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound, and what comes behind it."""
        return ((self._sound, self.media.size - self._sound),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put the comments where they fit: in their place, else into padding, else with new room."""
        if not blocks.texts:
            return ()
        comments = self._comments.with_texts(blocks.texts).to_bytes()
        if len(comments) > BLOCK_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, f"the comments need {len(comments)} bytes, and {BLOCK_LIMIT} fit")
        runs = self._runs()
        own = next((run for run in runs if run.has_comments), None)
        choice = [own, *runs] if own else runs
        place = next((run for run in choice if run.takes(len(comments))), None)
        if place is None:
            return self._grown(next(iter(choice), None), comments)
        patches = [self._filled(place, comments)]
        if own and place is not own:
            patches.append(self._filled(own, None))
        return tuple(sorted(patches, key=lambda patch: patch.offset))

    def _filled(self, run: Run, comments: bytes | None) -> Patch:
        """The run with the comments, if any, and padding in the rest of it."""
        rest = run.end - run.start - (0 if comments is None else _HEAD + len(comments))
        new = b"" if comments is None else _head(_COMMENTS, len(comments), last=run.last and not rest) + comments
        if rest:
            new += _head(_PADDING, rest - _HEAD, last=run.last)
        new = new.ljust(run.told, b"\0")
        return Patch(run.start, self.media.read(run.start, len(new)), new)

    def _grown(self, run: Run | None, comments: bytes) -> tuple[Patch, ...]:
        """The run, made as long as is needed; without one, new blocks behind all others."""
        last = self._blocks[-1]
        new = _head(_COMMENTS, len(comments), last=False) + comments
        new += _head(_PADDING, _ROOM, last=run.last if run else True) + bytes(_ROOM)
        if run:
            return (Patch(run.start, self.media.read(run.start, run.end - run.start), new),)
        return (
            Patch(last.start, bytes([last.kind | _LAST]), bytes([last.kind])),
            Patch(last.end, b"", new),
        )

    def _runs(self) -> list[Run]:
        """The runs, none longer than a block of padding can be."""
        runs: list[Run] = []
        for block in self._blocks:
            if block.kind not in (_PADDING, _COMMENTS):
                continue
            if runs and runs[-1].end == block.start and block.end - runs[-1].start <= BLOCK_LIMIT:
                runs[-1] = Run((*runs[-1].blocks, block))
            else:
                runs.append(Run((block,)))
        return runs

    def _parsed(self, block: Block) -> Comments:
        data = self.media.read(block.data, block.length)
        comments, end = Comments.parse(data)
        # Some programs end them as in Ogg, or with zeros.
        if data[end:].strip(b"\0\1"):
            raise FileProblem(Reason.CORRUPT, "the file's comments do not fill their block")
        return comments


def _head(kind: int, length: int, *, last: bool) -> bytes:
    return bytes([kind | (_LAST if last else 0)]) + length.to_bytes(3, "big")


def _blocks(media: MediaFile, position: int) -> Iterator[Block]:
    """The metadata blocks; raises `FileProblem` (CORRUPT) where the chain breaks."""
    size = media.size
    for _ in range(_BLOCKS_LIMIT):
        head = media.read(position, _HEAD)
        if len(head) < _HEAD:
            break
        block = Block(head[0] & ~_LAST, position, int.from_bytes(head[1:], "big"), last=bool(head[0] & _LAST))
        if block.kind == _INVALID or block.end > size:
            break
        yield block
        if block.last:
            return
        position = block.end
    raise FileProblem(Reason.CORRUPT, "the file's blocks are damaged")
