"""MP3: sound without a head. An ID3 tag lies before it; older tags of several kinds lie behind."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from . import id3, mpeg
from .blocks import Blocks
from .container import Container, Range
from .id3_frames import latin

_V1, _V1_EXTENDED = b"TAG", b"TAG+"
_V1_LENGTH, _V1_EXTENDED_LENGTH = 128, 227
_TITLE, _TITLE_LENGTH = 3, 30
_COMMENT, _COMMENT_LENGTH = 97, 30
_TRACK = 125
_APE, _APE_LENGTH, _APE_HAS_HEAD = b"APETAGEX", 32, 0x80000000
_APE_LIMIT = 1024 * 1024
_APE_FIELDS = (
    b"title",
    b"comment",
    b"description",
    b"artist",
    b"copyright",
    b"keywords",
    b"rating",
    b"year",
    b"record date",
)
_LYRICS, _LYRICS_SIZE = b"LYRICS200", 6
_BEHIND = b"3DI"
_TRAILERS_LIMIT = 8
_SEARCHED = 64 * 1024


class Mp3(Container):
    """An MP3 file: its tags, and the sound between them."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._tag: id3.Tag | None = None
        self._v1: int | None = None
        self._audio = 0
        if media.read(0, 3) == id3.MAGIC:
            self._tag = id3.Tag(media, 0, media.size)
            self._audio = self._tag.length
            self.refusal = self._tag.refusal
        self._end = self._trailers(media.size)
        self._look_at_sound()
        self.texts = Texts(TextKind.ID3, (self._tag.texts if self._tag else {}) | self._v1_texts())

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._tag.xmp if self._tag else None

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound."""
        return ((self._audio, self._end - self._audio),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches to the tag in front, which is made if there is none, and to the oldest one at the end."""
        if self._tag:
            patches = self._tag.patches(blocks.texts, blocks.xmp)
        else:
            patches = [Patch(0, b"", id3.new_tag(blocks.xmp))] if blocks.xmp is not None else []
        if self._v1 is not None:
            for key, (at, length) in self._v1_fields(self._v1).items():
                if key in blocks.texts:
                    text = "".join(blocks.texts[key]).encode("latin-1")[:length]
                    patches.append(Patch(at, self.media.read(at, length), text.ljust(length, b"\0")))
        return tuple(patch for patch in patches if patch.old != patch.new)

    def _look_at_sound(self) -> None:
        data = self.media.read(self._audio, min(_SEARCHED, self._end - self._audio))
        sound = data.lstrip(b"\0")
        if sound[:1] == b"\xff" and sound[1:2] and sound[1] & 0xF6 == 0xF0:
            self.refuse(Reason.UNSUPPORTED, "the file is AAC, not MP3")
        at = mpeg.start(data)
        if id3.MAGIC in data[:at]:
            self.refuse(Reason.UNSUPPORTED, "the file has another ID3 tag before the sound")
        if at is not None:
            self.duration_s = mpeg.duration(data[at:])
        elif self._tag is None:
            raise FileProblem(Reason.CORRUPT, "the file has no sound that is MP3")

    def _trailers(self, end: int) -> int:
        """Where the sound ends, when all that is known to come behind it is taken off."""
        for _ in range(_TRAILERS_LIMIT):
            start = self._trailer(end)
            if start == end or start < self._audio:
                break
            end = start
        return end

    def _trailer(self, end: int) -> int:
        """Where the last trailer before `end` starts; `end` if there is none."""
        tail = self.media.read(max(end - _V1_LENGTH, self._audio), min(_V1_LENGTH, end - self._audio))
        if len(tail) == _V1_LENGTH and tail.startswith(_V1):
            return self._trailing_v1(end - _V1_LENGTH)
        if tail[-_APE_LENGTH:].startswith(_APE):
            return self._trailing_ape(end, tail[-_APE_LENGTH:])
        if tail.endswith(_LYRICS) and tail[-15:-9].isdigit():
            return end - len(_LYRICS) - _LYRICS_SIZE - int(tail[-15:-9])
        if tail[-id3.HEAD :].startswith(_BEHIND):
            self.refuse(Reason.UNSUPPORTED, "the file has another ID3 tag behind the sound")
        return end

    def _trailing_v1(self, start: int) -> int:
        if self._v1 is not None:
            self.refuse(Reason.UNSUPPORTED, "the file has several ID3v1 tags")
        self._v1 = self._v1 if self._v1 is not None else start
        extended = start - _V1_EXTENDED_LENGTH
        if extended >= self._audio and self.media.read(extended, 4) == _V1_EXTENDED:
            self.refuse(Reason.UNSUPPORTED, "the file has an extended ID3v1 tag")
            return extended
        return start

    def _trailing_ape(self, end: int, foot: bytes) -> int:
        length, flags = int.from_bytes(foot[12:16], "little"), int.from_bytes(foot[20:24], "little")
        start = end - length
        if length < _APE_LENGTH or start < self._audio:
            self.refuse(Reason.CORRUPT, "the APE tag is damaged")
            return end
        items = self.media.read(start, min(length, _APE_LIMIT)).lower()
        if length > _APE_LIMIT or any(b"\0" + field + b"\0" in items for field in _APE_FIELDS):
            self.refuse(Reason.UNSUPPORTED, "the file has an APE tag that says some of the same")
        return start - _APE_LENGTH if flags & _APE_HAS_HEAD else start

    def _v1_fields(self, start: int) -> dict[str, Range]:
        """Where the texts of an ID3v1 tag are. One with a track number has that in the comment's last two bytes."""
        empty, track = self.media.read(start + _TRACK, 2)
        comment = ("v1.1:comment", _COMMENT_LENGTH - 2) if not empty and track else ("v1:comment", _COMMENT_LENGTH)
        return {"v1:title": (start + _TITLE, _TITLE_LENGTH), comment[0]: (start + _COMMENT, comment[1])}

    def _v1_texts(self) -> dict[str, tuple[str, ...]]:
        if self._v1 is None:
            return {}
        return {
            key: (latin(self.media.read(at, length).partition(b"\0")[0]),)
            for key, (at, length) in self._v1_fields(self._v1).items()
        }
