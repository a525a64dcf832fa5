"""Sidecars: whose they are, what they are called, and that other programs' content stays (mapping section 6)."""

from __future__ import annotations

import pytest
from indelible_server.files.plan import Home, Mode
from indelible_server.files.policy import FormatRule, HomeChoice, Policy, SidecarName
from unit.files.library import Library, jpeg, packet

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
