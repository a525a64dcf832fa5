"""Ogg: the comments change on the pages that they are on, and pages of sound are never touched."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.ogg import Ogg
from indelible_server.files.plan import Mode
from support.programs import finished
from unit.files.library import Library
from unit.files.vorbis_files import (
    OGG_FLAC,
    OPUS,
    SETUP,
    SPEEX,
    VORBIS,
    checksum_of,
    comments,
    entries_in,
    ogg,
    ogg_flac,
    opus,
    packets_of,
    page,
    pages_of,
    segments,
    speex,
    vorbis,
)

ARTIST = comments("ARTIST=Somebody")
MARKS = {b"\x01vorbis": b"\x03vorbis", b"OpusHead": b"OpusTags"}
Kind = Callable[[bytes], bytes]
KINDS: list[Kind] = [vorbis, opus, speex, ogg_flac]
HELD = {"title": "T", "description": "D\nE", "keywords": ["a", "b"], "rating": 4, "copyright": "C"}


def told(content: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The vendor, the entries, and what follows them in the packet."""
    head, packet = packets_of(content, 2)
    mark = next((mark for magic, mark in MARKS.items() if head.startswith(magic)), b"")
    if head.startswith(b"\x7fFLAC"):
        assert packet[:1] == b"\x84"
        assert int.from_bytes(packet[1:4]) == len(packet) - 4
        mark = packet[:4]
    assert packet.startswith(mark)
    return entries_in(packet[len(mark) :])


def sound(content: bytes) -> list[tuple[int, int, int, bytes, bytes]]:
    """The pages of sound, whose number in the file may not change either."""
    return [page for page in pages_of(content) if page[1] > 0]


def many_pages(comment: bytes, count: int, *, behind: bytes = b"\1") -> bytes:
    """Vorbis whose headers fill `count` pages evenly."""
    parts = segments(b"\x03vorbis" + comment + behind) + segments(SETUP)
    bounds = [len(parts) * index // count for index in range(count + 1)]
    stored = []
    for index in range(count):
        mine = parts[bounds[index] : bounds[index + 1]]
        flags = 1 if index and len(parts[bounds[index] - 1]) == 255 else 0
        position = 0 if any(len(part) < 255 for part in mine) else -1
        stored.append(page(index + 1, mine, flags=flags, position=position))
    return ogg(VORBIS, *stored)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_has_a_place_is_read_back_and_cleared_again(library: Library, kind: Kind) -> None:
    key = library.add("a.ogg", kind(ARTIST))

    library.write(key, dict(HELD))
    assert library.read(key).tags == HELD
    assert told(library.bytes_of(key))[:2] == (
        b"some encoder",
        [
            b"ARTIST=Somebody",
            b"TITLE=T",
            b"DESCRIPTION=D\nE",
            b"KEYWORDS=a",
            b"KEYWORDS=b",
            b"RATING=4",
            b"COPYRIGHT=C",
        ],
    )

    library.write(key, dict.fromkeys(HELD))
    assert library.read(key).tags == {}
    assert told(library.bytes_of(key))[1] == [b"ARTIST=Somebody"]
    assert library.names() == {"a.ogg"}


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_sound_and_their_numbers_never_change(library: Library, kind: Kind) -> None:
    content = kind(ARTIST)
    key = library.add("a.ogg", content)

    for description in ("d", "d" * 10_000, "d" * 50_000, None):
        library.write(key, {"description": description})
        assert sound(library.bytes_of(key)) == sound(content)
        assert len(pages_of(library.bytes_of(key))) == len(pages_of(content))


@pytest.mark.parametrize("kind", [vorbis, opus, speex])
def test_the_first_write_leaves_room_for_those_that_follow(library: Library, kind: Kind) -> None:
    key = library.add("a.ogg", kind(ARTIST))
    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE

    for number in range(10):
        planned = library.write(key, {"title": f"Title {number}", "description": "d" * 300 * number})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 8192
        assert not told(library.bytes_of(key))[2].strip(b"\0\1")


def test_the_setup_that_shares_a_page_with_the_comments_stays(library: Library) -> None:
    key = library.add("a.ogg", vorbis(ARTIST))

    library.write(key, dict(HELD))

    assert packets_of(library.bytes_of(key), 3)[2] == SETUP
    assert told(library.bytes_of(key))[2][:1] == b"\1"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 13])
