"""MP3: sound without a head. An ID3 tag lies before it; older tags of several kinds lie behind."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from . import ape, id3, mpeg
from .blocks import Blocks
from .container import Container, Range
from .id3_frames import latin

_V1, _V1_EXTENDED = b"TAG", b"TAG+"
_V1_LENGTH, _V1_EXTENDED_LENGTH = 128, 227
_TITLE, _TITLE_LENGTH = 3, 30
_COMMENT, _COMMENT_LENGTH = 97, 30
_TRACK = 125
_LYRICS, _LYRICS_SIZE = b"LYRICS200", 6
_FOOT = b"3DI"
_TRAILERS_LIMIT = 8
_SEARCHED = 64 * 1024


class Mp3(Container):
    """An MP3 file: its tags, and the sound between them."""

    places = "XMP; ID3 and APE texts that are there"
    remark = "few programs look for XMP in ID3 tags of version 2.2"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._tag: id3.Tag | None = None
        self._behind: id3.Tag | None = None
        self._ape: ape.Ape | None = None
        self._v1: int | None = None
        self._audio = 0
        if media.read(0, 3) == id3.MAGIC:
            self._tag = id3.Tag(media, 0, media.size)
            self._audio = self._tag.length
            self.refusal = self._tag.refusal
        self._end = self._trailers(media.size)
        self._look_at_sound()
        texts = self._v1_texts()
        for tag in (self._tag, self._behind, self._ape):
            for key, found in tag.texts.items() if tag else ():
                # Both tags of a kind are to say the same: what they say differently is a list of texts for now.
                texts[key] = found if texts.get(key, found) == found else texts[key] + found
        self.texts = Texts(TextKind.ID3, texts)

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        return self._tag.xmp if self._tag else None

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound."""
        return ((self._audio, self._end - self._audio),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches to the tag in front, which is made if there is none, and to those at the end."""
        if self._tag:
            patches = self._tag.patches(blocks.texts, blocks.xmp)
        else:
            patches = [Patch(0, b"", id3.new_tag(blocks.xmp))] if blocks.xmp is not None else []
        if self._behind is not None:
            patches += self._behind.patches(blocks.texts, None)
        if self._ape is not None:
            patches += self._ape.patches(blocks.texts)
        if self._v1 is not None:
            for key, (at, length) in self._v1_fields(self._v1).items():
                if key in blocks.texts:
                    text = "".join(blocks.texts[key]).encode("latin-1")[:length]
                    patches.append(Patch(at, self.media.read(at, length), text.ljust(length, b"\0")))
        changing = (patch for patch in patches if patch.old != patch.new)
        return tuple(sorted(changing, key=lambda patch: patch.offset))

    def _look_at_sound(self) -> None:
        data = self.media.read(self._audio, min(_SEARCHED, self._end - self._audio))
        sound = data.lstrip(b"\0")
        if sound[:1] == b"\xff" and sound[1:2] and sound[1] & 0xF6 == 0xF0:
            self.refuse(Reason.UNSUPPORTED, "the file is AAC, not MP3")
        at = mpeg.start(data)
        if id3.MAGIC in data[:at]:
            self.refuse(Reason.UNSUPPORTED, "the file has another ID3 tag before the sound")
        if at is not None:
            self.duration_s = mpeg.duration(data[at:], self._end - self._audio - at)
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
        if tail[-ape.LENGTH :].startswith(ape.MAGIC):
            return self._trailing_ape(end)
        if tail.endswith(_LYRICS) and tail[-15:-9].isdigit():
            return end - len(_LYRICS) - _LYRICS_SIZE - int(tail[-15:-9])
        if tail[-id3.HEAD :].startswith(_FOOT):
            return self._trailing_tag(end, tail[-4:])
        return end

    def _trailing_tag(self, end: int, size: bytes) -> int:
        start = end - 2 * id3.HEAD - id3.number(size)
        if start < self._audio or self._behind:
            self.refuse(Reason.UNSUPPORTED, "the file has several ID3 tags")
            return end
        try:
            self._behind = id3.Tag(self.media, start, end)
        except FileProblem as problem:
            self.refuse(problem.reason, problem.message)
            return end
        if self._behind.refusal:
            self.refuse(self._behind.refusal.reason, self._behind.refusal.message)
        if self._behind.xmp is not None or self._behind.length != end - start:
            self.refuse(Reason.UNSUPPORTED, "the file has an ID3 tag behind the sound that is not understood")
        return start

    def _trailing_v1(self, start: int) -> int:
        if self._v1 is not None:
            self.refuse(Reason.UNSUPPORTED, "the file has several ID3v1 tags")
        self._v1 = self._v1 if self._v1 is not None else start
        extended = start - _V1_EXTENDED_LENGTH
        if extended >= self._audio and self.media.read(extended, 4) == _V1_EXTENDED:
            self.refuse(Reason.UNSUPPORTED, "the file has an extended ID3v1 tag")
            return extended
        return start

    def _trailing_ape(self, end: int) -> int:
        try:
            found = ape.Ape(self.media, end)
        except FileProblem as problem:
            self.refuse(problem.reason, problem.message)
            return end
        if self._ape is not None or found.start < self._audio:
            self.refuse(Reason.UNSUPPORTED, "the file has several APE tags")
        self._ape = self._ape or found
        return found.start

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
