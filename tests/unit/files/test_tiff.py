"""TIFF, BigTIFF and DNG: values change in place or at the end, and nothing else ever moves (mapping section 8)."""

from __future__ import annotations

import json
import os
import shutil
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.tiff import TiffImage
from indelible_server.files.exif import Ifd
from indelible_server.files.exif_file import FileExif
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import same
from indelible_server.files.tiff_file import TiffFile
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.native import ASCII, BYTE, DATE, LONG, SHORT, Values, resource, text, with_note
from unit.files.tiffs import DNG, EVERYTHING, IPTC, OLD_IPTC, PSIR, XMP, Maker, Memory, exif_of, pages, patched, value

LAYOUTS = pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


@LAYOUTS
def test_everything_is_read_back_and_no_page_changes(library: Library, order: str, big: bool) -> None:
    texts = {0x010E: text("old"), 0x013B: text("x"), 0x010F: text("Indelible Optics")}
    maker = Maker(order, big, texts, {0x9003: DATE}, later=({0x010E: text("the second page")}, {}), sub={})
    before = maker.made()
    key = library.add("a.tif", before)
    steps = [EVERYTHING, {"title": "other", "gps": {"lat": 1.5, "lon": 2.0}}, dict.fromkeys(EVERYTHING)]

    for changes, mode in zip(steps, (Mode.APPEND, Mode.PATCH, Mode.PATCH), strict=True):
        assert library.write(key, changes).mode is mode
        after, reading = library.bytes_of(key), library.read(key)
        assert pages(after) == pages(before)
        assert reading.stale == {}
        assert (reading.width, reading.height) == (8, 2)
        assert all(same(name, reading.tags.get(name), wanted) for name, wanted in changes.items())
        assert value(after, 0x010F) == b"Indelible Optics\0"
        assert b"the second page" in after
        assert value(after, 0x014A) == value(before, 0x014A)
    assert b"Gr\xc3\xb6\xc3\x9fe" not in library.bytes_of(key)


@needs_exiftool
@LAYOUTS
def test_exiftool_reads_all_and_warns_of_nothing_new(library: Library, order: str, big: bool) -> None:
    resolution = {tag: (5, Maker(order).number("I", 72, 1)) for tag in (0x011A, 0x011B)}
    maker = Maker(order, big, resolution | {0x0128: (SHORT, Maker(order).number("H", 2)), 0x010E: text("old")})
    key = library.add("a.btf" if big else "a.tif", maker.made())
    # It misses a tag for positions that only this program demands, in its own files too.
    library.write(key, EVERYTHING | {"gps": None})
    command = ["exiftool", "-j", "-G1", "-validate", "-warning", "-a", "-n", "-All", key.decode()]

    found = json.loads(finished(command, library.path).stdout)[0]
    exif = "ExifOffset" if big else "ExifIFD"

    assert found["ExifTool:Validate"] == "0 0 0"
    assert found["XMP-dc:Title"] == "Größe"
    assert found["IFD0:ImageDescription"] == EVERYTHING["description"].strip()
    assert found[f"{exif}:DateTimeOriginal"] == "2021:03:04 05:06:07"
    assert found[f"{exif}:OffsetTimeOriginal"] == "+02:00"


def test_a_value_that_fits_is_patched_where_it_is_and_the_rest_of_it_is_zeroed(library: Library) -> None:
    before = Maker(image={0x010E: text("a caption of some length"), XMP: (BYTE, packet("") + b" " * 4096)}).made()
    key = library.add("a.tif", before)

    assert library.write(key, {"description": "a new caption"}).mode is Mode.PATCH

    after, at = library.bytes_of(key), before.index(b"a caption")
    assert after[at : at + 25] == b"a new caption\0".ljust(25, b"\0")
    assert len(after) == len(before)


def test_what_has_moved_leaves_zeros_and_is_found_again() -> None:
    before = Maker(image={0x010E: text("first value")}).made()
    exif = exif_of(before)
    exif.set(Ifd.IMAGE, 0x010E, ASCII, b"one that is longer\0")
    after = patched(before, exif.to_patches())

    assert value(after, 0x010E) == b"one that is longer\0"
    assert b"first value" not in after
    assert pages(after) == pages(before)


