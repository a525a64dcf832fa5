"""ID3v2: a tag of frames, which MP3 begins with, and which WAV and AIFF can hold in a chunk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import grown, spliced
from ..plan import Patch
from ..problems import FileProblem, Reason
from . import id3_frames as frames_of

MAGIC = b"ID3"
HEAD = 10
PADDING = 2048
"""Room that a tag is given when it has to grow."""
XMP = b"XMP\0"
_NEW_VERSION = 3
_UNSYNCHRONISED, _EXTENDED, _EXPERIMENTAL, _FOOT = 0x80, 0x40, 0x20, 0x10
_SIZE_LIMIT = 0x0FFFFFFF
_FRAMES_LIMIT = 16_384
_FRAME_LIMIT = 16 * 1024 * 1024
_UNSYNCHRONISED_LIMIT = 16 * 1024 * 1024
_PEEK = 128
_KIND = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \0]?")
_OLD_KINDS = {
    b"TT2": b"TIT2",
    b"TP1": b"TPE1",
    b"TCR": b"TCOP",
    b"COM": b"COMM",
    b"TXX": b"TXXX",
    b"POP": b"POPM",
    b"TYE": b"TYER",
    b"TDA": b"TDAT",
    b"TIM": b"TIME",
    b"PRV": b"PRIV",
}
_OLD_KINDS_BACK = {new: old for old, new in _OLD_KINDS.items()}
_TEXTS = {b"TIT2": "TIT2", b"TCOP": "TCOP", b"TPE1": "TPE1", b"TDRC": "TDRC"}
_DATE = (b"TYER", b"TDAT", b"TIME")
_OURS = frozenset({*_TEXTS, *_DATE, b"COMM", b"TXXX", b"POPM", b"PRIV"})
_KEYWORDS = "KEYWORDS"
# Frames that are compressed, encrypted or belong to a group, as each version says it.
_SEALED = {2: 0, 3: 0xE0, 4: 0x4C}
_UNSYNCHRONISED_FRAME, _LENGTH_FRAME = 0x02, 0x01


@dataclass(frozen=True)
class Frame:
    """A frame: `start` is the offset of its name in the tag, `data` that of its content. `kind` is as in 2.3."""

    kind: bytes
    start: int
    data: int
    end: int
    flags: bytes = b"\0\0"


Renewal = tuple[Frame, bytes | None]
"""A frame and its new content; None if it is to be removed."""


class Tag:
    """A tag of version 2.2, 2.3 or 2.4. Only our frames are read, and only they change.

    Raises `FileProblem` (CORRUPT, UNSUPPORTED) for one that cannot be read; `refusal` says why one cannot be changed.
    """

    def __init__(self, media: MediaFile, start: int, limit: int) -> None:
        self.refusal: FileProblem | None = None
        self._media = media
        self._start = start
        self._body: bytes | None = None
        head = media.read(start, HEAD)
        if len(head) < HEAD or not head.startswith(MAGIC) or head[3] not in (2, 3, 4):
            raise FileProblem(Reason.UNSUPPORTED, "the ID3 tag is of an unknown version")
        if max(head[6:]) > 0x7F:
            raise FileProblem(Reason.CORRUPT, "the ID3 tag's length is damaged")
        self.version, self._flags = head[3], head[5]
        self._has_foot = self.version == 4 and bool(self._flags & _FOOT)
        self._end = HEAD + number(head[6:])
        self.length = self._end + (HEAD if self._has_foot else 0)
        if start + self.length > limit:
            raise FileProblem(Reason.CORRUPT, "the ID3 tag is longer than the file")
        self._check_flags()
        self._begin = HEAD
        if self._flags & _EXTENDED:
            self._begin += self._extended()
        self._plain_sizes = False
        frames, self._frames_end = self._chain()
        self._ours: dict[str, list[Frame]] = {}
        for frame in frames:
            self._note(frame)
        if len(self._ours.get("XMP", ())) > 1:
            self._refuse(Reason.UNSUPPORTED, "the ID3 tag has several XMP packets")

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, padding included."""
        found = self._ours.get("XMP")
        return self._content(found[0])[len(XMP) :] if found else None

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The texts that fields can be in, by their keys."""
        return {key: self._texts(key, found) for key, found in self._ours.items() if key != "XMP"}

    def patches(self, texts: Mapping[str, Sequence[str]], xmp: bytes | None) -> list[Patch]:
        """What makes the texts these (none of a key removes it) and, unless it is None, the packet this.

        What keeps its length stays where it is. What does not is put behind the last frame, where the padding gives
        it room: from then on the large frames of others lie before it, and need not move again. If the tag has to
        grow, and all that follows has to move, all of ours is put there at once.
        """
        groups = [self._packet_change(xmp)] if xmp is not None else []
        groups += [self._text_changes(key, values) for key, values in texts.items() if key in self._ours]
        patches, behind = self._placed(groups, gather=False)
        if len(behind) + grown(patches) > self._end - self._frames_end:
            changing = [frame for group in groups for frame, _ in group]
            rest = ([frame for frame in found if frame not in changing] for found in self._ours.values())
            groups += [[(frame, self._content(frame)) for frame in found] for found in rest]
            patches, behind = self._placed(groups, gather=True)
        return self._moved([patch for patch in self._padded(patches, behind) if patch.old != patch.new])

    def _placed(self, groups: Sequence[Sequence[Renewal]], *, gather: bool) -> tuple[list[Patch], bytes]:
        """The patches to frames where they are, and the frames to be put behind: all, if they are to be gathered.

        Those of a group stay together: which one is the first has a meaning.
        """
        patches, behind = [], b""
        for group in groups:
            changes = [
                Patch(
                    frame.start,
                    self._read(frame.start, frame.end - frame.start),
                    self._framed(frame, content) if content is not None else b"",
                )
                for frame, content in group
            ]
            if gather or any(len(change.old) != len(change.new) for change in changes):
                behind += b"".join(change.new for change in changes)
                changes = [Patch(change.offset, change.old, b"") for change in changes if change.old]
            patches += changes
        return sorted(patches, key=lambda patch: patch.offset), behind

    def _padded(self, patches: list[Patch], behind: bytes) -> list[Patch]:
        """The patches, the frames to be put behind, and the padding and the head's length as they are to be."""
        growth = len(behind) + grown(patches)
        room = self._end - self._frames_end
        if self._has_foot:
            # Such a tag is read from its end too: it may not be padded.
            rest = Patch(self._frames_end, b"", behind)
            return [*self._sized(HEAD - 4, growth), *patches, rest, *self._sized(self.length - 4, growth)]
        if growth <= room:
            taken = self._read(self._frames_end, max(growth, 0))
            if any(taken):
                raise FileProblem(Reason.UNSUPPORTED, "something unknown lies behind the frames of the ID3 tag")
            rest = Patch(self._frames_end, taken, behind + bytes(max(-growth, 0)))
            return [*self._told(room - growth), *patches, rest]
        added = PADDING + (self.length + growth) % 2
        behind += bytes(added)
        rest = Patch(self._frames_end, b"", behind)
        return [*self._sized(HEAD - 4, growth + added), *self._told(room + added), *patches, rest]

    def _sized(self, at: int, growth: int) -> list[Patch]:
        """The patch to a length of the tag, at its head or at its foot."""
        return [Patch(at, self._read(at, 4), _syncsafe(self._end - HEAD + growth))]

    def _told(self, padding: int) -> list[Patch]:
        """The patch to what an extended header of 2.3 says about the padding."""
        at = HEAD + 6
        if self.version != 3 or self._begin <= at:
            return []
        return [Patch(at, self._read(at, 4), padding.to_bytes(4, "big"))]

    def _moved(self, patches: list[Patch]) -> list[Patch]:
        """The patches on the file. What was not synchronised is written anew without that: nothing needs it."""
        if self._body is None or not patches:
            return [Patch(self._start + patch.offset, patch.old, patch.new) for patch in patches]
        new = spliced(self._body, patches)
        new = new + bytes(max(self.length - len(new), 0))
        new = new[:5] + bytes([new[5] & ~_UNSYNCHRONISED]) + _syncsafe(len(new) - HEAD) + new[HEAD:]
        return [Patch(self._start, self._media.read(self._start, self.length), new)]

    def _check_flags(self) -> None:
        if self.version == 2 and self._flags & _EXTENDED:
            raise FileProblem(Reason.UNSUPPORTED, "the ID3 tag is compressed")
        if self._flags & ~(_UNSYNCHRONISED | _EXTENDED | _EXPERIMENTAL | (_FOOT if self._has_foot else 0)):
            raise FileProblem(Reason.UNSUPPORTED, "the ID3 tag has flags that are not known")
        if self.version < 4 and self._flags & _UNSYNCHRONISED:
            if self.length > _UNSYNCHRONISED_LIMIT:
                raise FileProblem(Reason.TOO_LARGE, "the ID3 tag is too large")
            whole = self._media.read(self._start, self.length)
            self._body = whole[:HEAD] + whole[HEAD:].replace(b"\xff\0", b"\xff")
            self._end = len(self._body)

    def _extended(self) -> int:
        """The length of the extended header. What it says of the whole tag, such as a checksum, cannot be kept."""
        head = self._read(HEAD, 6)
        length = 4 + number(head[:4], 8) if self.version == 3 else number(head[:4])
        if self.version == 3 and length not in (10, 14):
            self._refuse(Reason.CORRUPT, "the extended header of the ID3 tag is damaged")
        if any(head[4:] if self.version == 3 else self._read(HEAD + 5, max(length - 5, 0))):
            self._refuse(Reason.UNSUPPORTED, "the ID3 tag has a checksum, or other rules of its own")
        return length

    def _chain(self) -> tuple[list[Frame], int]:
        """The frames, and where they end. iTunes once wrote the lengths of 2.4 as those of 2.3, and so they stay."""
        found, end, sound = self._walk()
        if not sound and self.version == 4:
            self._plain_sizes = True
            plain, plain_end, sound = self._walk()
            self._plain_sizes = sound
            if sound:
                return plain, plain_end
        if not sound:
            self._refuse(Reason.CORRUPT, "the frames of the ID3 tag are damaged")
        return found, end

    def _walk(self) -> tuple[list[Frame], int, bool]:
        found: list[Frame] = []
        position, head = self._begin, 6 if self.version == 2 else 10
        for _ in range(_FRAMES_LIMIT):
            if self._end - position < head or self._read(position, 1) == b"\0":
                return found, position, True
            frame = self._frame(position, head)
            if frame is None:
                break
            found.append(frame)
            position = frame.end
        return found, position, False

    def _frame(self, position: int, head: int) -> Frame | None:
        raw = self._read(position, head)
        kind, size = (raw[:3], raw[3:6]) if self.version == 2 else (raw[:4], raw[4:8])
        bits = 7 if self.version == 4 and not self._plain_sizes else 8
        end = position + head + number(size, bits)
        if not _KIND.fullmatch(kind) or end > self._end or (bits == 7 and max(size) > 0x7F):
            return None
        kind = _OLD_KINDS.get(kind, kind) if self.version == 2 else kind
        return Frame(kind, position, position + head, end, raw[8:10] or b"\0\0")

    def _note(self, frame: Frame) -> None:
        if frame.kind == b"SEEK":
            self._refuse(Reason.UNSUPPORTED, "the file has another ID3 tag further on")
        if frame.kind not in _OURS:
            return
        if frame.flags[1] & _SEALED[self.version]:
            self._refuse(Reason.UNSUPPORTED, "a text of the ID3 tag is compressed or encrypted")
            return
        key = self._key(frame)
        if key and frame.end - frame.data > _FRAME_LIMIT:
            self._refuse(Reason.TOO_LARGE, "a text of the ID3 tag is too large")
        elif key:
            self._ours.setdefault(key, []).append(frame)

    def _key(self, frame: Frame) -> str | None:
        """The key of the text in a frame; None if it is not one of ours."""
        if frame.kind in _DATE:
            return "TYER"
        start = self._content(frame, _PEEK)
        if frame.kind == b"PRIV":
            return "XMP" if start.startswith(XMP) else None
        if frame.kind == b"POPM":
            return "POPM" if frames_of.popularity(start)[0] in frames_of.WINDOWS_SCALE else None
        if frame.kind == b"COMM":
            return "COMM" if not frames_of.comment(start)[1] else None
        if frame.kind == b"TXXX":
            return "TXXX:KEYWORDS" if frames_of.texts_of(start)[0].upper() == _KEYWORDS else None
        return _TEXTS[frame.kind]

    def _texts(self, key: str, found: Sequence[Frame]) -> tuple[str, ...]:
        if key == "TYER":
            return (frames_of.date(*("".join(self._text("", f) for f in found if f.kind == kind) for kind in _DATE)),)
        if key == "TPE1":
            return frames_of.names_of(self._content(found[0]))
        return tuple(self._text(key, frame) for frame in found)

    def _text(self, key: str, frame: Frame) -> str:
        content = self._content(frame)
        if key == "POPM":
            # Zero is said to mean that there is none.
            return str(frames_of.popularity(content)[1] or "")
        if key == "COMM":
            return frames_of.comment(content)[2]
        texts = frames_of.texts_of(content)
        return (texts[1] if len(texts) > 1 else "") if key == "TXXX:KEYWORDS" else texts[0]

    def _packet_change(self, xmp: bytes) -> list[Renewal]:
        found = self._ours.get("XMP", [_new(b"PRIV")])
        return [(found[0], XMP + xmp)]

    def _text_changes(self, key: str, values: Sequence[str]) -> list[Renewal]:
        found = self._ours[key]
        if key == "TYER":
            return self._date_changes(found, values[0] if values else "")
        first, *others = found
        if key == "TPE1" and values:
            new: bytes | None = frames_of.with_names(values, self._content(first), self.version)
        else:
            new = self._renewed(key, first, values[0] if values else None)
        return [(first, new), *((frame, self._repeated(key, frame, first, values)) for frame in others)]

    def _repeated(self, key: str, frame: Frame, first: Frame, values: Sequence[str]) -> bytes | None:
        """A further frame of the same key: a rating of another program, or a comment in another language."""
        follows = key == "POPM" or (key == "COMM" and self._text(key, frame) == self._text(key, first))
        if key == "COMM" and values and not follows:
            return self._content(frame)
        return self._renewed(key, frame, values[0] if values and follows else None)

    def _renewed(self, key: str, frame: Frame, text: str | None) -> bytes | None:
        """The frame's content with another text; None if it is to be removed."""
        old = self._content(frame)
        if key == "POPM":
            return frames_of.with_popularity(int(text or "0"), old)
        if text is None:
            return None
        if key == "COMM":
            return frames_of.with_comment(text, old, self.version)
        first, *rest = frames_of.texts_of(old)
        texts = [first, text] if key == "TXXX:KEYWORDS" else [text, *rest]
        return frames_of.with_texts(texts, old, self.version)

    def _date_changes(self, found: Sequence[Frame], date: str) -> list[Renewal]:
        present = {frame.kind: frame for frame in reversed(found)}
        changes: list[Renewal] = [(f, None) for f in found if f is not present[f.kind]]
        for kind, text in zip(_DATE, frames_of.parts_of_date(date), strict=True):
            if kind in present or text:
                frame = present.get(kind) or _new(kind)
                changes.append((frame, frames_of.with_texts([text], b"", self.version) if text else None))
        return changes

    def _content(self, frame: Frame, limit: int = _FRAME_LIMIT) -> bytes:
        """What a frame says, or its first `limit` bytes."""
        if not frame.end:
            return b""
        data = self._read(frame.data, min(frame.end - frame.data, limit))
        if self.version == 4 and frame.flags[1] & _LENGTH_FRAME:
            data = data[4:]
        if self.version == 4 and (frame.flags[1] & _UNSYNCHRONISED_FRAME or self._flags & _UNSYNCHRONISED):
            data = data.replace(b"\xff\0", b"\xff")
        return data

    def _framed(self, frame: Frame, content: bytes) -> bytes:
        """A whole frame; its flags are kept, but for what told how its content was stored."""
        kind, flags = frame.kind, frame.flags
        if self.version == 2:
            return _OLD_KINDS_BACK[kind] + len(content).to_bytes(3, "big") + content
        if self.version == 4:
            unsynchronised = bool(self._flags & _UNSYNCHRONISED)
            flags = flags[:1] + bytes([_UNSYNCHRONISED_FRAME if unsynchronised else 0])
            content = re.sub(b"\xff(?=[\0\xe0-\xff]|$)", b"\xff\0", content) if unsynchronised else content
        plain = self.version == 3 or self._plain_sizes
        size = len(content).to_bytes(4, "big") if plain else _syncsafe(len(content))
        return kind + size + flags + content

    def _read(self, offset: int, length: int) -> bytes:
        if self._body is not None:
            return self._body[offset : offset + length]
        return self._media.read(self._start + offset, length)

    def _refuse(self, reason: Reason, message: str) -> None:
        if self.refusal is None:
            self.refusal = FileProblem(reason, message)


def new_tag(xmp: bytes) -> bytes:
    """A tag with this packet and nothing else. All readers know version 2.3."""
    content = XMP + xmp
    frame = b"PRIV" + len(content).to_bytes(4, "big") + bytes(2) + content
    body = frame + bytes(PADDING + len(frame) % 2)
    return MAGIC + bytes([_NEW_VERSION, 0, 0]) + _syncsafe(len(body)) + body


def _new(kind: bytes) -> Frame:
    """A frame that is not there yet."""
    return Frame(kind, 0, 0, 0)


def number(data: bytes, bits: int = 7) -> int:
    """A number of which each byte holds some bits: seven, lest any of them is taken for sound."""
    found = 0
    for byte in data:
        found = found << bits | byte
    return found


def _syncsafe(number: int) -> bytes:
    if number > _SIZE_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "the ID3 tag cannot be that long")
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
