"""GIF: an extension is added or changed, pictures and their order stay, and nothing that only looks like XMP is XMP."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers import gif as gif_module
from indelible_server.files.containers.gif import Gif
from indelible_server.files.plan import Mode
from PIL import Image, ImageSequence
from unit.files.library import Library, packet
from unit.files.witnesses import EVERYTHING, Memory, exiftool, goes_round, mangled, survives, warnings

TITLED = packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></dc:title>")
HEAD = b"!\xff\x0bXMP DataXMP"
LANDING = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
XMP = HEAD + TITLED + LANDING
COMMENT = b"!\xfe\5hello\0"


def gif(count: int = 1) -> bytes:
    """Some frames, as Pillow writes them."""
    buffer = io.BytesIO()
    pictures = [Image.radial_gradient("L").rotate(90 * index).resize((64, 48)) for index in range(count)]
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], loop=0, duration=50)
    return buffer.getvalue()


def first_block(content: bytes) -> int:
    return 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)


def plain(data: bytes = b"\2\x16\x8c\0", *, version: bytes = b"89a", ahead: bytes = b"", behind: bytes = b"") -> bytes:
    """A GIF with one picture, without a table of its own."""
    head = b"GIF" + version + b"\1\0\1\0\x80\0\0" + b"\0\0\0\xff\xff\xff"
    return head + ahead + b",\0\0\0\0\1\0\1\0\0" + b"\2" + data + behind + b";"


def sub_blocks(data: bytes, size: int = 255) -> bytes:
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def frames(content: bytes) -> list[tuple[bytes, object]]:
    with Image.open(io.BytesIO(content)) as image:
        return [
            (frame.convert("RGBA").tobytes(), (frame.info.get("duration"), frame.info.get("loop")))
            for frame in ImageSequence.Iterator(image)
        ]


def test_new_xmp_comes_behind_the_animation_s_extension_and_all_else_stays(library: Library) -> None:
    before = gif(3) + b"trailing data"
    key = library.add("a.gif", before)
    assert len(frames(before)) == 3

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    after = library.bytes_of(key)
    start, end = after.index(HEAD), after.index(LANDING) + len(LANDING)
    assert after[:start] + after[end:] == before
    assert after[first_block(after) :].startswith(b"!\xff\x0bNETSCAPE2.0")
    assert frames(after) == frames(before)


def test_everything_is_set_changed_and_cleared(library: Library) -> None:
    goes_round(library, "a.gif", gif(2))


@pytest.mark.tool("exiftool")
@pytest.mark.parametrize("version", [b"87a", b"89a"])
def test_exiftool_reads_it_back_and_finds_nothing_wrong(library: Library, version: bytes) -> None:
    key = library.add("a.gif", plain(version=version))
    before = warnings(library.path / "a.gif")

    library.write(key, EVERYTHING)

    said = exiftool(library.path / "a.gif")
    assert said["GIF:GIFVersion"] == "89a"
    assert said["XMP-dc:Title"] == "A title, 題名"
    assert warnings(library.path / "a.gif") == before


def test_re_edits_are_small_patches(library: Library) -> None:
    key = library.add("a.gif", gif(3))
    library.write(key, EVERYTHING)

    for number in range(5):
        planned = library.write(key, {"title": "T" * (number + 1)})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 16_384


@pytest.mark.parametrize("landing", [LANDING, b"\x01\xff" + bytes(range(255, -1, -1)) + b"\0"])
def test_xmp_is_changed_where_it_is_whatever_its_end(library: Library, landing: bytes) -> None:
    content = plain(behind=COMMENT + HEAD + TITLED + landing + COMMENT)
    key = library.add("a.gif", content)
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new"})

    after = library.bytes_of(key)
    assert library.read(key).tags == {"title": "new"}
    assert after.startswith(content[: content.index(HEAD)])
    assert after.endswith(LANDING + COMMENT + b";")


def test_a_packet_within_other_data_is_not_taken_for_the_main_one(library: Library) -> None:
    content = plain(sub_blocks(XMP * 3), ahead=b"!\xfe" + sub_blocks(XMP))
    key = library.add("a.gif", content)
    assert library.read(key).tags == {}

    library.write(key, {"title": "new"})

    assert library.bytes_of(key).count(HEAD) == content.count(HEAD) + 1
    assert library.read(key).tags == {"title": "new"}


def test_the_version_is_the_first_one_that_has_extensions(library: Library) -> None:
    key = library.add("a.gif", plain(version=b"87a"))

    library.write(key, {"title": "T"})

    assert library.bytes_of(key).startswith(b"GIF89a")


@pytest.mark.parametrize("size", [255, 254, 20])
def test_big_pictures_are_walked_in_pieces_and_quickly(size: int) -> None:
    content = plain(sub_blocks(bytes(4_000_000), size), behind=XMP)
    media = Memory(content)
    started = time.monotonic()

    container = Gif(media)  # type: ignore[arg-type] # reads like a MediaFile

    assert container.refusal is None
    assert container.xmp == TITLED
    assert media.reads < 100
    assert time.monotonic() - started < 5


def test_sub_blocks_of_full_length_are_not_walked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gif_module, "_STEPS_LIMIT", 500)

    assert Gif(Memory(plain(sub_blocks(bytes(4_000_000))))).refusal is None  # type: ignore[arg-type] # reads like a MediaFile


def test_more_blocks_than_any_picture_has_are_refused() -> None:
    container = Gif(Memory(plain(b"\1\1" * 3_000_000 + b"\0")))  # type: ignore[arg-type] # reads like a MediaFile

    assert container.refusal is not None
    assert "too many" in container.refusal.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (plain(ahead=XMP, behind=XMP), "several main XMP packets"),
        (plain(ahead=HEAD + sub_blocks(TITLED)), "cannot be parsed"),
        (plain(ahead=b"!\xff\x0bC2PA_GIF\1\0\0\3abc\0"), "Content Credentials"),
        (plain()[:-1], "cut off"),
        (plain()[:30], "cut off"),
        (plain(behind=b"?"), "damaged"),
        (b"GIF89a", "no GIF"),
    ],
)
def test_what_cannot_be_changed_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.gif", content)

    planned = library.write(key, {"rating": 1})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_harm(data: st.DataObject) -> None:
    sample = plain(ahead=COMMENT, behind=XMP + COMMENT)

    survives(Gif, mangled(data, sample))