def test_what_two_entries_share_is_not_changed_for_the_sake_of_one() -> None:
    maker = Maker(image={0x010E: text("shared value"), 0x0131: text("another one")})
    before = bytearray(maker.made())
    one, other = (before.index(struct.pack("<HH", tag, ASCII)) + 8 for tag in (0x010E, 0x0131))
    before[other : other + 4] = before[one : one + 4]
    before[other - 4 : other] = before[one - 4 : one]

    exif = exif_of(bytes(before))
    exif.set(Ifd.IMAGE, 0x010E, ASCII, b"new\0")
    after = patched(bytes(before), exif.to_patches())

    assert value(after, 0x010E) == b"new\0"
    assert value(after, 0x0131) == b"shared value\0"


def test_a_directory_that_two_pages_share_is_copied() -> None:
    maker = Maker(exif={0x9003: DATE}, later=({},))
    at = struct.unpack("<I", value(maker.made(), Ifd.EXIF) or b"")[0]
    before = replace(maker, later=({Ifd.EXIF: (LONG, struct.pack("<I", at))},)).made()
    exif = exif_of(before)
    exif.set(Ifd.EXIF, 0x9003, ASCII, b"2001:01:01 00:00:00\0")

    after = patched(before, exif.to_patches())

    assert value(after, 0x9003, Ifd.EXIF) == b"2001:01:01 00:00:00\0"
    assert value(after, Ifd.EXIF) != value(before, Ifd.EXIF)
    assert after[at : at + 18] == before[at : at + 18]
    assert after.count(DATE[1]) == 1


def test_the_next_page_is_found_although_something_else_seems_to_be_where_its_place_is_said() -> None:
    maker = Maker(image={0x010E: text("a caption")}, later=({0x0131: text("misled")},))
    before = bytearray(maker.made() + bytes(8))
    (first,) = struct.unpack_from("<I", before, 4)
    entry = before.index(struct.pack("<HH", 0x0131, ASCII)) + 8
    before[entry : entry + 4] = struct.pack("<I", first + 2 + 12 * 10)
    exif = exif_of(bytes(before))
    exif.set_block(XMP, BYTE, b"x" * 50)

    assert pages(patched(bytes(before), exif.to_patches())) == pages(bytes(before))


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", True)])
def test_a_thousand_edits_do_not_make_the_file_grow(order: str, big: bool) -> None:
    content = Maker(order, big, {0x010E: text("x")}, {0x9003: DATE}, later=({},)).made()
    before, sizes = pages(content), []

    for number in range(1000):
        exif = exif_of(content)
        exif.set(Ifd.IMAGE, 0x010E, ASCII, b"c" * (number * 37 % 500 + 5) + b"\0")
        exif.set_block(XMP, BYTE, bytes([number % 255 + 1]) * (4000 + number * 97 % 3000))
        exif.set(Ifd.GPS, 2, 5, exif.pack("6I", number, 1, 0, 1, 0, 1))
        if number % 3:
            exif.set(Ifd.EXIF, 0x9011, ASCII, b"+02:00\0")
        else:
            exif.remove(Ifd.EXIF, 0x9011)
        patches = exif.to_patches()
        content = patched(content, patches)
        sizes.append(len(content))
        assert value(content, 2, Ifd.GPS) == exif.pack("6I", number, 1, 0, 1, 0, 1)
        assert len(value(content, XMP) or b"") == 4000 + number * 97 % 3000

    assert pages(content) == before
    assert max(sizes) - sizes[2] < 16 * 1024


@pytest.mark.parametrize("copied", [0, 32])
def test_what_another_program_has_written_behind_our_area_stays(library: Library, copied: int) -> None:
    key = library.add("a.tif", Maker().made())
    library.write(key, {"title": "T"})
    before = library.bytes_of(key)
    behind = b"behind" + bytes(26) + before[len(before) - copied :] * bool(copied)
    library.add("a.tif", before + behind)

    library.write(key, {"title": "t" * 9000})

    assert library.bytes_of(key)[len(before) :].startswith(behind)
    assert library.read(key).tags == {"title": "t" * 9000}


def test_writing_the_same_again_changes_nothing(library: Library) -> None:
    key = library.add("a.tif", Maker(image={0x010E: text("x")}).made())
    library.write(key, EVERYTHING)

    assert library.write(key, EVERYTHING).mode is Mode.UNCHANGED


def test_the_content_is_the_image_data_of_all_pages(library: Library) -> None:
    def content() -> bytes:
        data = library.bytes_of(b"a.tif")
        return b"".join(data[at : at + size] for at, size in TiffImage(Memory(data)).content)  # type: ignore[arg-type] # as much of a file as it reads

    key = library.add("a.tif", Maker(later=({}, {}), sub={}).made())
    before = content()
    library.write(key, EVERYTHING)

    assert len(before) == 4 * 16
    assert content() == before


