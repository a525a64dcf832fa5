"""XMP in JPEG: only the XMP segment changes, and what points at things behind it stays right."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.jpeg import Jpeg
from indelible_server.files.embedded import open_blocks
from indelible_server.files.metadata import write_tags
from indelible_server.files.plan import Mode
from indelible_server.files.policy import Policy
from indelible_server.files.problems import FileProblem
from PIL import Image
from support.programs import finished
from unit.files.library import XMP_SIGNATURE, Library, jpeg, packet, picture, segment, xmp_segment
from unit.files.native import dataset, datasets_in, iptc_segment
from unit.files.witnesses import Memory

GUID = b"0123456789ABCDEF0123456789ABCDEF"


def without_xmp(content: bytes) -> bytes:
    """The file without its XMP segments."""
    parts, position = [content[:2]], 2
    while content[position + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, position + 2)
        end = position + 2 + length
        if not content.startswith(XMP_SIGNATURE, position + 4):
            parts.append(content[position:end])
        position = end
    return b"".join([*parts, content[position:]])


def mpf_file(*, xmp_behind: bool) -> bytes:
    """Two pictures, the second found through an MPF directory."""
    second = picture((200, 0, 0))
    xmp = xmp_segment("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>t</rdf:li></rdf:Alt></dc:title>")

    def build(size: int, offset: int) -> bytes:
        entries = struct.pack(">IIIHH", 0x30000, size, 0, 0, 0) + struct.pack(">IIIHH", 0, len(second), offset, 0, 0)
        header = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + struct.pack(">HHII", 0xB002, 7, 32, 26) + bytes(4)
        directory = segment(0xE2, b"MPF\0" + header + entries)
        return jpeg(*((directory, xmp) if xmp_behind else (xmp, directory)))

    size = len(build(0, 0))
    first = build(size, 0)
    base = first.index(b"MPF\0") + 4
    return build(size, size - base) + second


def second_picture(content: bytes) -> bytes:
    """The second picture, found as a reader does."""
    base = content.index(b"MPF\0") + 4
    size, offset = struct.unpack_from(">II", content, base + 26 + 16 + 4)
    return content[base + offset : base + offset + size]


def test_a_first_write_changes_nothing_but_the_xmp_segment(library: Library) -> None:
    before = jpeg(segment(0xE4, b"unknown"), segment(0xFE, b"comment"), trailer=b"trailing data\xff\xd9")
    key = library.add("a.jpg", before)

    assert library.write(key, {"title": "T", "rating": 4}).mode is Mode.REPLACE
    assert without_xmp(library.bytes_of(key)) == before


def test_new_xmp_goes_right_behind_jfif(library: Library) -> None:
    key = library.add("a.jpg", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1")))

    library.write(key, {"title": "T"})

    assert library.bytes_of(key)[20:22] == b"\xff\xe1"


def test_a_second_write_is_patched_in_place_with_few_bytes(library: Library) -> None:
    content = jpeg(trailer=bytes(3_000_000))
    key = library.add("a.jpg", content)
    library.write(key, {"title": "T"})

    for number in range(20):
        planned = library.write(key, {"title": f"Title {number}", "keywords": [f"a|{number}"]})
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 64 * 1024

    assert without_xmp(library.bytes_of(key)) == content


def test_nothing_is_written_when_nothing_has_changed(library: Library) -> None:
    key = library.add("a.jpg", jpeg(xmp_segment("", about='xmp:Rating="3"')))
    before = library.bytes_of(key)

    planned = library.plan(key, {"rating": 3, "title": "  ", "flag": 0})

    assert planned.mode is Mode.UNCHANGED
    assert not planned.files
    assert library.bytes_of(key) == before


@pytest.mark.parametrize("xmp_behind", [False, True])
def test_further_pictures_are_found_after_the_xmp_has_grown(library: Library, xmp_behind: bool) -> None:
    content = mpf_file(xmp_behind=xmp_behind)
    key = library.add("a.jpg", content)
    assert second_picture(content) == picture((200, 0, 0))

    assert library.write(key, {"description": "grown " * 100}).mode is Mode.REPLACE

    after = library.bytes_of(key)
    assert second_picture(after) == picture((200, 0, 0))
    first_size = struct.unpack_from(">I", after, after.index(b"MPF\0") + 4 + 26 + 4)[0]
    assert after[:first_size].endswith(b"\xff\xd9")
    assert after[first_size:] == picture((200, 0, 0))
    assert after.index(XMP_SIGNATURE) < after.index(b"MPF\0")


def test_a_directory_of_pictures_that_points_behind_the_file_stays_as_it_is(library: Library) -> None:
    content = bytearray(mpf_file(xmp_behind=False))
    entries = content.index(b"MPF\0") + 4 + 26
    for place in (entries + 4, entries + 16 + 8):  # the size of the first picture, the offset of the second
        struct.pack_into(">I", content, place, 0x700000)
    key = library.add("a.jpg", bytes(content))
    directory = bytes(content[entries : entries + 32])

    library.write(key, {"description": "grown " * 100})

    after = library.bytes_of(key)
    at = after.index(b"MPF\0") + 4 + 26
    assert after[at : at + 32] == directory


def test_fill_bytes_between_segments_are_kept(library: Library) -> None:
    content = jpeg(b"\xff\xff\xff" + segment(0xFE, b"comment"), b"\xff" + xmp_segment("", about='xmp:Rating="1"'))
    key = library.add("a.jpg", content)

    library.write(key, {"rating": 5})

    assert b"\xff\xff\xff" + segment(0xFE, b"comment") in library.bytes_of(key)
    assert library.read(key).tags == {"rating": 5}


def extended(
    extension: bytes, *, guid: bytes = GUID, parts: tuple[tuple[int, int], ...] = ((0, 80), (80, 9999))
) -> bytes:
    """A file with extended XMP, in these parts of it, the last ones first."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">I", len(extension))
    chunks = [segment(0xE1, head + struct.pack(">I", a) + extension[a:b]) for a, b in parts]
    return jpeg(xmp_segment("", about=f'xmpNote:HasExtendedXMP="{GUID.decode()}"'), *chunks[::-1])


