"""FLAC: Vorbis comments change inside the padding, and everything else stays as it is."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.flac import Flac
from indelible_server.files.plan import Mode
from unit.files.library import Library
from unit.files.vorbis_files import (
    APPLICATION,
    COMMENTS,
    FRAMES,
    PADDING,
    PICTURE,
    SEEKTABLE,
    comments,
    entries_in,
    flac,
    flac_blocks,
)

PLAIN = (COMMENTS, comments("ARTIST=Somebody"))
ROOM = (PADDING, bytes(2000))
COVER = (PICTURE, bytes(range(256)) * 300)
HELD = {"title": "T", "description": "D\nE", "keywords": ["a", "b"], "rating": 4, "copyright": "C"}


def entries(content: bytes) -> list[bytes]:
    """The entries of the one block of comments."""
    (block,) = (data for kind, data in flac_blocks(content)[0] if kind == COMMENTS)
    _, found, rest = entries_in(block)
    assert not rest
    return found


def others(content: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """All that is neither comments nor padding."""
    blocks, frames = flac_blocks(content)
    return [block for block in blocks if block[0] not in (COMMENTS, PADDING)], frames


def test_everything_that_has_a_place_is_read_back_and_cleared_again(library: Library) -> None:
    key = library.add("a.flac", flac(PLAIN, ROOM))

    library.write(key, dict(HELD))
    assert library.read(key).tags == HELD
    assert entries(library.bytes_of(key)) == [
        b"ARTIST=Somebody",
        b"TITLE=T",
        b"DESCRIPTION=D\nE",
        b"KEYWORDS=a",
        b"KEYWORDS=b",
        b"RATING=4",
        b"COPYRIGHT=C",
    ]

    library.write(key, dict.fromkeys(HELD))
    assert library.read(key).tags == {}
    assert entries(library.bytes_of(key)) == [b"ARTIST=Somebody"]
    assert library.names() == {"a.flac"}


LAYOUTS = [
    (PLAIN, ROOM),
    (ROOM, PLAIN),
    (PLAIN, ROOM, ROOM),
    (ROOM, PLAIN, COVER),
    (PLAIN, COVER, ROOM),
    (ROOM, COVER, PLAIN),
    (COVER, ROOM),
    (PLAIN, ROOM, COVER, ROOM),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_change_that_fits_into_padding_keeps_the_length_of_the_file(
    library: Library, layout: tuple[tuple[int, bytes], ...]
) -> None:
    content = flac((SEEKTABLE, bytes(18)), *layout)
    key = library.add("a.flac", content)

    for title in ("T", "A longer title", "x" * 1500, "T"):
        planned = library.write(key, {"title": title})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 4096
        assert library.read(key).tags == {"title": title}
        assert others(library.bytes_of(key)) == others(content)

    assert len(library.bytes_of(key)) == len(content)


@pytest.mark.parametrize(
    "layout", [(), (PLAIN,), (COVER,), (PLAIN, COVER), (COVER, PLAIN), (PLAIN, (PADDING, b"")), ((PADDING, b""), COVER)]
)
def test_where_there_is_no_padding_there_is_some_afterwards(
    library: Library, layout: tuple[tuple[int, bytes], ...]
) -> None:
    content = flac((APPLICATION, b"riff...."), *layout)
    key = library.add("a.flac", content)

    assert library.write(key, dict(HELD)).mode is Mode.REPLACE
    assert others(library.bytes_of(key)) == others(content)
    assert library.write(key, {"description": "d" * 3000}).mode is Mode.PATCH
    assert others(library.bytes_of(key)) == others(content)


@pytest.mark.parametrize("room", range(40))
def test_padding_that_is_just_enough_or_too_little_is_handled(library: Library, room: int) -> None:
    content = flac(PLAIN, (PADDING, bytes(room)))
    key = library.add("a.flac", content)

    library.write(key, {"title": "Ten letter"})

    assert entries(library.bytes_of(key)) == [b"ARTIST=Somebody", b"TITLE=Ten letter"]
    assert others(library.bytes_of(key)) == others(content)


def test_padding_that_is_larger_than_a_block_can_be_is_not_made_one(library: Library) -> None:
    largest = (PADDING, bytes((1 << 24) - 1))
    key = library.add("a.flac", flac(largest, PLAIN, ROOM, largest))

    for title in ("T", "x" * 3000):
        assert library.write(key, {"title": title}).mode is Mode.PATCH
        assert entries(library.bytes_of(key)) == [b"ARTIST=Somebody", b"TITLE=" + title.encode()]


def test_comments_that_leave_their_place_leave_nothing_but_zeros_behind(library: Library) -> None:
    key = library.add("a.flac", flac((COMMENTS, comments("TITLE=secret")), COVER, ROOM))

    library.write(key, {"title": "A title that needs more room"})

    blocks, _ = flac_blocks(library.bytes_of(key))
    assert [kind for kind, _ in blocks] == [PADDING, PICTURE, COMMENTS, PADDING]
    assert b"secret" not in library.bytes_of(key)
    assert not blocks[0][1].strip(b"\0")


def test_foreign_comments_the_vendor_and_the_spelling_of_names_stay(library: Library) -> None:
    foreign = (b"Album=caf\xe9", b"no name at all", b"ALBUM=two", b"METADATA_BLOCK_PICTURE=AAAA", b"=", b"")
    key = library.add(
        "a.flac", flac((COMMENTS, comments(*foreign[:3], "Title=old", *foreign[3:], vendor=b"\xff v")), ROOM)
    )
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new"})

    (block,) = (data for kind, data in flac_blocks(library.bytes_of(key))[0] if kind == COMMENTS)
    assert entries_in(block) == (b"\xff v", [*foreign, b"Title=new"], b"")


def test_a_second_title_does_not_come_back(library: Library) -> None:
    key = library.add("a.flac", flac((COMMENTS, comments("TITLE=one", "title=two")), ROOM))

    library.write(key, {"title": "three"})
    assert entries(library.bytes_of(key)) == [b"TITLE=three"]


def test_a_comment_that_repeats_the_description_follows_it_and_another_does_not(library: Library) -> None:
    both = comments("DESCRIPTION=same", "COMMENT=same", "LOCATION=here")
    key = library.add("a.flac", flac((COMMENTS, both), ROOM))

    library.write(key, {"description": "new"})
    assert entries(library.bytes_of(key)) == [b"LOCATION=here", b"DESCRIPTION=new", b"COMMENT=new"]

    library.write(key, {"description": None})
    assert entries(library.bytes_of(key)) == [b"LOCATION=here"]


@pytest.mark.parametrize(
    ("stored", "read", "written"),
    [
        (("RATING=80",), 4, [b"RATING=40"]),
        (("RATING=3",), 3, [b"RATING=2"]),
        (("FMPS_RATING=0.6",), 3, [b"RATING=2", b"FMPS_RATING=0.4"]),
    ],
)
def test_a_rating_keeps_its_scale(library: Library, stored: tuple[str], read: int, written: list[bytes]) -> None:
    key = library.add("a.flac", flac((COMMENTS, comments(*stored)), ROOM))
    assert library.read(key).tags == {"rating": read}

    library.write(key, {"rating": 2})
    assert sorted(entries(library.bytes_of(key))) == sorted(written)


ID3 = b"ID3\4\0\0" + bytes([0, 0, 0, 30])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (flac(PLAIN, PLAIN), "several blocks of comments"),
        (ID3 + b"TIT2\0\0\0\5\0\0\3Head".ljust(30, b"\0") + flac(PLAIN, ROOM), "another format"),
        (b"ID3\4\0\0\0\4\0\0" + bytes(1 << 16) + flac(PLAIN, ROOM), "another format"),
        (b"ID3\2\0\0" + bytes([0, 0, 0, 30]) + b"TT2\0\0\5\0Head".ljust(30, b"\0") + flac(PLAIN), "another format"),
        (flac(PLAIN, ROOM) + b"TAG" + b"Title".ljust(125, b"\0"), "another format"),
        (flac(PLAIN, ROOM) + b"APETAGEX" + bytes(24), "another format"),
        (flac((COMMENTS, PLAIN[1][:-1]), ROOM), "cut off"),
        (flac((COMMENTS, PLAIN[1] + b"more"), ROOM), "do not fill"),
        (flac((COMMENTS, b"\0\0\0\0\xff\xff\xff\x7f"), ROOM), "comments"),
        (flac(PLAIN, (127, b"")), "damaged"),
        (flac(PLAIN, frames=b"no frames"), "no sound"),
        (flac(PLAIN, ROOM)[:200], "damaged"),
        (b"fLaC", "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.flac", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_tags_of_other_formats_that_say_nothing_stay(library: Library) -> None:
    before, behind = ID3 + b"TSSE\0\0\0\5\0\0\3Lavf".ljust(30, b"\0"), b"TAG" + bytes(125)
    key = library.add("a.flac", before + flac(PLAIN, ROOM) + behind)

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH

    content = library.bytes_of(key)
    assert content.startswith(before)
    assert content.endswith(FRAMES + behind)
    assert entries(content[len(before) :]) == [b"ARTIST=Somebody", b"TITLE=T"]


def test_comments_that_no_block_can_hold_go_to_a_sidecar(library: Library) -> None:
    content = flac((COMMENTS, comments("COVERART=" + "A" * ((1 << 24) - 100))))
    key = library.add("a.flac", content)

    planned = library.write(key, {"title": "T" * 100})

    assert "16777215 fit" in planned.note
    assert library.bytes_of(key) == content


def test_a_large_file_is_neither_read_nor_written_as_a_whole(library: Library) -> None:
    key = library.add("a.flac", flac(PLAIN, ROOM))
    os.truncate(library.path / "a.flac", 1 << 30)

    planned = library.write(key, dict(HELD))

    assert planned.mode is Mode.PATCH
    assert planned.bytes_read <= 256 * 1024
    assert sum(file.bytes_changed for file in planned.files) <= 4096


def opened(library: Library, key: bytes) -> tuple[Flac, bytes]:
    """The container, and the content of which it says that it never changes."""
    with library.root.folder_of(key) as (folder, name), folder.open(name) as media:
        container = Flac(media)
        return container, b"".join(media.read(offset, length) for offset, length in container.content)


def test_the_sound_is_measured_and_told_from_what_changes(library: Library) -> None:
    key = library.add("a.flac", flac(PLAIN))
    container, before = opened(library, key)
    assert container.duration_s == 2.0
    assert before == FRAMES

    library.write(key, {"title": "T"})
    assert opened(library, key)[1] == before


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_bytes_never_crash_and_the_sound_stays(library: Library, data: st.DataObject) -> None:
    content = bytearray(flac(PLAIN, (PICTURE, bytes(40)), (PADDING, bytes(100))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(4, 300))] = data.draw(st.integers(0, 255))
    key = library.add("a.flac", bytes(content[: data.draw(st.integers(5, len(content)))]))
    (library.path / "a.xmp").unlink(missing_ok=True)
    before = library.bytes_of(key)
    kept = opened(library, key)[1] if not library.read(key).note else before

    library.write(key, {"title": "A new title"})

    assert library.read(key).tags["title"] == "A new title"
    assert library.bytes_of(key).endswith(kept)