CFA: Values = {0x0106: (SHORT, struct.pack("<H", 32803))}


def test_a_dng_is_as_large_as_its_main_picture(library: Library) -> None:
    main: Values = {0x00FE: (LONG, bytes(4))}
    maker = Maker(image=DNG | {0xC634: (BYTE, b"private data")}, sub=main)
    content = bytearray(maker.made())
    at = content.index(struct.pack("<HHI", 0x0100, SHORT, 1)) + 8
    content[at] = 200
    key = library.add("a.dng", bytes(content))

    library.write(key, EVERYTHING)

    assert library.read(key).width == 200
    assert value(library.bytes_of(key), 0xC634) == b"private data"


def test_a_note_of_the_camera_never_moves(library: Library) -> None:
    block = with_note("<", {0x010E: text("old"), 0x013B: text("x")})
    key = library.add("a.tif", block)

    library.write(key, EVERYTHING)

    assert library.bytes_of(key).index(b"secret of camera") == block.index(b"secret of camera")


def test_a_stack_whose_pictures_are_found_by_counting_stays_as_it_is(library: Library) -> None:
    structure = "ImageJ=1.53t\nimages=3\nslices=3\n"
    content = Maker(image={0x010E: text(structure)}).made() + bytes(range(32))
    key = library.add("a.tif", content)
    assert library.read(key).tags == {}

    library.write(key, EVERYTHING)

    after = library.bytes_of(key)
    assert value(after, 0x010E) == structure.encode() + b"\0"
    assert after[len(content) - 32 : len(content)] == bytes(range(32))


NOTE = b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nKNOWN_INCOMPATIBLE_EDITION=%s"


def ghost(flag: bytes) -> bytes:
    note = NOTE % flag
    return b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(note) + note


def test_a_promise_about_the_layout_is_taken_back(library: Library) -> None:
    key = library.add("a.tif", Maker(begin=ghost(b"NO\n ")).made())

    library.write(key, {"title": "T"})
    assert library.bytes_of(key)[8:].startswith(ghost(b"YES\n"))
    assert library.write(key, {"title": "U"}).mode is Mode.PATCH

    content = Maker(begin=ghost(b"NO\n") + b"x").made()
    key = library.add("a.tif", content)
    assert "layout" in library.write(key, {"title": "T"}).note
    assert library.bytes_of(key) == content


def looping() -> bytes:
    maker = Maker(later=({},))
    return replace(maker, tail=struct.unpack_from("<I", maker.made(), 4)[0]).made()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (Maker(tail=60_000).made(), "directory"),
        (Maker().made()[:-4], "ends before"),
        (Maker(big=True).made()[:8] + bytes([255] * 8), "directory"),
        (looping(), "loop"),
        (b"II+\0\4\0\0\0" + bytes(8), "header"),
        (Maker(sub=CFA).made(), "raw"),
        (Maker(image=CFA).made(), "raw"),
        (Maker(image={0x8606: (BYTE, b"leaf data")}).made(), "raw"),
        (Maker(begin=b"IIIICwaR").made(), "raw"),
        (Maker(image={0xFF8C: (LONG, bytes(4))}).made(), "slide"),
        (Maker(image={0xCD41: (BYTE, b"jumbf")}).made(), "Credentials"),
        (Maker(image={XMP: (SHORT, bytes(8))}).made(), "odd kind"),
        (Maker(image={XMP: (BYTE, b"<no xmp")}).made(), "parsed"),
        (Maker(image={IPTC: (BYTE, OLD_IPTC), PSIR: (BYTE, resource(0x0404, b""))}).made(), "differ"),
        (Maker(image={0x013B: text("x" * 60_000)}).made(), "too long"),
    ],
)
def test_what_must_not_be_changed_goes_to_a_sidecar(library: Library, content: bytes, why: str) -> None:
    key = library.add("a.tif", content)

    planned = library.write(key, {"title": "T", "creators": ["C"]})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_file_that_is_cut_off_can_be_read_but_is_not_changed(library: Library) -> None:
    content = bytearray(Maker(image={0x010E: text("caption")}).made())
    at = content.index(struct.pack("<2I", 8, 16))
    content[at : at + 4] = struct.pack("<I", len(content) - 4)
    key = library.add("a.tif", bytes(content))

    assert library.read(key).tags == {"description": "caption"}
    assert library.write(key, {"title": "T"}).note == "the file ends before its pictures do"