def dc(prop: str, text: str) -> bytes:
    return packet(f"<dc:{prop}><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></dc:{prop}>")


@pytest.mark.parametrize("guid", [GUID, b"0" * 32])
def test_extended_xmp_stays_as_it_is_and_is_still_referred_to(library: Library, guid: bytes) -> None:
    content = extended(packet("<crs:Settings>many</crs:Settings>"), guid=guid)
    key = library.add("a.jpg", content)

    for changes in ({"title": "T", "rating": 2}, {"description": "D" * 9000, "rating": None}):
        assert library.write(key, changes).mode is not Mode.SIDECAR

    after = library.bytes_of(key)
    at = content.index(b"\xff\xe1", content.index(b"xpacket end"))
    assert after.endswith(content[at:])
    assert b'HasExtendedXMP="%s"' % GUID in after


def test_what_extended_xmp_says_is_read_though_the_file_gets_a_sidecar(library: Library) -> None:
    key = library.add("a.jpg", extended(dc("title", "in the extension"), guid=GUID))

    assert library.read(key).tags == {"title": "in the extension"}
    library.write(key, {"rating": 3})
    assert library.read(key).tags == {"title": "in the extension", "rating": 3}


def test_a_head_that_a_program_has_spoiled_is_put_right(library: Library) -> None:
    spoiled = XMP_SIGNATURE.replace(b"http", b"XMP\0")
    key = library.add("a.jpg", jpeg(segment(0xE1, spoiled + dc("title", "old"))))
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"rating": 1})

    assert spoiled not in library.bytes_of(key)
    assert library.bytes_of(key).count(XMP_SIGNATURE) == 1


def test_a_comment_follows_the_description_that_it_held_and_no_other_does(library: Library) -> None:
    comments = [segment(0xFE, text) for text in (b"CREATOR: gd-jpeg v1.0", b"old caption\0", b"f\xfcr alle")]
    key = library.add("a.jpg", jpeg(*comments, segment(0xE1, XMP_SIGNATURE + dc("description", "old caption"))))
    assert library.read(key).tags == {"description": "old caption"}

    library.write(key, {"description": "neü caption"})
    assert segment(0xFE, "neü caption".encode()) in library.bytes_of(key)
    library.write(key, {"description": None})

    after = library.bytes_of(key)
    assert after.count(b"\xff\xfe") == 2
    assert comments[0] in after
    assert comments[2] in after


