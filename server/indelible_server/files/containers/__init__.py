"""Containers: where a format keeps its metadata blocks. A file is judged by its content, not by its name."""

from __future__ import annotations

from collections.abc import Mapping

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .aiff import Aiff
from .avi import Avi
from .container import Container
from .flac import Flac
from .gif import Gif
from .heif import Heif
from .indesign import InDesign
from .jp2 import Jp2
from .jpeg import Jpeg
from .jxl import Jxl
from .mp3 import Mp3
from .ogg import Ogg
from .pdf import Pdf
from .png import Png
from .postscript import PostScript
from .psd import Psd
from .quicktime import QuickTime
from .raw import READ_ONLY
from .svg import Svg
from .tiff import TiffImage
from .wav import Wav
from .webp import WebP

MODULES: Mapping[str, type[Container]] = {
    "3GP": QuickTime,
    "AIFF": Aiff,
    "AVI": Avi,
    "AVIF": Heif,
    "DNG": TiffImage,
    "FLAC": Flac,
    "GIF": Gif,
    "HEIC": Heif,
    "Illustrator": PostScript,
    "InDesign": InDesign,
    "JPEG 2000": Jp2,
    "JPEG XL": Jxl,
    "JPEG": Jpeg,
    "M4A": QuickTime,
    "MOV": QuickTime,
    "MP3": Mp3,
    "MP4": QuickTime,
    "Ogg": Ogg,
    "PDF": Pdf,
    "PNG": Png,
    "PSD": Psd,
    "PostScript": PostScript,
    "SVG": Svg,
    "TIFF": TiffImage,
    "WAV": Wav,
    "WebP": WebP,
}
"""The formats that tags are embedded into, by name."""


def identify(media: MediaFile, format_name: str) -> Container | None:
    """The container in a file of this format; None for a format that is not known, or a raw file of another build.

    What cannot be parsed, for damage or for something that is not known, is a container that says only that.
    """
    module = MODULES.get(format_name) or READ_ONLY.get(format_name)
    if module is None:
        return None
    try:
        return module(media)
    except FileProblem as problem:
        if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
            raise
        if format_name in READ_ONLY:
            return None
        unreadable = Container(media)
        unreadable.refusal = problem
        return unreadable
