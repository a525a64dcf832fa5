"""JPEG XL: metadata boxes change, the codestream and all other boxes stay as they are."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.jxl import Jxl
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.test_heif import EVERYTHING, TITLE, box, children, survives
from unit.files.test_jp2 import SMALL_EXIF
from unit.files.witnesses import Memory, appended_first_and_patched_later

START = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
CODE = bytes.fromhex("ff0a3141427121001288") + bytes(range(256)) * 4
"""A codestream of 300 x 200 pixels, as far as anyone looks here."""
EXIF = box(b"Exif", bytes(4) + SMALL_EXIF)
OURS = (b"Exif", b"xml ")


def jxl(*before: bytes, behind: bytes = b"", open_ended: bool = False) -> bytes:
    """A file with boxes in front of its codestream and behind it."""
    code = box(b"jxlc", CODE)
    return START + b"".join(before) + (bytes(4) + code[4:] if open_ended else code) + behind


def xml(title: str) -> bytes:
    return box(b"xml ", packet(TITLE.format(title)))


def others(content: bytes) -> list[bytes]:
    """All boxes that are not ours."""
    start = content.index(b"jxlc") - 4
    if content[start : start + 4] == bytes(4):
        content = content[:start] + struct.pack(">I", len(content) - start) + content[start + 4 :]
    return [kind + content[start:end] for kind, start, end in children(content, 0, len(content)) if kind not in OURS]


@pytest.mark.parametrize(
    "content",
    [
        jxl(),
        jxl(open_ended=True),
        jxl(box(b"jxll", b"\x05"), behind=box(b"jxli", b"index")),
        jxl(xml("old"), EXIF, open_ended=True),
        jxl(box(b"Exif", b"\0\0\0\6Exif\0\0" + SMALL_EXIF), behind=xml("old")),
        jxl(behind=box(b"jumb", b"a picture's depth")),
    ],
)
def test_everything_is_set_changed_and_cleared_and_all_else_stays(library: Library, content: bytes) -> None:
    key = library.add("a.jxl", content)
    old = library.read(key).tags

    library.write(key, EVERYTHING)
    assert library.read(key).tags == EVERYTHING
    assert others(library.bytes_of(key)) == others(content)

    library.write(key, {"title": "Other", "description": "long " * 2000})
    assert library.read(key).tags["description"] == ("long " * 2000).strip()
    assert others(library.bytes_of(key)) == others(content)

    library.write(key, dict.fromkeys({*EVERYTHING, *old}))
    assert library.read(key).tags == {}
    assert others(library.bytes_of(key)) == others(content)


@pytest.mark.tool("exiftool")
def test_exiftool_reads_the_tags_and_finds_nothing_wrong(library: Library) -> None:
    key = library.add("a.jxl", jxl())
    library.write(key, EVERYTHING)

    said = json.loads(finished(["exiftool", "-j", "-G1", "-n", "-all", "-validate", "a.jxl"], library.path).stdout)[0]

    assert said["ExifTool:Validate"] in ("OK", "0 0 0")
    assert said["XMP-dc:Title"] == "Tïtle"
    assert said["GPS:GPSLatitude"] == 48.4
    assert said["ExifIFD:DateTimeOriginal"] == "2020:02:03 04:05:06"


def test_a_first_write_is_appended_and_later_ones_are_patched(library: Library) -> None:
    content = jxl(behind=box(b"jxlp", bytes(3_000_000)))
    key = library.add("a.jxl", content)

    appended_first_and_patched_later(library, key, content)


def test_many_edits_of_many_lengths_hardly_let_the_file_grow(library: Library) -> None:
    key = library.add("a.jxl", jxl())

    for number in range(60):
        moment = f"20{number % 90 + 10}-01-01" + ("T01:01:01.5" if number % 2 else "")
        library.write(key, {"description": "x" * (number * 977 % 20_000 + 1), "taken_at": moment})

    assert len(library.bytes_of(key)) - len(jxl()) <= 64 * 1024


def test_other_xml_is_not_taken_for_xmp(library: Library) -> None:
    foreign = box(b"xml ", b"<svg/>")
    key = library.add("a.jxl", jxl(foreign))

    assert library.write(key, {"title": "T"}).mode is Mode.APPEND

    assert library.bytes_of(key).startswith(jxl(foreign))
    assert library.read(key).tags == {"title": "T"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (jxl(xml("one"), xml("two")), "several XMP"),
        (jxl(EXIF, EXIF), "several Exif"),
        (jxl(box(b"Exif", b"\0\0\1\0MM\0*")), "cut off"),
        (jxl(box(b"Exif", b"\0")), "cut off"),
        (jxl(box(b"brob", b"xml \x0b\x02\x80packed\x03")), "compressed"),
        (jxl(box(b"brob", b"Exif\x0b\x02\x80packed\x03")), "compressed"),
        (jxl(box(b"jbrd", b"how to make the JPEG")), "a JPEG can be made"),
        (jxl(box(b"jumb", b"....jumdc2pa")), "Content Credentials"),
        (jxl(box(b"what", b"points at the picture"), open_ended=True), "found by their place"),
        (START + EXIF, "no picture"),
        (jxl()[:-10], "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.jxl", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_bare_codestream_gets_a_sidecar(library: Library) -> None:
    assert library.write(library.add("a.jxl", CODE), {"title": "T"}).mode is Mode.SIDECAR


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ("ff0a3141427121001288", (300, 200)),
        ("ff0aba5d0309c5850012880200d08263", (4000, 3000)),
        ("ff0a4f404271210012880200f4005de5", (64, 64)),
        ("ff0a2081ce0748282e040012880200d4", (1000, 37)),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_the_picture_is_measured(library: Library, start: str, size: tuple[int, int], in_parts: bool) -> None:
    code = bytes.fromhex(start) + bytes(20)
    content = START + (box(b"jxlp", b"\x80\0\0\0" + code) if in_parts else box(b"jxlc", code))

    reading = library.read(library.add("a.jxl", content))

    assert (reading.format, reading.width, reading.height) == ("JPEG XL", *size)


SAMPLE = jxl(xml("T"), EXIF, behind=box(b"brob", b"what"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(12, len(content)))]))

    with contextlib.suppress(FileProblem):
        survives(Jxl, media)

    assert media.reads < 100_000
