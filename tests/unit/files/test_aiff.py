"""Tags in AIFF: texts, an ID3 tag and XMP, gathered behind the sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.aiff import Aiff
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.sounds import Memory, chunk, chunks_of, damaged, form, frame, frames_of, tag


def big(kind: bytes, content: bytes) -> bytes:
    """A chunk as AIFF has them."""
    return chunk(kind, content, "big")


COMMON = big(b"COMM", bytes.fromhex("0001 00001f40 0008 400bfa00000000000000"))
SOUND = big(b"SSND", bytes(8) + bytes(range(250)) * 32)
XMP = big(b"APPL", b"XMP " + packet(""))


def aiff(*chunks: bytes, kind: bytes = b"AIFF", trailer: bytes = b"") -> bytes:
    """An AIFF file of these chunks, with the common ones in front."""
    return form(b"FORM", kind, COMMON, *chunks, order="big") + trailer


def parts(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks behind the common one."""
    return chunks_of(content, "big")[1:]


@pytest.mark.parametrize("kind", [b"AIFF", b"AIFC"])
def test_a_first_write_is_appended_behind_the_sound(library: Library, kind: bytes) -> None:
    content = aiff(SOUND, big(b"APPL", b"MINEodd"), kind=kind)
    key = library.add("a.aif", content)

    assert library.write(key, {"title": "T", "rating": 4}).mode is Mode.APPEND

    after = library.bytes_of(key)
    assert after[8 : len(content)] == content[8:]
    assert [kind for kind, _ in parts(after)] == [b"SSND", b"APPL", b"APPL"]
    assert parts(after)[2][1].startswith(b"XMP <?xpacket")
    assert library.read(key).tags == {"title": "T", "rating": 4}


def test_texts_that_are_there_follow_and_move_behind_the_sound(library: Library) -> None:
    texts = [big(b"NAME", b"Old"), big(b"AUTH", b"Me"), big(b"ANNO", b"Words"), big(b"(c) ", b"Mine")]
    key = library.add("a.aif", aiff(*texts, big(b"MARK", b"mm"), SOUND))
    assert library.read(key).tags == {"title": "Old", "description": "Words", "copyright": "Mine"}

    library.write(key, {"title": "F\u00fc\u00dfe!", "description": None})

    after = parts(library.bytes_of(key))
    assert after[:-1] == [
        (b"AUTH", b"Me"),
        (b"(c) ", b"Mine"),
        (b"MARK", b"mm"),
        (b"SSND", SOUND[8:]),
        (b"NAME", b"F\x9f\xa7e!"),
    ]
    for number in range(20):
        assert library.write(key, {"title": "x" * (number * 5 % 60 + 1)}).mode is Mode.PATCH


def test_of_several_annotations_the_first_is_ours(library: Library) -> None:
    key = library.add("a.aif", aiff(SOUND, *(big(b"ANNO", text) for text in (b"Old", b"Other", b"Old"))))

    library.write(key, {"description": "New"})
    assert sorted(text for kind, text in parts(library.bytes_of(key)) if kind == b"ANNO") == [b"New", b"New", b"Other"]
    assert library.read(key).tags == {"description": "New"}

    library.write(key, {"description": None})
    assert [kind for kind, _ in parts(library.bytes_of(key))] == [b"SSND", b"APPL"]


def test_an_id3_tag_is_in_step(library: Library) -> None:
    held = tag(frame(b"TIT2", b"\0Old"), frame(b"TPE1", b"\0Me"), padding=300)
    key = library.add("a.aif", aiff(SOUND, big(b"ID3 ", held)))

    assert library.write(key, {"title": "A longer one"}).mode is Mode.APPEND

    found = dict(parts(library.bytes_of(key)))
    assert dict(frames_of(found[b"ID3 "])) == {b"TPE1": b"\0Me", b"TIT2": b"\0A longer one"}
    assert len(found[b"ID3 "]) == len(held)


@pytest.mark.tool("exiftool")
def test_exiftool_reads_texts_back(library: Library, tmp_path: Path) -> None:
    key = library.add("a.aif", aiff(big(b"NAME", b"Old"), SOUND, big(b"ANNO", b"x")))

    library.write(key, {"title": "F\u00fc\u00dfe", "description": "\u00a9 \u00e9"})

    (told,) = json.loads(finished(["exiftool", "-j", "-G1", "-all", "-validate", tmp_path / "a.aif"], tmp_path).stdout)
    assert (told["AIFF:Name"], told["AIFF:Annotation"]) == ("F\u00fc\u00dfe", "\u00a9 \u00e9")
    assert told["ExifTool:Validate"] == "OK"


def test_the_time_is_told_and_the_sound_is_the_content() -> None:
    content = aiff(SOUND)
    container = Aiff(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile

    assert container.duration_s == 1.0
    ((at, length),) = container.content
    assert content[at : at + length] == SOUND[8:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (aiff(SOUND, XMP, XMP), "several XMP packets"),
        (aiff(SOUND, big(b"NAME", b"a"), big(b"NAME", b"b")), "several texts"),
        (aiff(SOUND, big(b"ID3 ", tag(frame(b"PRIV", b"XMP\0" + packet(""))))), "XMP in its ID3 tag"),
        (aiff(SOUND)[:-10], "shorter than it says"),
        (aiff(SOUND, b"ABCD\xff\xff\xff\xff"), "chunks are damaged"),
        (aiff(SOUND, trailer=big(b"NAME", b"a")), "behind its end"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.aif", content)

    planned = library.write(key, {"title": "New"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    held = tag(frame(b"TIT2", b"\0Old"), padding=20)
    texts = [big(b"NAME", b"Old"), big(b"ANNO", b"a"), big(b"ID3 ", held)]
    media = damaged(data, aiff(big(b"SSND", bytes(20)), *texts, XMP))
    try:
        container = Aiff(media)  # type: ignore[arg-type] # reads like a MediaFile
        new = {"NAME": ("Newer",), "ANNO": (), "TIT2": ("Newer",)}
        container.set_blocks(Blocks(xmp=container.xmp or b"x" * 1000, texts=new))
    except FileProblem:
        pass
    assert media.reads < 10_000
