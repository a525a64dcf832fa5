"""Exif in JPEG: values change, everything else stays where it is (mapping sections 1, 2, 8 and 9)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.exif import Exif, Ifd
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import Tags, same
from indelible_server.files.tiff import Tiff
from unit.files.library import Library, jpeg, picture, segment, xmp_segment
from unit.files.native import (
    ASCII,
    BYTE,
    DATE,
    LONG,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Values,
    exif_of,
    exif_segment,
    noted,
    text,
    tiff,
    wide,
    with_note,
)

ORDERS = pytest.mark.parametrize("order", ["<", ">"])
MAKE = {0x010F: text("Indelible Optics")}
POSITION = {"lat": -47.3768866, "lon": 8.541694, "alt": -12.25}


def value(content: bytes, ifd: Ifd, tag: int) -> bytes | None:
    return Exif.parse(exif_of(content)).value(ifd, tag)


def file_with(library: Library, image: Values, exif: Values | None = None, order: str = ">") -> bytes:
    return library.add("a.jpg", jpeg(exif_segment(tiff(order, MAKE | image, exif))))


@ORDERS
def test_everything_is_read_back_and_the_makers_note_never_moves(library: Library, order: str) -> None:
    block = with_note(order, MAKE | {0x010E: text("old"), 0x013B: text("x"), 0x9C9B: wide("t")})
    key = library.add("a.jpg", jpeg(exif_segment(block)))
    steps: list[Tags] = [
        {"title": "Größe", "description": "a longer one " * 20, "creators": ["A", "B; C"], "gps": POSITION},
        {"description": "short", "taken_at": "2021-03-04T05:06:07.25+02:00", "gps": {"lat": 1.5, "lon": 2.0}},
        dict.fromkeys(("title", "description", "creators", "gps", "taken_at")),
    ]

    for changes in steps:
        library.write(key, changes)
        after = exif_of(library.bytes_of(key))
        assert noted(after, order) == b"secret of camera"
        assert after.index(b"secret") == block.index(b"secret")
        assert after.index(b"thumbnail") == block.index(b"thumbnail")
        assert Exif.parse(after).value(Ifd.IMAGE, 0x010F) == b"Indelible Optics\0"
        assert library.read(key).stale == {}
        for field, wanted in changes.items():
            assert same(field, library.read(key).tags.get(field), wanted)


def test_a_value_that_fits_is_patched_where_it_is(library: Library) -> None:
    block = tiff(">", MAKE | {0x010E: text("a caption of some length")})
    key = library.add("a.jpg", jpeg(exif_segment(block), xmp_segment("")))

    library.write(key, {"description": "a new caption"})

    after = exif_of(library.bytes_of(key))
    assert len(after) == len(block)
    assert after.count(b"a new caption\0\0\0") == 1
    assert b"some length" not in after


def test_what_is_freed_is_zeroed_unless_something_else_uses_it() -> None:
    block = bytearray(tiff(">", {0x010E: text("first value"), 0x0131: text("first value")}))
    entries = [at for at in range(len(block)) if block[at : at + 4] in (b"\x01\x0e\0\2", b"\x01\x31\0\2")]
    unshared, shared = Exif.parse(bytes(block)), bytearray(block)
    shared[entries[1] + 8 : entries[1] + 12] = shared[entries[0] + 8 : entries[0] + 12]

    unshared.remove(Ifd.IMAGE, 0x010E)
    assert unshared.to_bytes().count(b"first value") == 1

    twice = Exif.parse(bytes(shared))
    twice.set(Ifd.IMAGE, 0x010E, ASCII, b"other\0")
    assert Exif.parse(twice.to_bytes()).value(Ifd.IMAGE, 0x0131) == b"first value\0"


@ORDERS
def test_a_thousand_edits_do_not_make_the_block_grow(library: Library, order: str) -> None:
    exif = Exif.parse(tiff(order, MAKE | {0x010E: text("x")}, {0x9003: DATE}))
    sizes = []

    for number in range(1000):
        exif.set(Ifd.IMAGE, 0x010E, ASCII, b"c" * (number % 50 + 5) + b"\0")
        exif.set(Ifd.GPS, 2, RATIONAL, exif.pack("6I", number, 1, 0, 1, 0, 1))
        if number % 3:
            exif.set(Ifd.EXIF, 0x9011, ASCII, b"+02:00\0")
        else:
            exif.remove(Ifd.EXIF, 0x9011)
        block = exif.to_bytes()
        exif = Exif.parse(block)
        assert exif.value(Ifd.GPS, 2) == exif.pack("6I", number, 1, 0, 1, 0, 1)
        sizes.append(len(block))

    assert max(sizes) - sizes[2] < 200


def test_re_edits_are_patches(library: Library) -> None:
    key = library.add("a.jpg", jpeg(exif_segment(with_note("<", MAKE)), trailer=bytes(500_000)))
    library.write(key, {"title": "T"})

    for number in range(20):
        position = {"gps": {"lat": number, "lon": number}} if number % 4 else {"gps": None}
        planned = library.write(key, {"title": "t" * number, **position})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024
        assert planned.bytes_read <= 256 * 1024


def test_a_blank_form_counts_as_present_and_an_absent_one_is_not_made(library: Library) -> None:
    key = file_with(library, {0x010E: text(" " * 31), 0x013B: (ASCII, b"\0")})
    assert library.read(key).tags == {}

    library.write(key, {"description": "D", "creators": ["C"], "copyright": "R", "title": "T", "rating": 3})

    content = library.bytes_of(key)
    assert value(content, Ifd.IMAGE, 0x010E) == b"D\0"
    assert value(content, Ifd.IMAGE, 0x013B) == b"C\0"
    for tag in (0x8298, 0x9C9B, 0x010D, 0x4746):
        assert value(content, Ifd.IMAGE, tag) is None


def test_camera_defaults_are_no_captions_and_structure_is_left_alone(library: Library) -> None:
    key = file_with(library, {0x010E: text("OLYMPUS DIGITAL CAMERA         ")}, {0x9286: (UNDEFINED, b"ASCII\0\0\0{}")})
    assert library.read(key).tags == {}
    library.write(key, {"description": "D"})
    assert value(library.bytes_of(key), Ifd.IMAGE, 0x010E) == b"D\0"
    assert value(library.bytes_of(key), Ifd.EXIF, 0x9286) == b"ASCII\0\0\0{}"

    key = file_with(library, {0x010E: text("ImageJ=1.53\nimages=5")})
    assert library.read(key).tags == {}
    for description in ("D", None):
        library.write(key, {"description": description})
        assert value(library.bytes_of(key), Ifd.IMAGE, 0x010E) == b"ImageJ=1.53\nimages=5\0"


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        (b"Ann\0Editor\0", "Bob", b"Bob\0Editor\0"),
        (b"Ann\0Editor\0", None, b" \0Editor\0"),
        (b" \0Editor\0", "Bob", b"Bob\0Editor\0"),
        (b"Ann\0", None, None),
    ],
)
def test_the_editors_part_of_copyright_is_kept(
    library: Library, old: bytes, new: str | None, after: bytes | None
) -> None:
    key = file_with(library, {0x8298: (ASCII, old)})

    library.write(key, {"copyright": new, "rating": 1})

    assert value(library.bytes_of(key), Ifd.IMAGE, 0x8298) == after
    assert library.read(key).tags.get("copyright") == new


def test_followers_follow_only_what_they_echo(library: Library) -> None:
    mine, other = (UNDEFINED, b"ASCII\0\0\0caption"), (UNDEFINED, b"ASCII\0\0\0remark")
    for comment, changed in ((mine, True), (other, False)):
        key = file_with(library, {0x010E: text("caption"), 0x9C9C: wide("caption")}, {0x9286: comment})
        library.write(key, {"description": "日本"})
        after = value(library.bytes_of(key), Ifd.EXIF, 0x9286)
        assert after == (b"UNICODE\0" + "日本".encode("utf-16-be") if changed else comment[1])
        assert value(library.bytes_of(key), Ifd.IMAGE, 0x9C9C) == "日本".encode("utf-16-le") + b"\0\0"


def test_ratings_of_windows_follow_and_go_where_they_cannot_say_it(library: Library) -> None:
    key = file_with(library, {0x4746: (SHORT, b"\0\2"), 0x4749: (SHORT, b"\0\x19")})
    assert library.read(key).tags == {"rating": 2}

    library.write(key, {"rating": 5})
    assert value(library.bytes_of(key), Ifd.IMAGE, 0x4749) == b"\0\x63"
    library.write(key, {"rating": -1})
    assert value(library.bytes_of(key), Ifd.IMAGE, 0x4746) is None


@ORDERS
def test_a_position_directory_is_made_and_goes_with_what_belongs_to_it(library: Library, order: str) -> None:
    key = file_with(library, {}, {0x9003: DATE}, order)

    library.write(key, {"gps": POSITION})

    content = library.bytes_of(key)
    assert value(content, Ifd.GPS, 0) == b"\2\3\0\0"
    assert value(content, Ifd.GPS, 1) == b"S\0"
    assert value(content, Ifd.GPS, 5) == b"\1"
    assert Tiff(exif_of(content)).exif is not None
    assert same("gps", library.read(key).tags["gps"], POSITION)


def test_other_facts_about_the_position_stay_on_change_and_go_with_it(library: Library) -> None:
    rational = struct.pack(">6I", 10, 1, 0, 1, 0, 1)
    gps: Values = {1: text("N"), 2: (RATIONAL, rational), 3: text("E"), 4: (RATIONAL, rational), 18: text("WGS-84")}
    block = tiff(">", MAKE, {0x9003: DATE}, gps | {29: text("2020:01:01"), 8: text("sat")})
    key = library.add("a.jpg", jpeg(exif_segment(block)))

    library.write(key, {"gps": {"lat": 1.0, "lon": 2.0}})
    assert value(library.bytes_of(key), Ifd.GPS, 18) == b"WGS-84\0"
    library.write(key, {"gps": None})
    assert value(library.bytes_of(key), Ifd.GPS, 18) is None
    assert value(library.bytes_of(key), Ifd.GPS, 8) == b"sat\0"


def test_a_position_without_its_letter_is_none(library: Library) -> None:
    rational = struct.pack(">6I", 10, 1, 0, 1, 0, 1)
    block = tiff(">", MAKE, None, {2: (RATIONAL, rational), 4: (RATIONAL, rational)})

    assert library.read(library.add("a.jpg", jpeg(exif_segment(block)))).tags == {}


def test_dates_are_read_with_fraction_and_offset_and_partial_ones_leave_exif(library: Library) -> None:
    exif = {0x9003: DATE, 0x9291: text("25"), 0x9011: text("+02:00"), 0x9004: DATE, 0x9292: text("25")}
    key = file_with(library, {0x0132: text("2022:01:01 00:00:00")}, exif)
    assert library.read(key).tags == {"taken_at": "2020-01-02T03:04:05.25+02:00"}

    library.write(key, {"taken_at": "2019-05-06T07:08"})
    content = library.bytes_of(key)
    assert value(content, Ifd.EXIF, 0x9003) == b"2019:05:06 07:08:00\0"
    assert value(content, Ifd.EXIF, 0x9291) is None
    assert value(content, Ifd.EXIF, 0x9004) == DATE[1]
    assert value(content, Ifd.IMAGE, 0x0132) == b"2022:01:01 00:00:00\0"

    library.write(key, {"taken_at": "1923-05"})
    assert value(library.bytes_of(key), Ifd.EXIF, 0x9003) is None
    assert library.read(key).tags == {"taken_at": "1923-05"}


def test_exif_wins_for_what_cameras_know_and_xmp_for_what_people_write(library: Library) -> None:
    block = tiff("<", {0x010E: text("exif")}, {0x9003: DATE})
    about = 'photoshop:DateCreated="1999-01-01" tiff:ImageDescription="xmp"'
    key = library.add("a.jpg", jpeg(exif_segment(block), xmp_segment("", about=about)))

    assert library.read(key).tags == {"taken_at": "2020-01-02T03:04:05", "description": "xmp"}


def test_a_date_in_the_wrong_directory_is_not_left_stale(library: Library) -> None:
    key = file_with(library, {0x9003: DATE}, {0x9003: DATE})

    library.write(key, {"taken_at": "2021-03-04T05:06:07.25+02:00"})
    assert value(library.bytes_of(key), Ifd.IMAGE, 0x9003) == b"2021:03:04 05:06:07\0"
    library.write(key, {"taken_at": None})
    assert value(library.bytes_of(key), Ifd.IMAGE, 0x9003) is None
    assert library.read(key).tags == {}


def damaged(change: int, data: bytes, block: bytes) -> bytes:
    return block[:change] + data + block[change + len(data) :]


SOUND = tiff(">", MAKE, {0x9003: DATE})
FIRST = struct.unpack(">I", SOUND[4:8])[0]
POINTER = SOUND.index(b"\x87\x69\0\4") + 8


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (damaged(POINTER, struct.pack(">I", FIRST), SOUND), "loop"),
        (damaged(POINTER, struct.pack(">I", 60_000), SOUND), "at a directory"),
        (damaged(FIRST + 10, struct.pack(">I", 60_000), SOUND), "at a value"),
        (damaged(FIRST + 4, b"\x7f\x7f", SOUND), "kind"),
        (damaged(0, b"XX", SOUND), "header"),
        (SOUND[:-1], "at a picture"),
        (tiff(">", {0x83BB: (UNDEFINED, b"iptc!")}), "of its own"),
        (tiff(">", {0x010E: text("a" * 65_000)}), "fit"),
    ],
)
def test_a_damaged_or_full_block_leads_to_a_sidecar(library: Library, block: bytes, why: str) -> None:
    content = jpeg(exif_segment(block))
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T", "gps": POSITION, "description": "x" * 66_000 if why == "fit" else "D"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_what_a_full_block_cannot_hold_goes_from_it_and_stays_in_xmp(library: Library) -> None:
    full = tiff(">", {0x010E: text("old"), 0x010F: text("x" * 65_300)}, {0x9003: DATE})
    key = library.add("a.jpg", jpeg(exif_segment(full)))

    assert library.write(key, {"description": "a longer text", "gps": POSITION}).mode is Mode.REPLACE

    after = library.bytes_of(key)
    assert value(after, Ifd.IMAGE, 0x010E) is None
    assert value(after, Ifd.EXIF, 0x9003) == DATE[1]
    assert library.read(key).tags == {
        "description": "a longer text",
        "gps": POSITION,
        "taken_at": "2020-01-02T03:04:05",
    }
    assert library.write(key, {"taken_at": "2021-01-02T03:04:05"}).mode is Mode.PATCH
    assert value(library.bytes_of(key), Ifd.EXIF, 0x9003) == b"2021:01:02 03:04:05\0"


def with_preview(order: str, maker: str, lead: int) -> tuple[bytes, int]:
    """A file with a preview behind it that the camera's note points at, and where the pointer stands."""

    def build(at: int, target: int) -> bytes:
        if maker == "Canon":
            table = struct.pack(f"{order}HHHII", 1, 0x00B6, LONG, 6, at + 18) + bytes(4)
            note = table + struct.pack(f"{order}6I", 24, 2, 900, 64, 48, target)
        else:
            note = b"SONY DSC \0\0\0" + struct.pack(f"{order}HHHII", 1, 0x2001, UNDEFINED, 900, target) + bytes(4)
        return jpeg(exif_segment(tiff(order, MAKE, {0x927C: (UNDEFINED, note)})))

    plain = build(0, 0)
    base = plain.index(b"Exif\0\0") + 6
    (at,) = struct.unpack_from(f"{order}I", plain, plain.index(b"\x92\x7c" if order == ">" else b"\x7c\x92") + 8)
    return build(at, len(plain) - base) + bytes(lead) + PREVIEW, base + at + (38 if maker == "Canon" else 22)


