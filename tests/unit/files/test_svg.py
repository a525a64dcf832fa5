"""SVG: only the packet's own bytes change, and the drawing is the same tree as before."""

from __future__ import annotations

import gzip
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.containers.svg import Svg
from indelible_server.files.plan import Mode
from lxml import etree
from unit.files.library import RDF, SPACES, Library, packet
from unit.files.witnesses import EVERYTHING, Memory, exiftool, goes_round, mangled, shown, survives

NS = "http://www.w3.org/2000/svg"
TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></dc:title>"
TITLED = packet(TITLE).decode()
DRAWING = '<g id="a"><desc>of a group</desc><path d="M0 0" style="fill:red"/></g><script>"a &lt; b"</script>'
# As Inkscape writes it, with prefixes that are declared at the root.
WORK = (
    '<metadata id="m1"><rdf:RDF><cc:Work rdf:about=""><dc:format>image/svg+xml</dc:format>'
    "<dc:title>inkscape</dc:title></cc:Work></rdf:RDF></metadata>"
)


def svg(body: str = DRAWING, *, head: str = "", root: str = "svg", attributes: str = f'xmlns="{NS}"') -> bytes:
    spaces = f'xmlns:rdf="{RDF}" xmlns:dc="{SPACES["dc"]}" xmlns:cc="http://creativecommons.org/ns#"'
    return f'{head}<{root} {attributes} {spaces} width="4">{body}</{root}>\n<!-- end -->\n'.encode()


def drawing(content: bytes) -> bytes:
    """The tree without its metadata and titles."""
    root = etree.fromstring(content)
    for child in list(root):
        if child.tag in {f"{{{NS}}}{name}" for name in ("metadata", "title", "desc")}:
            root.remove(child)
    return etree.tostring(root, method="c14n")


def test_new_xmp_comes_right_behind_the_root_s_tag_and_all_else_stays(library: Library) -> None:
    before = svg(head='\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE svg PUBLIC "a" "b.dtd">\n')
    key = library.add("a.svg", before)

    assert library.write(key, EVERYTHING).mode is Mode.REPLACE

    after = library.bytes_of(key)
    start, end = after.index(b"<metadata>"), after.index(b"</metadata>") + len(b"</metadata>")
    assert after[:start].endswith(b'width="4">')
    assert after[:start] + after[end:] == before
    assert drawing(after) == drawing(before)


@pytest.mark.parametrize("body", [DRAWING, WORK + DRAWING, f"<metadata>{TITLED}</metadata>{DRAWING}"])
def test_everything_is_set_changed_and_cleared(library: Library, body: str) -> None:
    goes_round(library, "a.svg", svg(body))


@pytest.mark.tool("exiftool")
@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>'])
def test_exiftool_reads_it_back_and_still_sees_an_svg(library: Library, head: str) -> None:
    key = library.add("a.svg", f'{head}<svg xmlns="{NS}" width="4"><g/></svg>'.encode())

    library.write(key, EVERYTHING)

    said = exiftool(library.path / "a.svg")
    assert said["File:FileType"] == "SVG"
    assert said["SVG:ImageWidth"] == 4
    assert said["XMP-dc:Title"] == "A title, 題名"
    assert said["XMP-dc:Creator"] == ["First; Inc.", "Second"]


def test_re_edits_are_small_patches_even_when_a_title_changes_its_length(library: Library) -> None:
    key = library.add("a.svg", svg(f"<title>old</title><metadata>{TITLED}</metadata>{DRAWING}"))
    library.write(key, EVERYTHING)
    assert b"<title>A title, " in library.bytes_of(key)

    for number in range(5):
        planned = library.write(key, {"title": "T" * (number + 1)})
        assert planned.mode is Mode.PATCH
        assert sum(file.bytes_changed for file in planned.files) < 16_384
    assert b"<title>TTTTT</title>" in library.bytes_of(key)


@pytest.mark.parametrize(
    "old",
    [
        TITLED,
        packet(TITLE, wrapper=False).decode(),
        f'<rdf:RDF><rdf:Description rdf:about="">{TITLE}</rdf:Description></rdf:RDF>',
        f'<!-- a --><rdf:RDF><rdf:Description about="">{TITLE}</rdf:Description><cc:Work/></rdf:RDF><!-- b -->',
    ],
)
def test_a_packet_is_changed_where_it_is_with_the_namespaces_around_it(library: Library, old: str) -> None:
    before = svg(f'<metadata id="m">{old}</metadata>{DRAWING}')
    key = library.add("a.svg", before)
    assert library.read(key).tags == {"title": "old"}

    library.write(key, {"title": "new", "rating": 2})

    after = library.bytes_of(key)
    assert library.read(key).tags == {"title": "new", "rating": 2}
    assert after.count(b"<?xpacket begin") == after.count(b"<?xpacket end") == after.count(b"RDF>") == 1
    assert after.startswith(before[: before.index(b'<metadata id="m">')])
    assert after.endswith(b"</metadata>" + before.partition(b"</metadata>")[2])
    assert (b"<!-- a --><?xpacket" in after) == ("<!-- a -->" in old)
    assert (b"Work" in after) == ("Work" in old)


