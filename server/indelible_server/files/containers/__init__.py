"""Containers: where a format keeps its metadata blocks. A file is judged by its content, not by its name."""

from __future__ import annotations

from collections.abc import Callable

from ..media import MediaFile
from ..problems import FileProblem, Reason
from .container import Container
from .gif import Gif
from .indesign import InDesign
from .jpeg import Jpeg
from .png import Png
from .postscript import PostScript
from .psd import Psd
from .svg import Svg

_MODULES: dict[str, Callable[[MediaFile], Container]] = {
    "JPEG": Jpeg,
    "GIF": Gif,
    "PNG": Png,
    "PSD": Psd,
    "SVG": Svg,
    "PostScript": PostScript,
    "Illustrator": PostScript,
    "InDesign": InDesign,
}
EMBEDDABLE = frozenset(_MODULES)
"""The formats that have a container module."""


def identify(media: MediaFile, format_name: str) -> Container | None:
    """The container in a file of this format; None for a format that nothing can be embedded into.

    What cannot be parsed, for damage or for something that is not known, is a container that says only that.
    """
    module = _MODULES.get(format_name)
    if module is None:
        return None
    try:
        return module(media)
    except FileProblem as problem:
        if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
            raise
        unreadable = Container(media)
        unreadable.refusal = problem
        return unreadable
