"""Forms that disagree: which one is read, and that what another program has changed alone is not overlooked."""

from __future__ import annotations

import io

import pytest
from indelible_server.files import containers
from indelible_server.files.containers.blocks import Blocks
from indelible_server.files.containers.container import Container
from indelible_server.files.forms import Metadata
from indelible_server.files.media import MediaFile
from indelible_server.files.metadata import read_tags, stale_fields, write_tags
from indelible_server.files.plan import Home, Mode, Patch
from indelible_server.files.policy import Policy
from indelible_server.files.tags import Tags, same
from indelible_server.files.texts import TextKind, Texts
from indelible_server.files.xmp import Packet
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from unit.files.library import Library, packet

POLICY = Policy()


def titled(text: str) -> str:
    """A title in XMP."""
    return f"<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></dc:title>"


def held(xmp: str, kind: TextKind = TextKind.ID3, **texts: str) -> Metadata:
    """What a home holds that has XMP and texts of its own."""
    values = {key.replace("_", ":"): [text] for key, text in texts.items()}
    return Metadata(Packet.parse(packet(xmp)) if xmp else None, texts=Texts(kind, values))


@pytest.mark.parametrize(
    ("xmp", "text", "base", "expected"),
    [
        # At import: XMP, then the container's own text.
        ("A", "B", None, "A"),
        ("", "B", None, "B"),
        # Whoever knows the last value sees which of the two is new.
        ("A", "A", "A", "A"),
        ("A", "B", "A", "B"),
        ("B", "A", "A", "B"),
        ("", "B", "A", "B"),
        # Both are new: XMP, as at import.
        ("A", "B", "", "A"),
        # A text that is gone, or has never been there, says nothing.
        ("A", "", "A", "A"),
    ],
)
def test_a_text_that_has_changed_since_is_read_first(xmp: str, text: str, base: str | None, expected: str) -> None:
    metadata = held(titled(xmp) if xmp else "", TIT2=text)
    known: Tags | None = None if base is None else ({"title": base} if base else {})

    assert read_tags(metadata, POLICY, known) == {"title": expected}


def test_a_text_that_is_the_last_value_cut_to_its_limit_has_not_changed() -> None:
    title = "A title that is longer than thirty bytes"
    metadata = held(titled("new"), v1_title=title[:30])

    assert read_tags(metadata, POLICY, {"title": title}) == {"title": "new"}


@pytest.mark.parametrize(
    "keywords", [["A, B"], ["A", "A|B", "C, D"], ["A, B", "A, B|C"], ["A|B", "C; D", "B"], ["A/B", "A|B", "C, D"]]
)
def test_keywords_that_a_text_cannot_keep_apart_have_not_changed(keywords: list[str]) -> None:
    metadata = held("", TextKind.PDF, Keywords="old")
    write_tags(metadata, {"keywords": ["old"]}, {"keywords": keywords}, ["keywords"], POLICY)

    tags = read_tags(metadata, POLICY)

    assert same("keywords", tags["keywords"], keywords)
    assert read_tags(metadata, POLICY, tags) == tags
    assert not stale_fields(metadata, tags, POLICY)


def test_what_only_repeats_other_texts_is_not_read_at_all() -> None:
    metadata = held(titled("T"), TPE1="Somebody", v1_comment="Something")

    assert read_tags(metadata, POLICY, {"title": "T"}) == {"title": "T"}


def test_keywords_that_another_program_has_changed_join_the_paths() -> None:
    lists = (
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Paris</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
        "<dc:subject><rdf:Bag><rdf:li>Paris</rdf:li><rdf:li>tree</rdf:li></rdf:Bag></dc:subject>"
    )
    base: Tags = {"keywords": ["Places|Paris", "tree"]}

    assert read_tags(held(lists, TXXX_KEYWORDS="Paris;tree"), POLICY, base) == base
    assert read_tags(held(lists, TXXX_KEYWORDS="Paris;sea"), POLICY, base) == {"keywords": ["Places|Paris", "sea"]}


