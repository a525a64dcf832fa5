"""PostScript and InDesign: the main packet is changed where it is, at its length, or not at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.indesign import InDesign
from indelible_server.files.containers.postscript import PostScript
from indelible_server.files.plan import Mode
from unit.files.library import Library, packet
from unit.files.witnesses import EVERYTHING, Memory, exiftool, goes_round, mangled, survives, warnings

TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt></dc:title>"
MASTER = bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d")
HEADER = bytes.fromhex("de39397951884b6c8e63eef8aee0dd38")
TRAILER = bytes.fromhex("fdcedb70f7864b4fa4d3c728b3417106")


def roomy(title: str = "old", room: int = 8000, end: str = "w") -> bytes:
    """A packet in the wrapper that older programs of Adobe write."""
    inner = packet(TITLE.format(title), wrapper=False).decode()
    begin = "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
    return (begin + inner + " " * room + f"\n<?xpacket end='{end}'?>").encode()


def eps(*parts: bytes, hint: str = "", data: str = "", line: bytes = b"\n") -> bytes:
    """An EPS of which each part begins on a line of its own."""
    header = ["%!PS-Adobe-3.0 EPSF-3.0", "%%BoundingBox: 0 0 8 8"]
    header += [f"%ADO_ContainsXMP: {hint}"] * bool(hint) + [f"%%DocumentData: {data}"] * bool(data)
    lines = [*(text.encode() for text in header), b"%%EndComments", *parts, b"showpage", b"%%EOF", b""]
    return line.join(lines)


def in_stream(xmp: bytes) -> bytes:
    """How a packet is wrapped so that interpreters without pdfmark skip it."""
    begin = b"%%begin_xml_packet: %d\n[{s} currentfile 0 (<?xpacket end='w'?>) /SubFileDecode filter\n" % len(xmp)
    return begin + xmp + b"\n%end_xml_packet"


def placed(xmp: bytes) -> bytes:
    return b"%%BeginDocument: a.eps\n" + in_stream(xmp) + b"\n%%EndDocument"


def dos(program: bytes) -> bytes:
    preview = b"II*\0preview"
    return (
        b"\xc5\xd0\xd3\xc6"
        + struct.pack("<6IH", 30, len(program), 0, 0, 30 + len(program), 11, 0xFFFF)
        + (program + preview)
    )


def stream(data: bytes, *, flags: int = 0x40000000, checksum: int = 0xFFFFFFFF) -> bytes:
    about = struct.pack("<IIII", 1, flags, len(data), checksum)
    return HEADER + about + data + TRAILER + about


def indd(*streams: bytes, order: int = 2) -> bytes:
    def page(sequence: int) -> bytes:
        head = (MASTER + b"DOCUMENT" + bytes([order])).ljust(264, b"\0")
        return (head + struct.pack("<QQI", sequence, 0, 3)).ljust(4096, b"\0")

    content = page(5) + page(4) + b"database".ljust(4096, b"\0") + b"".join(streams)
    return content + bytes(-len(content) % 4096)


def with_length(xmp: bytes, order: str = ">") -> bytes:
    return struct.pack(f"{order}I", len(xmp)) + xmp


EPS = eps(in_stream(roomy()))
INDD = indd(stream(b"other" * 20), stream(with_length(roomy())))


@pytest.mark.parametrize(("name", "content"), [("a.eps", EPS), ("a.ai", EPS), ("a.eps", dos(EPS)), ("a.indd", INDD)])
def test_the_packet_is_patched_and_all_else_stays(library: Library, name: str, content: bytes) -> None:
    key = library.add(name, content)
    assert library.read(key).tags == {"title": "old"}

    assert library.write(key, EVERYTHING).mode is Mode.PATCH

    before, after = content.split(roomy()), library.bytes_of(key)
    assert len(after) == len(content)
    assert after.startswith(before[0])
    assert after.endswith(before[1])
    assert after[len(before[0]) :].startswith(b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>")
    assert after[: len(after) - len(before[1])].endswith(b"<?xpacket end='w'?>")


@pytest.mark.parametrize(("name", "content"), [("a.eps", EPS), ("a.indd", INDD)])
def test_everything_is_set_changed_and_cleared(library: Library, name: str, content: bytes) -> None:
    goes_round(library, name, content)


@pytest.mark.tool("exiftool")
@pytest.mark.parametrize(("name", "content"), [("a.eps", EPS), ("a.eps", dos(EPS)), ("a.indd", INDD)])
def test_exiftool_reads_it_back_and_finds_nothing_wrong(library: Library, name: str, content: bytes) -> None:
    key = library.add(name, content)
    before = warnings(library.path / name)

    library.write(key, EVERYTHING)

    said = exiftool(library.path / name)
    assert said["XMP-dc:Title"] == "A title, 題名"
    assert said["XMP-dc:Creator"] == ["First; Inc.", "Second"]
    assert warnings(library.path / name) == before


@pytest.mark.parametrize("line", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize(
    ("parts", "hint"),
    [
        ([in_stream(roomy("main")), placed(roomy("other"))], "MainFirst"),
        ([placed(roomy("other")), in_stream(roomy("main"))], "MainLast"),
        ([in_stream(roomy("other")), in_stream(roomy("main"))], "MainLast Other"),
    ],
)
def test_the_file_itself_says_which_packet_is_the_main_one(
    library: Library, parts: list[bytes], hint: str, line: bytes
) -> None:
    content = eps(*(part.replace(b"\n", line) for part in parts), hint=hint, line=line)
    key = library.add("a.eps", content)
    assert library.read(key).tags == {"title": "main"}

    library.write(key, {"title": "new"})

    assert library.read(key).tags == {"title": "new"}
    assert b">other<" in library.bytes_of(key)


def test_a_packet_in_a_file_of_seven_bits_stays_so(library: Library) -> None:
    xmp = roomy().replace(b"\xef\xbb\xbf", b"")
    key = library.add("a.eps", eps(in_stream(xmp), data="Clean7Bit"))

    library.write(key, {"title": "Łódź"})

    assert library.bytes_of(key).isascii()
    assert library.read(key).tags == {"title": "Łódź"}


def test_resources_without_metadata_are_no_obstacle(library: Library) -> None:
    digits = (b"8BIM\x03\xed\0\0\0\0\0\x04ABCD").hex().encode()
    resources = b"%BeginPhotoshop: 16\n% " + digits[:16] + b"\n% " + digits[16:] + b"\n%EndPhotoshop"
    key = library.add("a.eps", eps(resources, in_stream(roomy())))

    assert library.write(key, {"title": "T"}).mode is Mode.PATCH


def test_a_checksum_of_the_stream_is_declared_void(library: Library) -> None:
    key = library.add("a.indd", indd(stream(with_length(roomy(), "<"), checksum=0x12345678), order=1))

    library.write(key, {"title": "T"})

    assert b"\x78\x56\x34\x12" not in library.bytes_of(key)
    assert library.bytes_of(key).count(b"\xff\xff\xff\xff") == 2
    assert library.read(key).tags == {"title": "T"}


def test_pages_of_a_document_are_never_read() -> None:
    media = Memory(INDD)
    InDesign(media)  # type: ignore[arg-type] # reads like a MediaFile

    assert media.reads < 20


IPTC = b"%BeginPhotoshop: 18\n% 3842494d040400000000000461626364\n%EndPhotoshop"
XMP_STREAM = stream(with_length(roomy()))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.eps", eps(), "no XMP packet"),
        ("a.eps", eps(in_stream(roomy()), hint="NoMain"), "no XMP packet"),
        ("a.eps", eps(in_stream(roomy()), in_stream(roomy())), "which is the main one"),
        ("a.eps", eps(placed(roomy())), "placed picture"),
        ("a.eps", eps(placed(roomy()).replace(b"\n", b"\r"), line=b"\r"), "placed picture"),
        ("a.eps", eps(in_stream(roomy(end="r"))), "read-only"),
        ("a.eps", eps(in_stream(roomy(room=0))), "not enough room"),
        ("a.eps", eps(in_stream(roomy().replace(b"W5M0", b"W5M1"))), "unknown kind"),
        ("a.eps", eps(IPTC, in_stream(roomy())), "among Photoshop's resources"),
        ("a.eps", eps(IPTC.replace(b"384", b"xyz"), in_stream(roomy())), "among Photoshop's resources"),
        ("a.eps", dos(EPS)[:2000], "cut off"),
        ("a.eps", dos(EPS.replace(b"%!PS", b"%PDF")), "no PostScript"),
        ("a.indd", indd(), "no XMP packet"),
        ("a.indd", indd(XMP_STREAM, XMP_STREAM), "several XMP packets"),
        ("a.indd", indd(stream(with_length(roomy()), flags=0)), "read-only"),
        ("a.indd", indd(stream(with_length(roomy(room=0)))), "not enough room"),
        ("a.indd", INDD[:-4096], "damaged"),
        ("a.indd", INDD[:5000], "master pages"),
        ("a.indd", indd(stream(with_length(roomy(), "<"))), "cut off"),
    ],
)
def test_what_cannot_be_changed_safely_goes_to_a_sidecar_that_says_why(
    library: Library, name: str, content: bytes, why: str
) -> None:
    key = library.add(name, content)

    planned = library.write(key, {"rating": 1})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_big_file_is_read_to_its_main_packet_only() -> None:
    content = eps(in_stream(roomy()), b"%" + bytes(5_000_000), hint="MainFirst")
    media = Memory(content)

    assert PostScript(media).xmp == roomy()  # type: ignore[arg-type] # reads like a MediaFile
    assert media.reads < 12


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_harm(data: st.DataObject) -> None:
    survives(PostScript, mangled(data, dos(eps(placed(roomy()), in_stream(roomy()), hint="MainLast"))))
    survives(InDesign, mangled(data, INDD))
