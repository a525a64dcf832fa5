"""Movies: XMP has its place in each kind, what is seen and heard is found as before, and later changes are patches."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.quicktime import QuickTime
from indelible_server.files.formats import format_of
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem, Reason
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.movies import (
    CHUNKS,
    XMP_UUID,
    atom,
    box,
    chunks,
    content_of,
    entry,
    fragmented,
    full,
    item,
    keyed,
    movie,
    packet_at_top,
    tags,
    top,
    track,
)
from unit.files.witnesses import Memory

TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></dc:title>"
FREE = box(b"free", bytes(20_000))
UUID = box(b"uuid", XMP_UUID, packet(TITLE))
UNKNOWN = box(b"udta", box(b"abcd", b"unknown"))
LONG = "long " * 2000


def opened(content: bytes) -> QuickTime:
    return QuickTime(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile


@pytest.mark.parametrize("first", [True, False])
def test_new_xmp_of_mp4_comes_to_the_end_and_nothing_moves(library: Library, first: bool) -> None:
    before = movie(b"isom", UNKNOWN, first=first)
    key = library.add("a.mp4", before)

    assert library.write(key, {"title": "T"}).mode is Mode.APPEND
    after = library.bytes_of(key)
    assert after.startswith(before)
    assert b">T<" in packet_at_top(after)


def test_new_xmp_of_mp4_takes_free_space_first_but_not_that_of_the_header(library: Library) -> None:
    key = library.add("a.mp4", movie(b"isom", first=True, between=FREE, end=FREE))

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH
    assert top(library.bytes_of(key)) == [b"ftyp", b"moov", b"free", b"mdat", b"uuid", b"free"]


def test_xmp_of_quicktime_comes_into_the_user_data_of_its_header(library: Library) -> None:
    key = library.add("a.mov", movie(b"qt  ", UNKNOWN))

    assert library.write(key, {"title": "T"}).mode is Mode.APPEND
    after = library.bytes_of(key)
    assert b">T<" in content_of(after, b"moov", b"udta", b"XMP_")
    assert content_of(after, b"moov", b"udta", b"abcd") == b"unknown"
    assert chunks(after) == CHUNKS


def test_user_data_are_made_where_there_are_none_and_before_a_closing_zero_where_there_is_one(library: Library) -> None:
    for name, header in (("a.mov", b""), ("b.mov", box(b"udta", box(b"abcd"), bytes(4)))):
        key = library.add(name, movie(b"qt  ", header))
        library.write(key, {"title": "T"})
        user_data = content_of(library.bytes_of(key), b"moov", b"udta")
        assert b">T<" in content_of(user_data.removesuffix(bytes(4)), b"XMP_")
        assert user_data.endswith(bytes(4)) == bool(header)


@pytest.mark.parametrize("kind", [b"stco", b"co64"])
def test_chunks_are_found_when_a_header_in_front_grows(library: Library, kind: bytes) -> None:
    key = library.add("a.mov", movie(b"qt  ", UNKNOWN, first=True, kind=kind))

    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE
    after = library.bytes_of(key)
    assert top(after) == [b"ftyp", b"moov", b"mdat"]
    assert chunks(after, kind) == CHUNKS


def test_a_header_in_front_grows_into_the_free_space_behind_it(library: Library) -> None:
    key = library.add("a.mov", movie(b"qt  ", UNKNOWN, first=True, between=FREE))

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH
    assert chunks(library.bytes_of(key)) == CHUNKS


def test_a_header_at_the_top_and_xmp_do_not_take_the_same_free_space(library: Library) -> None:
    key = library.add("a.mp4", movie(b"isom", between=keyed({"title": atom(b"old")}) + FREE, end=FREE))

    assert library.write(key, {"title": "longer"}).mode is Mode.PATCH
    assert top(library.bytes_of(key)) == [b"ftyp", b"mdat", b"moov", b"meta", b"free", b"uuid", b"free"]


def test_a_free_box_that_is_not_empty_is_not_free_and_may_be_pointed_at(library: Library) -> None:
    hidden = box(b"free", b"GPS positions of a camera", bytes(20_000))
    pointing = library.add("b.mov", movie(b"qt  ", box(b"gps ", bytes(8)), between=hidden))
    assert library.plan(pointing, {"title": "T"}).mode is Mode.SIDECAR

    key = library.add("a.mov", movie(b"qt  ", UNKNOWN, first=True, between=hidden))

    library.write(key, {"title": "T"})
    assert hidden in library.bytes_of(key)
    assert chunks(library.bytes_of(key)) == CHUNKS


@pytest.mark.parametrize("brand", [b"qt  ", b"isom"])
@pytest.mark.parametrize("first", [True, False])
def test_later_changes_are_patches_and_the_file_stops_growing(library: Library, brand: bytes, first: bool) -> None:
    text = box(b"udta", box(b"\xa9nam", entry(b"old")), tags(item(b"\xa9nam", "old"), item(b"desc", "old")))
    key = library.add("a.mov", movie(brand, text, first=first))
    library.write(key, {"title": "T", "keywords": ["a"]})
    size = len(library.bytes_of(key))

    for number in range(20):
        changes = {"title": "t" * (number * 7 % 90 + 1), "description": "d" * (number * 131 % 900 + 1)}
        assert library.write(key, changes).mode is Mode.PATCH
    library.write(key, {"description": LONG})
    library.write(key, {"description": "short"})
    library.write(key, {"description": LONG})

    assert len(library.bytes_of(key)) - size < 65_536
    assert chunks(library.bytes_of(key)) == CHUNKS


def test_xmp_that_outgrows_its_place_frees_it_and_the_place_is_used_again(library: Library) -> None:
    key = library.add("a.mp4", movie(b"isom", first=True, between=UUID))

    assert library.write(key, {"description": LONG}).mode is Mode.APPEND
    after = library.bytes_of(key)
    assert top(after) == [b"ftyp", b"moov", b"free", b"mdat", b"uuid"]
    assert not any(content_of(after, b"free"))
    assert chunks(after) == CHUNKS


def test_xmp_in_the_other_kinds_place_is_moved_to_its_own(library: Library) -> None:
    quicktime = library.add("a.mov", movie(b"qt  ", between=UUID))
    library.write(quicktime, {"rating": 3})
    assert b"old" in content_of(library.bytes_of(quicktime), b"moov", b"udta", b"XMP_")
    assert XMP_UUID not in library.bytes_of(quicktime)

    mp4 = library.add("a.mp4", movie(b"isom", box(b"udta", box(b"XMP_", packet(TITLE)))))
    library.write(mp4, {"rating": 3})
    assert b"old" in packet_at_top(library.bytes_of(mp4))
    assert b"XMP_" not in library.bytes_of(mp4)


def test_an_open_last_box_gets_its_length_before_something_follows_it(library: Library) -> None:
    content = movie(b"isom", first=True)
    at = content.index(b"mdat") - 4
    key = library.add("a.mp4", content[:at] + bytes(4) + content[at + 4 :])

    library.write(key, {"title": "T"})
    after = library.bytes_of(key)
    assert top(after) == [b"ftyp", b"moov", b"mdat", b"uuid"]
    assert after.startswith(content)


def test_lengths_of_64_bits_stay_so(library: Library) -> None:
    content = movie(b"qt  ", UNKNOWN)
    at = content.index(b"moov") - 4
    start, header = content[:at] + box(b"wide"), content[at + 8 :]
    key = library.add("a.mov", start + struct.pack(">I4sQ", 1, b"moov", len(header) + 16) + header)

    library.write(key, {"title": "T"})
    after = library.bytes_of(key)
    assert after.startswith(start)
    assert struct.unpack_from(">I4sQ", after, len(start)) == (1, b"moov", len(after) - len(start))
    assert library.read(key).tags == {"title": "T"}


def test_fragments_are_found_when_the_header_grows_and_their_index_stays_last(library: Library) -> None:
    key = library.add("a.mp4", fragmented(box(b"udta", tags(item(b"\xa9nam", "old")))))

    library.write(key, {"title": "longer than before"})
    after = library.bytes_of(key)
    assert top(after) == [b"ftyp", b"moov", b"sidx", b"moof", b"mdat", b"uuid", b"mfra"]
    (at,) = struct.unpack_from(">Q", content_of(after, b"moof", b"traf", b"tfhd"), 8)
    assert after[at:].startswith(CHUNKS[0])
    (at,) = struct.unpack_from(">Q", content_of(after, b"mfra", b"tfra"), 24)
    assert after[at + 4 :].startswith(b"moof")
    assert struct.unpack_from(">I", content_of(after, b"moof", b"traf", b"saio"), 8) == (9999,)


def test_what_lies_inside_the_header_is_found_when_only_that_moves(library: Library) -> None:
    start = box(b"ftyp", b"qt  ", bytes(4)) + box(b"mdat", b"media")

    def encrypted(at: int) -> bytes:
        tables = full(b"senc", b"vectors"), full(b"saio", struct.pack(">II", 1, at))
        return start + box(b"moov", box(b"udta", box(b"abcd")), track([28], *tables))

    content = encrypted(0)
    key = library.add("a.mov", encrypted(content.index(b"vectors")))
    library.write(key, {"title": "T"})

    after = library.bytes_of(key)
    (at,) = struct.unpack_from(">I", content_of(after, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"saio"), 8)
    assert after[at:].startswith(b"vectors")


def test_offsets_into_other_files_stay(library: Library) -> None:
    before = movie(b"qt  ", UNKNOWN, first=True, own=False)
    key = library.add("a.mov", before)

    library.write(key, {"title": "T"})
    table = b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco"
    assert content_of(library.bytes_of(key), *table) == content_of(before, *table)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (movie(b"qt  ", box(b"gps ", bytes(8)), first=True), Reason.UNSUPPORTED),
        (movie(b"qt  ", first=True, end=box(b"meta", bytes(4), full(b"iloc", bytes(4)))), Reason.UNSUPPORTED),
        (movie(b"qt  ", first=True, end=box(b"uuid", bytes(16))), Reason.UNSUPPORTED),
        (movie(b"qt  ", track([0xFFFF_FF00]), first=True), Reason.TOO_LARGE),
        (movie(b"isom", box(b"cmov")), Reason.UNSUPPORTED),
        (movie(b"isom", between=box(b"moov")), Reason.CORRUPT),
        (movie(b"isom", between=UUID + UUID), Reason.UNSUPPORTED),
        (movie(b"isom", box(b"udta", box(b"XMP_", packet(TITLE))), between=UUID), Reason.UNSUPPORTED),
        (movie(b"isom", end=box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"))), Reason.SIGNED),
        (movie(b"isom", end=b"a trailer that is no box"), Reason.CORRUPT),
        (movie(b"isom", first=True)[:-1], Reason.CORRUPT),
    ],
)
def test_what_cannot_be_written_for_sure_is_refused(content: bytes, reason: Reason) -> None:
    container = opened(content)
    problem = container.refusal
    if problem is None:
        with pytest.raises(FileProblem) as refused:
            container.set_blocks(Blocks(xmp=packet(TITLE)))
        problem = refused.value
    assert problem.reason is reason


def test_size_length_and_camera_are_read_from_the_header() -> None:
    apple = {"make": "Apple", "model": "iPhone 4"}
    atoms = {
        f"com.apple.quicktime.{key}": box(b"data", bytes((0, 0, 0, 1, 0, 0, 0, 0)), text.encode())
        for key, text in apple.items()
    }
    container = opened(movie(b"qt  ", keyed(atoms)))

    assert (container.width, container.height, container.duration_s) == (640, 480, 2.5)
    assert container.camera == "Apple iPhone 4"


def test_content_is_the_same_before_and_after(library: Library) -> None:
    key = library.add("a.mov", movie(b"qt  ", first=True))

    def content() -> list[bytes]:
        held = library.bytes_of(key)
        return [held[start : start + length] for start, length in opened(held).content]

    before = content()
    library.write(key, {"title": "T"})
    assert content() == before == [b"".join(CHUNKS)]


def test_movies_are_told_by_brand_or_by_their_first_box() -> None:
    for brand, name in ((b"qt  ", "MOV"), (b"M4P ", "M4A"), (b"3g2a", "3GP"), (b"dash", "MP4"), (b"mp42", "MP4")):
        assert format_of(b"a", movie(brand)[:64]) == name
    for kind in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        assert format_of(b"a", box(kind, bytes(9))) == "MOV"
    assert format_of(b"a.txt", b"The free world") == "unknown"


@pytest.mark.tool("exiftool")
@pytest.mark.parametrize(
    ("name", "brand"), [("a.mov", b"qt  "), ("a.mp4", b"isom"), ("a.m4a", b"M4A "), ("a.3gp", b"3gp4")]
)
def test_exiftool_reads_the_values_and_finds_no_fault(
    library: Library, tmp_path: Path, name: str, brand: bytes
) -> None:
    text = box(b"udta", box(b"\xa9nam", entry(b"old")), tags(item(b"\xa9nam", "old")))
    key = library.add(name, movie(brand, text, first=True))
    command = ["exiftool", "-j", "-G1", "-a", "-validate", "-warning", "-all", name]
    (before,) = json.loads(finished(command, tmp_path).stdout)
    library.write(key, {"title": "Ünïcode ☃", "rating": 4})

    (after,) = json.loads(finished(command, tmp_path).stdout)
    titles = {tag: text for tag, text in after.items() if ":Title" in tag}
    assert titles.keys() >= {"ItemList:Title", "XMP-dc:Title"}
    assert len(titles) == 3
    assert set(titles.values()) == {"Ünïcode ☃"}
    assert after["XMP-xmp:Rating"] == 4
    assert after["ExifTool:Validate"] == before["ExifTool:Validate"]


SAMPLES = (
    movie(
        b"qt  ",
        box(b"udta", box(b"\xa9nam", entry(b"old")), tags(item(b"\xa9nam", "old"))),
        first=True,
        between=FREE[:8],
    ),
    movie(b"isom", keyed({"title": atom(b"old")}), in_front=UNKNOWN, end=UUID),
    fragmented(box(b"udta", full(b"titl", b"\x15\xc7old\0"), full(b"loci", b"\x15\xc7\0\0", bytes(14)))),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(8, len(content)))]))

    try:
        container = QuickTime(media)  # type: ignore[arg-type] # reads like a MediaFile
        assert container.texts is not None
        texts = {key: ("new text",) for key in ("udta:©nam", "ilst:©nam", "udta:titl") if container.texts.has(key)}
        patches = container.set_blocks(Blocks(xmp=b"x" * 5000, texts=texts)) if not container.refusal else ()
    except FileProblem:
        patches = ()

    assert media.reads < 100_000
    position = 0
    for patch in patches:
        assert position <= patch.offset
        assert media.content[patch.offset : patch.offset + len(patch.old)] == patch.old
        position = patch.offset + len(patch.old)
