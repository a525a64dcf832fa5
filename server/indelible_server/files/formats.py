"""Formats: their names, how they are told by content, and by extension where the content does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN = "unknown"
KIND_RAW = "raw"
XMP_EXTENSION = "xmp"


@dataclass(frozen=True)
class Format:
    """A file format; `kind` is raw, image, video, audio or document."""

    name: str
    kind: str
    extensions: tuple[str, ...]


FORMATS = (
    Format("JPEG", "image", ("jpg", "jpeg", "jpe", "jfif", "mpo")),
    Format("PNG", "image", ("png", "apng")),
    Format("GIF", "image", ("gif",)),
    Format("TIFF", "image", ("tif", "tiff", "btf")),
    Format("WebP", "image", ("webp",)),
    Format("PSD", "image", ("psd", "psb")),
    Format("BMP", "image", ("bmp", "dib")),
    Format("SVG", "image", ("svg",)),
    Format("HEIC", "image", ("heic", "heif", "hif")),
    Format("AVIF", "image", ("avif",)),
    Format("JPEG 2000", "image", ("jp2", "j2k", "jpx", "jpf")),
    Format("JPEG XL", "image", ("jxl",)),
    Format("DNG", "image", ("dng",)),
    Format("CR3", "raw", ("cr3",)),
    Format("CR2", "raw", ("cr2",)),
    Format("CRW", "raw", ("crw",)),
    Format("NEF", "raw", ("nef", "nrw")),
    Format("ARW", "raw", ("arw", "sr2", "srf")),
    Format("ORF", "raw", ("orf",)),
    Format("RW2", "raw", ("rw2", "rwl")),
    Format("RAF", "raw", ("raf",)),
    Format("PEF", "raw", ("pef",)),
    Format("SRW", "raw", ("srw",)),
    Format("X3F", "raw", ("x3f",)),
    Format("raw", "raw", ("3fr", "fff", "iiq", "mos", "mrw", "erf", "kdc", "dcr", "mef", "gpr")),
    Format("PDF", "document", ("pdf",)),
    Format("PostScript", "document", ("eps", "ps")),
    Format("Illustrator", "document", ("ai",)),
    Format("InDesign", "document", ("indd", "indt")),
    Format("MP4", "video", ("mp4", "m4v", "mp4v")),
    Format("MOV", "video", ("mov", "qt")),
    Format("3GP", "video", ("3gp", "3g2", "3gpp")),
    Format("AVI", "video", ("avi",)),
    Format("MKV", "video", ("mkv", "webm")),
    Format("MPEG", "video", ("mpg", "mpeg", "m2v", "mts", "m2ts", "ts")),
    Format("WMV", "video", ("wmv", "asf")),
    Format("MP3", "audio", ("mp3",)),
    Format("M4A", "audio", ("m4a", "m4b", "m4p")),
    Format("FLAC", "audio", ("flac",)),
    Format("Ogg", "audio", ("ogg", "oga", "opus", "spx")),
    Format("WAV", "audio", ("wav", "wave")),
    Format("AIFF", "audio", ("aif", "aiff", "aifc")),
    Format("WMA", "audio", ("wma",)),
)

_BY_EXTENSION = {ending: entry for entry in FORMATS for ending in entry.extensions}
_KINDS = {entry.name: entry.kind for entry in FORMATS}

_MAGIC = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"8BPS", "PSD"),
    (0, b"BM", "BMP"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"FUJIFILMCCD-RAW", "RAF"),
    (0, b"FOVb", "X3F"),
    (0, b"IIRO", "ORF"),
    (0, b"IIRS", "ORF"),
    (0, b"IIU\0", "RW2"),
    (8, b"CR\x02", "CR2"),
    (6, b"HEAPCCDR", "CRW"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d"), "InDesign"),
    (8, b"WEBP", "WebP"),
    (8, b"AVI ", "AVI"),
    (8, b"WAVE", "WAV"),
    (8, b"AIFF", "AIFF"),
    (8, b"AIFC", "AIFF"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (0, b"\x1aE\xdf\xa3", "MKV"),
    (8, b"crx ", "CR3"),
    (8, b"avif", "AVIF"),
    (8, b"avis", "AVIF"),
    (8, b"heic", "HEIC"),
    (8, b"heix", "HEIC"),
    (8, b"heim", "HEIC"),
    (8, b"heis", "HEIC"),
    (8, b"hevc", "HEIC"),
    (8, b"hevx", "HEIC"),
    (8, b"mif1", "HEIC"),
    (8, b"msf1", "HEIC"),
    (8, b"qt  ", "MOV"),
    (8, b"M4A ", "M4A"),
    (8, b"M4B ", "M4A"),
    (8, b"M4P ", "M4A"),
    (8, b"3gp", "3GP"),
    (8, b"3g2", "3GP"),
    (4, b"ftyp", "MP4"),
)

_OLD_MOVIE = re.compile(rb"....(?:moov|mdat)|\0...(?:wide|free|skip|pnot)", re.DOTALL)
"""Older files of QuickTime begin without a word about what they are; and texts may begin with "The free"."""
_SHARED = {"MP3": "audio", "PostScript": "document", "PDF": "document", "MP4": "video"}
"""Content that several formats begin with: an extension of this kind says which it is."""
_AVIF = b"avif"
_WITH_MAGIC = frozenset(name for _, _, name in _MAGIC) - {"MP3"}


def extension(name: str) -> str:
    """The extension of a file name, in lower case, without its dot."""
    base = name.rpartition("/")[2]
    stem, dot, ending = base.rpartition(".")
    return ending.lower() if dot and stem else ""


def kind_of(format_name: str) -> str:
    """The kind of a format: raw, image, video, audio, document or unknown."""
    return _KINDS.get(format_name, UNKNOWN)


def format_named(name: bytes) -> str:
    """The format that a file's name promises."""
    named = _BY_EXTENSION.get(extension(name.decode("utf-8", "replace")))
    return named.name if named else UNKNOWN


def format_of(name: bytes, head: bytes) -> str:
    """The format of a file with this name and first bytes. Content comes first: a name may lie."""
    named = _BY_EXTENSION.get(extension(name.decode("utf-8", "replace")))
    found = next((name for offset, magic, name in _MAGIC if head.startswith(magic, offset)), None)
    if found is None and _OLD_MOVIE.match(head):
        found = "MOV"
    if found == "HEIC" and _AVIF in _brands(head):
        found = "AVIF"
    if named is None:
        # Many kinds of sound can begin with an ID3 tag.
        return UNKNOWN if found == "MP3" and extension(name.decode("utf-8", "replace")) else found or UNKNOWN
    if found is None:
        return named.name if named.name not in _WITH_MAGIC else UNKNOWN
    if found == "TIFF" and (named.kind == "raw" or named.name == "DNG"):
        return named.name
    return named.name if _SHARED.get(found) == named.kind else found


def _brands(head: bytes) -> set[bytes]:
    """What a file that says that it is a collection of pictures is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[start : start + 4] for start in range(16, end, 4)}
