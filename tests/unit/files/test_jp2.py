"""JPEG 2000: metadata boxes change, the codestream and all other boxes stay as they are."""

from __future__ import annotations

import contextlib
import io
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.jp2 import Jp2
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from PIL import Image
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.test_heif import C2PA, EVERYTHING, TITLE, XMP, box, children, survives
from unit.files.witnesses import Memory, appended_first_and_patched_later

EXIF = b"JpgTiffExif->JP2"
IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
PHOTOSHOP = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
SMALL_EXIF = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHI4s", 0x0131, 2, 2, b"x\0\0\0") + bytes(4)
OURS = (XMP, EXIF, IPTC)


def jp2(*before: bytes, behind: bytes = b"", open_ended: bool = False) -> bytes:
    """A small picture with boxes in front of its codestream and behind it."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(buffer, "JPEG2000")
    plain = buffer.getvalue()
    start = plain.index(b"jp2c") - 4
    code = (bytes(4) if open_ended else struct.pack(">I", len(plain) - start)) + plain[start + 4 :]
    return plain[:start] + b"".join(before) + code + behind


def uuid(name: bytes, content: bytes) -> bytes:
    return box(b"uuid", name + content)


def dataset(number: int, text: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        return image.tobytes()


def others(content: bytes) -> list[bytes]:
    """All boxes that are not ours, with the codestream's length made plain."""
    start, end = content.index(b"jp2c") - 4, len(content)
    if content[start : start + 4] == bytes(4):
        content = content[:start] + struct.pack(">I", end - start) + content[start + 4 :]
    found = [(kind, content[start:end]) for kind, start, end in children(content, 0, len(content))]
    return [kind + data for kind, data in found if not (kind == b"uuid" and data.startswith(OURS))]


GEO_BOX = uuid(GEO, b"II*\0a map")
XML_BOX = box(b"xml ", b"<gml/>")


@pytest.mark.parametrize(
    "content",
    [
        jp2(),
        jp2(open_ended=True),
        jp2(GEO_BOX, XML_BOX, behind=XML_BOX),
        jp2(GEO_BOX, uuid(XMP, packet(TITLE.format("old"))), uuid(EXIF, SMALL_EXIF)),
        jp2(uuid(EXIF, b"Exif\0\0" + SMALL_EXIF), open_ended=True),
    ],
)
def test_everything_is_set_changed_and_cleared_and_all_else_stays(library: Library, content: bytes) -> None:
    key = library.add("a.jp2", content)
    old = library.read(key).tags

    library.write(key, EVERYTHING)
    assert library.read(key).tags == EVERYTHING
    assert others(library.bytes_of(key)) == others(content)
    assert pixels(library.bytes_of(key)) == pixels(content)

    library.write(key, {"title": "Other", "description": "long " * 2000})
    assert library.read(key).tags["description"] == ("long " * 2000).strip()
    assert others(library.bytes_of(key)) == others(content)

    library.write(key, dict.fromkeys({*EVERYTHING, *old}))
    assert library.read(key).tags == {}
    assert others(library.bytes_of(key)) == others(content)


@pytest.mark.tool("exiftool")
def test_exiftool_reads_the_tags_and_finds_nothing_wrong(library: Library) -> None:
    key = library.add("a.jp2", jp2(uuid(IPTC, dataset(5, b"old"))))
    library.write(key, EVERYTHING)

    said = json.loads(finished(["exiftool", "-j", "-G1", "-n", "-all", "-validate", "a.jp2"], library.path).stdout)[0]

    assert said["ExifTool:Validate"] in ("OK", "0 0 0")
    assert said["XMP-dc:Title"] == said["IPTC:ObjectName"] == "Tïtle"
    assert said["GPS:GPSLatitude"] == 48.4
    assert said["ExifIFD:DateTimeOriginal"] == "2020:02:03 04:05:06"


