"""Sidecars: whose they are, what they are called, and that other programs' content stays (mapping section 6)."""

from __future__ import annotations

import pytest
from indelible_server.files.plan import Home, Mode
from indelible_server.files.policy import FormatRule, HomeChoice, Policy, SidecarName
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import Tags
from lxml import etree
from unit.files.library import RDF, SPACES, Library, jpeg, packet

RAW = b"II*\0raw"
RATED = packet("", about='xmp:Rating="2" crs:Version="15"', wrapper=False)


def written(library: Library, key: bytes) -> bytes | None:
    """The sidecar that a write of the file uses."""
    return library.write(key, {"title": "T"}).sidecar


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], b"IMG.xmp"),
        (["IMG.jpg"], b"IMG.xmp"),
        (["IMG.dng2", "IMG2.NEF"], b"IMG.xmp"),
        (["IMG.CR2"], b"IMG.nef.xmp"),
        (["img.mkv"], b"IMG.nef.xmp"),
    ],
)
def test_a_new_sidecar_takes_the_stem_where_no_other_file_needs_it(
    library: Library, others: list[str], expected: bytes
) -> None:
    for name in others:
        library.add(name, RAW)

    assert written(library, library.add("IMG.nef", RAW)) == expected


def test_a_sidecar_by_stem_says_whose_it_is(library: Library) -> None:
    written(library, library.add("IMG.nef", RAW))

    assert b"SidecarForExtension>NEF<" in library.bytes_of(b"IMG.xmp")


@pytest.mark.parametrize(
    ("names", "about", "target", "belongs"),
    [
        (["a.nef"], "", "a.nef", True),
        (["a.nef", "a.jpg"], "", "a.nef", True),
        (["a.nef", "a.jpg"], "", "a.jpg", False),
        (["a.nef", "a.jpg"], 'photoshop:SidecarForExtension="JPG"', "a.jpg", True),
        (["a.nef", "a.cr2"], "", "a.nef", False),
        (["a.nef", "a.cr2"], 'photoshop:SidecarForExtension="CR2"', "a.cr2", True),
    ],
)
def test_a_sidecar_by_stem_belongs_to_one_file_or_to_none(
    library: Library, names: list[str], about: str, target: str, belongs: bool
) -> None:
    for name in names:
        library.add(name, jpeg() if name.endswith("jpg") else RAW)
    library.add("a.xmp", packet("", about=f'xmp:Rating="2" {about}'))

    assert library.read(target.encode()).tags == ({"rating": 2} if belongs else {})


def test_an_ambiguous_sidecar_is_told_and_never_written(library: Library) -> None:
    for name in ("a.nef", "a.cr2"):
        library.add(name, RAW)
    library.add("a.xmp", RATED)

    assert "a.xmp" in library.read(b"a.nef").warnings[0]
    assert written(library, b"a.nef") == b"a.nef.xmp"
    assert library.bytes_of(b"a.xmp") == RATED


def test_a_sidecar_of_another_program_is_edited_as_a_tree(library: Library) -> None:
    key = library.add("a.nef", RAW)
    library.add("a.xmp", RATED)

    planned = library.write(key, {"title": "T", "rating": None})

    after = library.bytes_of(b"a.xmp")
    assert planned.mode is Mode.SIDECAR
    assert b'crs:Version="15"' in after
    assert b"<?xpacket" not in after
    assert b"xmp:Rating" not in after
    assert len(after) < 1500


def test_both_homes_of_an_item_are_written_and_verified(library: Library) -> None:
    key = library.add("a.jpg", jpeg())
    library.add("a.xmp", RATED)

    planned = library.write(key, {"title": "T"})

    assert {file.home for file in planned.files} == {Home.EMBEDDED, Home.SIDECAR}
    assert dict(library.read(key).homes) == {home: {"title": "T", "rating": 2} for home in Home}


def test_an_outside_change_of_one_home_reaches_the_other(library: Library) -> None:
    key = library.add("a.jpg", jpeg())
    library.add("a.xmp", RATED)
    library.write(key, {"title": "T"})
    base = dict(library.read(key).homes)
    library.add("a.xmp", library.bytes_of(b"a.xmp").replace(b'xmp:Rating="2"', b'xmp:Rating="5"'))

    planned = library.plan(key, {"title": "ours", "rating": 2}, base=base)
    reading = library.apply(planned)

    assert planned.taken_in == {"rating"}
    assert not planned.conflicts
    assert dict(reading.homes) == {home: {"title": "ours", "rating": 5} for home in Home}


