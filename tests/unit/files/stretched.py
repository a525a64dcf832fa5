"""A small valid file of each format, which can be made as large as one likes by a hole in its media data.

Each has old values in the forms that tags have in its format beside XMP, so that an edit has several to change.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from unit.files.library import jpeg
from unit.files.native import UNDEFINED, dataset, exif_segment, iptc_segment, resource, text, tiff
from unit.files.sounds import chunk, form, frame, sound, tag, v1
from unit.files.test_packet import EPS, INDD
from unit.files.vorbis_files import COMMENTS, comments, flac, vorbis

EXIF = tiff("<", {0x010E: text("old"), 0x013B: text("Someone"), 0x8298: text("(c)")})
IPTC = dataset(2005, b"old") + dataset(2025, b"old") + dataset(2080, b"Someone") + dataset(2120, b"old")


Number = tuple[int, int, Literal["big", "little", "decimal"]]
"""A number in a file: its place, its length in bytes, and how it is written."""


@dataclass(frozen=True)
class Sample:
    """A file without the hole, where the hole comes, and the numbers that the hole's length is added to."""

    name: str
    content: bytes
    at: int
    numbers: tuple[Number, ...] = ()

    def make(self, folder: Path, size: int = 0) -> bytes:
        """A file of about this size; gives back its key."""
        hole = max(size - len(self.content), 0) & ~1
        content = bytearray(self.content)
        for place, length, order in self.numbers:
            if order == "decimal":
                old = int(content[place : place + length])
                content[place : place + length] = b"%0*d" % (length, old + hole)
            else:
                number = int.from_bytes(content[place : place + length], order) + hole
                content[place : place + length] = number.to_bytes(length, order)
        with open(folder / self.name, "wb") as file:
            file.write(content[: self.at])
            file.truncate(self.at + hole)
            file.seek(0, io.SEEK_END)
            file.write(content[self.at :])
        return self.name.encode()


def _saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def _box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", len(joined) + 8, kind) + joined


def _jpeg() -> Sample:
    content = jpeg(exif_segment(EXIF), iptc_segment(IPTC))
    return Sample("a.jpg", content, len(content) - 2)


def _png() -> Sample:
    texts = PngInfo()
    texts.add_text("Title", "old")
    texts.add_itxt("Description", "old")
    content = _saved("PNG", pnginfo=texts, exif=EXIF)
    at = content.index(b"IDAT")
    return Sample("a.png", content, at + 4, ((at - 4, 4, "big"),))


def _webp() -> Sample:
    content = _saved("WEBP", exif=EXIF)
    at = content.index(b"VP8 ")
    length = int.from_bytes(content[at + 4 : at + 8], "little")
    return Sample("a.webp", content, at + 8 + length, ((4, 4, "little"), (at + 4, 4, "little")))


def _tiff(name: str = "a.tif") -> Sample:
    values = ImageFileDirectory_v2()
    values[0x010E], values[0x013B], values[0x83BB] = "old", "Someone", IPTC
    values.tagtype[0x83BB] = UNDEFINED
    content = _saved("TIFF", tiffinfo=values)
    return Sample(name, content, len(content))


def _heif(name: str, brand: bytes) -> Sample:
    content = _saved("AVIF", exif=EXIF).replace(b"avif", brand)
    # The picture is the first item, and its data, in one piece, come last.
    place, data = content.index(b"iloc") + 22, content.index(b"mdat")
    return Sample(name, content, len(content), ((place, 4, "big"), (data - 4, 4, "big")))


def _jp2() -> Sample:
    content = _saved("JPEG2000")
    behind = _box(b"uuid", b"JpgTiffExif->JP2", EXIF)
    at = content.index(b"jp2c")
    # A length of 0 says that the box goes to the end, which ours does not.
    content = content[: at - 4] + (len(content) - at + 4).to_bytes(4, "big") + content[at:]
    return Sample("a.jp2", content + behind, len(content), ((at - 4, 4, "big"),))


def _jxl() -> Sample:
    start = b"\0\0\0\x0cJXL \r\n\x87\n" + _box(b"ftyp", b"jxl \0\0\0\0jxl ")
    content = start + _box(b"jxlc", bytes.fromhex("ff0a3141427121001288") + bytes(range(256)))
    behind = _box(b"Exif", bytes(4), EXIF)
    return Sample("a.jxl", content + behind, len(content), ((len(start), 4, "big"),))


def _psd() -> Sample:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 6, 8, 8, 3)
    listed = resource(0x0404, IPTC) + resource(0x0422, EXIF)
    start = header + bytes(4) + struct.pack(">I", len(listed)) + listed
    content = start + struct.pack(">I", 8) + bytes(8) + b"\0\0" + bytes(8 * 6 * 3)
    return Sample("a.psd", content, len(start) + 12, ((len(start), 4, "big"),))


def _film(name: str, brand: bytes, *, header_first: bool) -> Sample:
    start = _box(b"ftyp", brand, bytes(4), brand)
    media = _box(b"mdat", b"a picture" * 8)

    def header(offset: int) -> bytes:
        chunks = _box(b"stco", struct.pack(">III", 0, 1, offset))
        inside = _box(b"minf", _box(b"stbl", _box(b"stsd", bytes(8)), chunks))
        handler = _box(b"hdlr", bytes(8) + b"vide" + bytes(13))
        track = _box(b"trak", _box(b"tkhd", bytes(84)), _box(b"mdia", handler, inside))
        texts = [_box(kind, _box(b"data", struct.pack(">II", 1, 0), b"old")) for kind in (b"\xa9nam", b"desc")]
        handler = _box(b"hdlr", bytes(8) + b"mdir" + bytes(13))
        user_data = _box(b"udta", _box(b"meta", bytes(4), handler, _box(b"ilst", *texts)))
        return _box(b"moov", _box(b"mvhd", struct.pack(">5I", 0, 0, 0, 600, 1500), bytes(80)), track, user_data)

    if header_first:
        content = start + header(len(start) + len(header(0)) + 8) + media
        return Sample(name, content, len(content), ((len(content) - len(media), 4, "big"),))
    content = start + media + header(len(start) + 8)
    return Sample(name, content, len(start + media), ((len(start), 4, "big"),))


_INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"old\0") + chunk(b"IART", b"Someone\0"))
_ID3 = tag(frame(b"TIT2", b"\0old"), frame(b"COMM", b"\0eng\0old"), padding=100)


def in_fragments(number: int) -> bytes:
    """A film in so many fragments, each with offsets from its own start."""
    header = _box(b"tfhd", struct.pack(">II", 0x020000, 1))
    track = _box(b"traf", header, _box(b"trun", struct.pack(">IIi", 1, 0, 0)))
    fragment = _box(b"moof", _box(b"mfhd", bytes(8)), track) + _box(b"mdat", b"a picture")
    return _film("a.mp4", b"isom", header_first=True).content + fragment * number


def _wav() -> Sample:
    form_of_sound = chunk(b"fmt ", bytes.fromhex("01000100401f0000401f000001000800"))
    start, data = form_of_sound + _INFO, chunk(b"data", bytes(range(256)))
    whole = form(b"RIFF", b"WAVE", start, data, chunk(b"id3 ", _ID3))
    end = 12 + len(start + data)
    return Sample("a.wav", whole, end, ((4, 4, "little"), (12 + len(start) + 4, 4, "little")))


def _aiff() -> Sample:
    common = chunk(b"COMM", bytes.fromhex("000100001f400008400bfa00000000000000"), "big")
    data, texts = chunk(b"SSND", bytes(264), "big"), chunk(b"NAME", b"old ", "big") + chunk(b"ID3 ", _ID3, "big")
    whole = form(b"FORM", b"AIFF", common, data, texts, order="big")
    return Sample("a.aif", whole, 12 + len(common + data), ((4, 4, "big"), (12 + len(common) + 4, 4, "big")))


def _avi() -> Sample:
    numbers = (40_000, 0, 0, 0x10, 250, 0, 1, 0, 320, 240, 0, 0, 0, 0)
    headers = chunk(b"LIST", b"hdrl" + chunk(b"avih", struct.pack("<14I", *numbers)))
    whole = form(b"RIFF", b"AVI ", headers, _INFO, chunk(b"LIST", b"movi" + chunk(b"00dc", b"frame!" * 50)))
    movie = 12 + len(headers + _INFO)
    return Sample("a.avi", whole, len(whole), tuple((at, 4, "little") for at in (4, movie + 4, movie + 16)))


def _mp3() -> Sample:
    start = _ID3 + sound()
    return Sample("a.mp3", start + sound() + v1(), len(start))


def _flac() -> Sample:
    content = flac((COMMENTS, comments("TITLE=old", "DESCRIPTION=old", "ARTIST=Someone")))
    return Sample("a.flac", content, len(content))


def _ogg() -> Sample:
    # What is between the headers and the last page is never read, so it need not be pages.
    content = vorbis(comments("TITLE=old", "DESCRIPTION=old", "ARTIST=Someone"))
    return Sample("a.ogg", content, content.rindex(b"OggS"))


def _pdf() -> Sample:
    # Zeros between an object and the table are blanks.
    content = _saved("PDF", title="old", author="Someone", subject="old", keywords="old")
    start, at = content.rindex(b"startxref\n") + 10, content.rindex(b"xref\n0 ")
    offset = int(content[start:].split()[0])
    assert offset == at
    content = content[:start] + b"%010d\n%%%%EOF" % offset
    return Sample("a.pdf", content, at, ((start, 10, "decimal"),))


def _gif() -> Sample:
    return Sample("a.gif", _saved("GIF"), 0)


def _svg() -> Sample:
    content = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'
    return Sample("a.svg", content, 0)


WITH_INDEX: dict[str, Callable[[], Sample]] = {
    "3GP": lambda: _film("a.3gp", b"3gp4", header_first=False),
    "AIFF": _aiff,
    "AVI": _avi,
    "AVIF": lambda: _heif("a.avif", b"avif"),
    "DNG": lambda: _tiff("a.dng"),
    "FLAC": _flac,
    "HEIC": lambda: _heif("a.heic", b"heic"),
    "JPEG": _jpeg,
    "JPEG 2000": _jp2,
    "JPEG XL": _jxl,
    "M4A": lambda: _film("a.m4a", b"M4A ", header_first=True),
    "MOV": lambda: _film("a.mov", b"qt  ", header_first=False),
    "MP3": _mp3,
    "MP4": lambda: _film("a.mp4", b"isom", header_first=True),
    "Ogg": _ogg,
    "PDF": _pdf,
    "PNG": _png,
    "PSD": _psd,
    "TIFF": _tiff,
    "WAV": _wav,
    "WebP": _webp,
}
"""The formats that say where their metadata are, so that the rest need not be read."""

WITHOUT_INDEX: dict[str, Callable[[], Sample]] = {
    "GIF": _gif,
    "Illustrator": lambda: Sample("a.ai", EPS, 0),
    "InDesign": lambda: Sample("a.indd", INDD, 0),
    "PostScript": lambda: Sample("a.eps", EPS, 0),
    "SVG": _svg,
}
"""The others. All but InDesign, whose length is a number of pages, have to be searched or read as a whole."""
