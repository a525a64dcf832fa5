"""PNG: only metadata chunks change, older homes of metadata say the same or are gone, pictures decode as before."""

from __future__ import annotations

import io
import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.png import Png
from indelible_server.files.iptc import Iptc
from indelible_server.files.mail_dates import MAIL_DATE
from indelible_server.files.plan import Mode
from indelible_server.files.policy import Policy
from PIL import Image, ImageSequence
from unit.files.library import XMP_SIGNATURE, Library, packet
from unit.files.native import text as ascii_value
from unit.files.native import tiff
from unit.files.witnesses import EVERYTHING, Memory, exiftool, goes_round, mangled, survives, warnings

TITLED = packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></dc:title>")
XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
Chunks = list[tuple[bytes, bytes]]


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def chunks(content: bytes) -> Chunks:
    """All chunks up to IEND, each with a right checksum."""
    found, position = [], 8
    while not found or found[-1][0] != b"IEND":
        length = int.from_bytes(content[position : position + 4], "big")
        kind, data = content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        assert content[position : position + 12 + length] == chunk(kind, data)
        found.append((kind, data))
        position += 12 + length
    return found


def png(*ahead: bytes, behind: bytes = b"", trailer: bytes = b"", frames: int = 1) -> bytes:
    """A small PNG with these chunks in front of the picture, behind it, and behind the end."""
    buffer = io.BytesIO()
    pictures = [Image.new("RGB", (64, 48), (40 * index, 200, 30)) for index in range(frames)]
    pictures[0].save(buffer, "PNG", save_all=frames > 1, append_images=pictures[1:])
    plain = buffer.getvalue()
    return plain[:33] + b"".join(ahead) + plain[33:-12] + behind + plain[-12:] + trailer


def profile(name: str, data: bytes, *, kind: bytes = b"zTXt") -> bytes:
    """What ImageMagick writes."""
    digits = data.hex().encode()
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = b"\n%s\n%8d\n%s\n" % (name.encode(), len(data), lines)
    return chunk(kind, b"Raw profile type " + name.encode() + (b"\0\0" + zlib.compress(text)))


def texts(content: bytes, keyword: bytes) -> Chunks:
    return [(kind, data) for kind, data in chunks(content) if data.partition(b"\0")[0] == keyword]


def frames(content: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(content)) as image:
        return [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("count", [1, 3])
def test_a_first_write_adds_two_chunks_behind_the_header(library: Library, count: int) -> None:
    before = png(
        chunk(b"zzZz", b"unknown"), behind=chunk(b"tEXt", b"Software\0x"), trailer=b"trailing data", frames=count
    )
    key = library.add("a.png", before)

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    after = library.bytes_of(key)
    added = chunks(after)[1:3]
    assert [kind for kind, _ in added] == [b"iTXt", b"eXIf"]
    assert added[0][1].startswith(XMP)
    assert added[0][1].endswith(b'<?xpacket end="r"?>')
    assert after.replace(b"".join(chunk(*one) for one in added), b"", 1) == before
    assert len(frames(after)) == count
    assert frames(after) == frames(before)


def test_everything_is_set_changed_and_cleared(library: Library) -> None:
    goes_round(library, "a.png", png(chunk(b"tEXt", b"Title\0x"), chunk(b"tEXt", b"Author\0y")))


@pytest.mark.tool("exiftool")
def test_exiftool_reads_every_form_back_and_finds_nothing_wrong(library: Library) -> None:
    content = png(
        chunk(b"tEXt", b"Title\0x"),
        chunk(b"zTXt", b"Author\0\0" + zlib.compress(b"y")),
        chunk(b"eXIf", tiff(">", {0x013B: ascii_value("z")})),
        behind=chunk(b"tEXt", b"Creation Time\0Mon, 1 Jan 2018 12:10:22 EST"),
    )
    key = library.add("a.png", content)
    before = warnings(library.path / "a.png")

    library.write(key, EVERYTHING)

    said = exiftool(library.path / "a.png")
    assert said["PNG:Title"] == said["XMP-dc:Title"] == "A title, 題名"
    assert said["PNG:Author"] == said["IFD0:Artist"] == '"First; Inc."; Second'
    assert said["PNG:CreationTime"] == "2021:02:09 14:29:00+01:00"
    assert said["ExifIFD:DateTimeOriginal"] == "2021:02:09 14:29:00"
    assert warnings(library.path / "a.png") == before


def test_re_edits_are_small_patches_even_when_texts_and_exif_change_their_lengths(library: Library) -> None:
    key = library.add("a.png", png(chunk(b"tEXt", b"Title\0x"), chunk(b"eXIf", tiff("<", {0x013B: ascii_value("z")}))))
    library.write(key, EVERYTHING)

    for number in range(5):
        planned = library.write(key, {"title": "T" * (number + 1), "creators": [f"Some {'one' * number}"]})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 16_384


def test_a_big_picture_is_skipped_with_few_reads() -> None:
    data = random.Random(1).randbytes(1000)
    parts = [chunk(b"IDAT", data)] * 5000 + [chunk(b"IDAT", b"rest")] + [chunk(b"IDAT", data)] * 3
    content = png().split(b"IDAT")[0][:-4] + b"".join(parts) + chunk(b"tEXt", b"Title\0behind") + chunk(b"IEND", b"")
    media = Memory(content)

    container = Png(media)  # type: ignore[arg-type] # reads like a MediaFile

    assert container.refusal is None
    assert container.texts is not None
    assert container.texts.get("Title") == ("behind",)
    assert media.reads < 150


def test_xmp_behind_the_picture_comes_in_front_where_all_programs_see_it(library: Library) -> None:
    key = library.add("a.png", png(behind=chunk(b"iTXt", XMP + TITLED)))
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new"})

    kinds = [kind for kind, _ in chunks(library.bytes_of(key))]
    assert kinds == [b"IHDR", b"iTXt", b"IDAT", b"IEND"]
    assert library.read(key).tags == {"title": "new"}


def test_a_packet_that_is_there_twice_is_there_once_afterwards(library: Library) -> None:
    same = chunk(b"iTXt", XMP + TITLED)
    key = library.add("a.png", png(same, behind=same))

    library.write(key, {"title": "new"})

    assert len(texts(library.bytes_of(key), b"XML:com.adobe.xmp")) == 1
    assert library.read(key).tags == {"title": "new"}


def test_compressed_xmp_is_read_and_written_plain(library: Library) -> None:
    key = library.add("a.png", png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(TITLED))))
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new"})

    ((_, data),) = texts(library.bytes_of(key), b"XML:com.adobe.xmp")
    assert data.startswith(XMP + b"<?xpacket")


