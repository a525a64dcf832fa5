"""The texts of movies: each kind of box is written in its own way, and only where it is there already."""

from __future__ import annotations

import struct

import pytest
from indelible_server.files.plan import Mode
from indelible_server.files.tags import Value
from unit.files.library import Library
from unit.files.movies import CHUNKS, atom, box, chunks, content_of, entry, found, full, item, keyed, movie, tags

ENGLISH = b"\x15\xc7"
GERMAN = 0x10B5
APPLE = "com.apple.quicktime."
UNKNOWN = box(b"abcd", b"stays as it is")


def place(lat: float, lon: float, alt: float = 0) -> bytes:
    numbers = (round(number * 65_536) for number in (lon, lat, alt))
    return bytes(4) + ENGLISH + b"Home\0\1" + struct.pack(">iii", *numbers) + b"earth\0notes\0"


def at(lat: float, lon: float, *alt: float) -> dict[str, float]:
    return {"lat": lat, "lon": lon, **({"alt": alt[0]} if alt else {})}


def user_data(*boxes: bytes) -> bytes:
    return box(b"udta", UNKNOWN, *boxes)


def data(text: bytes, number: int = 1) -> bytes:
    return struct.pack(">II", number, 0) + text


ITEMS, USER, KEYS = (b"moov", b"udta", b"meta", b"ilst"), (b"moov", b"udta"), (b"moov", b"meta", b"ilst")
FIRST = bytes((0, 0, 0, 1))
TAKEN, WRITTEN = "2020-01-02T03:04:05+01:00", b"2020-01-02T03:04:05+0100"
HEAD = bytes(4) + ENGLISH
TEXTS = {
    "iTunes": ("ilst", b"\xa9nam", data(b"old"), "title", "old", "ü", data(b"\xc3\xbc")),
    "ExifTool": ("ilst", b"\xa9des", data(b"old"), "description", "old", "ü", data(b"\xc3\xbc")),
    "list": ("ilst", b"keyw", data(b"a, b"), "keywords", ["a", "b"], ["b", "c"], data(b"b, c")),
    "Macintosh": ("udta", b"\xa9nam", entry(b"caf\x8e"), "title", "café", "Zoë", entry(b"Zo\x91")),
    "Unicode": ("udta", b"\xa9nam", entry(b"old"), "title", "old", "☃", entry(b"\xe2\x98\x83", 0x55C4)),
    "ambiguous": ("udta", b"\xa9nam", entry(b"old"), "title", "old", "√©", entry("√©".encode(), 0x55C4)),
    "UTF-8": ("udta", b"\xa9nam", entry(b"\xc3\xbc"), "title", "ü", "ö", entry(b"\xc3\xb6")),
    "UTF-16": ("udta", b"\xa9des", entry(b"\xfe\xff\0a"), "description", "a", "b", entry(b"\xfe\xff\0b")),
    "3GP": ("udta", b"titl", HEAD + b"old\0", "title", "old", "ü", HEAD + b"\xc3\xbc\0"),
    "3GP wide": ("udta", b"cprt", HEAD + b"\xfe\xff\0a\0\0", "copyright", "a", "b", HEAD + b"\xfe\xff\0b\0\0"),
    "3GP list": ("udta", b"kywd", HEAD + b"\2\2a\0\2b\0", "keywords", ["a", "b"], ["cd"], HEAD + b"\1\3cd\0"),
    "3GP place": ("udta", b"loci", place(48.5, 2.25, 30), "gps", at(48.5, 2.25, 30.0), at(-1.1, 7.7), place(-1.1, 7.7)),
    "place": (
        "udta",
        b"\xa9xyz",
        entry(b"+48.5+002.25/"),
        "gps",
        at(48.5, 2.25),
        at(1, -2),
        entry(b"+01.0000000-002.0000000/"),
    ),
    "key": ("keys", f"{APPLE}title", data(b"old"), "title", "old", "new", data(b"new")),
    "key without domain": ("keys", "title", data(b"\0o\0l\0d", 2), "title", "old", "ü", data(b"\0\xfc", 2)),
    "whole number": ("keys", f"{APPLE}rating.user", data(b"\0\3", 21), "rating", 3, 5, data(b"\0\5", 21)),
    "real number": (
        "keys",
        f"{APPLE}rating.user",
        data(struct.pack(">f", 3), 23),
        "rating",
        3,
        5,
        data(struct.pack(">f", 5), 23),
    ),
    "date": (
        "keys",
        f"{APPLE}creationdate",
        data(WRITTEN),
        "taken_at",
        TAKEN,
        TAKEN[:-5] + "02:00",
        data(WRITTEN[:-4] + b"0200"),
    ),
}


