"""What other programs and cameras write in their own way is read as it is meant (mapping sections 1, 2 and 5)."""

from __future__ import annotations

import struct

import pytest
from indelible_server.files.plan import Mode
from unit.files.library import Library, jpeg, xmp_segment
from unit.files.native import BYTE, LONG, RATIONAL, SHORT, SRATIONAL, Values, exif_segment, text, tiff


def file_with(library: Library, image: Values, exif: Values | None = None, gps: Values | None = None) -> bytes:
    return library.add("a.jpg", jpeg(exif_segment(tiff(">", image, exif, gps))))


@pytest.mark.parametrize(("kind", "data"), [(BYTE, b"\3"), (SHORT, b"\0\3"), (LONG, b"\0\0\0\3")])
def test_a_rating_is_read_in_whatever_kind_of_number_it_is(library: Library, kind: int, data: bytes) -> None:
    key = file_with(library, {0x4746: (kind, data)})

    assert library.read(key).tags == {"rating": 3}
    assert library.write(key, {"rating": 3}).mode is Mode.UNCHANGED


def test_a_position_that_is_written_as_a_text_is_none(library: Library) -> None:
    rational = (RATIONAL, struct.pack(">6I", 10, 1, 0, 1, 0, 1))
    letters: Values = {1: text("N"), 3: text("E")}
    assert library.read(file_with(library, {}, gps=letters | {2: rational, 4: rational})).tags

    words = text("52,00000,50,00000,34,01180")
    assert library.read(file_with(library, {}, gps=letters | {2: words, 4: words})).tags == {}


def test_a_depth_may_be_a_number_with_a_sign(library: Library) -> None:
    rational = (RATIONAL, struct.pack(">6I", 10, 1, 0, 1, 0, 1))
    gps: Values = {1: text("N"), 2: rational, 3: text("E"), 4: rational, 6: (SRATIONAL, struct.pack(">2i", -25, 2))}

    assert library.read(file_with(library, {}, gps=gps)).tags == {"gps": {"lat": 10.0, "lon": 10.0, "alt": -12.5}}


@pytest.mark.parametrize("default", ["SANYO DIGITAL CAMERA", "GE DIGITAL CAMERA", "Digital StillCamera  "])
def test_what_cameras_put_there_by_themselves_is_no_caption(library: Library, default: str) -> None:
    assert library.read(file_with(library, {0x010E: text(default)})).tags == {}


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("2015-01-22T10:11:12 +01:00", "2015-01-22T10:11:12+01:00"),
        ("2015:01:22 10:11:12.5", "2015-01-22T10:11:12.5"),
        ("2015-01-22T10:11:12 Z", "2015-01-22T10:11:12+00:00"),
    ],
)
def test_a_date_in_xmp_may_be_spelled_as_agencies_and_exif_do(library: Library, spelled: str, expected: str) -> None:
    key = library.add("a.jpg", jpeg(xmp_segment("", about=f'photoshop:DateCreated="{spelled}"')))

    assert library.read(key).tags == {"taken_at": expected}
    assert library.write(key, {"taken_at": expected}).mode is Mode.UNCHANGED


def test_properties_with_a_capital_are_those_without_and_are_kept_in_step(library: Library) -> None:
    lists = "".join(
        f"<dc:{name}><rdf:{array}><rdf:li>old</rdf:li></rdf:{array}></dc:{name}>"
        for name, array in (("Creator", "Seq"), ("Subject", "Bag"))
    )
    key = library.add("a.jpg", jpeg(xmp_segment(lists, about='dc:Title="old" dc:Description="old" dc:Rights="old"')))
    fields = {"title": "old", "description": "old", "copyright": "old", "creators": ["old"], "keywords": ["old"]}
    assert library.read(key).tags == fields

    library.write(key, {"title": "new", "creators": ["new"], "keywords": ["new"]})
    assert b"old" in library.bytes_of(key)
    assert library.read(key).stale == {}
    library.write(key, dict.fromkeys(fields))

    assert library.read(key).tags == {}
    assert b"old" not in library.bytes_of(key)
    assert b"new" not in library.bytes_of(key)