PREVIEW = picture((1, 2, 3))


@ORDERS
@pytest.mark.parametrize("maker", ["Canon", "Sony"])
def test_a_preview_behind_the_picture_is_found_after_every_write(library: Library, order: str, maker: str) -> None:
    content, pointer = with_preview(order, maker, 0)
    key = library.add("a.jpg", content)

    def pointed_at() -> bytes:
        after = library.bytes_of(key)
        (target,) = struct.unpack_from(f"{order}I", after, pointer)
        return after[after.index(b"Exif\0\0") + 6 + target :]

    assert pointed_at() == PREVIEW
    for changes in ({"title": "T"}, {"gps": POSITION, "description": "D"}, {"gps": None, "title": "longer " * 900}):
        assert library.write(key, changes).mode is not Mode.SIDECAR
        assert pointed_at() == PREVIEW


@pytest.mark.parametrize("maker", ["Canon", "Sony"])
def test_a_note_that_may_mean_a_picture_by_mere_chance_leads_to_a_sidecar(library: Library, maker: str) -> None:
    content, _ = with_preview("<", maker, 7)
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert "would move" in planned.note
    assert library.bytes_of(key) == content


def test_several_exif_segments_lead_to_a_sidecar(library: Library) -> None:
    key = library.add("a.jpg", jpeg(exif_segment(SOUND), exif_segment(SOUND)))

    assert library.write(key, {"title": "T"}).mode is Mode.SIDECAR