@pytest.mark.parametrize(("where", "kind", "held", "field", "old", "new", "written"), TEXTS.values(), ids=TEXTS.keys())
def test_a_text_is_read_changed_and_cleared_in_its_own_way(
    library: Library, where: str, kind: bytes | str, held: bytes, field: str, old: Value, new: Value, written: bytes
) -> None:
    if isinstance(kind, str):
        header, path = keyed({kind: box(b"data", held)}), (*KEYS, FIRST, b"data")
    elif where == "ilst":
        header, path = user_data(tags(box(kind, box(b"data", held)))), (*ITEMS, kind, b"data")
    else:
        header, path = user_data(box(kind, held)), (*USER, kind)
    key = library.add("a.mov", movie(b"qt  ", header))
    assert library.read(key).tags == {field: old}

    library.write(key, {field: new})
    assert content_of(library.bytes_of(key), *path) == written

    library.write(key, {field: None})
    assert not list(found(library.bytes_of(key), *path))
    assert (UNKNOWN in library.bytes_of(key)) == (UNKNOWN in header)


def test_texts_are_not_made_where_there_are_none(library: Library) -> None:
    key = library.add("a.mp4", movie(b"isom", user_data(tags(item(b"\xa9too", "encoder")))))
    library.write(key, {"title": "T", "description": "D", "copyright": "C", "gps": {"lat": 1.0, "lon": 2.0}})

    assert content_of(library.bytes_of(key), *ITEMS) == item(b"\xa9too", "encoder")
    assert content_of(library.bytes_of(key), *USER).startswith(UNKNOWN)


def test_a_comment_or_an_artist_changes_only_with_what_it_repeats(library: Library) -> None:
    items = item(b"desc", "same"), item(b"\xa9cmt", "same"), item(b"ldes", "another"), item(b"\xa9ART", "A singer")
    key = library.add("a.m4a", movie(b"M4A ", user_data(tags(*items))))
    library.write(key, {"description": "new", "creators": ["Ann"]})

    expected = item(b"desc", "new") + item(b"\xa9cmt", "new") + item(b"ldes", "another") + item(b"\xa9ART", "A singer")
    assert content_of(library.bytes_of(key), *ITEMS) == expected


def test_other_languages_stay_until_the_text_is_cleared(library: Library) -> None:
    texts = box(b"\xa9nam", entry(b"old"), entry(b"alt", GERMAN), entry(b"old", 1))
    titles = full(b"titl", ENGLISH, b"old\0"), full(b"titl", b"\x10\xb5alt\0")
    atoms = box(b"\xa9nam", *(item(b"", text, locale=at)[4:] for text, at in (("old", 0), ("alt", GERMAN), ("2nd", 0))))
    key = library.add("a.mov", movie(b"qt  ", user_data(texts, *titles, tags(atoms))))

    library.write(key, {"title": "new"})
    after = library.bytes_of(key)
    assert content_of(after, *USER, b"\xa9nam") == entry(b"new") + entry(b"alt", GERMAN) + entry(b"new", 1)
    assert full(b"titl", ENGLISH, b"new\0") + titles[1] in after
    assert content_of(after, *ITEMS) == box(b"\xa9nam", item(b"", "new")[4:], item(b"", "alt", locale=GERMAN)[4:])

    library.write(key, {"title": None})
    assert b"alt" not in library.bytes_of(key)


SECONDS = 3_660_775_445
MADE, LATER = "2020-01-02T03:04:05+01:00", "2021-01-02T03:04:05-02:00"