def test_headers_on_several_pages_stay_on_as_many(library: Library, count: int) -> None:
    content = many_pages(comments("COVERART=" + "A" * 3000), count)
    key = library.add("a.ogg", content)

    for title in ("T", "x" * 5000, "y" * 20_000, "T"):
        library.write(key, {"title": title})
        after = library.bytes_of(key)
        assert library.names() == {"a.ogg"}
        assert told(after)[1] == [b"COVERART=" + b"A" * 3000, b"TITLE=" + title.encode()]
        assert packets_of(after, 3)[2] == SETUP
        assert sound(after) == sound(content)
        for _, position, _, sizes, _ in pages_of(after)[1 : count + 1]:
            assert position == (0 if min(sizes) < 255 else -1)


def test_a_cover_in_the_comments_is_moved_once_and_then_left_alone(library: Library) -> None:
    cover = "METADATA_BLOCK_PICTURE=" + "A" * 150_000
    key = library.add("a.ogg", many_pages(comments("TITLE=old", cover), 8))
    library.write(key, {"title": "A longer one"})

    planned = library.write(key, {"title": "Another", "description": "d" * 1000})

    assert planned.mode is Mode.PATCH
    assert sum(file.bytes_changed for file in planned.files) < 8192


def test_comments_that_need_another_page_go_to_a_sidecar(library: Library) -> None:
    content = vorbis(comments("COVERART=" + "A" * 55_000))
    key = library.add("a.ogg", content)

    planned = library.write(key, {"description": "d" * 10_000})

    assert planned.mode is Mode.SIDECAR
    assert "no room" in planned.note
    assert library.bytes_of(key) == content


def test_room_is_as_large_as_the_page_lets_it_be(library: Library) -> None:
    key = library.add("a.ogg", vorbis(comments("COVERART=" + "A" * 55_000)))

    assert library.write(key, {"description": "d" * 5_000}).mode is Mode.REPLACE
    assert library.write(key, {"description": "d" * 5_500}).mode is Mode.PATCH
    assert len(pages_of(library.bytes_of(key))[1][3]) == 255


def test_what_someone_keeps_behind_the_comments_stays(library: Library) -> None:
    key = library.add("a.opus", opus(ARTIST, behind=b"\1kept by someone"))

    library.write(key, {"title": "T"})

    assert told(library.bytes_of(key)) == (b"some encoder", [b"ARTIST=Somebody", b"TITLE=T"], b"\1kept by someone")


def test_room_that_others_have_left_is_used(library: Library) -> None:
    content = opus(ARTIST, behind=bytes(400))
    key = library.add("a.opus", content)

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH
    assert len(library.bytes_of(key)) == len(content)


def test_a_file_that_ends_with_its_headers_grows_at_its_end(library: Library) -> None:
    block = comments("TITLE=one")
    key = library.add("a.ogg", ogg(OGG_FLAC, page(1, segments(b"\x84" + len(block).to_bytes(3) + block)), sound=0))

    assert library.write(key, {"title": "another one"}).mode is Mode.APPEND
    assert told(library.bytes_of(key))[1] == [b"TITLE=another one"]


