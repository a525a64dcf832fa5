"""HEIC and AVIF: metadata items change, all other items are found where the directory says, with the same bytes."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.container import Container
from indelible_server.files.containers.heif import Heif
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import Tags
from PIL import Image, ImageSequence
from support.programs import finished
from unit.files.library import Library, packet
from unit.files.test_jpeg import Memory

EVERYTHING: Tags = {
    "title": "Tïtle",
    "description": "Two\nlines",
    "keywords": ["Animals|Cat", "flat"],
    "people": ["Ann"],
    "rating": 4,
    "creators": ["Zoë", "Bob"],
    "copyright": "© me",
    "place.city": "Ulm",
    "gps": {"lat": 48.4, "lon": -9.98, "alt": 478.0},
    "taken_at": "2020-02-03T04:05:06.78+02:00",
}
TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt></dc:title>"
RDF_XML = b"application/rdf+xml"
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


@dataclass(frozen=True)
class Part:
    """An item: what it is, its data, and what pictures it describes."""

    number: int
    kind: bytes
    data: bytes
    describes: tuple[int, ...] = ()
    mime: bytes = b""
    method: int = 0
    source: int = 0
    protected: int = 0

    @property
    def infe(self) -> bytes:
        head = struct.pack(">BxxxHH4s", 2, self.number, self.protected, self.kind) + b"\0"
        return box(b"infe", head + (self.mime + b"\0" if self.mime else b""))


PICTURE = Part(1, b"hvc1", b"the main picture" * 20)
SECOND = Part(2, b"hvc1", b"another picture" * 10)


def xmp(title: str, number: int = 8, describes: tuple[int, ...] = (1,), **more: int) -> Part:
    return Part(number, b"mime", packet(TITLE.format(title)), describes, RDF_XML, **more)


def iloc(parts: tuple[Part, ...], places: dict[int, int], version: int, base: int) -> bytes:
    wide = "I" if version == 2 else "H"
    content = struct.pack(">BxxxBB" + wide, version, 0x44, base << 4, len(parts))
    for part in parts:
        content += struct.pack(">" + wide, part.number) + (struct.pack(">H", part.method) if version else b"")
        place = places[part.number]
        start = max(place - 16, 0) if base else 0
        content += struct.pack(">H", part.source) + start.to_bytes(base, "big") + struct.pack(">H", 1)
        content += struct.pack(">II", place - start, len(part.data))
    return box(b"iloc", content)


def heif(
    *parts: Part,
    version: int = 1,
    base: int = 0,
    brands: bytes = b"heic\0\0\0\0mif1heic",
    room: bytes = b"",
    behind: bytes = b"",
    more: bytes = b"",
    film: bool = False,
) -> bytes:
    """A file with these items; `room` comes between directory and data, `behind` after them, `more` is inside."""

    def build(places: dict[int, int]) -> bytes:
        references = b"".join(
            box(b"cdsc", struct.pack(f">HH{len(part.describes)}H", part.number, len(part.describes), *part.describes))
            for part in parts
            if part.describes
        )
        properties = box(b"ipco", box(b"ispe", struct.pack(">III", 0, 4000, 3000)))
        properties += box(b"ipma", struct.pack(">IIHBB", 0, 1, 1, 1, 0x81))
        meta = box(b"hdlr", bytes(8) + b"pict" + bytes(13)) + box(b"pitm", struct.pack(">IH", 0, 1))
        meta += box(b"iinf", struct.pack(">IH", 0, len(parts)) + b"".join(part.infe for part in parts))
        meta += box(b"iref", bytes(4) + references) + box(b"iprp", properties)
        meta += box(b"idat", b"".join(part.data for part in parts if part.method == 1))
        meta += more + iloc(parts, places, version, base)
        content = box(b"ftyp", brands) + box(b"meta", bytes(4) + meta)
        if film:
            start = places[PICTURE.number]
            tables = box(b"stco", struct.pack(">III", 0, 1, start)) + box(b"co64", struct.pack(">IIQ", 0, 1, start + 3))
            content += box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", tables)))))
        return content + room

    def placed(start: int) -> dict[int, int]:
        places, inner = {}, 0
        for part in parts:
            if part.method == 1:
                places[part.number], inner = inner, inner + len(part.data)
            else:
                places[part.number], start = start, start + len(part.data)
        return places

    data = b"".join(part.data for part in parts if part.method != 1)
    head = build(placed(len(build(placed(16))) + 8))
    return head + box(b"mdat", data) + behind


def children(content: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    found = []
    while start < end:
        length, kind = struct.unpack_from(">I4s", content, start)
        found.append((kind, start + 8, start + length))
        start += length
    assert start == end
    return found


def item_data(content: bytes) -> dict[int, bytes]:
    """The data of all items, found as a reader does."""
    ((_, start, end),) = [found for found in children(content, 0, len(content)) if found[0] == b"meta"]
    inner = {kind: (start, end) for kind, start, end in children(content, start + 4, end)}
    at = inner[b"iloc"][0]
    version, base_size = content[at], content[at + 5] >> 4
    wide = ">I" if version == 2 else ">H"
    (number,) = struct.unpack_from(wide, content, at + 6)
    at += 6 + struct.calcsize(wide)
    data = {}
    for _ in range(number):
        (item,) = struct.unpack_from(wide, content, at)
        at += struct.calcsize(wide)
        method = struct.unpack_from(">H", content, at)[0] if version else 0
        at += 4 if version else 2
        base = int.from_bytes(content[at : at + base_size], "big")
        count, offset, length = struct.unpack_from(">HII", content, at + base_size)
        assert count == 1
        at += base_size + 10
        begin = base + offset + (inner[b"idat"][0] if method == 1 else 0)
        data[item] = content[begin : begin + length]
    return data


def survives(kind: type[Container], media: Memory) -> None:
    """Change all blocks of a file that may be damaged: if that is not refused, the content is found afterwards."""
    before = kind(media)  # type: ignore[arg-type] # reads like a MediaFile
    packet_found, exif, resources = before.xmp, before.exif, before.resources
    if before.refusal:
        return
    changed = (packet_found or b"") + b" " * 1000
    patches = before.set_blocks(Blocks(changed, (exif or b"") + b"x", resources))
    after, position = b"", 0
    for patch in patches:
        assert position <= patch.offset
        assert media.read(patch.offset, len(patch.old)) == patch.old
        after += media.content[position : patch.offset] + patch.new
        position = patch.offset + len(patch.old)
    after += media.content[position:]
    found = kind(Memory(after))  # type: ignore[arg-type] # reads like a MediaFile
    assert (found.xmp, found.refusal) == (changed, None)
    assert [after[start : start + length] for start, length in found.content] == [
        media.content[start : start + length] for start, length in before.content
    ]


def avif(**options: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(buffer, "AVIF", **options)
    return buffer.getvalue()


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        return image.tobytes()


def test_everything_is_set_changed_and_cleared_and_the_picture_stays(library: Library) -> None:
    before = avif()
    key = library.add("a.avif", before)

    library.write(key, EVERYTHING)
    assert library.read(key).tags == EVERYTHING
    assert pixels(library.bytes_of(key)) == pixels(before)
    with Image.open(io.BytesIO(library.bytes_of(key))) as image:
        assert "Tïtle".encode() in image.info["xmp"]
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:02:03 04:05:06"

    library.write(key, {"title": "Other", "gps": {"lat": 1.0, "lon": 2.0}})
    assert library.read(key).tags == EVERYTHING | {"title": "Other", "gps": {"lat": 1.0, "lon": 2.0}}

    library.write(key, dict.fromkeys(EVERYTHING))
    assert library.read(key).tags == {}
    assert pixels(library.bytes_of(key)) == pixels(before)


@pytest.mark.tool("exiftool")
def test_exiftool_reads_the_tags_and_finds_nothing_wrong(library: Library) -> None:
    key = library.add("a.avif", avif())
    library.write(key, EVERYTHING)

    said = json.loads(finished(["exiftool", "-j", "-G1", "-n", "-all", "-validate", "a.avif"], library.path).stdout)[0]

    assert said["ExifTool:Validate"] in ("OK", "0 0 0")
    assert said["XMP-dc:Title"] == "Tïtle"
    assert said["XMP-lr:HierarchicalSubject"] == "Animals|Cat"
    assert said["GPS:GPSLatitude"] == 48.4
    assert said["ExifIFD:DateTimeOriginal"] == "2020:02:03 04:05:06"


@pytest.mark.parametrize(("version", "base"), [(0, 0), (0, 4), (1, 0), (1, 8), (2, 4)])
def test_items_are_found_after_the_directory_has_grown(library: Library, version: int, base: int) -> None:
    content = heif(PICTURE, SECOND, version=version, base=base)
    key = library.add("a.heic", content)

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    after = item_data(library.bytes_of(key))
    assert {number: after[number] for number in (1, 2)} == item_data(content)
    assert library.read(key).tags == EVERYTHING


def test_with_room_behind_the_directory_nothing_moves(library: Library) -> None:
    content = heif(PICTURE, SECOND, room=box(b"free", bytes(500)) + box(b"what", b"points at the picture"))
    key = library.add("a.heic", content)

    assert library.write(key, EVERYTHING).mode is Mode.APPEND

    after = library.bytes_of(key)
    assert after.index(PICTURE.data) == content.index(PICTURE.data)
    assert item_data(after)[1] == PICTURE.data
    assert library.read(key).tags == EVERYTHING


def test_large_room_behind_the_directory_is_not_read(library: Library) -> None:
    key = library.add("a.heic", heif(PICTURE, room=box(b"free", bytes(5_000_000))))

    planned = library.write(key, EVERYTHING)

    assert planned.mode is Mode.APPEND
    assert planned.bytes_read <= 256 * 1024
    assert item_data(library.bytes_of(key))[1] == PICTURE.data


def test_second_writes_are_patched_in_place_with_few_bytes(library: Library) -> None:
    big = Part(2, b"hvc1", bytes(3_000_000))
    key = library.add("a.heic", heif(PICTURE, big))
    library.write(key, {"title": "T"})
    library.write(key, {"gps": {"lat": 1.0, "lon": 2.0}, "taken_at": "2020-01-01T01:01:01"})

    for number in range(20):
        changes: Tags = {"title": f"Title {number}", "gps": {"lat": float(number), "lon": 2.0}}
        planned = library.write(key, changes)
        assert planned.mode is Mode.PATCH
        assert planned.bytes_read <= 256 * 1024
        assert sum(file.bytes_changed for file in planned.files) <= 16 * 1024
    assert item_data(library.bytes_of(key))[2] == big.data


def test_many_edits_of_many_lengths_hardly_let_the_file_grow(library: Library) -> None:
    key = library.add("a.heic", heif(PICTURE, Part(5, b"Exif", bytes(4) + b"MM\0*\0\0\0\x08" + bytes(6), (1,))))
    before = len(library.bytes_of(key))

    for number in range(80):
        length = number * 977 % 20_000 + 1
        moment = f"20{number % 90 + 10}-01-01" + ("T01:01:01.5" if number % 2 else "")
        library.write(key, {"description": "x" * length, "taken_at": moment})

    assert len(library.bytes_of(key)) - before <= 64 * 1024
    assert item_data(library.bytes_of(key))[1] == PICTURE.data


def test_nothing_is_written_when_nothing_has_changed(library: Library) -> None:
    key = library.add("a.heic", heif(PICTURE, xmp("T")))

    assert library.plan(key, {"title": "T"}).mode is Mode.UNCHANGED


def test_what_outgrows_its_place_leaves_zeros_there(library: Library) -> None:
    old = xmp("secret")
    content = heif(PICTURE, old, SECOND)
    key = library.add("a.heic", content)
    assert library.read(key).tags == {"title": "secret"}

    assert library.write(key, {"title": "T", "description": "long " * 1000}).mode is Mode.APPEND

    after = library.bytes_of(key)
    assert b"secret" not in after
    assert after[: len(content)].replace(bytes(len(old.data)), b"") != after[: len(content)]
    assert item_data(after)[2] == SECOND.data


@pytest.mark.parametrize("description", ["short", "long " * 1000])
def test_an_item_inside_the_directory_is_written_too(library: Library, description: str) -> None:
    key = library.add("a.heic", heif(PICTURE, SECOND, xmp("secret", method=1)))
    assert library.read(key).tags == {"title": "secret"}

    library.write(key, {"title": "T", "description": description, "gps": {"lat": 1.0, "lon": 2.0}})

    after = library.bytes_of(key)
    assert library.read(key).tags["title"] == "T"
    assert b"secret" not in after
    assert (item_data(after)[1], item_data(after)[2]) == (PICTURE.data, SECOND.data)


def test_metadata_of_other_pictures_are_not_taken_for_the_main_ones(library: Library) -> None:
    others = (xmp("gain map", 8, (2,)), Part(9, b"Exif", b"\0\0\0\0MM\0*\0\0\0\x08" + bytes(6), (2,)))
    key = library.add("a.heic", heif(PICTURE, SECOND, *others))
    assert library.read(key).tags == {}

    library.write(key, EVERYTHING)

    after = item_data(library.bytes_of(key))
    assert (after[8], after[9]) == (others[0].data, others[1].data)
    assert library.read(key).tags == EVERYTHING


def test_new_items_have_numbers_that_no_group_has(library: Library) -> None:
    groups = box(b"grpl", box(b"altr", struct.pack(">IIII", 0, 2, 1, 1)))
    key = library.add("a.heic", heif(PICTURE, more=groups))

    library.write(key, {"title": "T"})

    assert item_data(library.bytes_of(key)).keys() == {1, 3}


def test_a_film_beside_the_pictures_finds_its_samples(library: Library) -> None:
    key = library.add("a.heic", heif(PICTURE, SECOND, film=True))

    library.write(key, EVERYTHING)

    after = library.bytes_of(key)
    (start,) = struct.unpack_from(">I", after, after.index(b"stco") + 12)
    (later,) = struct.unpack_from(">Q", after, after.index(b"co64") + 12)
    assert after[start:].startswith(PICTURE.data)
    assert after[later:].startswith(PICTURE.data[3:])


def test_an_animation_keeps_all_its_pictures(library: Library) -> None:
    def frames(content: bytes) -> list[bytes]:
        with Image.open(io.BytesIO(content)) as image:
            return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(image)]

    first, *others = [Image.effect_noise((64, 48), 50).convert("RGB") for _ in range(3)]
    buffer = io.BytesIO()
    first.save(buffer, "AVIF", save_all=True, append_images=others)
    key = library.add("a.avif", buffer.getvalue())

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    assert frames(library.bytes_of(key)) == frames(buffer.getvalue())
    assert library.read(key).tags == EVERYTHING


@pytest.mark.parametrize("trailer", [box(b"mpvd", b"a film"), box(b"mpvd", b"a film") + box(b"sefd", b"SEFHSEFT")])
def test_what_is_found_from_the_end_of_the_file_stays_there(library: Library, trailer: bytes) -> None:
    key = library.add("a.heic", heif(PICTURE, behind=trailer))

    library.write(key, EVERYTHING)
    library.write(key, {"description": "long " * 2000})

    assert library.bytes_of(key).endswith(trailer)
    assert item_data(library.bytes_of(key))[1] == PICTURE.data
    assert library.read(key).tags["description"] == ("long " * 2000).strip()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (heif(PICTURE, xmp("one", 8), xmp("two", 9)), "several blocks"),
        (heif(PICTURE, xmp("one", 8, ())), "not said to be about any picture"),
        (heif(PICTURE, xmp("one", protected=1)), "encrypted"),
        (heif(PICTURE, xmp("one", source=1)), "unknown place"),
        (heif(PICTURE, xmp("one", method=2)), "unknown place"),
        (heif(PICTURE, behind=box(b"uuid", C2PA + b"manifest")), "Content Credentials"),
        (heif(PICTURE, behind=box(b"uuid", XMP + packet(""))), "outside of its directory"),
        (heif(PICTURE, behind=box(b"what", b"points at the picture")), "unknown kind"),
        (heif(PICTURE, film=True).replace(b"stco", b"what"), "may point into it"),
        (heif(PICTURE, behind=box(b"ftyp", b"mp42") + box(b"moov", b"")), "another file"),
        (heif(PICTURE).replace(b"mdat", b"free"), "lie on each other"),
        (heif(PICTURE, xmp("one"))[:-400], "damaged"),
        (heif(PICTURE)[:-400], "damaged"),
        (heif(PICTURE).replace(struct.pack(">I", len(PICTURE.data)), b"\0\0\x7f\xff"), "cut off"),
        (heif(PICTURE).replace(b"pitm", b"nope"), "no main picture"),
        (heif(PICTURE, Part(3, b"Exif", b"\xff\xff\0\0MM\0*", (1,))), "no header"),
        (heif(PICTURE, Part(3, b"hvc1", b"")), "left open"),
    ],
)
def test_what_cannot_be_embedded_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.heic", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_items_that_lie_on_each_other_are_not_written(library: Library) -> None:
    content = heif(PICTURE, xmp("T"), SECOND)
    place = content.index(SECOND.data)
    overlapping = content.replace(struct.pack(">II", place, len(SECOND.data)), struct.pack(">II", place - 9, 30))

    planned = library.write(library.add("a.heic", overlapping), {"title": "Other"})

    assert planned.mode is Mode.SIDECAR
    assert "lie on each other" in planned.note


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"hevc\0\0\0\0msf1hevc", "HEIC"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"avis\0\0\0\0mif1avif", "AVIF"),
    ],
)
def test_the_format_is_told_by_the_brands_and_the_picture_is_measured(
    library: Library, brands: bytes, name: str
) -> None:
    reading = library.read(library.add("a.heic", heif(PICTURE, brands=brands)))

    assert (reading.format, reading.width, reading.height) == (name, 4000, 3000)


def test_content_is_the_same_whatever_is_written(library: Library) -> None:
    def content(key: bytes) -> bytes:
        whole = library.bytes_of(key)
        found = Heif(Memory(whole)).content  # type: ignore[arg-type] # reads like a MediaFile
        return b"".join(whole[start : start + length] for start, length in found)

    key = library.add("a.heic", heif(PICTURE, xmp("T"), SECOND))
    before = content(key)
    library.write(key, EVERYTHING)

    assert content(key) == before == PICTURE.data + SECOND.data


SAMPLE = heif(PICTURE, xmp("T"), SECOND, xmp("other", 9, (2,), method=1), version=1, base=4, film=True)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(300, len(content)))]))

    with contextlib.suppress(FileProblem):
        survives(Heif, media)

    assert media.reads < 100_000
