"""Tags in MP3: only our frames change, in the way of the tag's version; the sound and other tags stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.mp3 import Mp3
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.sounds import Memory, damaged, frame, frames_of, sound, syncsafe, tag, v1

PICTURE = frame(b"APIC", b"\0image/jpeg\0\3\0" + b"\xff\xd8\xff\xe0" * 50)
NORM = frame(b"COMM", b"\0engiTunNORM\0 0000")
PRIVATE = frame(b"PRIV", b"AverageLevel\0\1\2\3\4")
RATED = b"Windows Media Player 9 Series\0"


def text(value: str) -> bytes:
    """A text in Latin-1."""
    return b"\0" + value.encode("latin-1")


def xmp_of(content: bytes) -> bytes:
    """The packet in the tag, which must be there once."""
    (found,) = [data for _, data in frames_of(content) if data.startswith(b"XMP\0")]
    return found[4:]


def test_a_file_without_a_tag_gets_one_of_version_2_3_in_front(library: Library) -> None:
    key = library.add("a.mp3", sound())

    assert library.write(key, {"title": "T", "rating": 4}).mode is Mode.REPLACE

    after = library.bytes_of(key)
    assert after[:5] == b"ID3\3\0"
    assert after.endswith(sound())
    assert [kind for kind, _ in frames_of(after)] == [b"PRIV"]
    assert library.read(key).tags == {"title": "T", "rating": 4}


@pytest.mark.tool("exiftool")
def test_exiftool_reads_everything_back(library: Library, tmp_path: Path) -> None:
    frames = [frame(b"TIT2", text("Old")), frame(b"COMM", b"\0eng\0old"), frame(b"TCOP", text("old")), PICTURE]
    key = library.add("a.mp3", tag(*frames, frame(b"POPM", RATED + b"\x40\0\0\0\x09")) + sound(20) + v1())

    library.write(key, {"title": "Füße", "description": "日本", "copyright": "(c) é", "rating": 5, "creators": ["A"]})

    (told,) = json.loads(finished(["exiftool", "-j", "-G1", "-all", "-validate", tmp_path / "a.mp3"], tmp_path).stdout)
    wanted = {
        "ID3v2_3:Title": "Füße",
        "ID3v2_3:Comment": "日本",
        "ID3v2_3:Copyright": "(c) é",
        "ID3v2_3:Popularimeter": "Windows Media Player 9 Series Rating=255 Count=9",
        "ID3v1:Title": "Füße",
        "XMP-dc:Title": "Füße",
        "XMP-dc:Description": "日本",
        "XMP-xmp:Rating": 5,
        "ExifTool:Validate": "OK",
    }
    assert {name: told.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("version", [2, 3, 4])
def test_frames_of_others_stay_as_they_are_and_in_order(library: Library, version: int) -> None:
    names = {2: (b"TT2", b"ULT", b"COM", b"PRV"), 3: (b"TIT2", b"USLT", b"COMM", b"PRIV")}[min(version, 3)]
    others = [
        (names[1], b"\0eng\0la la"),
        (names[2], b"\0engiTunNORM\0 1"),
        (names[3], b"Mine\0\xff\xfe\0"),
        (b"TXYZ"[: len(names[0])], b"\xff"),
    ]
    frames = [frame(names[0], text("Old"), version), *(frame(kind, data, version) for kind, data in others)]
    key = library.add("a.mp3", tag(*frames, version=version) + sound())

    library.write(key, {"title": "A longer one", "description": "D"})

    after = library.bytes_of(key)
    assert after[3] == version
    assert frames_of(after)[:4] == others
    assert dict(frames_of(after))[names[0]] == text("A longer one")
    assert frames_of(after)[4][0] == names[3]
    assert b"A longer one" in xmp_of(after)
    assert after.endswith(sound())


def test_a_second_write_is_patched_in_place_even_behind_a_large_picture(library: Library) -> None:
    cover = frame(b"APIC", b"\0image/jpeg\0\3\0" + b"\xff" * 300_000)
    key = library.add("a.mp3", tag(frame(b"TIT2", text("Old")), cover) + sound(2000))
    library.write(key, {"rating": 1})
    size = len(library.bytes_of(key))

    for number in range(60):
        planned = library.write(key, {"title": "x" * (number * 7 % 50 + 1), "keywords": [f"a|{number}"]})
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024

    assert len(library.bytes_of(key)) == size
    assert cover in library.bytes_of(key)


def test_padding_that_is_there_is_used(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TIT2", text("Old")), padding=20_000) + sound())

    assert library.write(key, {"title": "A new one"}).mode is Mode.PATCH


@pytest.mark.parametrize(
    ("version", "old", "new", "content"),
    [
        (3, text("Old"), "Né", b"\0N\xe9"),
        (3, text("Old"), "Ж", b"\1\xff\xfe\x16\x04"),
        (3, b"\1\xff\xfeO\0", "N", b"\1\xff\xfeN\0"),
        (3, b"\3Old", "N", b"\1\xff\xfeN\0"),
        (4, text("Old"), "N", b"\0N"),
        (4, text("Old"), "Ж", "\3Ж".encode()),
        (4, b"\2\0O", "Ж", b"\2\x04\x16"),
        (4, b"\3One\0Two", "N", b"\3N\0Two"),
        (2, text("Old"), "Ж", b"\1\xff\xfe\x16\x04"),
        (3, b"", "N", b"\0N"),
    ],
)
def test_a_text_keeps_its_encoding_if_it_can_and_never_gets_one_that_its_version_lacks(
    library: Library, version: int, old: bytes, new: str, content: bytes
) -> None:
    kind = b"TT2" if version == 2 else b"TIT2"
    key = library.add("a.mp3", tag(frame(kind, old, version), version=version) + sound())

    library.write(key, {"title": new})

    assert dict(frames_of(library.bytes_of(key)))[kind] == content


def test_latin_texts_are_read_with_the_signs_of_windows(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TIT2", b"\0It\x92s")) + sound())

    assert library.read(key).tags == {"title": "It\u2019s"}


def test_only_the_comment_without_a_description_is_ours_and_other_languages_stay(library: Library) -> None:
    comments = [b"\0engOther\0keep", b"\0eng\0Old", b"\0deu\0Alt", b"\0fra\0Old"]
    key = library.add("a.mp3", tag(*(frame(b"COMM", content) for content in comments)) + sound())
    assert library.read(key).tags == {"description": "Old"}

    library.write(key, {"description": "A new one"})
    found = [data for kind, data in frames_of(library.bytes_of(key)) if kind == b"COMM"]
    assert found == [b"\0engOther\0keep", b"\0eng\0A new one", b"\0deu\0Alt", b"\0fra\0A new one"]

    library.write(key, {"description": None})
    assert [data for kind, data in frames_of(library.bytes_of(key)) if kind == b"COMM"] == [comments[0]]
    assert library.read(key).tags == {}


def test_ratings_of_known_owners_follow_and_counters_stay(library: Library) -> None:
    ratings = [RATED + b"\x40\0\0\0\5", b"no@email\0\x40", b"me@home\0\x40\0\0\0\1"]
    key = library.add("a.mp3", tag(*(frame(b"POPM", content) for content in ratings)) + sound())
    assert library.read(key).tags == {"rating": 2}

    library.write(key, {"rating": 5})
    found = [data for kind, data in frames_of(library.bytes_of(key)) if kind == b"POPM"]
    assert found == [ratings[2], RATED + b"\xff\0\0\0\5", b"no@email\0\xff"]

    library.write(key, {"rating": None})
    found = [data for kind, data in frames_of(library.bytes_of(key)) if kind == b"POPM"]
    assert found == [ratings[2], RATED + b"\0\0\0\0\5"]
    assert library.read(key).tags == {}


def test_dates_follow_as_exactly_as_their_frames_can_say_it(library: Library) -> None:
    old = [frame(b"TYER", text("2001")), frame(b"TDAT", text("0302")), frame(b"TIME", text("0405"))]
    key = library.add("a.mp3", tag(*old, frame(b"TDRC", text("2001-02-03T04:05"))) + sound())
    library.write(key, {"taken_at": "2001-02-03T04:05"})

    library.write(key, {"taken_at": "2020-12-31T23:59:58.5+02:00"})

    found = dict(frames_of(library.bytes_of(key)))
    assert [found[kind] for kind in (b"TYER", b"TDAT", b"TIME")] == [text("2020"), text("3112"), text("2359")]
    assert found[b"TDRC"] == text("2020-12-31T23:59:58")

    library.write(key, {"taken_at": "1999"})
    assert {kind: data for kind, data in frames_of(library.bytes_of(key)) if kind != b"PRIV"} == {
        b"TYER": text("1999"),
        b"TDRC": text("1999"),
    }


def test_dates_and_performers_that_say_something_else_stay(library: Library) -> None:
    frames = [frame(b"TYER", text("1985")), frame(b"TPE1", text("The Band"))]
    key = library.add("a.mp3", tag(*frames) + sound())

    library.write(key, {"taken_at": "2020-01-01", "creators": ["Ann"]})

    found = dict(frames_of(library.bytes_of(key)))
    assert (found[b"TYER"], found[b"TPE1"]) == (text("1985"), text("The Band"))


def test_performers_follow_creators_in_the_way_they_are_listed(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TPE1", b"\3Ann\0Bob", 4), version=4) + sound())
    library.write(key, {"creators": ["Ann", "Bob"]})

    library.write(key, {"creators": ["Ann", "Cyd"]})

    assert dict(frames_of(library.bytes_of(key)))[b"TPE1"] == b"\3Ann\0Cyd"


def test_keywords_in_a_text_of_that_name_follow(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TXXX", b"\0Keywords\0a;b"), frame(b"TXXX", b"\0MOOD\0a")) + sound())
    assert library.read(key).tags == {"keywords": ["a", "b"]}

    library.write(key, {"keywords": ["b", "c"]})

    found = [data for kind, data in frames_of(library.bytes_of(key)) if kind == b"TXXX"]
    assert sorted(found) == [b"\0Keywords\0b;c", b"\0MOOD\0a"]


@pytest.mark.parametrize("track", [0, 7])
def test_the_oldest_tag_is_in_step_and_keeps_its_track(library: Library, track: int) -> None:
    key = library.add("a.mp3", sound() + v1(b"Old", b"Words", track))
    library.write(key, {"description": "Words"})

    library.write(key, {"title": "Ü" * 40, "description": "d" * 40})
    after = library.bytes_of(key)
    assert after[-128:] == v1(b"\xdc" * 30, b"d" * (28 if track else 30), track)

    library.write(key, {"title": "Ж", "description": None})
    assert library.bytes_of(key)[-128:] == v1(b"", b"", track)


def test_what_was_not_synchronised_is_read_and_kept(library: Library) -> None:
    others = [(b"APIC", b"\0image/jpeg\0\3\0\xff\xe0\xff\0\xff"), (b"TALB", b"\1\xff\xfeA\0")]
    frames = [frame(b"TIT2", b"\1\xff\xfeO\0"), *(frame(kind, data) for kind, data in others)]
    body = b"".join(frames).replace(b"\xff", b"\xff\0")
    key = library.add("a.mp3", tag(body, flags=0x80) + sound())
    assert library.read(key).tags == {"title": "O"}

    library.write(key, {"title": "New"})

    after = library.bytes_of(key)
    assert after[5] == 0
    assert frames_of(after)[:2] == others
    assert dict(frames_of(after))[b"TIT2"] == b"\1\xff\xfeN\0e\0w\0"
    assert library.write(key, {"title": "Newer"}).mode is Mode.PATCH


def test_frames_of_2_4_that_are_not_synchronised_stay_so(library: Library) -> None:
    title = frame(b"TIT2", syncsafe(5) + b"\1\xff\0\xfeO\0", 4, b"\0\3")
    picture = frame(b"APIC", b"\0image/jpeg\0\3\0\xff\0\xe0", 4, b"\0\2")
    rating = frame(b"POPM", RATED + b"\x40\0\0\0\0", 4, b"\0\2")
    key = library.add("a.mp3", tag(title, picture, rating, version=4, flags=0x80) + sound())
    assert library.read(key).tags == {"title": "O", "rating": 2}

    library.write(key, {"title": "New", "rating": 5})

    after = library.bytes_of(key)
    assert after[5] == 0x80
    assert picture in after
    assert frame(b"POPM", RATED + b"\xff\0\0\0\0\0", 4, b"\0\2") in after
    assert library.read(key).tags == {"title": "New", "rating": 5}


@pytest.mark.parametrize(
    ("version", "extended"), [(3, b"\0\0\0\6\0\0" + (77).to_bytes(4, "big")), (4, b"\0\0\0\6\1\0")]
)
def test_an_extended_header_stays(library: Library, version: int, extended: bytes) -> None:
    title = frame(b"TIT2", text("Old"), version)
    key = library.add("a.mp3", tag(extended, title, version=version, flags=0x40, padding=77) + sound())
    assert library.read(key).tags == {"title": "Old"}

    library.write(key, {"title": "New"})

    after = library.bytes_of(key)
    assert after[10:].startswith(extended[:6])
    if version == 3:
        padding = len(after) - len(sound()) - len(after[: -len(sound())].rstrip(b"\0"))
        assert int.from_bytes(after[16:20], "big") == padding
    assert library.read(key).tags == {"title": "New"}


def test_lengths_as_itunes_wrote_them_are_understood_and_kept(library: Library) -> None:
    picture = frame(b"APIC", b"\0image/jpeg\0\3\0" + b"\xff" * 300, 3)
    key = library.add("a.mp3", tag(picture, frame(b"TIT2", text("Old")), version=4) + sound())
    assert library.read(key).tags == {"title": "Old"}

    library.write(key, {"title": "New", "description": "d" * 300})

    after = library.bytes_of(key)
    assert picture in after
    assert frame(b"PRIV", b"XMP\0" + library_packet(after), 3) in after
    assert library.read(key).tags == {"title": "New", "description": "d" * 300}


def library_packet(content: bytes) -> bytes:
    """The packet in a file, found by its marks."""
    end = b'<?xpacket end="w"?>'
    return content[content.index(b"<?xpacket begin") : content.index(end) + len(end)]


def ape(head: bool = True, **items: bytes) -> bytes:
    """An APE tag with these items."""
    body = b"".join(
        len(value).to_bytes(4, "little") + bytes(4) + key.encode() + b"\0" + value for key, value in items.items()
    )
    numbers = (2000).to_bytes(4, "little") + (len(body) + 32).to_bytes(4, "little") + len(items).to_bytes(4, "little")
    ends = [b"APETAGEX" + numbers + flags + bytes(8) for flags in (b"\0\0\0\xa0", b"\0\0\0\x80" if head else bytes(4))]
    return (ends[0] if head else b"") + body + ends[1]


def footed(*frames: bytes) -> bytes:
    """A tag of 2.4 that can be found from its end."""
    whole = tag(*frames, version=4, flags=0x10)
    return whole + b"3DI" + whole[3:10]


@pytest.mark.parametrize("behind", [True, False])
def test_a_tag_with_a_foot_keeps_it_and_is_not_padded(library: Library, behind: bool) -> None:
    old = footed(frame(b"TIT2", text("Old"), 4), frame(b"TALB", text("Album"), 4))
    key = library.add("a.mp3", sound() + old + v1(b"Old") if behind else old + sound())
    assert library.read(key).tags == {"title": "Old"}

    library.write(key, {"title": "A longer one"})

    after = library.bytes_of(key)
    assert library.read(key).tags == {"title": "A longer one"}
    frames = [frame(b"TALB", text("Album"), 4), frame(b"TIT2", text("A longer one"), 4)]
    if behind:
        assert after.endswith(sound() + footed(*frames) + v1(b"A longer one"))
    else:
        held = frame(b"PRIV", b"XMP\0" + library_packet(after), 4)
        assert after == footed(frames[0], held, frames[1]) + sound()


def test_tags_before_and_behind_the_sound_are_brought_in_step(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TIT2", text("Front"))) + sound() + footed(frame(b"TIT2", text("Back"), 4)))
    assert library.read(key).tags == {"title": "Front"}

    library.write(key, {"rating": 1})
    assert library.bytes_of(key).endswith(footed(frame(b"TIT2", text("Back"), 4)))
    library.write(key, {"title": "Both"})

    after = library.bytes_of(key)
    assert frame(b"TIT2", text("Both")) in after
    assert after.endswith(footed(frame(b"TIT2", text("Both"), 4)))


@pytest.mark.parametrize("head", [True, False])
def test_texts_of_an_ape_tag_are_in_step_and_its_other_items_stay(library: Library, head: bool) -> None:
    old = ape(head, Title=b"Old", Genre=b"Jazz", COMMENT=b"Words\0More", Artist=b"Ann\0Bob", Keywords=b"a\0b")
    key = library.add("a.mp3", sound() + old + v1(b"Old"))
    assert library.read(key).tags == {"title": "Old", "description": "Words", "keywords": ["a", "b"]}
    library.write(key, {"creators": ["Ann", "Bob"]})

    library.write(key, {"title": "Füße", "description": "D", "creators": ["Cyd"], "keywords": None})

    new = ape(head, Title="Füße".encode(), Genre=b"Jazz", COMMENT=b"D\0More", Artist=b"Cyd")
    assert library.bytes_of(key).endswith(sound() + new + v1(b"F\xfc\xdfe"))
    assert library.read(key).tags == {"title": "Füße", "description": "D", "creators": ["Cyd"]}


def test_other_trailers_stay_behind_the_sound(library: Library) -> None:
    lyrics = b"LYRICSBEGININD0000200" + b"000021" + b"LYRICS200"
    trailers = ape(REPLAYGAIN_TRACK_GAIN=b"1 dB") + lyrics + v1()
    key = library.add("a.mp3", sound() + trailers)

    library.write(key, {"title": "Old", "rating": 1})

    assert library.bytes_of(key).endswith(sound() + trailers)


XMP = frame(b"PRIV", b"XMP\0" + packet(""))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (tag(XMP, XMP) + sound(), "several XMP packets"),
        (tag(frame(b"TIT2", text("T")))[:-3], "longer than the file"),
        (tag(frame(b"TIT2", text("T")), b"TPE1\0\0\1\0\0\0") + sound(), "damaged"),
        (tag(frame(b"TIT2", text("T"), 3, b"\0\x80")) + sound(), "compressed"),
        (tag(b"\0\0\0\x0a\x80\0\0\0\0\0crc!", flags=0x40) + sound(), "checksum"),
        (tag(b"\0\0\0\x0b\1\x20\5\0\0\0\0", version=4, flags=0x40) + sound(), "checksum"),
        (tag(b"\0\0\0\x7f\0\0", flags=0x40) + sound(), "damaged"),
        (bytes(5) + tag() + sound(), "before the sound"),
        (tag(version=3, flags=0x10) + sound(), "not known"),
        (sound() + footed() + footed(), "several ID3 tags"),
        (sound() + footed(XMP), "not understood"),
        (tag(version=5) + sound(), "unknown version"),
        (tag(frame(b"SEEK", bytes(4), 4), version=4) + sound(), "further on"),
        (tag() + tag() + sound(), "before the sound"),
        (sound() + b"3DI\4\0\x10\0\0\0\0", "unknown version"),
        (sound() + v1() + v1(), "several ID3v1"),
        (sound() + b"TAG+" + bytes(223) + v1(), "extended ID3v1"),
        (sound() + ape(Title=b"a") + ape(Title=b"b"), "several APE tags"),
        (sound() + ape(Title=b"a").replace(b"\1\0\0\0\0", b"\2\0\0\0\0"), "APE tag is damaged"),
        (sound() + ape(Title=b"a")[32:], "APE tag is damaged"),
        (tag() + b"\xff\xf1\x50\x80" * 100, "AAC"),
        (b"no sound at all" * 100, "no sound"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.mp3", content)

    planned = library.write(key, {"title": "New"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_what_lies_hidden_in_the_padding_is_not_overwritten(library: Library) -> None:
    key = library.add("a.mp3", tag(frame(b"TIT2", text("T")), bytes(10) + b"hidden", padding=20_000) + sound())

    assert library.write(key, {"title": "New"}).mode is Mode.SIDECAR


def test_the_time_is_told_by_the_first_frame_and_the_sound_is_the_content(library: Library) -> None:
    first = bytearray(sound(1))
    first[36:48] = b"Xing\0\0\0\1" + (100).to_bytes(4, "big")
    content = tag(frame(b"TIT2", text("T"))) + first + sound() + v1()
    container = Mp3(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile

    assert container.duration_s == pytest.approx(100 * 1152 / 44_100)
    ((at, length),) = container.content
    assert content[at : at + length] == first + sound()


def test_the_time_is_told_by_other_encoders_too_and_else_by_the_bit_rate() -> None:
    first = bytearray(sound(1))
    first[36:54] = b"VBRI" + bytes(10) + (100).to_bytes(4, "big")
    counted = Mp3(Memory(bytes(first) + sound() + v1()))  # type: ignore[arg-type] # reads like a MediaFile
    assert counted.duration_s == pytest.approx(100 * 1152 / 44_100)

    constant = Mp3(Memory(tag(frame(b"TIT2", text("T"))) + sound(60) + v1()))  # type: ignore[arg-type] # the same
    assert constant.duration_s == pytest.approx(60 * 417 * 8 / 128_000)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    frames = [frame(b"TIT2", text("T")), frame(b"COMM", b"\1eng\xff\xfe\0\0\xff\xfeA\0"), PICTURE, NORM, PRIVATE, XMP]
    dates = [frame(b"TYER", text("2001")), frame(b"TDAT", text("0302")), frame(b"POPM", RATED + b"\x40\0")]
    whole = tag(*frames, *dates, padding=50) + sound(2) + ape(Title=b"x", Genre=b"y") + v1()
    media = damaged(data, whole)
    new = dict.fromkeys(("TIT2", "COMM", "TXXX:KEYWORDS", "TPE1", "v1:title", "APE:Title"), ("N",))
    try:
        container = Mp3(media)  # type: ignore[arg-type] # reads like a MediaFile
        container.set_blocks(Blocks(xmp=container.xmp or b"x" * 1000, texts={**new, "POPM": ("255",), "TYER": ()}))
    except FileProblem:
        pass
    assert media.reads < 10_000


def test_sound_of_another_kind_with_an_id3_tag_is_not_taken_for_mp3(library: Library) -> None:
    key = library.add("a.mpc", tag(b"") + b"MP+" + bytes(500) + sound())

    assert library.read(key).format == "unknown"
