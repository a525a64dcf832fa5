"""Containers: where a format keeps its metadata blocks. A file is judged by its content, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .container import Container

# Named by their place and loaded when a file of theirs is met: a writer is started again and again, and most libraries
# have files of few kinds.
EMBEDDED: Mapping[str, str] = {
    "3GP": "quicktime.QuickTime",
    "AIFF": "aiff.Aiff",
    "AVI": "avi.Avi",
    "AVIF": "heif.Heif",
    "DNG": "tiff.TiffImage",
    "FLAC": "flac.Flac",
    "GIF": "gif.Gif",
    "HEIC": "heif.Heif",
    "Illustrator": "postscript.PostScript",
    "InDesign": "indesign.InDesign",
    "JPEG 2000": "jp2.Jp2",
    "JPEG XL": "jxl.Jxl",
    "JPEG": "jpeg.Jpeg",
    "M4A": "quicktime.QuickTime",
    "MOV": "quicktime.QuickTime",
    "MP3": "mp3.Mp3",
    "MP4": "quicktime.QuickTime",
    "Ogg": "ogg.Ogg",
    "PDF": "pdf.Pdf",
    "PNG": "png.Png",
    "PSD": "psd.Psd",
    "PostScript": "postscript.PostScript",
    "SVG": "svg.Svg",
    "TIFF": "tiff.TiffImage",
    "WAV": "wav.Wav",
    "WebP": "webp.WebP",
}
"""The formats that tags are embedded into, by name."""
READ_ONLY: Mapping[str, str] = dict.fromkeys(("ARW", "CR2", "NEF", "ORF", "PEF", "RW2", "SRW", "raw"), "raw.Raw")
"""The formats whose tags are only read."""


@cache
def container_class(format_name: str) -> type[Container] | None:
    """What knows the files of this format; None for a format that is not known."""
    place = EMBEDDED.get(format_name) or READ_ONLY.get(format_name)
    if place is None:
        return None
    module, _, name = place.partition(".")
    found: type[Container] = getattr(import_module(f".{module}", __package__), name)
    return found


def identify(media: MediaFile, format_name: str) -> Container | None:
    """The container in a file of this format; None for a format that is not known, or a raw file of another build.

    What cannot be parsed, for damage or for something that is not known, is a container that says only that.
    """
    its_class = container_class(format_name)
    if its_class is None:
        return None
    try:
        return its_class(media)
    except FileProblem as problem:
        if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
            raise
        if format_name in READ_ONLY:
            return None
        unreadable = Container(media)
        unreadable.refusal = problem
        return unreadable