@pytest.mark.parametrize("choice", HomeChoice)
def test_the_policy_chooses_the_homes(library: Library, choice: HomeChoice) -> None:
    library.policy = Policy(formats=(FormatRule(("jpg",), choice),))
    key = library.add("a.jpg", jpeg())

    library.apply(library.plan(key, {"title": "T"}))

    expected = {
        HomeChoice.EMBED: {Home.EMBEDDED},
        HomeChoice.SIDECAR: {Home.SIDECAR},
        HomeChoice.EMBED_AND_SIDECAR: set(Home),
        HomeChoice.CATALOG_ONLY: set(),
    }
    assert {home for home, tags in library.read(key).homes.items() if tags} == expected[choice]


def test_excluded_fields_never_leave_the_catalog(library: Library) -> None:
    library.policy = Policy(excluded_fields=frozenset({"flag"}), sidecar_name=SidecarName.FULL_NAME)
    key = library.add("a.nef", RAW)

    planned = library.plan(key, {"title": "T", "flag": 1})

    assert library.apply(planned).tags == {"title": "T"}
    assert planned.tags == {"title": "T", "flag": 1}
    assert planned.sidecar == b"a.nef.xmp"
    assert not library.plan(key, {"title": "T", "flag": -1}).files


def test_held_conflicts_write_nothing(library: Library) -> None:
    library.policy = Policy.from_json({"conflicts": "HOLD"})
    key = library.add("a.jpg", jpeg())
    library.write(key, {"title": "theirs"})

    planned = library.plan(key, {"title": "ours", "rating": 1}, base={"embedded": {"title": "old"}})

    assert planned.held
    assert not planned.files
    assert planned.conflicts[0].field == "title"


DARKTABLE = packet(
    "<darktable:history><rdf:Seq><rdf:li darktable:num='0' darktable:operation='exposure' darktable:params='0a1b'/>"
    "<rdf:li darktable:num='1' darktable:operation='crop'/></rdf:Seq></darktable:history>"
    "<crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurve>",
    about='xmp:Rating="2" darktable:xmp_version="5" crs:Exposure2012="+0.35" xmpMM:DerivedFrom="a.CR2"',
    wrapper=False,
)
IMMICH = packet("<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>D</rdf:li></rdf:Alt></dc:description>")
LIGHTROOM = packet("", about='xmp:Label="Red" photoshop:SidecarForExtension="CR2"')
AAE = b"<?xml version='1.0'?><plist><dict/></plist>"


@pytest.mark.parametrize(
    ("files", "target", "read", "written"),
    [
        ({"a.CR2": RAW, "a.jpg": jpeg(), "a.xmp": RATED}, "a.CR2", {"rating": 2}, {"a.xmp"}),
        ({"a.CR2": RAW, "a.jpg": jpeg(), "a.xmp": RATED}, "a.jpg", {}, {"a.jpg"}),
        ({"a.CR2": RAW, "a.jpg": jpeg()}, "a.CR2", {}, {"a.xmp"}),
        ({"a.CR2": RAW, "a.jpg": jpeg()}, "a.jpg", {}, {"a.jpg"}),
        ({"a.CR2": RAW, "a.dng": RAW, "a.xmp": RATED}, "a.CR2", {"rating": 2}, {"a.xmp"}),
        ({"a.CR2": RAW, "a.dng": RAW, "a.CR2.xmp": RATED}, "a.CR2", {"rating": 2}, {"a.CR2.xmp"}),
        ({"a.heic": b"?", "a.mov": b"?", "a.xmp": RATED}, "a.heic", {}, {"a.heic.xmp"}),
        ({"a.heic": b"?", "a.mov": b"?", "a.heic.xmp": RATED}, "a.heic", {"rating": 2}, {"a.heic.xmp"}),
        ({"a.jpg": jpeg(), "a.AAE": AAE}, "a.jpg", {}, {"a.jpg"}),
        ({"a.jpg": jpeg(), "a.jpg.xmp": DARKTABLE}, "a.jpg", {"rating": 2}, {"a.jpg", "a.jpg.xmp"}),
        ({"a.jpg": jpeg(), "a.jpg.xmp": IMMICH}, "a.jpg", {"description": "D"}, {"a.jpg", "a.jpg.xmp"}),
        ({"a.CR2": RAW, "a.XMP": RATED}, "a.CR2", {"rating": 2}, {"a.XMP"}),
        (
            {"a.CR2": RAW, "a.xmp": LIGHTROOM, "a.CR2.xmp": DARKTABLE},
            "a.CR2",
            {"rating": 2, "label": "Red"},
            {"a.xmp", "a.CR2.xmp"},
        ),
        ({"a.CR2": RAW, "a.nef": RAW, "a.xmp": LIGHTROOM, "a.nef.xmp": RATED}, "a.nef", {"rating": 2}, {"a.nef.xmp"}),
    ],
)
def test_what_lies_beside_a_file_is_read_and_written_if_it_is_its_own(
    library: Library, files: dict[str, bytes], target: str, read: Tags, written: set[str]
) -> None:
    for name, content in files.items():
        library.add(name, content)
    assert library.read(target.encode()).tags == read

    library.write(target.encode(), {"title": "T", "rating": 5})

    changed = {name for name in library.names() if files.get(name) != library.bytes_of(name.encode())}
    assert changed == written
    assert library.read(target.encode()).tags == read | {"title": "T", "rating": 5}
    assert not library.read(target.encode()).stale


