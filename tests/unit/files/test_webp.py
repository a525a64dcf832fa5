"""Exif and XMP in WebP: behind the picture, which stays as it is, and told of in the head."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.webp import WebP
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from PIL import Image
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.native import text, tiff
from unit.files.sounds import chunk, chunks_of, damaged, form

EXIF = tiff("<", {0x010F: text("Maker")})
GPS = {"gps": {"lat": 1.5, "lon": 2.5}}


def picture(mode: str = "RGB", **options: object) -> bytes:
    """A small WebP as Pillow writes it."""
    buffer = io.BytesIO()
    Image.new(mode, (64, 48), "#20c04080"[: 7 if mode == "RGB" else 9]).save(buffer, "WEBP", **options)
    return buffer.getvalue()


def extended(*chunks: bytes, flags: int = 0, trailer: bytes = b"") -> bytes:
    """A WebP with a head, a picture and these chunks behind it."""
    head = chunk(b"VP8X", bytes([flags, 0, 0, 0, 63, 0, 0, 47, 0, 0]))
    return form(b"RIFF", b"WEBP", head, picture()[12:], *chunks) + trailer


def pixels(content: bytes) -> bytes:
    """The pixels, decoded."""
    return Image.open(io.BytesIO(content)).convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("content", "alpha"),
    [
        (picture(), 0),
        (picture(lossless=True), 0),
        (picture("RGBA", lossless=True), 0x10),
        (picture("RGBA"), 0x10),
    ],
    ids=["lossy", "lossless", "lossless with alpha", "lossy with alpha"],
)
def test_a_simple_file_gets_a_head_that_tells_what_there_is(library: Library, content: bytes, alpha: int) -> None:
    key = library.add("a.webp", content)
    before = [(kind, data) for kind, data in chunks_of(content) if kind != b"VP8X"]

    library.write(key, {"title": "T", **GPS})

    after = library.bytes_of(key)
    head, *rest = chunks_of(after)
    assert head == (b"VP8X", bytes([0x0C | alpha, 0, 0, 0, 63, 0, 0, 47, 0, 0]))
    assert rest[: len(before)] == before
    assert [kind for kind, _ in rest[len(before) :]] == [b"EXIF", b"XMP "]
    assert pixels(after) == pixels(content)
    reading = library.read(key)
    assert reading.tags == {"title": "T", **GPS}
    assert (reading.format, reading.width, reading.height) == ("WebP", 64, 48)


def test_a_first_write_is_appended_where_there_is_a_head(library: Library) -> None:
    content = extended(chunk(b"odd ", b"xyz"))
    key = library.add("a.webp", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.APPEND
    after = library.bytes_of(key)
    assert after[20] == 0x04
    assert after[21 : len(content)] == content[21:]


def test_later_writes_are_patched_in_place_also_when_exif_grows(library: Library) -> None:
    key = library.add("a.webp", extended(chunk(b"EXIF", EXIF), flags=8))
    library.write(key, {"title": "T"})
    size = len(library.bytes_of(key))

    for number in range(20):
        planned = library.write(key, {"title": f"Title {number}", "gps": {"lat": number, "lon": 1.5}})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024

    assert len(library.bytes_of(key)) == size
    assert Image.open(io.BytesIO(library.bytes_of(key))).getexif()[0x010F] == "Maker"


def test_chunks_of_others_and_what_lies_behind_the_file_stay(library: Library) -> None:
    chunks = [chunk(b"XMP ", packet("")), chunk(b"EXIF", EXIF), chunk(b"mine", b"odd")]
    key = library.add("a.webp", extended(*chunks, flags=0x0C, trailer=b"behind"))

    library.write(key, {"description": "d" * 9000, **GPS})

    after = library.bytes_of(key)
    assert after.endswith(b"behind")
    assert [kind for kind, _ in chunks_of(after)] == [b"VP8X", b"VP8 ", b"mine", b"EXIF", b"XMP "]
    assert dict(chunks_of(after))[b"mine"] == b"odd"
    assert pixels(after) == pixels(extended())


def test_animations_keep_their_frames(library: Library) -> None:
    colours = ["red", "green", "blue"]
    frames = [Image.new("RGB", (8, 8), colour) for colour in colours]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=70)
    key = library.add("a.webp", buffer.getvalue())

    assert library.write(key, {"title": "T"}).mode is Mode.APPEND

    image = Image.open(io.BytesIO(library.bytes_of(key)))
    assert image.n_frames == 3
    image.load()
    assert image.info["duration"] == 70
    assert library.bytes_of(key)[21 : len(buffer.getvalue())] == buffer.getvalue()[21:]


def test_exif_keeps_what_stands_before_it(library: Library) -> None:
    key = library.add("a.webp", extended(chunk(b"EXIF", b"Exif\0\0" + EXIF), flags=8))

    library.write(key, GPS)

    assert dict(chunks_of(library.bytes_of(key)))[b"EXIF"].startswith(b"Exif\0\0II*\0")
    assert library.read(key).tags == GPS


@pytest.mark.tool("exiftool")
def test_exiftool_reads_everything_back(library: Library, tmp_path: Path) -> None:
    key = library.add("a.webp", extended(chunk(b"EXIF", EXIF), flags=8))

    library.write(key, {"title": "Füße", "rating": 5, "gps": {"lat": -1.5, "lon": 2.5}})

    command = ["exiftool", "-j", "-G1", "-n", "-all", "-validate", tmp_path / "a.webp"]
    (told,) = json.loads(finished(command, tmp_path).stdout)
    assert (told["XMP-dc:Title"], told["XMP-xmp:Rating"]) == ("Füße", 5)
    assert (told["GPS:GPSLatitude"], told["IFD0:Make"]) == (1.5, "Maker")
    assert told["RIFF:WebP_Flags"] == 12


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (extended(chunk(b"XMP ", packet("")), chunk(b"XMP ", packet(""))), "several XMP packets"),
        (extended(chunk(b"EXIF", EXIF), chunk(b"EXIF", EXIF)), "several Exif blocks"),
        (extended(chunk(b"C2PA", b"jumb")), "Content Credentials"),
        (extended()[:-10], "shorter than it says"),
        (extended(b"\0\0\0\0\0\0\0\0"), "chunks are damaged"),
        (extended(b"XMP \xff\0\0\0"), "chunks are damaged"),
        (form(b"RIFF", b"WEBP", chunk(b"EXIF", EXIF)), "does not begin with a picture"),
        (form(b"RIFF", b"WEBP", chunk(b"VP8 ", bytes(20))), "head is damaged"),
        (form(b"RIFF", b"WEBP", chunk(b"VP8X", bytes(3))), "head is damaged"),
        (extended(trailer=chunk(b"XMP ", packet(""))), "behind its end"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.webp", content)

    planned = library.write(key, {"title": "New"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    media = damaged(data, extended(chunk(b"EXIF", EXIF), chunk(b"XMP ", packet("")), chunk(b"mine", b"odd"), flags=12))
    try:
        container = WebP(media)  # type: ignore[arg-type] # reads like a MediaFile
        container.set_blocks(Blocks(xmp=container.xmp or b"x" * 1000, exif=container.exif or b"II*\0"))
    except FileProblem:
        pass
    assert media.reads < 10_000
