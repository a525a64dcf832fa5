"""PDF: a change is an update at the end of the file; all that was there before stays where it is, and as it is."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.pdf import Pdf
from indelible_server.files.containers.pdf_text import string_of, text_of
from indelible_server.files.plan import Mode
from indelible_server.files.problems import FileProblem, Reason
from indelible_server.files.tags import Tags
from PIL import PdfParser
from support.programs import finished
from unit.files.library import Library, packet

EVERYTHING: Tags = {
    "title": "Título (x) \\ y",
    "headline": "H",
    "description": "Line\n€ 日本",
    "keywords": ["a|b", "flat"],
    "people": ["P Q"],
    "event": "E",
    "rating": 4,
    "label": "Red",
    "flag": 1,
    "creators": ["A B", "C; D"],
    "copyright": "(c)",
    "credit": "cr",
    "source": "so",
    "instructions": "in",
    "place.location": "l",
    "place.city": "ci",
    "place.state": "s",
    "place.country": "c",
    "place.country_code": "DE",
    "gps": {"lat": 1.5, "lon": -2.25, "alt": 3.0},
    "taken_at": "2020-01-02T03:04:05+01:00",
}
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


def with_stream(root: bytes, *, predicted: bool = True, trailer: bytes = b"") -> bytes:
    """A PDF file whose cross-references are a stream, and whose catalog and information are in an object stream."""
    head = b"1 0 4 %d " % (len(root) + 1)
    inside = stream(head + root + b" " + INFO, b"/Type /ObjStm /N 2 /First %d " % len(head), packed=True)
    content, offsets = laid_out({**PAGES, 5: inside}, b"%PDF-1.5\n")
    rows = [b"\0\0\0\0\0", b"\2\0\0\5\0", *(b"\1" + offsets[number].to_bytes(3, "big") + b"\0" for number in (2, 3))]
    rows += [b"\2\0\0\5\1", *(b"\1" + offset.to_bytes(3, "big") + b"\0" for offset in (offsets[5], len(content)))]
    dictionary = b"/Type /XRef /Size 7 /W [1 3 1] /Root 1 0 R /Info 4 0 R %s %s " % (IDENTIFIER, trailer)
    if predicted:
        above = [bytes(5), *rows[:-1]]
        pairs = zip(rows, above, strict=True)
        rows = [b"\2" + bytes((a - b) & 255 for a, b in zip(row, up, strict=True)) for row, up in pairs]
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


def told(library: Library, name: bytes) -> dict[str, object]:
    """What ExifTool says of a file."""
    run = finished(["exiftool", "-j", "-G1", "-struct", "-a", library.path / name.decode()], library.path)
    found = json.loads(run.stdout)[0]
    assert isinstance(found, dict)
    return found


def warnings(library: Library, name: bytes) -> str:
    """What ExifTool finds wrong with a file."""
    return finished(["exiftool", "-validate", "-warning", "-a", library.path / name.decode()], library.path).stdout


class Memory:
    """A file in memory, as far as containers look at files."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self.content[offset : offset + length]


def opened(content: bytes) -> Pdf:
    """The container in a file of this content."""
    return Pdf(Memory(content))  # type: ignore[arg-type] # reads like a MediaFile


@each_sample
def test_all_that_was_in_the_file_stays_and_every_field_is_read_back(library: Library, content: bytes) -> None:
    key = library.add("a.pdf", content)

    assert library.write(key, EVERYTHING).mode is Mode.APPEND

    assert library.bytes_of(key).startswith(content)
    assert library.read(key).tags == EVERYTHING


@pytest.mark.tool("exiftool")
@each_sample
def test_exiftool_reads_both_forms_and_finds_nothing_new_wrong(library: Library, content: bytes) -> None:
    key, untouched = library.add("a.pdf", content), library.add("b.pdf", content)
    library.write(key, EVERYTHING)
    library.write(key, {"title": "Neu ü", "keywords": ["k"]})

    found = told(library, key)

    assert (found["PDF:Title"], found["XMP-dc:Title"]) == ("Neu ü", "Neu ü")
    assert (found["PDF:Author"], found["PDF:Subject"]) == ('A B; "C; D"', "Line\n€ 日本")
    assert (found["PDF:Own"], found["PDF:Producer"]) == ("\n\v", "p")
    assert "PDF:Keywords" not in found
    assert warnings(library, key) == warnings(library, untouched)


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
    assert told(library, key)["XMP-dc:Title"] == "U"


