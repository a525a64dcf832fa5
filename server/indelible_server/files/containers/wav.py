"""WAV: chunks of sound. Beyond 4 GiB, the first chunk says how long the whole and the sound are."""

from __future__ import annotations

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .container import Range
from .riff import Riff

_LONG = (b"RF64", b"BW64")
_OPEN = 0xFFFFFFFF
_LENGTHS, _LENGTHS_AT, _LENGTHS_SPAN = b"ds64", 20, 16


class Wav(Riff):
    """A WAV file."""

    def __init__(self, media: MediaFile) -> None:
        magic = media.read(0, 4)
        self._is_long = magic in _LONG
        if magic != b"RIFF" and not self._is_long:
            raise FileProblem(Reason.UNSUPPORTED, "the file's numbers are written in a way that is not known")
        if self._is_long and media.read(12, 4) != _LENGTHS:
            raise FileProblem(Reason.CORRUPT, "the file does not say how long it is")
        super().__init__(media)
        self._sound = self._of_kind(b"data")
        if not self._sound or not self._sound[0].length:
            self.refuse(Reason.UNSUPPORTED, "the file does not say how long its sound is")
        form = self._of_kind(b"fmt ")
        speed = int.from_bytes(media.read(form[0].data + 8, 4), "little") if form else 0
        if speed and self._sound:
            self.duration_s = self._sound[0].length / speed

    @property
    def content(self) -> tuple[Range, ...]:
        """The sound."""
        return tuple((found.data, found.length) for found in self._sound)

    def _outer_length(self) -> int:
        return self._lengths()[0] if self._is_long else super()._outer_length()

    def _long(self) -> int | None:
        return self._lengths()[1] if self._is_long else None

    def _lengths(self) -> tuple[int, int]:
        """How long the whole and the sound are."""
        data = self.media.read(_LENGTHS_AT, _LENGTHS_SPAN)
        return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")

    def _outer(self, growth: int) -> list[Patch]:
        if not self._is_long or not growth:
            return super()._outer(growth)
        length = self._end - 8 + growth
        return [Patch(_LENGTHS_AT, self.media.read(_LENGTHS_AT, 8), length.to_bytes(8, "little"))]
