"""Ogg with one stream of sound: Vorbis, Opus, Speex or FLAC. The comments are the second packet of its headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .blocks import Blocks
from .container import Container, Range
from .flac import BLOCK_LIMIT
from .ogg_pages import UNFINISHED, Page, last_of, packets_of, page_at, relaid, room_on
from .strays import strays
from .vorbis import Comments

_ROOM = 4096
_FRAMING = 1
_PAGES_LIMIT = 8192
_HEADERS_LIMIT = 32 * 1024 * 1024


def _number(data: bytes, offset: int, length: int) -> int:
    return int.from_bytes(data[offset : offset + length], "little")


@dataclass(frozen=True)
class Codec:
    """What a stream holds, told by how its first packet begins.

    `mark` stands before the comments. `packets` share the pages that the comments are on, if the format lets them;
    `framed` says that a bit follows the comments, `padded` that zeros may. `rate` and `skipped` are in samples.
    """

    magic: bytes
    mark: bytes
    rate: Callable[[bytes], int]
    skipped: Callable[[bytes], int] = lambda head: 0
    packets: int = 1
    framed: bool = False
    padded: bool = True


_FLAC = Codec(b"\x7fFLAC", b"", lambda head: int.from_bytes(head[27:30], "big") >> 4, padded=False)
_CODECS = (
    Codec(b"\x01vorbis", b"\x03vorbis", lambda head: _number(head, 12, 4), packets=2, framed=True),
    Codec(b"OpusHead", b"OpusTags", lambda head: 48_000, lambda head: _number(head, 10, 2)),
    Codec(b"Speex   ", b"", lambda head: _number(head, 36, 4)),
    _FLAC,
)
_FLAC_HEAD = 4


class Ogg(Container):
    """An Ogg file, read up to the end of its headers."""

    takes_xmp = False
    places = "Vorbis comments"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        first = page_at(media, 0)
        codec = next((codec for codec in _CODECS if first.payload.startswith(codec.magic)), None)
        if codec is None:
            raise FileProblem(Reason.UNSUPPORTED, "the file's first stream is of a kind that is not known")
        if not first.begins or first.packets_ended != 1 or not first.is_closed:
            raise FileProblem(Reason.CORRUPT, "the file's first page holds more than the head of a stream")
        self._codec = codec
        self._pages = self._header_pages(first)
        self._packet, *self._others = packets_of(self._pages)
        self._mark = self._packet[:_FLAC_HEAD] if codec is _FLAC else codec.mark
        self._comments, self._rest = self._parsed()
        self.texts = self._comments.texts()
        serials, samples = last_of(media)
        if not serials:
            self.refuse(Reason.UNSUPPORTED, "the file does not end with a page")
        if serials - {first.serial}:
            self.refuse(Reason.UNSUPPORTED, "the file holds several streams, one after the other")
        if stray := strays(media):
            self.refuse(Reason.UNSUPPORTED, f"the file has texts in a tag of another format too ({stray})")
        rate = codec.rate(first.payload)
        samples -= codec.skipped(first.payload)
        self.duration_s = samples / rate if rate and samples > 0 else None

    @property
    def content(self) -> tuple[Range, ...]:
        """All pages behind the headers."""
        start = self._pages[-1].end
        return ((start, self.media.size - start),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put the comments in their place, on as many pages as before; pages of sound never change."""
        if not blocks.texts:
            return ()
        packets = [self._new_packet(self._comments.with_texts(blocks.texts).to_bytes()), *self._others]
        if len(packets[0]) != len(self._packet):
            old = b"".join(page.to_bytes() for page in self._pages)
            new = b"".join(page.to_bytes() for page in relaid(self._pages, packets))
            return (Patch(self._pages[0].start, old, new),)
        payload, position = b"".join(packets), 0
        patches: list[Patch] = []
        for page in self._pages:
            mine = payload[position : position + len(page.payload)]
            if mine != page.payload:
                patches += _refilled(page, mine)
            position += len(mine)
        return tuple(patches)

    def _new_packet(self, comments: bytes) -> bytes:
        """The packet with these comments: as long as it was, if they fit; else with new room, as far as there is any.

        What follows the comments and is not zero belongs to someone, so it stays, and is no room.
        """
        if self._codec is _FLAC:
            if len(comments) > BLOCK_LIMIT:
                raise FileProblem(Reason.TOO_LARGE, f"the comments need {len(comments)} bytes, and {BLOCK_LIMIT} fit")
            return self._mark[:1] + len(comments).to_bytes(3, "big") + comments
        frame, behind = self._rest[: self._codec.framed], self._rest[self._codec.framed :]
        if behind.strip(b"\0"):
            return self._mark + comments + self._rest
        packet = self._mark + comments + frame
        longest = room_on(self._pages, self._others)
        length = len(self._packet) if len(packet) <= len(self._packet) else min(len(packet) + _ROOM, longest)
        return packet.ljust(length, b"\0")

    def _header_pages(self, first: Page) -> list[Page]:
        """The pages that the comments are on, up to where a packet and a page end together."""
        pages: list[Page] = []
        missing, length, before = self._codec.packets, 0, first
        while missing > 0:
            page = page_at(self.media, before.end)
            if page.serial != first.serial or page.begins:
                raise FileProblem(Reason.UNSUPPORTED, "the file holds several streams")
            if page.number != before.number + 1 or page.continues is before.is_closed or not page.sizes:
                raise FileProblem(Reason.CORRUPT, "the file's first pages do not follow each other")
            pages.append(page)
            missing -= page.packets_ended
            length += len(page.payload)
            before = page
            if len(pages) > _PAGES_LIMIT or length > _HEADERS_LIMIT:
                raise FileProblem(Reason.TOO_LARGE, "the file's headers are too large")
        if missing or not before.is_closed or any(page.position not in (0, UNFINISHED) for page in pages):
            raise FileProblem(Reason.UNSUPPORTED, "the file's sound begins on a page of headers")
        return pages

    def _parsed(self) -> tuple[Comments, bytes]:
        """The comments, and what follows them in their packet."""
        marked = self._is_flac_block() if self._codec is _FLAC else self._packet.startswith(self._mark)
        if not marked:
            raise FileProblem(Reason.CORRUPT, "the file's second packet has no comments")
        data = self._packet[len(self._mark) :]
        comments, end = Comments.parse(data)
        rest = data[end:]
        if self._codec.framed and not (rest and rest[0] & _FRAMING):
            raise FileProblem(Reason.CORRUPT, "the file's comments do not end as they must")
        if rest and not self._codec.padded:
            raise FileProblem(Reason.UNSUPPORTED, "something that is not known follows the file's comments")
        return comments, rest

    def _is_flac_block(self) -> bool:
        kind, length = self._packet[:1], int.from_bytes(self._packet[1:_FLAC_HEAD], "big")
        return kind in (b"\x04", b"\x84") and length == len(self._packet) - _FLAC_HEAD


def _refilled(page: Page, payload: bytes) -> list[Patch]:
    """The patches that give a page another payload of the same length."""
    new = Page(page.start, page.flags, page.position, page.serial, page.number, page.sizes, payload).to_bytes()
    at = page.checksum - page.start
    old_checksum, new_checksum = page.to_bytes()[at : at + 4], new[at : at + 4]
    return [Patch(page.checksum, old_checksum, new_checksum), Patch(page.data, page.payload, payload)]
