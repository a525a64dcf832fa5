"""What can still be read of a damaged block. It is never written: nobody knows what else points where."""

from __future__ import annotations

from .problems import FileProblem
from .tiff import Directory, Entry, Tiff

_NO_TAG = -1


class TiffRemains(Tiff):
    """A damaged block without what points out of it or is of an unknown kind, and without what only hangs on it.

    Raises `FileProblem` (CORRUPT) if not even its first directory can be told.
    """

    def _entry(self, raw: bytes) -> Entry:
        try:
            return super()._entry(raw)
        except FileProblem:
            return Entry(_NO_TAG, 0, 0, raw, self.source)

    def _linked(self, directory: Directory, tag: int) -> Directory | None:
        try:
            return super()._linked(directory, tag)
        except FileProblem:
            return None

    def _follow(self) -> None:
        """Thumbnails and the like are of no interest here, and are what is damaged most often."""