@pytest.mark.parametrize("beside", [b"", chunk(b"iTXt", XMP + TITLED)])
@pytest.mark.parametrize("head", [b"", XMP_SIGNATURE])
def test_an_older_home_of_xmp_is_gone_once_xmp_is_written(library: Library, beside: bytes, head: bytes) -> None:
    key = library.add("a.png", png(profile("APP1" if head else "xmp", head + TITLED), beside))
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"rating": 3})

    assert b"Raw profile" not in library.bytes_of(key)
    assert library.read(key).tags == {"title": "old", "rating": 3}


@pytest.mark.parametrize(("name", "prefix"), [("exif", b"Exif\0\0"), ("APP1", b"Exif\0\0"), ("exif", b"")])
def test_exif_in_hex_digits_is_changed_where_it_is(library: Library, name: str, prefix: bytes) -> None:
    key = library.add("a.png", png(profile(name, prefix + tiff("<", {0x013B: ascii_value("old")}))))
    assert library.read(key).tags == {"creators": ["old"]}

    library.write(key, {"creators": ["new"]})

    content = library.bytes_of(key)
    assert b"eXIf" not in content
    assert library.read(key).tags == {"creators": ["new"]}
    with Image.open(io.BytesIO(content)) as image:
        # Pillow does not look into one that is called APP1.
        assert name == "APP1" or image.getexif()[0x013B] == "new"


@pytest.mark.parametrize("bare", [True, False])
def test_iptc_in_hex_digits_is_changed_in_its_own_way(library: Library, bare: bool) -> None:
    iptc = b"\x1c\x02\x05\0\3old"
    block = iptc if bare else b"8BIM\4\4\0\0\0\0\0\x08" + iptc
    key = library.add("a.png", png(profile("iptc", block)))
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new"})

    ((_, data),) = texts(library.bytes_of(key), b"Raw profile type iptc")
    name, length, *lines = zlib.decompress(data.partition(b"\0\0")[2]).decode().split()
    written = bytes.fromhex("".join(lines))
    assert (name, int(length)) == ("iptc", len(written))
    assert written.startswith(b"\x1c\x01\x5a" if bare else b"8BIM")
    assert b"new" in written
    assert Iptc.parse(written if bare else written[12:])


def test_texts_keep_their_place_and_kind_and_become_international_only_if_they_must(library: Library) -> None:
    key = library.add(
        "a.png", png(chunk(b"tEXt", b"Title\0a"), chunk(b"tEXt", b"copyright\0b"), chunk(b"pHYs", bytes(9)))
    )

    library.write(key, {"title": "Łódź", "copyright": "café"})

    kinds = [kind for kind, _ in chunks(library.bytes_of(key))]
    assert kinds == [b"IHDR", b"iTXt", b"iTXt", b"tEXt", b"pHYs", b"IDAT", b"IEND"]
    assert texts(library.bytes_of(key), b"Title") == [(b"iTXt", b"Title\0\0\0\0\0" + "Łódź".encode())]
    assert texts(library.bytes_of(key), b"copyright") == [(b"tEXt", b"copyright\0caf\xe9")]