def test_segments_between_and_behind_stay_when_all_blocks_change_their_lengths(library: Library) -> None:
    between, behind = segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)), segment(0xFE, b"comment")
    key = library.add("a.jpg", jpeg(exif_segment(tiff("<", MAKE)), between, xmp_segment(""), behind))

    for tags in ({"gps": POSITION, "title": "T"}, {"gps": None, "title": "Longer"}, {"gps": POSITION}):
        library.write(key, tags)
        content = library.bytes_of(key)
        assert content.count(between) == content.count(behind) == 1
        assert content.endswith(jpeg()[20:])


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([(Ifd.IMAGE, 0x010E), (Ifd.IMAGE, 0x8298), (Ifd.EXIF, 0x9286), (Ifd.GPS, 1), (Ifd.GPS, 29)]),
        st.none() | st.binary(min_size=1, max_size=40),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from("<>"), st.lists(CHANGES, min_size=1, max_size=4))
def test_any_changes_are_read_back_and_nothing_else_changes(order: str, rounds: list[Any]) -> None:
    block = with_note(order, MAKE | {0x010E: text("first caption")})
    held: dict[tuple[Ifd, int], bytes | None] = {}

    for changes in rounds:
        exif = Exif.parse(block)
        for (ifd, tag), data in changes:
            held[ifd, tag] = data
            if data is None:
                exif.remove(ifd, tag)
            else:
                exif.set(ifd, tag, BYTE, data)
        block = exif.to_bytes()
        again = Exif.parse(block)
        assert all(again.value(*place) == data for place, data in held.items())
        assert again.value(Ifd.IMAGE, 0x010F) == b"Indelible Optics\0"
        assert again.value(Ifd.EXIF, 0x9003) == DATE[1]
        assert noted(block, order) == b"secret of camera"
        assert b"thumbnail" in block


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_hostile_blocks_never_crash_nor_hang_and_never_lose_a_byte_they_keep(data: st.DataObject) -> None:
    block = bytearray(with_note(data.draw(st.sampled_from("<>")), MAKE | {0x010E: text("caption")}))
    for _ in range(data.draw(st.integers(1, 8))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    try:
        exif = Exif.parse(bytes(block[: data.draw(st.integers(0, len(block)))]))
        exif.set(Ifd.GPS, 2, RATIONAL, bytes(24))
        exif.set(Ifd.IMAGE, 0x010E, ASCII, b"a caption that is longer\0")
        again = Exif.parse(exif.to_bytes())
    except FileProblem:
        return
    assert again.value(Ifd.GPS, 2) == bytes(24)
    assert again.value(Ifd.IMAGE, 0x010E) == b"a caption that is longer\0"