def archival(part: int, more: str = "") -> bytes:
    """A PDF/A file."""
    about = f"<a:part xmlns:a='http://www.aiim.org/pdfa/ns/id/'>{part}</a:part>{more}"
    return with_table(catalog(b"/Metadata 5 0 R"), {4: b"<</Author (A)>>", 5: metadata(about)})


@pytest.mark.parametrize(
    ("part", "tags", "mode"),
    [
        (1, {"title": "T", "keywords": ["k"], "copyright": "c", "gps": {"lat": 1.0, "lon": 2.0}}, Mode.APPEND),
        (1, {"rating": 3}, Mode.SIDECAR),
        (2, {"rating": 3, "label": "Red"}, Mode.APPEND),
        (2, {"keywords": ["a|b"]}, Mode.SIDECAR),
        (1, {"creators": ["A", "B"]}, Mode.SIDECAR),
        (2, {"creators": ["A", "B"]}, Mode.APPEND),
    ],
)
def test_an_archival_file_gets_only_properties_that_its_standard_knows(
    library: Library, part: int, tags: Tags, mode: Mode
) -> None:
    key = library.add("a.pdf", archival(part))

    planned = library.write(key, tags)

    assert planned.mode is mode
    assert (f"PDF/A-{part}" in planned.note) == (mode is Mode.SIDECAR)


def test_a_file_for_print_keeps_a_title(library: Library) -> None:
    body = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>t</rdf:li></rdf:Alt></dc:title>"
    objects = {4: b"<</Title (t) /GTS_PDFXVersion (PDF/X-4)>>", 5: metadata(body)}
    key = library.add("a.pdf", with_table(catalog(b"/Metadata 5 0 R"), objects))

    assert "must have a title" in library.write(key, {"title": None}).note
    assert library.write(key, {"title": "new"}).mode is Mode.APPEND


SIGNED_FIELD = {6: b"<</FT /Sig /V 7 0 R>>", 7: b"<</Type /Sig>>", 8: b"<</T (parent) /Kids [6 0 R 8 0 R]>>"}
REFUSED = {
    "permissions": (with_table(catalog(b"/Perms <</DocMDP 9 0 R>>"), {9: b"<<>>"}), "signed"),
    "flags": (with_table(catalog(b"/AcroForm <</SigFlags 3 /Fields []>>")), "signed"),
    "field": (with_table(catalog(b"/AcroForm <</Fields [8 0 R]>>"), SIGNED_FIELD), "signed"),
    "signature": (with_table(catalog(), {6: b"<</Type /Sig /ByteRange [0 1 2 3]>>"}), "signed"),
    "signed, in an object stream": (with_stream(catalog(b"/AcroForm <</SigFlags 1>>")), "signed"),
    "encrypted": (with_table(catalog(), trailer=b"/Encrypt 4 0 R"), "encrypted"),
    "encrypted, stream": (with_stream(catalog(), trailer=b"/Encrypt 4 0 R"), "encrypted"),
    "Photoshop": (
        with_table(catalog(), {3: b"<</PieceInfo <</AdobePhotoshop <</Private <</ImageResources 4 0 R>>>>>>>>"}),
        "Photoshop",
    ),
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


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_hang_the_parser(data: st.DataObject) -> None:
    container = opened(data.draw(st.sampled_from([*SAMPLES.values(), hybrid()])))
    first = container.set_blocks(Blocks(xmp=packet("")))
    base = container.media.read(0, container.media.size) + b"".join(patch.new for patch in first)
    content = bytearray(data.draw(st.sampled_from([base, container.media.read(0, container.media.size)])))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(5, len(content) - 1))] = data.draw(st.integers(0, 255))
    media = Memory(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))

    refused = Reason.CORRUPT
    try:
        damaged = Pdf(media)  # type: ignore[arg-type] # reads like a MediaFile
        changed = damaged.set_blocks(Blocks(xmp=packet("", about='xmp:Rating="3"'), texts={"Title": ("x",)}))
        assert all(patch.offset >= damaged.content[0][1] for patch in changed)
    except FileProblem as problem:
        refused = problem.reason
    assert refused in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE)
    assert media.reads < 10_000