OTHER = page(0, [b"fishead\0" + bytes(56)], flags=2, serial=1)
PLAIN = vorbis(ARTIST)
COMMENT_PAGE = segments(b"\x03vorbis" + ARTIST + b"\1") + segments(SETUP)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (OTHER + PLAIN, "not known"),
        (ogg(b"\x80theora" + bytes(35), page(1, segments(b"\x81theora" + ARTIST))), "not known"),
        (ogg(VORBIS, OTHER, page(1, COMMENT_PAGE)), "several streams"),
        (PLAIN + page(0, [VORBIS], flags=2, serial=2) + page(1, COMMENT_PAGE, serial=2), "one after the other"),
        (PLAIN + bytes(100_000), "does not end with"),
        (PLAIN + b"TAG" + b"Title".ljust(125, b"\0"), "another format"),
        (ogg(VORBIS, page(1, COMMENT_PAGE, position=5)), "sound begins"),
        (ogg(OPUS, page(1, segments(b"OpusTags" + ARTIST) + segments(b"sound"))), "sound begins"),
        (ogg(VORBIS, page(1, COMMENT_PAGE, crc=5)), "damaged"),
        (ogg(VORBIS, page(2, COMMENT_PAGE)), "do not follow"),
        (ogg(VORBIS, page(1, COMMENT_PAGE, flags=1)), "do not follow"),
        (ogg(VORBIS, page(1, segments(b"\x03vorbis" + ARTIST) + segments(SETUP))), "do not end"),
        (ogg(VORBIS, page(1, segments(b"\x03vorbis" + ARTIST[:-4] + b"\1") + segments(SETUP))), "cut off"),
        (ogg(VORBIS, page(1, segments(b"other packet") + segments(SETUP))), "no comments"),
        (ogg(OGG_FLAC, page(1, segments(b"\x84\0\0\5" + ARTIST))), "no comments"),
        (page(0, [SPEEX, b"more"], flags=2), "more than the head"),
        (PLAIN[:200], "damaged"),
        (b"OggS", "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.ogg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def opened(library: Library, key: bytes) -> tuple[Ogg, bytes]:
    """The container, and the content of which it says that it never changes."""
    with library.root.folder_of(key) as (folder, name), folder.open(name) as media:
        container = Ogg(media)
        return container, b"".join(media.read(offset, length) for offset, length in container.content)


@pytest.mark.parametrize(
    ("kind", "seconds"), [(vorbis, 2.0), (ogg_flac, 2.0), (opus, (88_200 - 312) / 48_000), (speex, 88_200 / 16_000)]
)
def test_the_sound_is_measured_and_told_from_what_changes(library: Library, kind: Kind, seconds: float) -> None:
    key = library.add("a.ogg", kind(ARTIST))
    container, before = opened(library, key)
    assert container.duration_s == seconds
    assert len(pages_of(before)) == 3

    library.write(key, {"title": "T" * 3000})
    assert opened(library, key)[1] == before


def test_a_large_file_is_neither_read_nor_written_as_a_whole(library: Library) -> None:
    content = opus(ARTIST, behind=bytes(4000))
    key = library.add("a.opus", content)
    with open(library.path / "a.opus", "r+b") as file:
        file.seek(1 << 30)
        file.write(page(9, segments(b"the end"), flags=4, position=48_000 * 3600))

    planned = library.write(key, dict(HELD))

    assert planned.mode is Mode.PATCH
    assert planned.bytes_read <= 256 * 1024
    assert sum(file.bytes_changed for file in planned.files) <= 8192


@pytest.mark.tool("ffmpeg")
@pytest.mark.tool("exiftool")
@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.spx", "a.oga"])
def test_programs_read_the_texts_and_hear_the_same(library: Library, name: str) -> None:
    # FFmpeg takes the codec from the name, except where Ogg has several.
    codec = {"a.ogg": ["-c:a", "libvorbis"], "a.oga": ["-c:a", "flac"], "a.spx": ["-ar", "16000"]}.get(name, [])
    source = ["-f", "lavfi", "-i", "sine=440:d=1", "-metadata", "artist=Somebody"]
    assert finished(["ffmpeg", "-v", "error", *source, *codec, name], library.path).returncode == 0
    heard = _heard(library.path, name)

    library.write(name.encode(), {"title": "Ünï 日本", "keywords": ["a", "b"], "description": "one", "rating": 4})
    library.write(name.encode(), {"description": "line\nline", "rating": None})

    assert _heard(library.path, name) == heard
    said = json.loads(finished(["exiftool", "-j", "-G1", name], library.path).stdout)[0]
    # ExifTool does not look into Speex.
    if name != "a.spx":
        assert said["Vorbis:Title"] == "Ünï 日本"
        assert finished(["exiftool", "-a", "-s3", "-Vorbis:Keywords", name], library.path).stdout.split() == ["a", "b"]
        assert said["Vorbis:Description"].split() == ["line", "line"]
        assert said["Vorbis:Artist"] == "Somebody"
        assert "Vorbis:Rating" not in said
    assert "Warning" not in finished(["exiftool", "-validate", "-warning", "-a", name], library.path).stdout


def _heard(folder: Path, name: str) -> str:
    decoded = finished(["ffmpeg", "-v", "error", "-i", name, "-f", "md5", "-"], folder)
    assert decoded.stdout.startswith("MD5=")
    assert not decoded.stderr
    return decoded.stdout


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_bytes_never_crash_and_the_sound_stays(library: Library, data: st.DataObject) -> None:
    content = bytearray(vorbis(ARTIST, sound=1))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, 150))] = data.draw(st.integers(0, 255))
    # Without a checksum that is right again, nothing of this would be looked at.
    struct.pack_into("<I", content, 58 + 22, 0)
    end = 85 + content[84] + sum(content[85 : 85 + content[84]])
    if end <= len(content):
        struct.pack_into("<I", content, 58 + 22, checksum_of(bytes(content[58:end])))
    key = library.add("a.ogg", bytes(content[: data.draw(st.integers(5, len(content)))]))
    (library.path / "a.xmp").unlink(missing_ok=True)
    before = library.bytes_of(key)
    kept = opened(library, key)[1] if not library.read(key).note else before

    library.write(key, {"title": "A new title"})

    assert library.read(key).tags["title"] == "A new title"
    assert library.bytes_of(key).endswith(kept)
