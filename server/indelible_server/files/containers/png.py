"""PNG: a chain of chunks. XMP lies in an iTXt, Exif in eXIf, and older programs put them into texts as hex digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..media import MediaFile
from ..patching import shift_of
from ..photoshop import Resources
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from ..xmp import fitted
from .blocks import Blocks
from .container import Container, Range
from .png_chunks import (
    SIGNATURE,
    TEXTS,
    Chunk,
    Text,
    chunks,
    keyword_of,
    packed,
    parse_text,
    payload,
    profile,
    with_profile,
)

_XMP_KEYWORD = "XML:com.adobe.xmp"
_XMP = _XMP_KEYWORD.encode() + bytes(5)
_PROFILE = "raw profile type "
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_HEAD = b"Exif\0\0"
_TIFF = (b"II*\0", b"MM\0*")
_IIM, _RESOURCE = b"\x1c", b"8BIM"
_KEYS = {key.lower(): key for key in ("Title", "Description", "Comment", "Author", "Copyright", "Creation Time")}
_PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"fcTL", b"fdAT"})
_DEFAULT_LANGUAGES = ("", "x-default")
_HELD_LIMIT = 64 * 1024 * 1024
_DAMAGED = 32 * 1024 * 1024
"""What a damaged block counts for, since it may have been long until the damage."""
_WRITABLE, _READ_ONLY = b'end="w"?>', b'end="r"?>'


@dataclass(frozen=True)
class _Place:
    """A block in a chunk: behind `prefix`, in hex digits if it is a text's profile."""

    chunk: Chunk
    data: bytes
    prefix: bytes = b""
    text: Text | None = None

    def renewed(self, data: bytes) -> bytes:
        """The chunk with another block."""
        if self.text is None:
            return packed(self.chunk.kind, self.prefix + data)
        return with_profile(self.text, self.prefix + data).to_chunk()


