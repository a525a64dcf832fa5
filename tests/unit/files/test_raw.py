"""Makers' raw files: what camera and photographer say in them is read, and nothing is ever written into them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers import READ_ONLY, identify
from indelible_server.files.plan import Home, Mode
from indelible_server.files.tags import Tags
from unit.files.library import Library, packet
from unit.files.native import BYTE, DATE, LONG, RATIONAL, SHORT, text, tiff
from unit.files.sounds import damaged

POSITION = (RATIONAL, struct.pack("<6I", 10, 1, 30, 1, 0, 1))
SIZE = {0x0100: (SHORT, struct.pack("<H", 6000)), 0x0101: (SHORT, struct.pack("<H", 4000))}
MAKE = {0x010F: text("Indelible"), 0x0110: text("Indelible 1"), 0x013B: text("Ann")}
RAW = tiff(
    "<",
    MAKE | SIZE | {0x02BC: (BYTE, packet("", about='xmp:Rating="3"'))},
    {0x9003: DATE},
    {1: text("N"), 2: POSITION, 3: text("E"), 4: POSITION},
)
HELD: Tags = {
    "creators": ["Ann"],
    "rating": 3,
    "taken_at": "2020-01-02T03:04:05",
    "gps": {"lat": 10.5, "lon": 10.5},
}


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.nef", b"II*\0"), ("a.arw", b"II*\0"), ("a.3fr", b"II*\0"), ("a.orf", b"IIRO"), ("a.rw2", b"IIU\0")],
)
def test_what_a_raw_file_says_is_read_and_goes_into_its_sidecar_with_the_first_edit(
    library: Library, name: str, head: bytes
) -> None:
    content = head + RAW[4:]
    key = library.add(name, content)

    reading = library.read(key)
    assert reading.tags == HELD
    assert (reading.width, reading.height, reading.camera) == (6000, 4000, "Indelible 1")
    assert reading.note == "nothing can be embedded"
    assert not library.plan(key, HELD).files

    assert library.write(key, {"creators": ["Bob"]}).mode is Mode.SIDECAR
    assert library.bytes_of(key) == content
    assert library.read(key).homes == {Home.SIDECAR: HELD | {"creators": ["Bob"]}, Home.EMBEDDED: HELD}
    assert not library.plan(key, HELD | {"creators": ["Bob"]}).files


def test_the_sidecar_comes_first_and_the_raw_file_adds_what_it_lacks(library: Library) -> None:
    key = library.add("a.nef", RAW)
    library.add("a.xmp", packet("", about='xmp:Rating="5"'))

    assert library.read(key).tags == HELD | {"rating": 5}


def test_what_was_not_read_before_is_no_change_by_others(library: Library) -> None:
    key = library.add("a.nef", RAW)
    library.add("a.xmp", packet("", about='xmp:Rating="5"'))

    planned = library.plan(key, {"rating": 5, "title": "T"}, base={Home.SIDECAR: {"rating": 5}})

    assert planned.tags == {"rating": 5, "title": "T"}
    assert not planned.conflicts


def test_the_size_is_that_of_the_largest_picture(library: Library) -> None:
    start = len(RAW)
    small = {tag: (SHORT, struct.pack("<H", 160)) for tag in SIZE}
    sensor = struct.pack("<H", 2) + b"".join(struct.pack("<HHIHH", tag, 3, 1, 5000, 0) for tag in SIZE) + bytes(4)
    block = tiff("<", MAKE | small | {0x014A: (LONG, struct.pack("<I", start))})
    key = library.add("a.nef", block.ljust(start, b"\0") + sensor)

    assert (library.read(key).width, library.read(key).height) == (5000, 5000)

    exif = {0xA002: (LONG, struct.pack("<I", 7000)), 0xA003: (LONG, struct.pack("<I", 5000))}
    key = library.add("a.cr2", tiff("<", MAKE | small, exif))

    assert (library.read(key).width, library.read(key).height) == (7000, 5000)

    borders = {4 + at: (SHORT, struct.pack("<H", number)) for at, number in enumerate((6, 8, 2742, 3656))}
    key = library.add("a.rw2", b"IIU\0" + tiff("<", MAKE | borders)[4:])

    assert (library.read(key).width, library.read(key).height) == (3648, 2736)


@pytest.mark.parametrize("content", [b"II*\0raw", b"\0MRM of another build", RAW[:40], b""])
def test_of_a_file_of_another_build_only_the_sidecar_is_read(library: Library, content: bytes) -> None:
    key = library.add("a.mrw", content)

    assert library.read(key).homes == {}
    assert library.read(key).note == "nothing can be embedded"
    assert library.write(key, {"title": "T"}).mode is Mode.SIDECAR
    assert library.read(key).tags == {"title": "T"}
    assert library.bytes_of(key) == content


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(sorted(READ_ONLY)))
def test_hostile_files_never_crash_nor_hang_the_parser(data: st.DataObject, name: str) -> None:
    container = identify(damaged(data, RAW), name)  # type: ignore[arg-type] # reads like a MediaFile

    if container is not None:
        assert container.refusal is not None
        assert container.width is None or container.width > 0
        assert container.xmp != b""
