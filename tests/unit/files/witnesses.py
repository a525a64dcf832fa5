"""Witnesses of a container module: ExifTool, and a round through memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.container import Container
from indelible_server.files.plan import Mode, Patch
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import Tags
from unit.files.library import Library, packet

EVERYTHING: Tags = {
    "title": "A title, 題名",
    "headline": "A headline",
    "description": "Two\nlines",
    "keywords": ["animals|cat", "näher"],
    "people": ["Ann", "Bo"],
    "event": "An event",
    "rating": 4,
    "label": "Red",
    "flag": 1,
    "creators": ["First; Inc.", "Second"],
    "copyright": "© someone",
    "credit": "A credit",
    "source": "A source",
    "instructions": "Instructions",
    "place.city": "Köln",
    "place.country_code": "DEU",
    "gps": {"lat": 50.94, "lon": 6.96},
    "taken_at": "2021-02-09T14:29:00+01:00",
}
"""A value for fields of every kind."""


class Memory:
    """A file in memory, as far as containers look at files."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.reads += 1
        return self.content[offset : offset + length]


def exiftool(path: Path, *options: str) -> dict[str, Any]:
    """What ExifTool says about a file, by group and name."""
    command = ["exiftool", "-j", "-G1", "-a", *options, str(path)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    return {key: value for key, value in found.items() if key != "SourceFile"}


def warnings(path: Path) -> list[str]:
    """What ExifTool finds wrong with a file."""
    command = ["exiftool", "-validate", "-warning", "-error", "-a", "-s3", str(path)]
    found = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    return sorted(found.splitlines()[1:])


def goes_round(library: Library, name: str, content: bytes) -> None:
    """Set everything, change it and clear it: read back each time, and the content is what it was."""
    key = library.add(name, content)
    for changes in (EVERYTHING, {"title": "Other", "creators": ["Third"]}, dict.fromkeys(EVERYTHING)):
        before = library.read(key).tags
        library.write(key, changes)
        after = {field: value for field, value in (before | changes).items() if value is not None}
        assert library.read(key).tags == after
        assert not library.plan(key, after).files
        assert library.names() == {name}


def patched(content: bytes, patches: tuple[Patch, ...]) -> bytes:
    """The content after these patches, which are in order, apart, and know what they replace."""
    parts, position = [], 0
    for patch in patches:
        assert patch.offset >= position
        assert content[patch.offset : patch.offset + len(patch.old)] == patch.old
        parts += [content[position : patch.offset], patch.new]
        position = patch.offset + len(patch.old)
    return b"".join([*parts, content[position:]])


def shown(container: Container, content: bytes) -> bytes:
    """The bytes that a container says no metadata touches."""
    return b"".join(content[start : start + length] for start, length in container.content)


def survives(make: Callable[[Any], Container], content: bytes) -> Container | None:
    """Open any bytes and, if nothing is wrong, write a packet: it is read back, and the content is what it was."""
    media = Memory(content)
    try:
        container = make(media)
        wanted = packet("", about='xmp:Rating="4"').ljust(len(container.xmp or b""))
        if container.refusal or not container.takes_xmp:
            return container
        after = patched(content, container.set_blocks(Blocks(xmp=wanted)))
    except FileProblem:
        return None
    finally:
        assert media.reads < 100_000
    again = make(Memory(after))
    assert again.refusal is None
    assert b'xmp:Rating="4"' in (again.xmp or b"")
    assert shown(again, after) == shown(container, content)
    return container


def mangled(data: st.DataObject, content: bytes) -> bytes:
    """The content with a few bytes changed, and cut off somewhere."""
    mutable = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        mutable[data.draw(st.integers(0, len(mutable) - 1))] = data.draw(st.integers(0, 255))
    return bytes(mutable[: data.draw(st.integers(len(content) // 2, len(content)))])


def appended_first_and_patched_later(library: Library, key: bytes, content: bytes) -> None:
    """First writes of a file of these bytes are appended, later ones patched, and the bytes stay as they are."""
    assert library.write(key, {"title": "T"}).mode is Mode.APPEND
    assert library.write(key, {"gps": {"lat": 1.0, "lon": 2.0}, "taken_at": "2020-01-01"}).mode is Mode.APPEND
    for number in range(20):
        changes = {"title": f"Title {number}", "gps": {"lat": float(number), "lon": 2.0}}
        planned = library.write(key, changes)
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 16 * 1024

    assert library.bytes_of(key).startswith(content)
