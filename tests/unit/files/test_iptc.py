"""IPTC-IIM in JPEG: written as a block, in UTF-8, and believed when it is newer than XMP (mapping sections 1 and 2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indelible_server.files.iptc import Iptc
from indelible_server.files.iptc_forms import cut
from indelible_server.files.photoshop import Resources
from indelible_server.files.plan import Mode
from indelible_server.files.policy import Policy
from indelible_server.files.problems import FileProblem
from unit.files.library import Library, jpeg, segment, xmp_segment
from unit.files.native import (
    dataset,
    datasets_in,
    datasets_of,
    digest_of,
    iptc_segment,
    resource,
    resource_list,
    resources_of,
)

UTF8 = dataset(1090, b"\x1b%G")
VERSION = dataset(2000, b"\0\4")
TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt></dc:title>"


def values(library: Library, key: bytes, number: int) -> list[str]:
    return [value.decode() for its, value in datasets_of(library.bytes_of(key)) if its == number]


def test_a_file_with_a_block_gets_every_field_and_one_without_gets_none(library: Library) -> None:
    with_block = library.add("a.jpg", jpeg(iptc_segment(VERSION)))
    without = library.add("b.jpg", jpeg())

    for key in (with_block, without):
        library.write(key, {"title": "T", "keywords": ["A|B", "c"], "creators": ["x", "y"]})

    assert values(library, with_block, 2005) == ["T"]
    assert values(library, with_block, 2025) == ["B", "c"]
    assert values(library, with_block, 2080) == ["x", "y"]
    assert b"Photoshop" not in library.bytes_of(without)


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        (b"20150122", b"101112+0100", "2015-01-22T10:11:12+01:00"),
        (b"2015-01-22", b"10:11:12+01:00", "2015-01-22T10:11:12+01:00"),
        (b"2015:01:00", b"", "2015-01"),
        (b"2015-13-22", b"", None),
    ],
)
def test_dates_are_read_with_and_without_marks(
    library: Library, date: bytes, time: bytes, expected: str | None
) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(VERSION + dataset(2055, date) + dataset(2060, time))))

    assert library.read(key).tags == ({"taken_at": expected} if expected else {})


def test_always_begins_a_block_with_all_that_is_known(library: Library) -> None:
    library.policy = Policy.from_json({"iptc": "ALWAYS"})
    key = library.add("a.jpg", jpeg(xmp_segment(TITLE.format("T"))))

    library.write(key, {"credit": "C"})

    expected = [(1090, b"\x1b%G"), (2000, b"\0\4"), (2005, b"T"), (2110, b"C")]
    assert datasets_of(library.bytes_of(key)) == expected


def test_remove_removes_the_dataset_of_an_edited_field_and_no_other(library: Library) -> None:
    library.policy = Policy.from_json({"iptc": "REMOVE"})
    key = library.add("a.jpg", jpeg(iptc_segment(dataset(2005, b"old") + dataset(2090, b"Rome"))))

    library.write(key, {"title": "new"})

    assert values(library, key, 2005) == []
    assert values(library, key, 2090) == ["Rome"]
    assert library.read(key).tags == {"title": "new", "place.city": "Rome"}


def test_other_datasets_and_resources_stay_in_their_order(library: Library) -> None:
    block = (
        UTF8 + VERSION + dataset(2007, b"status") + dataset(2005, b"old") + dataset(2122, b"w") + dataset(3010, b"z")
    )
    content = jpeg(iptc_segment(block))
    key = library.add("a.jpg", content)

    library.write(key, {"title": "new", "headline": "H"})

    assert [number for number, _ in datasets_of(library.bytes_of(key))] == [1090, 2000, 2007, 2005, 2122, 2105, 3010]
    before, after = resources_of(content), resources_of(library.bytes_of(key))
    assert {number: data for number, data in after.items() if number != 0x0404} == {
        number: data for number, data in before.items() if number != 0x0404
    }
    assert resource(0x03ED, b"resolution odd") in library.bytes_of(key)


@pytest.mark.parametrize(
    ("field", "value", "number", "expected"),
    [
        ("title", "ß" * 40, 2005, "ß" * 32),
        ("title", "x" + "ß" * 40, 2005, "x" + "ß" * 31),
        ("credit", "日" * 20, 2110, "日" * 10),
        ("place.country_code", "it", 2100, "ITA"),
        ("place.country_code", "deu", 2100, "DEU"),
        ("taken_at", "2021-03-04T05:06:07.25+02:00", 2055, "20210304"),
        ("taken_at", "2021-03-04T05:06:07.25+02:00", 2060, "050607+0200"),
        ("taken_at", "1923", 2055, "19230000"),
    ],
)
def test_values_are_cut_to_their_limits_and_then_equal(
    library: Library, field: str, value: str, number: int, expected: str
) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(VERSION)))

    library.write(key, {field: value})

    assert values(library, key, number) == [expected]
    assert library.read(key).stale == {}


def test_what_the_block_cannot_hold_is_removed_from_it(library: Library) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(dataset(2100, b"ITA"))))

    library.write(key, {"place.country_code": "QQ"})

    assert values(library, key, 2100) == []
    assert library.read(key).tags == {"place.country_code": "QQ"}


@pytest.mark.parametrize(("charset", "old"), [("cp1252", b"Z\xfcrich \x80"), ("mac_roman", b"Z\x9frich \xdb")])
def test_all_old_texts_become_utf8_together(library: Library, charset: str, old: bytes) -> None:
    library.policy = Policy(legacy_charset=charset)
    key = library.add("a.jpg", jpeg(iptc_segment(VERSION + dataset(2090, old) + dataset(2122, old))))
    assert library.read(key).tags == {"place.city": "Zürich €"}

    library.write(key, {"title": "ü"})

    assert datasets_of(library.bytes_of(key))[0] == (1090, b"\x1b%G")
    assert values(library, key, 2090) == values(library, key, 2122) == ["Zürich €"]


def test_undeclared_utf8_is_utf8(library: Library) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(dataset(2090, "Zürich".encode()))))

    library.write(key, {"title": "T"})

    assert values(library, key, 2090) == ["Zürich"]


@pytest.mark.parametrize(
    "block",
    [
        dataset(2090, b"a\x81b"),
        dataset(2090, b"Z\xfcrich") + dataset(2095, "Zürich".encode()),
        UTF8 + dataset(2090, b"Z\xfcrich"),
        dataset(1090, b"\x1b?!") + dataset(2090, b"Z\xfcrich"),
    ],
)
def test_a_charset_that_nobody_can_tell_leads_to_a_sidecar(library: Library, block: bytes) -> None:
    content = jpeg(iptc_segment(block))
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert "charset" in planned.note
    assert library.bytes_of(key) == content


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([iptc_segment(dataset(2005, b"abc")[:-1])], "cut off"),
        ([iptc_segment(dataset(2005, b"abc") + b"rubbish")], "damaged"),
        ([iptc_segment(VERSION)[:-4] + b"\xff\xff\xff\xff"], "Photoshop block"),
    ],
)
def test_a_block_that_cannot_be_parsed_leads_to_a_sidecar(library: Library, parts: list[bytes], why: str) -> None:
    content = jpeg(*parts)
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_every_block_of_several_gets_what_changes_and_keeps_the_rest(library: Library) -> None:
    first, second = VERSION + dataset(2105, b"kept"), VERSION + dataset(2005, b"old") + dataset(2110, b"also kept")
    key = library.add("a.jpg", jpeg(iptc_segment(first), iptc_segment(second)))
    assert library.read(key).tags == {"headline": "kept", "title": "old", "credit": "also kept"}

    library.write(key, {"title": "T", "place.city": "Bern"})

    resources = resource_list(library.bytes_of(key))
    found = [dict(datasets_in(data)) for number, data in resources if number == 0x0404]
    assert [block[2005] for block in found] == [b"T", b"T"]
    assert [block[2090] for block in found] == [b"Bern", b"Bern"]
    assert (found[0][2105], found[1][2110]) == (b"kept", b"also kept")
    assert library.read(key).stale == {}


def test_a_block_that_only_some_programs_see_is_updated_as_it_is(library: Library) -> None:
    usual = iptc_segment(VERSION + dataset(2005, b"old"))
    key = library.add("a.jpg", jpeg(usual.replace(b"8BIM\4\4", b"AgHg\4\4")))

    library.write(key, {"title": "T"})

    assert b"AgHg\4\4" in library.bytes_of(key)
    assert [number for number, _ in resource_list(library.bytes_of(key))] == [0x03ED, 0x0404, 0x040A]
    assert values(library, key, 2005) == ["T"]


def test_resources_that_outgrow_a_segment_are_spread_over_neighbours(library: Library) -> None:
    big = bytes(range(250)) * 260
    parts = resource(0x0FA0, big) + resource(0x0404, VERSION)
    key = library.add("a.jpg", jpeg(segment(0xED, b"Photoshop 3.0\0" + parts), segment(0xFE, b"between")))

    library.write(key, {"description": "long " * 380, "keywords": [f"word {number}" for number in range(90)]})
    library.write(key, {"instructions": "more " * 50})
    library.write(key, {"title": "T"})

    resources = resource_list(library.bytes_of(key))
    assert [number for number, _ in resources] == [0x0FA0, 0x0404]
    assert resources[0][1] == big
    assert len(values(library, key, 2025)) == 90
    assert library.bytes_of(key).count(b"Photoshop 3.0\0") == 2


def digested(iptc: bytes, xmp: str, *, right: bool) -> bytes:
    digest = digest_of(iptc) if right else digest_of(b"older")
    return jpeg(iptc_segment(iptc, digest), xmp_segment(xmp))


def test_a_digest_that_is_right_or_missing_lets_xmp_win(library: Library) -> None:
    iptc = dataset(2005, b"iptc")
    for name, content in (
        ("a.jpg", digested(iptc, TITLE.format("xmp"), right=True)),
        ("b.jpg", jpeg(iptc_segment(iptc), xmp_segment(TITLE.format("xmp")))),
    ):
        assert library.read(library.add(name, content)).tags == {"title": "xmp"}


def test_a_digest_that_is_wrong_lets_iptc_win(library: Library) -> None:
    iptc = dataset(2005, b"iptc") + dataset(2055, b"20200101")
    key = library.add("a.jpg", digested(iptc, TITLE.format("xmp"), right=False))

    assert library.read(key).tags == {"title": "iptc", "taken_at": "2020-01-01"}
    assert "title" in next(iter(library.read(key).stale.values()))


def test_newer_iptc_that_is_only_cut_does_not_win(library: Library) -> None:
    long = "x" * 100
    iptc = dataset(2005, b"x" * 64)
    key = library.add("a.jpg", digested(iptc, TITLE.format(long), right=False))

    assert library.read(key).tags == {"title": long}


def test_the_first_write_into_a_file_with_a_wrong_digest_brings_all_in_line(library: Library) -> None:
    iptc = dataset(2005, b"iptc") + dataset(2025, b"new word") + dataset(2090, b"Rome")
    key = library.add("a.jpg", digested(iptc, TITLE.format("xmp"), right=False))

    library.write(key, {"rating": 3})

    reading = library.read(key)
    assert reading.tags == {"title": "iptc", "keywords": ["new word"], "place.city": "Rome", "rating": 3}
    assert reading.stale == {}
    found = resources_of(library.bytes_of(key))
    assert found[0x0425] == digest_of(found[0x0404])
    assert ">iptc<" in library.bytes_of(key).decode("latin-1")


def test_every_change_of_the_block_sets_the_digest(library: Library) -> None:
    key = library.add("a.jpg", digested(dataset(2005, b"t"), TITLE.format("t"), right=True))

    library.write(key, {"title": "new"})

    found = resources_of(library.bytes_of(key))
    assert found[0x0425] == digest_of(found[0x0404])


def test_a_block_without_a_digest_gets_none(library: Library) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(VERSION)))

    library.write(key, {"title": "new"})

    assert 0x0425 not in resources_of(library.bytes_of(key))


def test_the_contact_follows_the_people_only_if_it_named_them(library: Library) -> None:
    people = "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"
    for name, contact, expected in (("a.jpg", b"Ann", ["Bob"]), ("b.jpg", b"Press office", ["Press office"])):
        key = library.add(name, jpeg(iptc_segment(dataset(2118, contact)), xmp_segment(people)))
        library.write(key, {"people": ["Bob"]})
        assert values(library, key, 2118) == expected


def test_re_edits_are_patches_that_take_their_room_from_the_padding(library: Library) -> None:
    content = jpeg(iptc_segment(VERSION), trailer=bytes(500_000))
    key = library.add("a.jpg", content)
    library.write(key, {"title": "T"})
    size = len(library.bytes_of(key))

    for number in range(30):
        planned = library.write(key, {"title": "t" * number, "keywords": [f"word {number}"] * (number % 3)})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024
        assert planned.bytes_read <= 256 * 1024
    assert len(library.bytes_of(key)) == size


@given(st.text(), st.integers(0, 100))
def test_cutting_gives_a_beginning_of_whole_characters(text: str, limit: int) -> None:
    clean = text.encode("utf-8", "ignore").decode()
    short = cut(clean, limit)

    assert len(short.encode()) <= limit
    assert short == clean or short.strip() in clean or short


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(1000, 3255), st.binary(max_size=20)), max_size=6))
def test_hostile_blocks_are_parsed_whole_or_refused(noise: bytes, sets: list[tuple[int, bytes]]) -> None:
    sound = b"".join(dataset(number // 1000 * 1000 + number % 256, value) for number, value in sets)
    parsers: list[Any] = [Iptc.parse, Resources.parse]
    for parse in parsers:
        for data in (noise, sound + noise, resource(0x0404, sound) + noise, sound[:-1]):
            try:
                found = parse(data)
            except FileProblem:
                continue
            assert (found.to_bytes("cp1252") if isinstance(found, Iptc) else found.to_bytes()) == data