def test_a_first_write_is_appended_and_later_ones_are_patched(library: Library) -> None:
    content = jp2(behind=box(b"free", bytes(3_000_000)))
    key = library.add("a.jp2", content)

    appended_first_and_patched_later(library, key, content)


def test_nothing_goes_behind_a_codestream_without_an_end(library: Library) -> None:
    content = jp2(open_ended=True)
    key = library.add("a.jp2", content)

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    code = content[content.index(b"jp2c") - 4 :]
    assert library.bytes_of(key).endswith(code)


def test_iptc_is_a_form_where_it_is_and_is_not_made_elsewhere(library: Library) -> None:
    key = library.add("a.jp2", jp2(uuid(IPTC, dataset(5, b"old") + dataset(25, b"cat"))))
    assert library.read(key).tags == {"title": "old", "keywords": ["cat"]}

    for title in ("odd", "even"):
        library.write(key, {"title": title})
        assert dataset(5, title.encode()) in library.bytes_of(key)
        assert library.read(key).tags == {"title": title, "keywords": ["cat"]}

    plain = library.add("b.jp2", jp2())
    library.write(plain, {"title": "T"})
    assert IPTC not in library.bytes_of(plain)


def test_what_one_block_gains_another_gives(library: Library) -> None:
    blocks = (uuid(EXIF, SMALL_EXIF), uuid(IPTC, dataset(5, b"old")))
    key = library.add("a.jp2", jp2(*blocks, behind=box(b"free", bytes(200_000))))
    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE

    for title in ("odd", "even", "even longer"):
        assert library.write(key, {"title": title}).mode is Mode.PATCH
    assert library.write(key, {"gps": {"lat": 1.0, "lon": 2.0}}).mode is Mode.PATCH


def test_what_is_found_by_its_place_does_not_move(library: Library) -> None:
    content = jp2(box(b"cidx", b"where things are"))
    key = library.add("a.jp2", content)
    assert library.write(key, EVERYTHING).mode is Mode.APPEND
    assert library.bytes_of(key).startswith(content)

    key = library.add("b.jp2", jp2(box(b"cidx", b"where things are"), open_ended=True))
    planned = library.write(key, EVERYTHING)
    assert planned.mode is Mode.SIDECAR
    assert "found by their place" in planned.note


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (jp2(uuid(XMP, packet("")), uuid(XMP, packet(""))), "several XMP"),
        (jp2(uuid(EXIF, SMALL_EXIF), uuid(EXIF, SMALL_EXIF)), "several Exif"),
        (jp2(uuid(EXIF, b"MM")), "no header"),
        (jp2(uuid(XMP, b"<x:xmpmeta><broken")), "cannot be parsed"),
        (jp2(uuid(C2PA, b"manifest")), "Content Credentials"),
        (jp2(box(b"jumb", b"....jumdc2pa")), "Content Credentials"),
        (jp2(uuid(PHOTOSHOP, b"8BIM\4\4\0\0\0\0\0\x0a" + dataset(5, b"title"))), "Photoshop's image resources"),
        (jp2(box(b"xml ", packet(""))), "not marked as such"),
        (jp2().replace(b"jp2c", b"ftbl"), "no picture"),
        (jp2()[:-10], "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.jp2", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_bare_codestream_gets_a_sidecar(library: Library) -> None:
    content = jp2()
    key = library.add("a.j2k", content[content.index(b"jp2c") + 4 :])

    assert library.write(key, {"title": "T"}).mode is Mode.SIDECAR


def test_the_picture_is_measured(library: Library) -> None:
    reading = library.read(library.add("a.jp2", jp2()))

    assert (reading.format, reading.width, reading.height) == ("JPEG 2000", 64, 48)


SAMPLE = jp2(GEO_BOX, uuid(XMP, packet("")), uuid(EXIF, SMALL_EXIF), uuid(IPTC, dataset(5, b"old")), open_ended=True)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(8, 1200))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(12, len(content)))]))

    with contextlib.suppress(FileProblem):
        survives(Jp2, media)

    assert media.reads < 100_000