def test_a_latin_text_that_would_be_read_as_something_else_becomes_international(library: Library) -> None:
    key = library.add("a.png", png(chunk(b"tEXt", b"Title\0a")))

    library.write(key, {"title": "Ã©"})

    assert texts(library.bytes_of(key), b"Title") == [(b"iTXt", b"Title\0\0\0\0\0" + "Ã©".encode())]
    assert library.read(key).tags == {"title": "Ã©"}


def test_a_text_that_is_said_twice_is_said_once_and_other_languages_stay(library: Library) -> None:
    title, german = chunk(b"tEXt", b"Title\0a"), chunk(b"iTXt", b"Title\0\0\0de\0Titel\0anders")
    key = library.add("a.png", png(title, german, title))

    library.write(key, {"title": "b"})
    assert texts(library.bytes_of(key), b"Title") == [
        (b"tEXt", b"Title\0b"),
        (b"iTXt", b"Title\0\0\0de\0Titel\0anders"),
    ]

    library.write(key, {"title": None})
    assert not texts(library.bytes_of(key), b"Title")


def test_utf8_in_a_latin_text_is_read_as_what_it_is(library: Library) -> None:
    key = library.add("a.png", png(chunk(b"tEXt", b"Title\0" + "Zoë".encode()), chunk(b"tEXt", b"Copyright\0\xa9 me")))

    assert library.read(key).tags == {"title": "Zoë", "copyright": "© me"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (png(chunk(b"caBX", b"jumb")), "signed"),
        (png(chunk(b"dSIG", b"x")), "signed"),
        (png(chunk(b"iTXt", XMP + TITLED), chunk(b"iTXt", XMP + packet(""))), "several main XMP packets"),
        (png(chunk(b"eXIf", tiff("<", {})), chunk(b"eXIf", tiff(">", {}))), "several Exif blocks"),
        (png(profile("iptc", b"8BIM"), profile("8bim", b"8BIM")), "several IPTC blocks"),
        (png(chunk(b"tEXt", b"Title\0x")[:-1] + b"!"), "damaged"),
        (png(chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"x" * 1000)[:-5])), "damaged"),
        (png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(50_000_000)))), "40 MiB"),
        (png(chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(25_000_000))) * 1000), "64 MiB"),
        (png(chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(1000))[:-9]) * 1000), "64 MiB"),
        (png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  9\n00\n")), "damaged"),
        (png(chunk(b"iDOT", bytes(28)) + chunk(b"tEXt", b"Title\0x")), "points at"),
        (png()[:-20], "damaged"),
    ],
)
def test_what_cannot_be_changed_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.png", content)

    planned = library.write(key, {"title": "T", "rating": 1})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_pointer_to_the_picture_data_keeps_its_distance(library: Library) -> None:
    before = png(chunk(b"tEXt", b"Title\0x"), chunk(b"iDOT", bytes(28)))
    key = library.add("a.png", before)

    library.write(key, {"title": "longer"})

    after = library.bytes_of(key)
    assert after[after.index(b"iDOT") :] == before[before.index(b"iDOT") :]


def test_a_damaged_chunk_that_is_not_ours_is_left_alone(library: Library) -> None:
    odd = chunk(b"tEXt", b"Software\0x")[:-1] + b"!"
    key = library.add("a.png", png(odd))

    library.write(key, {"title": "T"})

    assert odd in library.bytes_of(key)


@pytest.mark.parametrize(
    ("raw", "date"),
    [
        ("Tue, 09 Feb 2021 14:29:00 GMT", "2021-02-09T14:29:00+00:00"),
        ("9 Feb 2021 4:29", "2021-02-09T04:29:00"),
        ("Tue, 9 February 2021 14:29:00 +0130", "2021-02-09T14:29:00+01:30"),
        ("2021:02:09 14:29:00", "2021-02-09T14:29:00"),
        ("2021-02", "2021-02"),
        ("Tue, 09 Foo 2021 14:29:00 GMT", None),
        ("yesterday", None),
    ],
)
def test_creation_times_are_read_in_many_spellings(raw: str, date: str | None) -> None:
    assert MAIL_DATE.decode(raw, Policy()) == date
    if date is not None:
        assert MAIL_DATE.decode(MAIL_DATE.encode(date, raw, Policy()), Policy()) == date


def test_the_content_is_the_picture_whatever_the_metadata() -> None:
    content = png(chunk(b"tEXt", b"Title\0x"), frames=3)
    ranges = Png(Memory(content)).content  # type: ignore[arg-type] # reads like a MediaFile

    assert all(first + length < second for (first, length), (second, _) in pairwise(ranges))
    covered = b"".join(content[start : start + length] for start, length in ranges)
    assert b"IDAT" in covered
    assert b"fdAT" in covered
    assert b"tEXt" not in covered


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_harm(data: st.DataObject) -> None:
    sample = png(chunk(b"iTXt", XMP + TITLED), profile("iptc", b"8BIM"), chunk(b"zTXt", b"Title\0\0"), frames=2)

    survives(Png, mangled(data, sample))
