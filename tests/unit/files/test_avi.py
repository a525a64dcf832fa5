"""Tags in AVI: behind the frames and their index, none of which ever moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.avi import Avi
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from unit.files.library import Library, packet
from unit.files.sounds import Memory, chunk, chunks_of, damaged, form

_NUMBERS = (40_000, 0, 0, 0x10, 250, 0, 1, 0, 320, 240, 0, 0, 0, 0)
HEADERS = chunk(b"LIST", b"hdrl" + chunk(b"avih", b"".join(number.to_bytes(4, "little") for number in _NUMBERS)))
INFO = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf\0") + chunk(b"INAM", b"Old\0"))
FRAMES = chunk(b"LIST", b"movi" + chunk(b"00dc", b"frame" * 50))
INDEX = chunk(b"idx1", b"00dc\x10\0\0\0" + (300).to_bytes(4, "little") + (250).to_bytes(4, "little"))


def avi(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """An AVI file of these chunks, with the headers in front."""
    return form(b"RIFF", b"AVI ", HEADERS, *chunks) + trailer


def test_frames_stay_where_the_index_says_they_are(library: Library) -> None:
    content = avi(INFO, FRAMES, INDEX)
    key = library.add("a.avi", content)

    assert library.write(key, {"title": "A longer one"}).mode is Mode.APPEND

    after = library.bytes_of(key)
    assert after.index(FRAMES + INDEX) == content.index(FRAMES + INDEX)
    assert [kind for kind, _ in chunks_of(after)] == [b"LIST", b"JUNK", b"LIST", b"idx1", b"LIST", b"_PMX"]
    assert chunks_of(after)[4][1] == b"INFO" + chunk(b"ISFT", b"Lavf\0") + chunk(b"INAM", b"A longer one\0")
    assert library.read(key).tags == {"title": "A longer one"}


def test_later_writes_are_patched_in_place(library: Library) -> None:
    key = library.add("a.avi", avi(INFO, FRAMES, INDEX))
    library.write(key, {"title": "T"})

    for number in range(20):
        planned = library.write(key, {"title": "x" * (number * 5 % 60 + 1), "rating": number % 5 + 1})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024


def test_the_video_is_measured_and_its_frames_are_the_content() -> None:
    content = avi(FRAMES, INDEX)
    container = Avi(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile

    assert (container.width, container.height, container.duration_s) == (320, 240, 10.0)
    ((at, length),) = container.content
    assert content[at : at + length] == FRAMES[8:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (avi(FRAMES, INDEX, trailer=form(b"RIFF", b"AVIX", FRAMES)), "goes on behind"),
        (avi(FRAMES, chunk(b"_PMX", packet("")), chunk(b"_PMX", packet(""))), "several XMP packets"),
        (avi(INDEX), "no frames"),
        (avi(FRAMES, INDEX)[:-20], "shorter than it says"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.avi", content)

    planned = library.write(key, {"title": "New"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_video_that_goes_on_is_patched_where_there_is_room(library: Library) -> None:
    held = packet("", wrapper=True).replace(b"<?xpacket end", b" " * 4000 + b"<?xpacket end")
    key = library.add("a.avi", avi(FRAMES, chunk(b"_PMX", held), trailer=form(b"RIFF", b"AVIX", FRAMES)))

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    media = damaged(data, avi(INFO, FRAMES, INDEX, chunk(b"_PMX", packet(""))))
    try:
        container = Avi(media)  # type: ignore[arg-type] # reads like a MediaFile
        container.set_blocks(Blocks(xmp=container.xmp or b"x" * 1000, texts={"INAM": ("Newer",)}))
    except FileProblem:
        pass
    assert media.reads < 10_000
