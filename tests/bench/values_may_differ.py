"""Why our reading and ExifTool's may differ, each difference by the first reason that holds. Any other is a fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from values import File


@dataclass(frozen=True)
class Reason:
    """A reason: it holds for fields and files by their names, for files that say this of themselves, and if `when`.

    `notes` are what our reading says is wrong with a file, `warnings` what ExifTool does.
    """

    text: str
    fields: str = ".*"
    files: str = ".*"
    notes: str = ""
    warnings: str = ""
    when: Callable[[File, str], bool] = lambda _file, _field: True

    def holds(self, file: File, field: str) -> bool:
        """Whether this is why the field differs in the file."""
        return (
            re.fullmatch(self.fields, field) is not None
            and re.fullmatch(self.files, file.source.name) is not None
            and (not self.notes or any(re.search(self.notes, note) for note in file.notes))
            and (not self.warnings or any(re.search(self.warnings, each) for each in file.warnings))
            and self.when(file, field)
        )


def _only_theirs(file: File, field: str) -> bool:
    return field not in file.ours


def _only_ours(file: File, field: str) -> bool:
    return field not in file.theirs


REASONS = (
    Reason(
        "the format is one that nothing is embedded into, nor read from: its tags are those of its sidecar",
        notes="^nothing can be embedded$",
        when=lambda file, _field: not file.opened,
    ),
    Reason(
        "ExifTool leaves a JPEG that ends within a segment unread; we read the whole segments",
        warnings="JPEG format error",
        when=_only_ours,
    ),
    Reason(
        "the XMP is no well-formed XML, which we report: ExifTool reads what it recognises",
        notes="XMP packet cannot be parsed|not well-formed",
    ),
    Reason(
        "the file's structure is damaged, which we report: nothing behind the damage is believed",
        notes="(boxes|chunks|segments|blocks) are damaged|block is (damaged|cut off)|stream|no sound follows|points out"
        "|picture of its own|header",
        when=_only_theirs,
    ),
    Reason(
        "the length of Ogg and MP3 files is counted by us; ExifTool guesses it from the bit rate, which for a shortened"
        " or variable one is wrong, and knows none of Opus and Speex",
        fields="duration_s",
        files=r".*\.(ogg|opus|spx|mp3)",
    ),
    Reason(
        "ExifTool reads no ID3 tag behind the sound",
        files=r"audacious-trailing-id32-.*\.mp3",
        when=_only_ours,
    ),
    Reason("the file is encrypted, which we report", notes="encrypted", when=_only_theirs),
    Reason(
        "Photoshop's resources under the names of other programs (AgHg, DCSR, PHUT) are not known to ExifTool",
        files=r"exiv2-bug800-.*\.jpg",
        when=_only_ours,
    ),
    Reason(
        "ExifTool takes the Exif of a DNG for the file itself, and gives the size of its thumbnail",
        fields="width|height",
        files=r".*\.exv",
        when=lambda file, field: file.record.kind == "DNG" and _only_theirs(file, field),
    ),
    Reason(
        "the file has several main XMP packets, which we report: the first is read; ExifTool mixes all",
        notes="several main XMP packets",
    ),
    Reason(
        "a position that is written as in Exif, without letters: ExifTool takes parts of the fractions for minutes",
        fields="gps",
        files="images__metadata-extractor__issue-590.png",
    ),
    Reason(
        "a position as a text: it is none, and ExifTool makes another place of it",
        fields="gps",
        files="images__goexif__geodegrees_as_string.jpg",
    ),
    Reason(
        "metadata among Photoshop's resources in PostScript are not read, which we report",
        notes="no XMP packet, and none can be made",
        when=_only_theirs,
    ),
    Reason(
        "a hostile file with two headers: ExifTool takes the false one, we what the picture itself says",
        fields="width|height",
        files="issue_ghsa_mxw9_qx4c_6m8v_poc.jp2",
    ),
    Reason(
        "a digest of IPTC that does not count the zeros behind it is no old one; for ExifTool it is",
        when=lambda file, _field: file.record.kind in ("TIFF", "DNG") and file.record.iptc_is_newer,
    ),
    Reason("ExifTool cannot unpack the file", notes="metadata are compressed", when=_only_ours),
)


def reason_for(file: File, field: str) -> str:
    """Why a field differs in a file; empty if nobody knows."""
    return next((reason.text for reason in REASONS if reason.holds(file, field)), "")