def test_what_inkscape_says_of_the_work_stays_and_counts_for_nothing(library: Library) -> None:
    key = library.add("a.svg", svg(WORK + DRAWING))
    assert library.read(key).tags == {}

    library.write(key, {"title": "T"})

    after = library.bytes_of(key)
    assert after.count(b"<metadata") == 1
    assert WORK.partition(">")[2].encode() in after
    assert library.read(key).tags == {"title": "T"}


def test_metadata_of_a_group_or_in_a_text_is_not_that_of_the_file(library: Library) -> None:
    inner = f"<g><metadata>{packet(TITLE, wrapper=False).decode()}</metadata></g><script><![CDATA[{TITLED}]]></script>"
    key = library.add("a.svg", svg(inner))
    assert library.read(key).tags == {}

    library.write(key, {"title": "new"})

    assert inner.encode() in library.bytes_of(key)


def test_the_element_has_the_prefix_of_the_root(library: Library) -> None:
    key = library.add("a.svg", svg("<s:g/>", root="s:svg", attributes=f'xmlns:s="{NS}" data-a="x>y"'))

    library.write(key, {"title": "T"})

    assert etree.fromstring(library.bytes_of(key))[0].tag == f"{{{NS}}}metadata"


def test_titles_follow_only_what_they_said_and_are_emptied_not_removed(library: Library) -> None:
    texts = "<title/><title>old</title><title lang='de'>alt</title><desc>o<b/></desc>"
    key = library.add("a.svg", svg(f"{texts}<metadata>{TITLED}</metadata>{DRAWING}"))

    library.write(key, {"title": "a < b & c", "description": "d"})
    assert b"<title/><title>a &lt; b &amp; c</title><title lang='de'>alt</title><desc>o<b/></desc>" in (
        library.bytes_of(key)
    )

    library.write(key, {"title": None})
    assert b"<title/><title></title><title lang='de'>alt</title>" in library.bytes_of(key)


def test_the_content_is_the_same_after_a_write() -> None:
    plain, written = svg(f"<title>a</title>{DRAWING}"), svg(f"<metadata>{TITLED}</metadata><title>b</title>{DRAWING}")

    first, second = (Svg(Memory(content)) for content in (plain, written))  # type: ignore[arg-type] # reads like a MediaFile

    assert shown(first, plain) == shown(second, written)
    assert DRAWING.encode() in shown(first, plain)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (svg(head='<!DOCTYPE svg [<!ENTITY a "b">]>'), "entities"),
        (svg(head='<?xml version="1.0" encoding="ISO-8859-1"?>'), "not in UTF-8"),
        (svg().decode().encode("utf-16"), "not in UTF-8"),
        (gzip.compress(svg()), "compressed"),
        (svg(f"<metadata>{TITLED}{TITLED}</metadata>"), "several main XMP packets"),
        (svg(f"<metadata>{TITLED[: TITLED.index('<?xpacket end')]}</metadata>"), "no end"),
        (svg('<metadata><c:manifest xmlns:c="http://c2pa.org/manifest">AA</c:manifest></metadata>'), "signed"),
        (svg("<style>path:nth-child(2) {fill: red}</style>" + DRAWING), "counts elements"),
        (svg(root="html"), "no SVG"),
        (svg("<x:a/>"), "not well-formed"),
        (svg()[:-40], "not well-formed"),
        (svg("<g>" * 50_000), "nested too deeply"),
        (svg(f"<title>{'<title/>' * 2000}</title>" + "<title/>" * 2000), "too many"),
        (f'<svg xmlns="{NS}"/>'.encode(), "no picture"),
    ],
)
def test_what_cannot_be_changed_safely_goes_to_a_sidecar_that_says_why(
    library: Library, content: bytes, why: str
) -> None:
    key = library.add("a.svg", content)

    planned = library.write(key, {"rating": 1})

    assert planned.mode is Mode.SIDECAR
    assert why in planned.note
    assert library.bytes_of(key) == content


def test_a_style_that_counts_elements_is_no_obstacle_inside_of_metadata(library: Library) -> None:
    key = library.add("a.svg", svg("<style>path:nth-child(2) {fill: red}</style><metadata></metadata>"))

    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE


def test_big_drawings_are_read_once_and_quickly() -> None:
    media = Memory(svg("<path d='M0 0 L1 1'/>" * 100_000))
    started = time.monotonic()

    Svg(media)  # type: ignore[arg-type] # reads like a MediaFile

    assert media.reads < 20
    assert time.monotonic() - started < 10


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_never_crash_nor_harm(data: st.DataObject) -> None:
    sample = svg(f"<title>a</title><metadata>{TITLED}</metadata><desc>b</desc>" + "<g/>" * 20)
    content = mangled(data, sample)

    survives(Svg, content if data.draw(st.booleans()) else content[: len(sample) // 2] + sample[len(sample) // 2 :])