@LAYOUTS
def test_odd_places_and_entries_out_of_order_stay_as_they_are(library: Library, order: str, big: bool) -> None:
    before = bytearray(Maker(order, big, {0x010E: text("old")}, later=({},), begin=b"x").made())
    size = 20 if big else 12
    first = before.rindex(Maker(order).number("H", 0x0100, SHORT))
    before[first : first + 2 * size] = before[first + size : first + 2 * size] + before[first : first + size]
    key = library.add("a.tif", bytes(before))

    library.write(key, EVERYTHING)

    after = library.bytes_of(key)
    tags = [entry.tag for entry in TiffFile(Memory(after)).image.entries]
    assert tags[:3] == [0x0101, 0x0100, 0x0102]
    assert pages(after) == pages(bytes(before))
    assert library.read(key).stale == {}


def test_tables_of_old_jpeg_data_are_not_written_over() -> None:
    maker = Maker(image={0x010E: text("a caption where a table is"), 0x0207: (LONG, bytes(4))})
    before = bytearray(maker.made())
    at = before.index(struct.pack("<HH", 0x0207, LONG)) + 8
    before[at : at + 4] = struct.pack("<I", before.index(b"a caption") + 20)
    exif = exif_of(bytes(before))
    exif.set(Ifd.IMAGE, 0x010E, ASCII, b"new caption\0")

    assert b"a caption where a table is" in patched(bytes(before), exif.to_patches())


def test_an_entry_of_an_unknown_kind_keeps_all_else_where_it_is(library: Library) -> None:
    before = Maker(image={0x010E: text("a caption"), 0xFDE8: (99, b"odd!")}).made()
    key = library.add("a.tif", before)

    library.write(key, {"description": "short", "title": "T"})

    after = library.bytes_of(key)
    assert after[8 : len(before)] == before[8:]
    assert library.read(key).tags == {"description": "short", "title": "T"}


def large(library: Library, size: int, *, big: bool, strips: int) -> bytes:
    """A file that has nothing but zeros behind its many strips and its directory."""
    content = Maker(big=big, strips=strips, image={0x010E: text("x")}).made()
    key = library.add("a.tif", content)
    with open(os.path.join(os.fsencode(library.path), key), "r+b") as file:
        file.truncate(size)
    return key


@pytest.mark.parametrize("strips", [2, 60_000])
def test_of_a_large_file_little_is_read_and_written(library: Library, strips: int) -> None:
    key = large(library, 1 << 30, big=False, strips=strips)
    for number, title in enumerate(("T", "longer " * 40, "t", "u")):
        planned = library.write(key, EVERYTHING | {"title": title, "rating": number})
        assert planned.mode is (Mode.PATCH if number else Mode.APPEND)
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024


def test_what_offsets_cannot_reach_goes_to_a_sidecar(library: Library) -> None:
    key = large(library, (1 << 32) - 2000, big=False, strips=2)
    assert "larger than a TIFF file can be" in library.write(key, {"title": "T"}).note

    os.unlink(os.path.join(os.fsencode(library.path), b"a.xmp"))
    key = large(library, (1 << 32) - 2000, big=True, strips=2)
    assert library.write(key, {"title": "T"}).mode is Mode.APPEND
    assert library.read(key).tags == {"title": "T", "description": "x"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_files_never_crash_nor_hang_and_keep_every_other_byte(data: st.DataObject) -> None:
    order, big = data.draw(st.sampled_from("<>")), data.draw(st.booleans())
    maker = Maker(order, big, {0x010E: text("caption"), XMP: (BYTE, packet(""))}, {0x9003: DATE}, ({},), {})
    content = bytearray(maker.made())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    before = bytes(content[: data.draw(st.integers(len(content) - 40, len(content)))])
    try:
        image = TiffImage(Memory(before))  # type: ignore[arg-type] # as much of a file as it reads
        old = {(entry.tag, entry.value) for page in TiffFile(Memory(before)).directories() for entry in page.entries}
        image.exif.set(Ifd.IMAGE, 0x010E, ASCII, b"a caption that is longer\0")
        image.exif.set(Ifd.GPS, 2, 5, bytes(24))
        after = patched(before, image.exif.to_patches())
    except FileProblem:
        return
    if image.refusal:
        return
    again = TiffFile(Memory(after))
    new = {(entry.tag, entry.value) for page in again.directories() for entry in page.entries}
    assert FileExif(again).value(Ifd.IMAGE, 0x010E) == b"a caption that is longer\0"
    assert FileExif(again).value(Ifd.GPS, 2) == bytes(24)
    assert {tag for tag, _ in old - new} <= {0x010E, Ifd.GPS, Ifd.EXIF}