def fotostation(iptc: bytes) -> bytes:
    def record(kind: int, data: bytes) -> bytes:
        return data + struct.pack(">HI", kind, len(data) + 10) + b"\xa1\xb2\xc3\xd4"

    return jpeg(trailer=record(3, picture()) + record(1, iptc) + record(2, b"soft edit"))


def afcp(iptc: bytes, order: str = ">") -> bytes:
    plain = jpeg()
    mark = b"AXS!" if order == ">" else b"AXS*"
    start = len(plain) + 12 + 3 * 12
    pieces = ((b"TEXT", b"a text"), (b"IPTC", iptc), (b"Nail", picture()))
    table, data = b"", b""
    for tag, piece in pieces:
        table += tag + struct.pack(f"{order}II", len(piece), start + len(data))
        data += piece
    head = mark + struct.pack(f"{order}HHI", 1, len(pieces), 0)
    return plain + head + table + data + mark + struct.pack(f"{order}II", len(plain), 0)


def afcp_pieces(content: bytes) -> dict[bytes, bytes]:
    order = ">" if content[-12:-8] == b"AXS!" else "<"
    (start,) = struct.unpack_from(f"{order}I", content, len(content) - 8)
    (count,) = struct.unpack_from(f"{order}H", content, start + 6)
    entries = [struct.unpack_from(f"{order}4sII", content, start + 12 + 12 * index) for index in range(count)]
    return {tag: content[offset : offset + size] for tag, size, offset in entries}


@pytest.mark.parametrize("order", "<>")
def test_an_afcp_trailer_is_a_form_and_stays_in_step(library: Library, order: str) -> None:
    key = library.add("a.jpg", afcp(dataset(2005, b"old") + dataset(2105, b"kept"), order))
    assert library.read(key).tags == {"title": "old", "headline": "kept"}

    for title in ("a title that is longer", "t"):
        assert library.write(key, {"title": title, "description": title * 9}).mode is not Mode.SIDECAR
        pieces = afcp_pieces(library.bytes_of(key))
        found = dict(datasets_in(pieces[b"IPTC"]))
        assert (found[2005], found[2105], found[2120]) == (title.encode(), b"kept", title.encode() * 9)
        assert (pieces[b"TEXT"], pieces[b"Nail"]) == (b"a text", picture())


def test_the_iptc_record_of_fotostation_is_a_form(library: Library) -> None:
    before = fotostation(dataset(2005, b"old") + dataset(2232, b"of the program"))
    key = library.add("a.jpg", before)
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "a title that is longer", "gps": {"lat": 1.0, "lon": 2.0}})

    expected = (1090, b"\x1b%G"), (2005, b"a title that is longer"), (2232, b"of the program")
    block = b"".join(dataset(number, value) for number, value in expected)
    assert library.bytes_of(key).endswith(fotostation(block)[len(jpeg()) :])
    assert b"Photoshop" not in library.bytes_of(key)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (jpeg(segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x40jumb....jumdc2pa")), "Content Credentials"),
        (jpeg(xmp_segment("", about='dcterms:provenance="https://cai.example"')), "Content Credentials"),
        (jpeg(xmp_segment(""), xmp_segment("")), "several main XMP packets"),
        (extended(b"<x/>", parts=((0, 4),)), "no RDF"),
        (extended(packet(""), parts=((0, 50), (60, 999))), "extended XMP is damaged"),
        (extended(packet(""), parts=((0, 50),)), "extended XMP is damaged"),
        (jpeg(segment(0xE1, XMP_SIGNATURE + b"<x:xmpmeta><broken")), "cannot be parsed"),
        (jpeg(trailer=b"AXS!\0\0\0\0\0\0\0\0"), "not in step"),
        (jpeg(trailer=b"\0\1\xff\0\0\0\xa1\xb2\xc3\xd4"), "not in step"),
        (jpeg()[:100], "cut off"),
        (jpeg(b"rubbish"), "damaged"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.jpg", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content
    assert library.read(key).tags == {"title": "T"}


def test_tags_that_no_segment_can_hold_go_to_a_sidecar(library: Library) -> None:
    key = library.add("a.jpg", jpeg())

    planned = library.write(key, {"description": "x" * 70_000})

    assert planned.mode is Mode.SIDECAR
    assert "65" in planned.note


def test_a_packet_in_utf16_is_read_and_becomes_utf8(library: Library) -> None:
    text = packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Ünï</rdf:li></rdf:Alt></dc:title>").decode()
    key = library.add("a.jpg", jpeg(segment(0xE1, XMP_SIGNATURE + text.encode("utf-16-be"))))

    assert library.read(key).tags == {"title": "Ünï"}
    library.write(key, {"rating": 1})
    assert library.read(key).tags == {"title": "Ünï", "rating": 1}


def test_the_picture_is_measured(library: Library) -> None:
    reading = library.read(library.add("a.jpg", jpeg()))

    assert (reading.format, reading.width, reading.height) == ("JPEG", 64, 48)


def test_a_file_is_judged_by_its_content(library: Library) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")

    reading = library.read(library.add("a.jpg", buffer.getvalue()))

    assert reading.format == "PNG"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(mpf_file(xmp_behind=True))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(3, len(content)))]))

    container = Jpeg(media)  # type: ignore[arg-type] # reads like a MediaFile
    packet_found = container.xmp
    if container.refusal is None:
        container.set_blocks(Blocks(xmp=packet_found or b"x" * 1000))

    assert media.reads < 100_000
    assert container.refusal is None or isinstance(container.refusal, FileProblem)


