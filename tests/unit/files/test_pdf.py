"""PDF: a change is an update at the end of the file; all that was there before stays where it is, and as it is."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.pdf import Pdf
from indelible_server.files.containers.pdf_text import string_of, text_of
from indelible_server.files.photoshop import head_of, packed
from indelible_server.files.plan import Home, Mode
from indelible_server.files.tags import Tags
from PIL import PdfParser
from unit.files.library import Library, packet
from unit.files.witnesses import EVERYTHING, Memory, exiftool, mangled, survives, warnings

INFO = b"<</Title(Old)/Author (Someone) % theirs\n /Own <0a0B> /Subject () /Producer (p)>>"
PAGES = {2: b"<</Type /Pages /Kids [3 0 R] /Count 1>>", 3: b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>"}
IDENTIFIER = b"/ID [<AA> <BB>]"


def catalog(more: bytes = b"") -> bytes:
    """A catalog with this in it."""
    return b"<</Type /Catalog /Pages 2 0 R " + more + b">>"


def stream(data: bytes, dictionary: bytes = b"", *, packed: bool = False) -> bytes:
    """The source of a stream."""
    if packed:
        data, dictionary = zlib.compress(data), dictionary + b"/Filter /FlateDecode"
    return b"<<" + dictionary + b"/Length %d>>\nstream\n" % len(data) + data + b"\nendstream"


def metadata(body: str, *, packed: bool = False) -> bytes:
    """The source of a metadata stream."""
    return stream(packet(body), b"/Type /Metadata /Subtype /XML /Own 7 ", packed=packed)


def laid_out(objects: dict[int, bytes], start: bytes) -> tuple[bytes, dict[int, int]]:
    """Objects behind a start, and where they are."""
    content, offsets = start, {}
    for number, source in objects.items():
        offsets[number] = len(content)
        content += b"%d 0 obj\n" % number + source + b"\nendobj\n"
    return content, offsets


def with_table(
    root: bytes, more: dict[int, bytes] | None = None, trailer: bytes = b"/Info 4 0 R " + IDENTIFIER
) -> bytes:
    """A PDF file with a table: 1 is the catalog, 4 the information dictionary; `more` may replace it."""
    objects = {1: root, **PAGES, 4: INFO, **(more or {})}
    content, offsets = laid_out(objects, b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    rows = b"".join(
        b"%010d 00000 n \n" % offsets[number] if number in offsets else b"%010d 00001 f \n" % 0
        for number in range(1, max(offsets) + 1)
    )
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (max(offsets) + 1) + rows
    end = b"trailer\n<</Size %d /Root 1 0 R %s /Own (kept)>>\n" % (max(offsets) + 1, trailer)
    return content + table + end + b"startxref\n%d\n%%%%EOF\n" % len(content)


def with_stream(root: bytes, *, predicted: bool = True, plain_rows: int = 99, trailer: bytes = b"") -> bytes:
    """A PDF file whose cross-references are a stream, and whose catalog and information are in an object stream.

    Predicted rows are differences to the row above, but for each `plain_rows`th one.
    """
    head = b"1 0 4 %d " % (len(root) + 1)
    inside = stream(head + root + b" " + INFO, b"/Type /ObjStm /N 2 /First %d " % len(head), packed=True)
    content, offsets = laid_out({**PAGES, 5: inside}, b"%PDF-1.5\n")
    rows = [b"\0\0\0\0\0", b"\2\0\0\5\0", *(b"\1" + offsets[number].to_bytes(3, "big") + b"\0" for number in (2, 3))]
    rows += [b"\2\0\0\5\1", *(b"\1" + offset.to_bytes(3, "big") + b"\0" for offset in (offsets[5], len(content)))]
    dictionary = b"/Type /XRef /Size 7 /W [1 3 1] /Root 1 0 R /Info 4 0 R %s %s " % (IDENTIFIER, trailer)
    if predicted:
        above = [bytes(5), *rows[:-1]]
        steps = [
            bytes((a - b) & 255 for a, b in zip(row, up, strict=True)) for row, up in zip(rows, above, strict=True)
        ]
        pairs = enumerate(zip(rows, steps, strict=True), 1)
        rows = [b"\2" + step if at % plain_rows else b"\0" + row for at, (row, step) in pairs]
        dictionary += b"/DecodeParms <</Predictor 12 /Columns 5>> "
    section = stream(b"".join(rows), dictionary, packed=True)
    return content + b"6 0 obj\n" + section + b"\nendobj\nstartxref\n%d\n%%%%EOF" % len(content)


SAMPLES = {
    "table": with_table(catalog()),
    "table with XMP": with_table(catalog(b"/Metadata 5 0 R"), {5: metadata("<xmp:CreatorTool>x</xmp:CreatorTool>")}),
    "packed XMP": with_table(catalog(b"/Metadata 5 0 R"), {5: metadata("", packed=True)}),
    "stream": with_stream(catalog()),
    "stream without prediction": with_stream(catalog(), predicted=False),
}
each_sample = pytest.mark.parametrize("content", SAMPLES.values(), ids=list(SAMPLES))


def opened(content: bytes) -> Pdf:
    """The container in a file of this content."""
    return Pdf(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile


@each_sample
def test_all_that_was_in_the_file_stays_and_every_field_is_read_back(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)

    assert library.write(key, EVERYTHING).mode is Mode.APPEND

    update = library.bytes_of(key)[len(content) :]
    assert library.bytes_of(key) == content + update
    assert library.read(key).tags == EVERYTHING
    assert max(map(int, re.findall(rb"\n(\d+) 0 obj", update))) < int(re.findall(rb"/Size (\d+)", update)[-1])


@pytest.mark.tool("exiftool")
@each_sample
def test_exiftool_reads_both_forms_and_finds_nothing_new_wrong(library: Library, content: bytes) -> None:
    key, _ = library.add("a.pdf", content), library.add("b.pdf", content)
    library.write(key, EVERYTHING)
    library.write(key, {"title": "Neu ü", "keywords": ["k"]})

    found = exiftool(library.path / "a.pdf")

    assert (found["PDF:Title"], found["XMP-dc:Title"]) == ("Neu ü", "Neu ü")
    assert (found["PDF:Author"], found["PDF:Subject"]) == ('"First; Inc."; Second', "Two\nlines")
    assert (found["PDF:Own"], found["PDF:Producer"]) == ("\n\v", "p")
    assert "PDF:Keywords" not in found
    assert warnings(library.path / "a.pdf") == warnings(library.path / "b.pdf")


@each_sample
def test_what_is_cleared_is_gone_in_both_forms(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)
    library.write(key, EVERYTHING)

    library.write(key, dict.fromkeys(EVERYTHING))

    container = opened(library.bytes_of(key))
    assert library.read(key).tags == {}
    assert container.texts is not None
    assert not any(container.texts.has(name) for name in ("Title", "Author", "Keywords"))
    assert b"dc:title" not in (container.xmp or b"")


@each_sample
def test_a_further_write_is_a_small_patch_of_our_own_update(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)
    library.write(key, {"title": "T"})
    size = len(library.bytes_of(key))

    for number in range(20):
        planned = library.write(key, {"title": f"Title {number} ü", "keywords": [f"k{number}"]})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) <= 16 * 1024

    assert len(library.bytes_of(key)) == size
    assert library.bytes_of(key).startswith(content)


@each_sample
def test_an_update_that_became_too_small_is_replaced_by_a_larger_one(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)
    library.write(key, {"title": "T"})

    assert library.write(key, {"description": "long " * 2000}).mode is Mode.APPEND
    grown = library.bytes_of(key)
    assert library.write(key, {"description": "short", "title": "other"}).mode is Mode.PATCH

    after = library.bytes_of(key)
    assert len(after) == len(grown)
    assert after.startswith(content)
    assert after.count(b"startxref") == content.count(b"startxref") + 1
    assert library.read(key).tags["description"] == "short"


def test_many_writes_do_not_make_the_file_grow(library: Library) -> None:
    key = library.add("a.pdf", SAMPLES["table"])
    for number in range(120):
        library.write(key, {"title": "t" * (number * 7 % 400 + 1), "description": "d" * (number * 131 % 3000 + 1)})

    assert len(library.bytes_of(key)) - len(SAMPLES["table"]) < 16 * 1024


@each_sample
def test_nothing_is_written_when_nothing_changes(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)
    library.write(key, {"rating": 3})

    assert library.plan(key, dict(library.read(key).tags)).mode is Mode.UNCHANGED


def test_an_update_of_another_program_behind_ours_is_kept(library: Library) -> None:
    key = library.add("a.pdf", SAMPLES["table"])
    library.write(key, {"title": "T"})
    first = library.bytes_of(key)
    section = int(first.rpartition(b"startxref\n")[2].split()[0])
    theirs = b"4 0 obj\n<</Title (Theirs)>>\nendobj\n"
    table = b"xref\n4 1\n%010d 00000 n \ntrailer\n<</Size 6 /Root 1 0 R /Info 4 0 R /Prev %d>>\n" % (
        len(first),
        section,
    )
    updated = first + theirs + table + b"startxref\n%d\n%%%%EOF\n" % (len(first) + len(theirs))
    key = library.add("a.pdf", updated)

    assert library.write(key, {"rating": 2}).mode is Mode.APPEND

    assert library.bytes_of(key).startswith(updated)


def test_an_update_that_is_only_marked_like_ours_is_kept(library: Library) -> None:
    key = library.add("a.pdf", SAMPLES["table"])
    library.write(key, {"title": "T"})
    changed = library.bytes_of(key).replace(b" \n%Indel", b"7\n%Indel", 1)
    key = library.add("a.pdf", changed)

    library.write(key, {"rating": 2})

    assert library.bytes_of(key).startswith(changed)


def test_pillow_finds_the_same_pages_and_all_keys_of_others(library: Library) -> None:
    info = INFO.replace(b" % theirs\n", b" ")
    key = library.add("a.pdf", with_table(catalog(), {4: info}))
    library.write(key, {"title": "Neu", "rating": 1})

    parser = PdfParser.PdfParser(buf=bytearray(library.bytes_of(key)))

    assert parser.info[b"Title"] == b"Neu"
    assert parser.info[b"Own"] == b"\n\x0b"
    assert len(parser.pages) == 1
    assert parser.trailer_dict[b"Own"] == b"kept"
    assert parser.trailer_dict[b"ID"][0] == b"\xaa"
    assert parser.trailer_dict[b"ID"][1] != b"\xbb"
    assert b"Metadata" in parser.root


def test_a_value_that_is_an_object_of_its_own_is_read_and_replaced(library: Library) -> None:
    objects = {4: b"<</Title 6 0 R /Own 6 0 R>>", 6: b"(\xfe\xff\0A\x04\x11)"}
    key = library.add("a.pdf", with_table(catalog(), objects))

    assert library.read(key).tags == {"title": "AБ"}
    library.write(key, {"title": "B"})

    assert b"<</Title (B) /Own 6 0 R>>" in library.bytes_of(key)


def test_keys_that_the_metadata_stream_has_stay(library: Library) -> None:
    key = library.add("a.pdf", SAMPLES["packed XMP"])

    library.write(key, {"rating": 1})

    update = library.bytes_of(key)[len(SAMPLES["packed XMP"]) :]
    assert b"/Own 7" in update
    assert b"/Filter" not in update


def hybrid() -> bytes:
    """A file with a table, whose metadata are only to be found through a stream beside it."""
    content = with_table(catalog(b"/Metadata 8 0 R"))
    content = content[: content.index(b"xref\n0")]
    hidden, offsets = laid_out({8: metadata("", packed=True)}, content)
    row = b"\1" + offsets[8].to_bytes(3, "big") + b"\0"
    dictionary = b"/Type /XRef /Size 9 /Index [8 1] /W [1 3 1] "
    beside = len(hidden)
    hidden += b"7 0 obj\n" + stream(row, dictionary) + b"\nendobj\n"
    rows = b"".join(b"%010d 00000 n \n" % content.index(b"%d 0 obj" % number) for number in range(1, 5))
    table = b"xref\n0 5\n0000000000 65535 f \n" + rows
    trailer = b"trailer\n<</Size 9 /Root 1 0 R /Info 4 0 R /XRefStm %d>>\n" % beside
    return hidden + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(hidden)


@pytest.mark.tool("exiftool")
def test_of_a_hybrid_file_both_sections_stay_in_use(library: Library) -> None:
    key = library.add("a.pdf", hybrid())

    library.write(key, {"title": "T"})
    library.write(key, {"title": "U", "rating": 3})

    assert library.bytes_of(key).startswith(hybrid())
    assert b"/XRefStm" not in library.bytes_of(key)[len(hybrid()) :]
    assert library.read(key).tags["title"] == "U"
    assert exiftool(library.path / "a.pdf")["XMP-dc:Title"] == "U"


def archival(part: int, more: str = "") -> bytes:
    """A PDF/A file."""
    about = f"<a:part xmlns:a='http://www.aiim.org/pdfa/ns/id/'>{part}</a:part>{more}"
    return with_table(catalog(b"/Metadata 5 0 R"), {4: b"<</Author (A)>>", 5: metadata(about)})


PLAIN: Tags = {"title": "T", "keywords": ["k"], "copyright": "c", "gps": {"lat": 1.0, "lon": 2.0}, "creators": ["B"]}


@pytest.mark.parametrize(
    ("part", "beyond", "held"),
    [
        (1, {}, {}),
        (1, {"rating": 3, "event": "E"}, {}),
        (2, {"rating": 3, "event": "E"}, {"rating": 3}),
        (2, {"keywords": ["a|b"], "flag": 1}, {"keywords": ["b"]}),
    ],
)
def test_an_archival_file_gets_what_its_standard_knows_and_a_sidecar_holds_the_rest(
    library: Library, part: int, beyond: Tags, held: Tags
) -> None:
    key = library.add("a.pdf", archival(part))
    wanted = PLAIN | beyond

    planned = library.write(key, wanted)

    reading = library.read(key)
    assert planned.mode is Mode.APPEND
    assert (planned.sidecar is not None) == bool(beyond)
    assert reading.homes[Home.EMBEDDED] == PLAIN | held
    assert reading.tags == wanted
    assert not library.plan(key, wanted, base=dict(reading.homes)).files
    assert library.write(key, {"title": "U"}).mode is Mode.PATCH
    assert library.read(key).tags == wanted | {"title": "U"}


def test_an_archival_file_of_the_first_part_has_one_author(library: Library) -> None:
    planned = library.write(library.add("a.pdf", archival(1)), {"creators": ["A", "B"]})

    assert planned.mode is Mode.SIDECAR
    assert "one author" in planned.note


def test_rows_that_are_no_differences_are_read_too(library: Library) -> None:
    key = library.add("a.pdf", with_stream(catalog(), plain_rows=2))

    assert library.read(key).tags == {"title": "Old", "creators": ["Someone"]}


def test_a_file_for_print_keeps_a_title(library: Library) -> None:
    body = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>t</rdf:li></rdf:Alt></dc:title>"
    objects = {4: b"<</Title (t) /GTS_PDFXVersion (PDF/X-4)>>", 5: metadata(body)}
    key = library.add("a.pdf", with_table(catalog(b"/Metadata 5 0 R"), objects))

    assert "must have a title" in library.write(key, {"title": None}).note
    assert library.write(key, {"title": "new"}).mode is Mode.APPEND


EXIF = b"II*\0\x08\0\0\0\1\0\x0e\1\2\0\4\0\0\0old\0\0\0\0\0"
IPTC = b"\x1c\2\x05\0\3old\x1c\2\x65\0\4Peru"
RESOURCES = b"".join(packed(head_of(number), each) for number, each in ((1028, IPTC), (1005, bytes(16)), (1058, EXIF)))
PAGE_OF_PHOTOSHOP = {
    3: b"<</Type /Page /PieceInfo <</AdobePhotoshop <</Private <</ImageResources 6 0 R>>>>>>>>",
    6: stream(RESOURCES, b"/Size %d " % len(RESOURCES)),
}
PHOTOSHOP = with_table(catalog(), PAGE_OF_PHOTOSHOP)


@pytest.mark.tool("exiftool")
def test_what_photoshop_keeps_beside_a_page_says_the_same(library: Library) -> None:
    key = library.add("a.pdf", PHOTOSHOP)

    assert library.read(key).tags["place.country"] == "Peru"
    assert library.write(key, EVERYTHING).mode is Mode.APPEND
    assert library.write(key, {"title": "new", "description": "other"}).mode is Mode.PATCH

    found = exiftool(library.path / "a.pdf")
    assert library.bytes_of(key).startswith(PHOTOSHOP)
    assert re.search(rb"6 0 obj\n<</Size (\d+) /Length \1>>", library.bytes_of(key)[len(PHOTOSHOP) :])
    assert (found["IPTC:ObjectName"], found["XMP-dc:Title"], found["PDF:Title"]) == ("new", "new", "new")
    assert (found["IFD0:ImageDescription"], found["PDF:Subject"]) == ("other", "other")


SIGNED_FIELD = {6: b"<</FT /Sig /V 7 0 R>>", 7: b"<</Type /Sig>>", 8: b"<</T (parent) /Kids [6 0 R 8 0 R]>>"}
REFUSED = {
    "permissions": (with_table(catalog(b"/Perms <</DocMDP 9 0 R>>"), {9: b"<<>>"}), "signed"),
    "flags": (with_table(catalog(b"/AcroForm <</SigFlags 3 /Fields []>>")), "signed"),
    "field": (with_table(catalog(b"/AcroForm <</Fields [8 0 R]>>"), SIGNED_FIELD), "signed"),
    "signature": (with_table(catalog(), {6: b"<</Type /Sig /ByteRange [0 1 2 3]>>"}), "signed"),
    "signed, in an object stream": (with_stream(catalog(b"/AcroForm <</SigFlags 1>>")), "signed"),
    "encrypted": (with_table(catalog(), trailer=b"/Encrypt 4 0 R"), "encrypted"),
    "encrypted, stream": (with_stream(catalog(), trailer=b"/Encrypt 4 0 R"), "encrypted"),
    "Photoshop, twice": (
        with_table(catalog(), {**PAGE_OF_PHOTOSHOP, 2: b"<</Type /Pages /Kids [3 0 R 3 0 R] /Count 2>>"}),
        "several pages",
    ),
    "Photoshop, broken": (with_table(catalog(), {**PAGE_OF_PHOTOSHOP, 6: stream(RESOURCES[:-3])}), "cut off"),
    "two catalogs": (with_table(catalog(), trailer=b"/Info 1 0 R"), "several purposes"),
    "wrong place": (with_table(catalog()).replace(b"1 0 obj", b"9 0 obj", 1), "not where it should be"),
    "cut": (with_table(catalog())[:-30], "its end is missing"),
    "circle": (
        with_table(catalog(), trailer=b"/Prev %d" % with_table(catalog(), trailer=b"/Prev 999").index(b"xref")),
        "in a circle",
    ),
    "twice": (with_table(catalog(), {4: b"<</Title (a) /Title (b)>>"}), "twice"),
    "deep": (with_table(catalog(b"/Names " + b"[" * 500 + b"]" * 500)), "too deeply"),
    "bomb": (with_table(catalog(b"/Metadata 5 0 R"), {5: stream(bytes(40_000_000), packed=True)}), "16 MiB"),
    "filter": (with_table(catalog(b"/Metadata 5 0 R"), {5: stream(b"", b"/Filter /LZWDecode")}), "unusual"),
    "length": (with_table(catalog(b"/Metadata 5 0 R"), {5: b"<</Length 1>>\nstream\nabc\nendstream"}), "end where"),
    "number": (with_table(catalog()).replace(b"xref\n0 5", b"xref\n0 9999999999", 1), "too high"),
}


@pytest.mark.parametrize(("content", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_changed_for_sure_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.pdf", content)

    planned = library.write(key, {"title": "T"})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_signed_file_is_still_read(library: Library) -> None:
    reading = library.read(library.add("a.pdf", REFUSED["flags"][0]))

    assert reading.tags == {"title": "Old", "creators": ["Someone"]}
    assert "signed" in reading.note


def test_a_large_file_is_read_and_written_only_in_part(library: Library) -> None:
    content = with_table(catalog(), {5: stream(bytes(3_000_000))})
    key = library.add("a.pdf", content)

    for title in ("one", "two"):
        planned = library.write(key, {"title": title})
        assert planned.bytes_read <= 192 * 1024

    assert library.bytes_of(key).startswith(content)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a(b)\\", rb"(a\050b\051\134)"),
        ("Ü€", rb"(\334\240)"),
        ("日", b"<FEFF65E5>"),
        ("þÿx", b"<FEFF00FE00FF0078>"),
        ("a\nb", rb"(a\012b)"),
    ],
)
def test_texts_are_written_in_the_simplest_way_that_holds_them(text: str, source: bytes) -> None:
    assert string_of(text) == source


@pytest.mark.parametrize(
    ("string", "text"),
    [
        (b"\x80\xa0\x18", "•€˘"),
        (b"\xfe\xff\0\x1b\0e\0n\0\x1b\0a", "a"),
        (b"\xef\xbb\xbf\xc3\xbc", "ü"),
        (b"\xff\xfea\0", "a"),
    ],
)
def test_texts_are_read_in_all_encodings(string: bytes, text: str) -> None:
    assert text_of(string) == text


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from([*SAMPLES.values(), hybrid(), PHOTOSHOP]))
    if data.draw(st.booleans()):
        content += opened(content).set_blocks(Blocks(xmp=packet(""), texts={"Title": ("t",)}))[0].new

    survives(Pdf, mangled(data, content))
