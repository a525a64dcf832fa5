"""What ExifTool sees in files: all values of each tag, texts in old alphabets as the bytes they are."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from witness_values import text

LATIN = "Latin"
"""What ExifTool is told to take old texts for: each byte is one letter of it, so that the bytes can be had again."""
COMMAND = ("exiftool", "-r", "-j", "-G1:4", "-a", "-struct", "-n", "-q", "-q", "-api", "largefilesupport=1")
# What is not asked for by name is not worked out everywhere.
TAGS = ("-all:all", "-File:CurrentIPTCDigest")
CHARSETS = ("-charset", f"iptc={LATIN}", "-charset", f"exif={LATIN}")


class Record:
    """What ExifTool sees in one file: group and name of a tag, to all its values in the order of the file."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._values: dict[str, list[Any]] = defaultdict(list)
        for key, value in entry.items():
            self._values[re.sub(r":Copy\d+:", ":", key)].append(value)

    def all(self, name: str) -> list[Any]:
        """All values of a tag, the items of lists one by one."""
        found = self._values.get(name, [])
        return [item for value in found for item in (value if isinstance(value, list) else [value])]

    def first(self, name: str) -> Any | None:
        """The first value of a tag, be it a list."""
        found = self._values.get(name)
        return found[0] if found else None

    def alternative(self, name: str) -> str | None:
        """A text in several languages: the default one, else the first."""
        for key, values in self._values.items():
            if key == name or re.fullmatch(re.escape(name) + r"-[a-z]{2,3}(-\w+)*", key):
                return text(self.first(name) if name in self._values else values[0])
        return None

    @property
    def iptc_is_newer(self) -> bool:
        """Whether the digest of IPTC in Photoshop's resources is another than that of what is there."""
        noted, present = self.first("Photoshop:IPTCDigest"), self.first("File:CurrentIPTCDigest")
        return noted is not None and present is not None and noted != present

    @property
    def kind(self) -> str:
        """ExifTool's name of the file's format."""
        return str(self.first("File:FileType") or "")


def exiftool(folder: Path) -> dict[Path, Record]:
    """What ExifTool sees in every file below a folder, in one batch."""
    output = subprocess.run([*COMMAND, *CHARSETS, *TAGS, str(folder)], capture_output=True, check=False).stdout
    found = json.loads(output.decode("utf-8", "replace") or "[]", parse_int=str, parse_float=str)
    return {Path(entry["SourceFile"]): Record(entry) for entry in found}