class Png(Container):
    """A PNG or APNG file, with all of its chunks looked at."""

    places = "XMP, Exif; texts and profiles that the file has"
    takes_exif = True

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._xmp: _Place | None = None
        self._old_xmp: list[_Place] = []
        """What is superseded by the main packet, or would be by one."""
        self._exif: list[_Place] = []
        self._resources: list[_Place] = []
        self._texts: dict[str, list[tuple[Chunk, Text]]] = {}
        self._header: Chunk | None = None
        self._picture: list[Chunk] = []
        self._pointing: Chunk | None = None
        self._held = 0
        if media.read(0, len(SIGNATURE)) != SIGNATURE:
            raise FileProblem(Reason.CORRUPT, "the file is no PNG")
        try:
            for chunk in chunks(media):
                self._try_note(chunk)
                if self._held > _HELD_LIMIT:
                    raise FileProblem(Reason.TOO_LARGE, "the file has more than 64 MiB of metadata")
        except FileProblem as damage:
            if damage.reason is not Reason.CORRUPT:
                raise
            self.refuse(damage.reason, damage.message)
        if self._header is None or not any(chunk.kind == b"IDAT" for chunk in self._picture):
            self.refuse(Reason.CORRUPT, "the file has no picture")
        self._check_doubles()
        shown = {key: tuple(text.text for _, text in _shown(found)) for key, found in self._texts.items()}
        self.texts = Texts(TextKind.PNG, shown)

    @property
    def xmp(self) -> bytes | None:
        """The main XMP packet, padding included."""
        places = [self._xmp] if self._xmp else self._old_xmp
        return places[0].data if places else None

    @property
    def exif(self) -> bytes | None:
        """The Exif block, beginning with its TIFF header."""
        return self._exif[0].data if self._exif else None

    @property
    def resources(self) -> bytes | None:
        """Photoshop's image resources, made here if the file has a bare IPTC block."""
        if not self._resources:
            return None
        data = self._resources[0].data
        return Resources([]).with_iptc(data) if data.startswith(_IIM) else data

    @property
    def content(self) -> tuple[Range, ...]:
        """The chunks that make the picture, those of an animation included."""
        found: list[Range] = []
        for chunk in self._picture:
            if found and sum(found[-1]) == chunk.start:
                found[-1] = (found[-1][0], chunk.end - found[-1][0])
            else:
                found.append((chunk.start, chunk.end - chunk.start))
        return tuple(found)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The patches that put these blocks in the place of the old ones; new ones go right behind the header."""
        if self._header is None:
            raise FileProblem(Reason.CORRUPT, "the file has no picture")
        changed = self._changed_texts(blocks.texts)
        made = b""
        if isinstance(blocks.exif, bytes):
            changed |= {place.chunk: place.renewed(blocks.exif) for place in self._exif}
            made += b"" if self._exif else packed(b"eXIf", blocks.exif)
        if blocks.resources is not None:
            changed |= self._changed_resources(blocks.resources)
        if blocks.xmp is not None:
            # A packet with a checksum around it must not be changed by programs that know packets only.
            packet = blocks.xmp.removesuffix(_WRITABLE) + _READ_ONLY
            changed |= {place.chunk: b"" for place in self._old_xmp}
            if self._xmp and self._xmp.chunk.start < self._picture_start:
                changed[self._xmp.chunk] = self._levelled(packet, made, changed)
            else:
                changed |= {self._xmp.chunk: b""} if self._xmp else {}
                made = packed(b"iTXt", _XMP + packet) + made
        return self._patches(self._header.end, made, changed)

    def _patches(self, at: int, made: bytes, changed: Mapping[Chunk, bytes]) -> tuple[Patch, ...]:
        patches = [Patch(at, b"", made)] if made else []
        for chunk in sorted(changed, key=lambda chunk: chunk.start):
            old, new = self.media.read(chunk.start, chunk.end - chunk.start), changed[chunk]
            if chunk.start == at and made:
                patches = [Patch(at, old, made + new)]
            elif old != new:
                patches.append(Patch(chunk.start, old, new))
        pointing = self._pointing
        if pointing and shift_of(patches, pointing.start) != shift_of(patches, self._last_data.start):
            raise FileProblem(Reason.UNSUPPORTED, "the file points at picture data that would move")
        return tuple(patches)

    def _levelled(self, packet: bytes, made: bytes, changed: Mapping[Chunk, bytes]) -> bytes:
        """The XMP chunk, with as much less padding as all the others gain, if it has that."""
        assert self._xmp is not None
        others = sum(len(new) - (chunk.end - chunk.start) for chunk, new in changed.items())
        room = self._xmp.chunk.length - len(_XMP) - others - len(made)
        return packed(b"iTXt", _XMP + (fitted(packet, room) or packet))

    def _changed_resources(self, resources: bytes) -> dict[Chunk, bytes]:
        place = self._resources[0]
        iptc = Resources.parse(resources).iptc or b""
        return {place.chunk: place.renewed(iptc if place.data.startswith(_IIM) else resources)}

    def _changed_texts(self, texts: Mapping[str, tuple[str, ...]]) -> dict[Chunk, bytes]:
        """The chunks of these texts: said once, in the place of the first; of other languages only echoes change."""
        changed: dict[Chunk, bytes] = {}
        for key, new in texts.items():
            entries = self._texts[key]
            first, *others = _shown(entries)
            old = first[1].text
            for chunk, text in entries:
                if not new or (chunk, text) in others:
                    changed[chunk] = b""
                elif text.text == old:
                    changed[chunk] = text.with_text(new[0]).to_chunk()
        return changed

    @property
    def _picture_start(self) -> int:
        return next(chunk.start for chunk in self._picture if chunk.kind == b"IDAT")

    @property
    def _last_data(self) -> Chunk:
        return next(chunk for chunk in reversed(self._picture) if chunk.kind == b"IDAT")

    def _check_doubles(self) -> None:
        if len({place.data for place in self._exif}) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several Exif blocks")
        if len(self._resources) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several IPTC blocks")
        if self._xmp is None and len(self._old_xmp) > 1:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")

    def _try_note(self, chunk: Chunk) -> None:
        """Note a chunk; one that is damaged in itself hides nothing but itself."""
        try:
            self._note(chunk)
        except FileProblem as damage:
            if damage.reason is not Reason.CORRUPT:
                raise
            self.refuse(damage.reason, damage.message)
            self._held += _DAMAGED

    def _note(self, chunk: Chunk) -> None:
        if chunk.kind in _PICTURE:
            self._picture.append(chunk)
        if chunk.kind == b"IHDR":
            self._note_header(chunk)
        elif chunk.kind == b"eXIf":
            data = payload(self.media, chunk)
            prefix = _EXIF_HEAD if data.startswith(_EXIF_HEAD) else b""
            self._exif.append(_Place(chunk, data[len(prefix) :], prefix))
            self._held += len(data)
        elif chunk.kind == b"iDOT":
            self._pointing = chunk
        elif chunk.kind in TEXTS:
            self._note_text(chunk, keyword_of(self.media, chunk))
        elif chunk.kind in (b"caBX", b"dSIG"):
            self.refuse(Reason.SIGNED, "the file is signed, which a change would break")
        elif chunk.kind == b"zxIf":
            self.refuse(Reason.UNSUPPORTED, "the file has Exif of a kind that most programs do not see")

    def _note_header(self, chunk: Chunk) -> None:
        if self._header or chunk.length != 13:
            raise FileProblem(Reason.CORRUPT, "the file's header is damaged")
        self._header = chunk
        data = self.media.read(chunk.start + 8, 8)
        self.width, self.height = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")

    def _note_text(self, chunk: Chunk, keyword: str) -> None:
        key = _KEYS.get(keyword.lower())
        if key is None and keyword != _XMP_KEYWORD and not keyword.lower().startswith(_PROFILE):
            return
        text = parse_text(chunk.kind, payload(self.media, chunk))
        self._held += len(text.body)
        if key:
            self._texts.setdefault(key, []).append((chunk, text))
        elif keyword != _XMP_KEYWORD:
            self._note_profile(chunk, text)
        elif self._xmp and self._xmp.data == text.body:
            self._old_xmp.append(_Place(chunk, text.body))
        elif self._xmp:
            self.refuse(Reason.UNSUPPORTED, "the file has several main XMP packets")
        else:
            self._xmp = _Place(chunk, text.body)

    def _note_profile(self, chunk: Chunk, text: Text) -> None:
        kind = text.keyword[len(_PROFILE) :].lower()
        if kind not in ("xmp", "exif", "app1", "iptc", "8bim"):
            return
        data = profile(text)
        prefix = next((head for head in (_EXIF_HEAD, _XMP_HEAD) if data.startswith(head)), b"")
        place = _Place(chunk, data[len(prefix) :], prefix, text)
        if prefix == _XMP_HEAD or kind == "xmp":
            self._old_xmp.append(place)
        elif prefix == _EXIF_HEAD or data.startswith(_TIFF):
            self._exif.append(place)
        elif data.startswith((_IIM, _RESOURCE)):
            self._resources.append(place)
        else:
            self.refuse(Reason.UNSUPPORTED, f"the file's {text.keyword!r} is of an unknown kind")


def _shown(entries: list[tuple[Chunk, Text]]) -> list[tuple[Chunk, Text]]:
    """The texts that a program of no special language shows."""
    plain = [entry for entry in entries if entry[1].language.lower() in _DEFAULT_LANGUAGES]
    return plain or [entry for entry in entries if entry[1].language == entries[0][1].language]