def test_position_and_date_are_read_from_their_own_places_first() -> None:
    xmp = "<exif:GPSLatitude>48,0N</exif:GPSLatitude><exif:GPSLongitude>2,0E</exif:GPSLongitude>"
    spaced = packet(xmp).replace(b"<rdf:Description ", b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" ')
    texts = Texts(TextKind.QUICKTIME, {"udta:©xyz": ["+10.0+020.0/"]})
    base: Tags = {"gps": {"lat": 48.0, "lon": 2.0}}

    assert read_tags(Metadata(Packet.parse(spaced), texts=texts), POLICY, base) == base


class Card(Container):
    """A format of two lines: a title of its own, and an XMP packet."""

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._line, _, self._packet = media.read(0, media.size).partition(b"\n")
        self.texts = Texts(TextKind.PDF, {"Title": [self._line[4:].decode()]})

    @property
    def xmp(self) -> bytes:
        """The packet."""
        return self._packet

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The whole file, written anew."""
        line = b"BM: " + blocks.texts["Title"][0].encode() if "Title" in blocks.texts else self._line
        return (Patch(0, self._line + b"\n" + self._packet, line + b"\n" + (blocks.xmp or self._packet)),)


@pytest.fixture
def card(library: Library, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A card with a title in both forms, known to be in step; then another program changes its own form alone."""
    monkeypatch.setattr(containers, "container_class", {"BMP": Card}.get)
    key = library.add("a.bmp", b"BM: A\n" + packet(titled("A")))
    assert library.read(key).homes == {Home.EMBEDDED: {"title": "A"}}
    library.add("a.bmp", library.bytes_of(key).replace(b"BM: A", b"BM: B"))
    return key


BASE: dict[str, Tags] = {Home.EMBEDDED: {"title": "A"}}


def test_a_reading_with_the_last_values_shows_what_has_changed_since(library: Library, card: bytes) -> None:
    assert library.read(card).tags == {"title": "A"}

    reading = library.read(card, base=BASE)
    assert reading.tags == {"title": "B"}
    assert reading.stale == {Home.EMBEDDED: {"title"}}


def test_a_plan_takes_in_what_has_changed_since_and_brings_all_forms_in_line(library: Library, card: bytes) -> None:
    planned = library.plan(card, {"title": "A"}, base=BASE)

    assert planned.taken_in == {"title"}
    assert library.apply(planned).tags == {"title": "B"}
    assert not library.read(card).stale
    assert not library.plan(card, {"title": "B"}, base={Home.EMBEDDED: {"title": "B"}}).files


def test_a_change_on_both_sides_is_a_conflict(library: Library, card: bytes) -> None:
    planned = library.plan(card, {"title": "C"}, base=BASE)

    assert [(conflict.ours, conflict.theirs) for conflict in planned.conflicts] == [("C", "B")]
    assert library.apply(planned).tags == {"title": "C"}
    assert library.bytes_of(card).startswith(b"BM: C\n")


def test_without_a_change_nothing_is_written(library: Library, card: bytes) -> None:
    library.apply(library.plan(card, {"title": "A"}, base=BASE))

    assert library.plan(card, {"title": "B"}).mode is Mode.UNCHANGED


def test_a_text_that_never_said_the_same_as_xmp_has_not_changed(library: Library) -> None:
    """What was out of step when the file was taken in is no edit of anyone's."""
    texts = PngInfo()
    texts.add_text("Title", "B")
    texts.add_itxt("XML:com.adobe.xmp", packet("<dc:title><rdf:Alt><rdf:li>A</rdf:li></rdf:Alt></dc:title>").decode())
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=texts)
    key = library.add("a.png", file.getvalue())
    taken_in = library.read(key)
    assert taken_in.stale == {Home.EMBEDDED: {"title"}}

    planned = library.plan(key, taken_in.tags | {"rating": 3})

    assert (planned.tags["title"], planned.taken_in, planned.conflicts) == ("A", frozenset(), ())