def headers(content: bytes) -> list[int]:
    """The seconds since 1904 in the headers of a movie, its track and its media."""
    track = b"moov", b"trak"
    paths = (b"moov", b"mvhd"), (*track, b"tkhd"), (*track, b"mdia", b"mdhd")
    return [int.from_bytes(content_of(content, *path)[4:8], "big") for path in paths]


@pytest.mark.parametrize(
    ("made", "wanted", "expected"),
    [
        ((SECONDS, SECONDS, SECONDS), LATER, [SECONDS + 366 * 86_400 + 3 * 3600] * 3),
        ((SECONDS, SECONDS - 1, 0), LATER, [SECONDS + 366 * 86_400 + 3 * 3600, SECONDS - 1, 0]),
        ((SECONDS, SECONDS, SECONDS), "2021-01-02T03:04:05", [0, 0, 0]),
        ((SECONDS, SECONDS, SECONDS), "1890-01-02T03:04:05Z", [0, 0, 0]),
        ((SECONDS, SECONDS, SECONDS), None, [0, 0, 0]),
        ((SECONDS - 1, SECONDS - 1, SECONDS - 1), LATER, [SECONDS - 1] * 3),
    ],
    ids=["all follow", "one follows", "offset unknown", "before 1904", "cleared", "another moment"],
)
def test_the_moment_in_the_headers_follows_the_date_if_it_was_the_same(
    library: Library, made: tuple[int, int, int], wanted: str | None, expected: list[int]
) -> None:
    dated = keyed({f"{APPLE}creationdate": atom(MADE.replace("01:00", "0100").encode())})
    key = library.add("a.mov", movie(b"qt  ", dated, made=made))
    assert library.read(key).tags["taken_at"] == MADE

    library.write(key, {"taken_at": wanted})

    assert headers(library.bytes_of(key)) == expected
    assert chunks(library.bytes_of(key)) == CHUNKS


def test_xmp_comes_before_the_files_own_texts_and_these_follow_it(library: Library) -> None:
    key = library.add(
        "a.mov", movie(b"qt  ", user_data(box(b"\xa9nam", entry(b"old"))), keyed({"title": atom(b"older")}))
    )
    library.write(key, {"title": "new"})

    assert library.read(key).tags["title"] == "new"
    assert not library.read(key).stale
    assert content_of(library.bytes_of(key), *KEYS, FIRST, b"data") == data(b"new")


def test_a_text_before_a_large_cover_moves_behind_it_so_that_later_changes_are_small(library: Library) -> None:
    cover = box(b"covr", atom(b"picture" * 20_000, 13))
    texts = user_data(box(b"\xa9nam", entry(b"old")), tags(item(b"\xa9nam", "old"), cover))
    key = library.add("a.m4a", movie(b"M4A ", texts, first=True))

    assert library.write(key, {"title": "new title"}).mode is Mode.REPLACE
    assert content_of(library.bytes_of(key), *ITEMS) == cover + item(b"\xa9nam", "new title")
    assert content_of(library.bytes_of(key), *USER).endswith(box(b"\xa9nam", entry(b"new title")))
    planned = library.write(key, {"title": "another title"})
    assert planned.mode is Mode.PATCH
    assert planned.files[0].bytes_changed < 16_384
    assert chunks(library.bytes_of(key)) == CHUNKS


@pytest.mark.parametrize(
    ("header", "tags_wanted"),
    [
        (user_data(full(b"kywd", ENGLISH, b"\1\2a\0")), {"keywords": [str(number) for number in range(300)]}),
        (user_data(box(b"\xa9nam", entry(b"old"))), {"title": "x" * 65_536}),
        (user_data(tags(item(b"\xa9nam", "old"))), {"title": "x" * 65_536}),
        (user_data(tags(item(b"\xa9nam", "old")) + full(b"meta", box(b"ilst"), box(b"ilst"))), {"title": "T"}),
    ],
)
def test_what_the_files_own_fields_cannot_hold_goes_to_a_sidecar(
    library: Library, header: bytes, tags_wanted: dict[str, Value]
) -> None:
    key = library.add("a.3gp", movie(b"3gp4", header))

    assert library.write(key, tags_wanted).mode is Mode.SIDECAR
