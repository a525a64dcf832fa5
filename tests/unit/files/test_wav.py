"""Tags in WAV: XMP, the list of texts and an ID3 tag, gathered behind the sound, which never moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.wav import Wav
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.sounds import Memory, chunk, chunks_of, damaged, form, frame, frames_of, tag

FORM = chunk(b"fmt ", bytes.fromhex("0100 0100 401f0000 401f0000 0100 0800"))
SOUND = chunk(b"data", bytes(range(256)) * 40)


def info(**texts: bytes) -> bytes:
    """A list of texts."""
    return chunk(b"LIST", b"INFO" + b"".join(chunk(key.encode(), value + b"\0") for key, value in texts.items()))


def wav(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """A WAV file of these chunks, with the form in front."""
    return form(b"RIFF", b"WAVE", FORM, *chunks) + trailer


def texts_of(content: bytes) -> dict[bytes, bytes]:
    """The texts in the list, which must be there once."""
    (found,) = [data for kind, data in chunks_of(content) if kind == b"LIST" and data.startswith(b"INFO")]
    return dict(chunks_of(form(b"RIFF", b"INFO", found[4:])))


def test_a_first_write_is_appended_behind_the_sound(library: Library) -> None:
    content = wav(SOUND, chunk(b"bext", b"voice"))
    key = library.add("a.wav", content)

    planned = library.write(key, {"title": "T", "rating": 4})

    assert planned.mode is Mode.APPEND
    after = library.bytes_of(key)
    assert after[8 : len(content)] == content[8:]
    assert [kind for kind, _ in chunks_of(after)] == [b"fmt ", b"data", b"bext", b"_PMX"]
    assert library.read(key).tags == {"title": "T", "rating": 4}


def test_texts_that_are_there_follow_and_others_stay(library: Library) -> None:
    key = library.add(
        "a.wav", wav(SOUND, info(ISFT=b"Software", INAM=b"Old", ICMT=b"It\x92s", IKEY=b"a;b", IART=b"Me"))
    )
    assert library.read(key).tags == {"title": "Old", "description": "It\u2019s", "keywords": ["a", "b"]}

    assert library.write(key, {"title": "Füße", "description": None, "keywords": ["x"]}).mode is Mode.APPEND

    assert texts_of(library.bytes_of(key)) == {
        b"ISFT": b"Software\0",
        b"INAM": b"F\xfc\xdfe\0",
        b"IKEY": b"x\0",
        b"IART": b"Me\0",
    }
    assert library.read(key).tags == {"title": "Füße", "keywords": ["x"]}


@pytest.mark.parametrize(
    ("old", "new", "held"),
    [
        (b"Old", "Ж", None),
        ("Б".encode(), "Ж", "Ж\0".encode()),
        (b"Old", "Ã©", "Ã©\0".encode()),
    ],
    ids=["what readers would not understand", "where they do", "what would be taken for another text"],
)
def test_texts_beyond_the_western_alphabet(library: Library, old: bytes, new: str, held: bytes | None) -> None:
    key = library.add("a.wav", wav(SOUND, info(INAM=old)))

    library.write(key, {"title": new})

    assert texts_of(library.bytes_of(key)).get(b"INAM") == held
    assert library.read(key).tags == {"title": new}


def test_a_list_before_the_sound_leaves_room_behind_and_moves_once(library: Library) -> None:
    content = wav(info(INAM=b"Old"), SOUND)
    key = library.add("a.wav", content)

    assert library.write(key, {"title": "A longer one"}).mode is Mode.APPEND
    after = library.bytes_of(key)
    assert [kind for kind, _ in chunks_of(after)] == [b"fmt ", b"JUNK", b"data", b"LIST", b"_PMX"]
    assert b"Old" not in after
    assert after.index(SOUND) == content.index(SOUND)
    size = len(after)

    for number in range(60):
        planned = library.write(key, {"title": "x" * (number * 7 % 90 + 1)})
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024
    assert len(library.bytes_of(key)) == size


@pytest.mark.parametrize("padding", [0, 500])
def test_an_id3_tag_is_in_step(library: Library, padding: int) -> None:
    held = tag(frame(b"TIT2", b"\0Old"), frame(b"TPE1", b"\0Me"), padding=padding)
    key = library.add("a.wav", wav(chunk(b"id3 ", held), SOUND, info(INAM=b"Old")))

    assert library.write(key, {"title": "A longer one"}).mode is Mode.APPEND

    found = dict(chunks_of(library.bytes_of(key)))
    assert dict(frames_of(found[b"id3 "])) == {b"TPE1": b"\0Me", b"TIT2": b"\0A longer one"}
    assert texts_of(library.bytes_of(key)) == {b"INAM": b"A longer one\0"}
    assert library.write(key, {"title": "One that is longer still"}).mode is Mode.PATCH
    assert library.read(key).tags == {"title": "One that is longer still"}


def test_odd_sound_without_its_pad_gets_one(library: Library) -> None:
    content = wav(chunk(b"data", b"odd")[:-1])[:-1]
    key = library.add("a.wav", content)

    library.write(key, {"title": "T"})

    assert dict(chunks_of(library.bytes_of(key)))[b"data"] == b"odd"
    assert library.read(key).tags == {"title": "T"}


def test_a_chunk_of_ours_without_its_pad_gets_one(library: Library) -> None:
    held = tag(frame(b"TPE1", b"\0Me"))
    key = library.add("a.wav", wav(SOUND, info(INAM=b"Old"), chunk(b"id3 ", held)[:-1])[:-1])
    assert len(held) % 2

    library.write(key, {"title": "A longer one"})

    assert dict(chunks_of(library.bytes_of(key)))[b"id3 "] == held
    assert library.read(key).tags == {"title": "A longer one"}


def test_what_lies_behind_the_file_stays_there(library: Library) -> None:
    key = library.add("a.wav", wav(SOUND, trailer=b"behind"))

    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE

    assert library.bytes_of(key).endswith(b"behind")
    assert [kind for kind, _ in chunks_of(library.bytes_of(key))] == [b"fmt ", b"data", b"_PMX"]


def test_a_file_that_is_too_long_for_its_head_says_its_length_in_a_chunk(library: Library) -> None:
    lengths = (8 + 36 + 24 + 8 + 100 - 8).to_bytes(8, "little") + (100).to_bytes(8, "little") + bytes(12)
    content = b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", lengths) + FORM + b"data\xff\xff\xff\xff" + bytes(100)
    content = content[:20] + (len(content) - 8).to_bytes(8, "little") + content[28:]
    key = library.add("a.wav", content)

    assert library.write(key, {"title": "T"}).mode is Mode.APPEND

    after = library.bytes_of(key)
    assert after[:20] == content[:20]
    assert int.from_bytes(after[20:28], "little") == len(after) - 8
    assert after[28 : len(content)] == content[28:]
    assert library.read(key).tags == {"title": "T"}


def test_the_time_is_told_and_the_sound_is_the_content() -> None:
    content = wav(SOUND)
    container = Wav(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile

    assert container.duration_s == pytest.approx(10240 / 8000)
    ((at, length),) = container.content
    assert content[at : at + length] == SOUND[8:]


@pytest.mark.tool("exiftool")
def test_exiftool_reads_everything_back(library: Library, tmp_path: Path) -> None:
    key = library.add("a.wav", wav(info(INAM=b"Old", ICOP=b"x"), SOUND))

    library.write(key, {"title": "Füße", "copyright": "© é", "description": "日本"})

    (told,) = json.loads(finished(["exiftool", "-j", "-G1", "-all", "-validate", tmp_path / "a.wav"], tmp_path).stdout)
    wanted = {
        "RIFF:Title": "Füße",
        "RIFF:Copyright": "© é",
        "XMP-dc:Title": "Füße",
        "XMP-dc:Description": "日本",
        "ExifTool:Validate": "OK",
    }
    assert {name: told.get(name) for name in wanted} == wanted


XMP = chunk(b"_PMX", packet(""))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (wav(SOUND, XMP, XMP), "several XMP packets"),
        (wav(SOUND, info(), info()), "several lists"),
        (wav(SOUND, chunk(b"id3 ", tag(frame(b"PRIV", b"XMP\0" + packet(""))))), "XMP in its ID3 tag"),
        (wav(SOUND, chunk(b"id3 ", tag(flags=0x10))), "not known"),
        (wav(SOUND, chunk(b"LIST", b"INFOINAM\xff\0\0\0")), "chunks are damaged"),
        (wav(SOUND, chunk(b"CSET", bytes(8))), "alphabet"),
        (wav(SOUND)[:-10], "shorter than it says"),
        (wav(b"data\xff\xff\xff\xff" + bytes(50)), "chunks are damaged"),
        (wav(b"data\0\0\0\0"), "how long its sound is"),
        (wav(SOUND, trailer=XMP), "behind its end"),
        (b"RIFX" + wav(SOUND)[4:], "not known"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.wav", content)

    planned = library.write(key, {"title": "New"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    held = tag(frame(b"TIT2", b"\0Old"), padding=20)
    media = damaged(data, wav(info(INAM=b"Old"), chunk(b"data", b"12"), chunk(b"id3 ", held), XMP))
    try:
        container = Wav(media)  # type: ignore[arg-type] # reads like a MediaFile
        container.set_blocks(Blocks(xmp=container.xmp or b"x" * 1000, texts={"INAM": ("N",), "TIT2": ("Newer",)}))
    except FileProblem:
        pass
    assert media.reads < 10_000
