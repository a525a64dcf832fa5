"""A damaged Exif block is never written, but what is sound in it is read (mapping section 2)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.exif import Exif
from indelible_server.files.forms import Metadata
from indelible_server.files.metadata import read_tags
from indelible_server.files.plan import Home, Mode
from indelible_server.files.policy import Policy
from indelible_server.files.problems import FileProblem
from unit.files.library import Library, jpeg
from unit.files.native import DATE, RATIONAL, exif_segment, text, tiff

RATIONALS = (RATIONAL, struct.pack(">6I", 10, 1, 30, 1, 0, 1))
SOUND = tiff(
    ">",
    {0x010E: text("A caption"), 0x010F: text("Indelible Optics"), 0x013B: text("Ann")},
    {0x9003: DATE, 0x9286: (7, bytes(12))},
    {1: text("N"), 2: RATIONALS, 3: text("E"), 4: RATIONALS},
)
GPS = {"lat": 10.5, "lon": 10.5}
TAKEN = "2020-01-02T03:04:05"
OUTSIDE = struct.pack(">I", 60_000)


def with_entry(tag: int, kind: int | None = None, pointer: bytes | None = None) -> bytes:
    """The block with another kind or pointer in the one entry of this tag."""
    block, at = bytearray(SOUND), SOUND.index(struct.pack(">H", tag))
    if kind is not None:
        struct.pack_into(">H", block, at + 2, kind)
    if pointer is not None:
        block[at + 8 : at + 12] = pointer
    return bytes(block)


@pytest.mark.parametrize(
    ("block", "held"),
    [
        (SOUND[:-1], {"description": "A caption", "creators": ["Ann"], "taken_at": TAKEN, "gps": GPS}),
        (with_entry(0x010E, pointer=OUTSIDE), {"creators": ["Ann"], "taken_at": TAKEN, "gps": GPS}),
        (with_entry(0x9286, kind=99), {"description": "A caption", "creators": ["Ann"], "taken_at": TAKEN, "gps": GPS}),
        (with_entry(0x8825, pointer=OUTSIDE), {"description": "A caption", "creators": ["Ann"], "taken_at": TAKEN}),
        (b"no block at all", {}),
    ],
)
def test_what_is_sound_in_a_damaged_block_is_read_and_kept_in_a_sidecar(
    library: Library, block: bytes, held: dict[str, object]
) -> None:
    content = jpeg(exif_segment(block))
    key = library.add("a.jpg", content)

    reading = library.read(key)
    assert reading.tags == held
    assert reading.camera == ("Indelible Optics" if held else "")
    assert reading.note

    assert library.write(key, {"title": "T"}).mode is Mode.SIDECAR
    assert library.bytes_of(key) == content
    assert library.read(key).homes[Home.SIDECAR] == held | {"title": "T"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_blocks_never_crash_nor_hang(data: st.DataObject) -> None:
    block = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    try:
        exif = Exif.salvage(bytes(block[: data.draw(st.integers(0, len(block)))]))
    except FileProblem:
        return
    read_tags(Metadata(exif=exif), Policy())
