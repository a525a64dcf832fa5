"""AVI: chunks of video, and an index of where each frame is, counted from the frames or from the file's beginning."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .container import Range
from .riff import Riff

_HEADERS_AT, _HEADER_LENGTH = 12, 56
_HEADER = b"avih"


class Avi(Riff):
    """An AVI file. Nothing in front of its frames may change its length, and nothing does: they never move."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._frames = [found for found in self._of_kind(b"LIST") if media.read(found.data, 4) == b"movi"]
        if not self._frames:
            self.refuse(Reason.CORRUPT, "the file has no frames")
        head = media.read(_HEADERS_AT, 12 + 8 + _HEADER_LENGTH)
        if head[12:16] == _HEADER and len(head) == 12 + 8 + _HEADER_LENGTH:
            numbers = [int.from_bytes(head[20 + at : 24 + at], "little") for at in range(0, _HEADER_LENGTH, 4)]
            self.width, self.height = numbers[8] or None, numbers[9] or None
            self.duration_s = numbers[0] * numbers[4] / 1_000_000 or None

    @property
    def content(self) -> tuple[Range, ...]:
        """The frames."""
        return tuple((found.data, found.length) for found in self._frames)

    def _outer(self, growth: int) -> list[Patch]:
        if growth and self.media.read(self._end, 4) == b"RIFF":
            raise FileProblem(Reason.UNSUPPORTED, "the video goes on behind the place where tags would go")
        return super()._outer(growth)
