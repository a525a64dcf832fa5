"""PSD and PSB: image resources change, the layers behind them are the same bytes."""

from __future__ import annotations

import hashlib
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.psd import Psd
from indelible_server.files.plan import Mode
from PIL import Image
from unit.files.library import Library, packet
from unit.files.native import text as ascii_value
from unit.files.native import tiff
from unit.files.witnesses import EVERYTHING, Memory, exiftool, goes_round, mangled, survives, warnings

TITLED = packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></dc:title>")
IPTC = b"\x1c\x02\x00\0\2\0\4\x1c\x02\x05\0\3old"
RESOLUTION = struct.pack(">IHHIHH", 72 << 16, 1, 1, 72 << 16, 1, 1)
LAYERS = bytes(8)
PIXELS = b"\0\0" + bytes(range(48)) * 3


def resource(number: int, data: bytes, *, signature: bytes = b"8BIM", name: bytes = b"\0\0") -> bytes:
    return signature + struct.pack(">H", number) + name + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)


def psd(*resources: bytes, version: int = 1, layers: bytes = LAYERS) -> bytes:
    """A picture of 8 by 6 in RGB with these resources, and with layers of any content."""
    header = b"8BPS" + struct.pack(">H6xHIIHH", version, 3, 6, 8, 8, 3)
    listed = b"".join(resources)
    length = struct.pack(">I" if version == 1 else ">Q", len(layers))
    return header + bytes(4) + struct.pack(">I", len(listed)) + listed + length + layers + PIXELS


def resources(content: bytes) -> list[tuple[int, bytes]]:
    """All resources in their order; the section is exactly as long as they are."""
    position = 34
    end = position + int.from_bytes(content[30:34], "big")
    found = []
    while position < end:
        data = position + 6 + (content[position + 6] + 2 & ~1) + 4
        length = int.from_bytes(content[data - 4 : data], "big")
        found.append((int.from_bytes(content[position + 4 : position + 6], "big"), content[data : data + length]))
        position = data + length + length % 2
    assert position == end
    return found


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB").tobytes()


FULL = psd(
    resource(1005, RESOLUTION),
    resource(1061, hashlib.md5(IPTC).digest()),
    resource(1028, IPTC),
    resource(1060, TITLED),
    resource(1050, b"odd", name=b"\3abc"),
    resource(1058, tiff(">", {0x013B: ascii_value("old")})),
)


@pytest.mark.parametrize("version", [1, 2])
def test_new_xmp_comes_first_and_all_else_stays(library: Library, version: int) -> None:
    before = psd(resource(1005, RESOLUTION), version=version, layers=b"8BIM" * 50)
    key = library.add("a.psd", before)

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    after = library.bytes_of(key)
    (first, _), *others = resources(after)
    assert first == 1060
    assert others == resources(before)
    assert after[34 + int.from_bytes(after[30:34], "big") :] == before[34 + len(resource(1005, RESOLUTION)) :]
    assert after[:30] == before[:30]


def test_everything_is_set_changed_and_cleared(library: Library) -> None:
    goes_round(library, "a.psd", FULL)


@pytest.mark.tool("exiftool")
def test_exiftool_reads_every_form_back_and_finds_nothing_wrong(library: Library) -> None:
    key = library.add("a.psd", FULL)
    before = warnings(library.path / "a.psd")

    library.write(key, EVERYTHING)

    said = exiftool(library.path / "a.psd")
    assert said["IPTC:ObjectName"] == said["XMP-dc:Title"] == "A title, 題名"
    assert said["IFD0:Artist"] == '"First; Inc."; Second'
    assert said["Photoshop:IPTCDigest"] == said["File:CurrentIPTCDigest"]
    assert said["ExifIFD:DateTimeOriginal"] == "2021:02:09 14:29:00"
    assert warnings(library.path / "a.psd") == before
    assert pixels(library.bytes_of(key)) == pixels(FULL)


def test_all_resources_keep_their_order_and_their_names(library: Library) -> None:
    key = library.add("a.psd", FULL)

    library.write(key, EVERYTHING)

    assert [number for number, _ in resources(library.bytes_of(key))] == [1005, 1061, 1028, 1060, 1050, 1058]
    assert resource(1050, b"odd", name=b"\3abc") in library.bytes_of(key)


def test_the_digest_is_that_of_the_iptc_that_was_written(library: Library) -> None:
    key = library.add("a.psd", FULL)

    library.write(key, {"title": "a new title"})

    found = dict(resources(library.bytes_of(key)))
    assert b"a new title" in found[1028]
    assert found[1061] == hashlib.md5(found[1028]).digest()


def test_iptc_of_another_signature_keeps_it(library: Library) -> None:
    key = library.add("a.psd", psd(resource(1028, IPTC, signature=b"AgHg", name=b"\3abc")))

    library.write(key, {"title": "new"})

    assert library.bytes_of(key).count(b"AgHg\x04\x04\3abc") == 1
    assert b"8BIM\x04\x04" not in library.bytes_of(key)


def test_re_edits_are_small_patches_even_when_other_blocks_change_their_lengths(library: Library) -> None:
    key = library.add("a.psd", FULL)
    library.write(key, EVERYTHING)

    for number in range(5):
        planned = library.write(key, {"title": "T" * (number + 1), "creators": [f"Some {'one' * number}"]})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 16_384


def test_layers_are_never_read() -> None:
    content = psd(resource(1060, TITLED), layers=bytes(5_000_000))
    media = Memory(content)
    container = Psd(media)  # type: ignore[arg-type] # reads like a MediaFile

    assert container.xmp == TITLED
    assert media.reads < 20
    assert (container.width, container.height) == (8, 6)
    assert b"".join(content[start : start + length] for start, length in container.content).endswith(PIXELS)


def test_no_exif_is_made_where_there_is_none(library: Library) -> None:
    key = library.add("a.psd", psd())

    library.write(key, {"taken_at": "2021-02-09T14:29:00"})

    assert [number for number, _ in resources(library.bytes_of(key))] == [1060]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (psd(resource(1060, TITLED), resource(1060, TITLED)), "several metadata blocks"),
        (psd(resource(1028, IPTC), resource(1028, IPTC)), "several metadata blocks"),
        (psd(resource(1059, b"x")), "Exif of a kind"),
        (psd(resource(1005, RESOLUTION), b"junk"), "damaged"),
        (psd(resource(1005, RESOLUTION)[:-8]), "cut off"),
        (psd(layers=bytes(1000))[:500], "cut off"),
        (psd(version=3), "no PSD"),
        (psd()[:20], "no PSD"),
    ],
)
def test_what_cannot_be_changed_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.psd", content)

    planned = library.write(key, {"rating": 1})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_harm(data: st.DataObject) -> None:
    survives(Psd, mangled(data, FULL))


def test_a_file_that_ends_before_its_layers_is_read(library: Library) -> None:
    key = library.add("a.psd", psd(resource(1060, TITLED))[:80])

    assert library.read(key, details=True).note == "the file is cut off"
