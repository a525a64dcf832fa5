"""XMP in JPEG: only the XMP segment changes, and what points at things behind it stays right."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.jpeg import Jpeg
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from PIL import Image
from unit.files.library import XMP_SIGNATURE, Library, jpeg, packet, picture, segment, xmp_segment


class Memory:
    """A file in memory, as far as containers look at files."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self.content[offset : offset + length]


def without_xmp(content: bytes) -> bytes:
    """The file without its XMP segments."""
    parts, position = [content[:2]], 2
    while content[position + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, position + 2)
        end = position + 2 + length
        if not content.startswith(XMP_SIGNATURE, position + 4):
            parts.append(content[position:end])
        position = end
    return b"".join([*parts, content[position:]])


def mpf_file(*, xmp_behind: bool) -> bytes:
    """Two pictures, the second found through an MPF directory."""
    second = picture((200, 0, 0))
    xmp = xmp_segment("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>t</rdf:li></rdf:Alt></dc:title>")

    def build(size: int, offset: int) -> bytes:
        entries = struct.pack(">IIIHH", 0x30000, size, 0, 0, 0) + struct.pack(">IIIHH", 0, len(second), offset, 0, 0)
        header = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + struct.pack(">HHII", 0xB002, 7, 32, 26) + bytes(4)
        directory = segment(0xE2, b"MPF\0" + header + entries)
        return jpeg(*((directory, xmp) if xmp_behind else (xmp, directory)))

    size = len(build(0, 0))
    first = build(size, 0)
    base = first.index(b"MPF\0") + 4
    return build(size, size - base) + second


def second_picture(content: bytes) -> bytes:
    """The second picture, found as a reader does."""
    base = content.index(b"MPF\0") + 4
    size, offset = struct.unpack_from(">II", content, base + 26 + 16 + 4)
    return content[base + offset : base + offset + size]


def test_a_first_write_changes_nothing_but_the_xmp_segment(library: Library) -> None:
    before = jpeg(segment(0xE4, b"unknown"), segment(0xFE, b"comment"), trailer=b"trailing data\xff\xd9")
    key = library.add("a.jpg", before)

    assert library.write(key, {"title": "T", "rating": 4}).mode is Mode.REPLACE
    assert without_xmp(library.bytes_of(key)) == before


def test_new_xmp_goes_right_behind_jfif(library: Library) -> None:
    key = library.add("a.jpg", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1")))

    library.write(key, {"title": "T"})

    assert library.bytes_of(key)[20:22] == b"\xff\xe1"


def test_a_second_write_is_patched_in_place_with_few_bytes(library: Library) -> None:
    content = jpeg(trailer=bytes(3_000_000))
    key = library.add("a.jpg", content)
    library.write(key, {"title": "T"})

    for number in range(20):
        planned = library.write(key, {"title": f"Title {number}", "keywords": [f"a|{number}"]})
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024

    assert without_xmp(library.bytes_of(key)) == content


def test_nothing_is_written_when_nothing_has_changed(library: Library) -> None:
    key = library.add("a.jpg", jpeg(xmp_segment("", about='xmp:Rating="3"')))
    before = library.bytes_of(key)

    planned = library.plan(key, {"rating": 3, "title": "  ", "flag": 0})

    assert planned.mode is Mode.UNCHANGED
    assert not planned.files
    assert library.bytes_of(key) == before


@pytest.mark.parametrize("xmp_behind", [False, True])
def test_further_pictures_are_found_after_the_xmp_has_grown(library: Library, xmp_behind: bool) -> None:
    content = mpf_file(xmp_behind=xmp_behind)
    key = library.add("a.jpg", content)
    assert second_picture(content) == picture((200, 0, 0))

    assert library.write(key, {"description": "grown " * 100}).mode is Mode.REPLACE

    after = library.bytes_of(key)
    assert second_picture(after) == picture((200, 0, 0))
    first_size = struct.unpack_from(">I", after, after.index(b"MPF\0") + 4 + 26 + 4)[0]
    assert after[:first_size].endswith(b"\xff\xd9")
    assert after[first_size:] == picture((200, 0, 0))
    assert after.index(XMP_SIGNATURE) < after.index(b"MPF\0")


def test_fill_bytes_between_segments_are_kept(library: Library) -> None:
    content = jpeg(b"\xff\xff\xff" + segment(0xFE, b"comment"), b"\xff" + xmp_segment("", about='xmp:Rating="1"'))
    key = library.add("a.jpg", content)

    library.write(key, {"rating": 5})

    assert b"\xff\xff\xff" + segment(0xFE, b"comment") in library.bytes_of(key)
    assert library.read(key).tags == {"rating": 5}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (jpeg(segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x40jumb....jumdc2pa")), "Content Credentials"),
        (jpeg(xmp_segment("", about='dcterms:provenance="https://cai.example"')), "Content Credentials"),
        (jpeg(xmp_segment(""), xmp_segment("")), "several main XMP packets"),
        (jpeg(xmp_segment("", about='xmpNote:HasExtendedXMP="AB"')), "several segments"),
        (jpeg(segment(0xE1, XMP_SIGNATURE + b"<x:xmpmeta><broken")), "cannot be parsed"),
        (jpeg(trailer=b"AXS!\0\0\0\0\0\0\0\0"), "AFCP"),
        (jpeg()[:100], "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content
    assert library.read(key).tags == {"title": "T"}


def test_tags_that_no_segment_can_hold_go_to_a_sidecar(library: Library) -> None:
    key = library.add("a.jpg", jpeg())

    planned = library.write(key, {"description": "x" * 70_000})

    assert planned.mode is Mode.SIDECAR
    assert "65" in planned.note


def test_a_packet_in_utf16_is_read_and_becomes_utf8(library: Library) -> None:
    text = packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Ünï</rdf:li></rdf:Alt></dc:title>").decode()
    key = library.add("a.jpg", jpeg(segment(0xE1, XMP_SIGNATURE + text.encode("utf-16-be"))))

    assert library.read(key).tags == {"title": "Ünï"}
    library.write(key, {"rating": 1})
    assert library.read(key).tags == {"title": "Ünï", "rating": 1}


def test_the_picture_is_measured(library: Library) -> None:
    reading = library.read(library.add("a.jpg", jpeg()))

    assert (reading.format, reading.width, reading.height) == ("JPEG", 64, 48)


def test_a_file_is_judged_by_its_content(library: Library) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")

    reading = library.read(library.add("a.jpg", buffer.getvalue()))

    assert reading.format == "PNG"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(mpf_file(xmp_behind=True))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(3, len(content)))]))

    container = Jpeg(media)  # type: ignore[arg-type] # reads like a MediaFile
    packet_found = container.xmp
    if container.refusal is None:
        container.set_blocks(Blocks(xmp=packet_found or b"x" * 1000))

    assert media.reads < 100_000
    assert container.refusal is None or isinstance(container.refusal, FileProblem)