OLD = dataset(2005, b"old")
RICH = (
    afcp(OLD),
    fotostation(OLD),
    extended(packet("<crs:Settings>many</crs:Settings>")),
    jpeg(iptc_segment(OLD), segment(0xFE, b"old"), iptc_segment(OLD)),
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RICH), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_hostile_bytes_in_any_block_are_refused_or_leave_patches_that_fit(
    content: bytes, mutations: list[tuple[float, int]]
) -> None:
    changed = bytearray(content)
    for place, value in mutations:
        changed[2 + int(place * (len(content) - 3))] = value
    media = Memory(bytes(changed))
    container = Jpeg(media)  # type: ignore[arg-type] # reads like a MediaFile
    embedded = open_blocks(container, Policy())
    if container.refusal or embedded.damage:
        return

    write_tags(embedded.metadata, {}, {"title": "a new title", "rating": 3}, ["title", "rating"], Policy())
    with contextlib.suppress(FileProblem):
        end = 0
        for patch in container.set_blocks(embedded.blocks(container, Policy())):
            assert patch.offset >= end
            assert media.read(patch.offset, len(patch.old)) == patch.old
            end = patch.offset + len(patch.old)


@pytest.mark.tool("exiftool")
def test_exiftool_finds_nothing_wrong_in_a_file_that_had_no_metadata(library: Library) -> None:
    key = library.add("a.jpg", jpeg())
    library.write(key, {"title": "T", "gps": {"lat": 1.5, "lon": -2.5}, "taken_at": "2020-01-02T03:04:05.6+01:00"})

    said = finished(["exiftool", "-validate", "-warning", "-a", "-s3", "a.jpg"], library.path).stdout.splitlines()

    # What only the camera could know is missed by this validator as soon as there is any Exif.
    assert not [line for line in said[1:] if "Missing required" not in line]


@pytest.mark.tool("exiftool")
def test_a_reader_by_the_rules_of_the_mwg_sees_what_was_written(library: Library) -> None:
    key = library.add("a.jpg", jpeg(iptc_segment(dataset(2005, b"old") + dataset(2120, b"old"))))
    library.write(key, {"description": "D", "keywords": ["a|b", "c"], "creators": ["x", "y"], "rating": 4})

    said = finished(["exiftool", "-use", "MWG", "-MWG:all", "-s", "a.jpg"], library.path).stdout

    found = dict(line.split(":", 1) for line in said.splitlines())
    told = {tag.strip(): value.strip() for tag, value in found.items()}
    assert told == {"Description": "D", "Keywords": "b, c", "Creator": "x, y", "Rating": "4"}


def test_properties_that_adobe_takes_for_those_of_today_are_kept_in_step(library: Library) -> None:
    old = "<pdf:Title>old</pdf:Title><photoshop:Author>Someone</photoshop:Author>"
    key = library.add("a.jpg", jpeg(xmp_segment(old)))
    assert library.read(key).tags == {"title": "old", "creators": ["Someone"]}

    library.write(key, {"title": "new", "creators": None})

    held = library.bytes_of(key)
    assert b"<pdf:Title>new</pdf:Title>" in held
    assert b"photoshop:Author" not in held