def test_two_sidecars_of_a_file_say_the_same_after_a_write_and_nothing_comes_back(library: Library) -> None:
    key = library.add("a.CR2", RAW)
    library.add("a.xmp", LIGHTROOM)
    library.add("a.CR2.xmp", DARKTABLE)

    library.write(key, {"label": None, "rating": 4})

    for sidecar in (b"a.xmp", b"a.CR2.xmp"):
        assert b"4" in library.bytes_of(sidecar).partition(b"Rating")[2][:12]
        assert b"Label" not in library.bytes_of(sidecar)
    assert library.read(key).tags == {"rating": 4}
    assert not library.plan(key, {"rating": 4}).files


def test_what_other_programs_keep_in_a_sidecar_survives_a_hundred_edits(library: Library) -> None:
    key = library.add("a.CR2", RAW)
    library.add("a.CR2.xmp", DARKTABLE)
    spaces = {"d": SPACES["darktable"], "c": SPACES["crs"], "rdf": RDF}

    def foreign() -> list[str]:
        root = etree.fromstring(library.bytes_of(b"a.CR2.xmp"))
        found = root.xpath("//d:* | //c:* | //d:*//rdf:li | //@d:* | //@c:* | //c:*//rdf:li/text()", namespaces=spaces)
        return [str(one) if isinstance(one, str) else f"{one.tag} {dict(one.attrib)}" for one in found]

    before, size = foreign(), len(DARKTABLE)
    for number in range(100):
        changes = {"title": f"Title {number}", "keywords": [f"a|{number}"], "rating": number % 6 or None}
        library.write(key, changes)

    assert foreign() == before
    assert len(before) == 12
    assert len(library.bytes_of(b"a.CR2.xmp")) < size + 2_000


@pytest.mark.parametrize("ending", [b".jpg", b".nef"])
def test_a_name_can_be_as_long_as_the_filesystem_lets_it(library: Library, ending: bytes) -> None:
    key = library.add(b"n" * (255 - len(ending)) + ending, jpeg() if ending == b".jpg" else b"II*\0raw")

    library.write(key, {"title": "new"})

    assert library.read(key).tags == {"title": "new"}


def test_a_sidecar_gets_no_sidecar_of_its_own(library: Library) -> None:
    key = library.add("a.XMP", RATED)

    with pytest.raises(FileProblem, match="name the one that it belongs to"):
        library.plan(key, {"title": "new"}, base={})


@pytest.mark.parametrize("name", ["a.exv", "notes.txt", "without_ending"])
def test_a_file_of_an_unknown_kind_has_one_sidecar_however_often_it_is_written(library: Library, name: str) -> None:
    key = library.add(name, b"something")

    library.write(key, {"title": "first"})
    library.write(key, {"title": "second"})

    assert library.names() == {name, f"{name}.xmp"}
    assert library.read(key).tags == {"title": "second"}
    assert not library.plan(key, {"title": "second"}).files
