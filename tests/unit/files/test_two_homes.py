"""Formats that have no place for all fields: what they can hold is embedded, and a sidecar holds everything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.merge import ConflictPolicy
from indelible_server.files.plan import Home, Mode, Plan
from indelible_server.files.policy import FlatForm, FormatRule, HomeChoice, Policy
from indelible_server.files.problems import FileProblem, Reason
from indelible_server.files.reading import verify
from indelible_server.files.tags import Tags
from unit.files.library import Library, packet
from unit.files.vorbis_files import COMMENTS, PADDING, comments, entries_in, flac, flac_blocks

ROOM = (PADDING, bytes(3000))
BOTH: Tags = {"title": "T", "headline": "H"}


def sound(*entries: str) -> bytes:
    """A FLAC file with these comments."""
    return flac((COMMENTS, comments(*entries)), ROOM)


def entries(library: Library, key: bytes) -> set[bytes]:
    """The comments in the file."""
    (block,) = (data for kind, data in flac_blocks(library.bytes_of(key))[0] if kind == COMMENTS)
    return set(entries_in(block)[1])


def homes(planned: Plan) -> dict[Home, Mode]:
    """What a plan does, per home."""
    return {file.home: file.mode for file in planned.files}


@pytest.fixture
def key(library: Library) -> bytes:
    """A FLAC file that has both homes, in step."""
    added = library.add("a.flac", sound())
    library.write(added, BOTH)
    return added


def test_without_a_field_that_has_no_place_there_is_no_sidecar(library: Library) -> None:
    key = library.add("a.flac", sound())

    planned = library.write(key, {"title": "T", "description": "D", "keywords": ["k"], "rating": 5, "copyright": "C"})

    assert homes(planned) == {Home.EMBEDDED: Mode.PATCH}
    assert not planned.note


def test_a_field_that_has_no_place_brings_a_sidecar_with_everything_and_the_item_says_so(library: Library) -> None:
    key = library.add("a.flac", sound("TITLE=was there"))

    planned = library.write(key, {"headline": "H", "gps": {"lat": 1.0, "lon": 2.0}})

    assert homes(planned) == {Home.SIDECAR: Mode.CREATE}
    assert planned.note == "FLAC cannot hold all of gps, headline, so there is a sidecar too"
    reading = library.read(key)
    assert reading.homes[Home.EMBEDDED] == {"title": "was there"}
    assert reading.homes[Home.SIDECAR] == {"title": "was there", "headline": "H", "gps": {"lat": 1.0, "lon": 2.0}}


def test_an_edit_is_made_in_both_homes_and_only_once(library: Library, key: bytes) -> None:
    planned = library.write(key, {"title": "New", "credit": "Me"})
    assert homes(planned) == {Home.EMBEDDED: Mode.PATCH, Home.SIDECAR: Mode.REPLACE}
    assert planned.written == {Home.EMBEDDED: {"title"}, Home.SIDECAR: {"title", "credit"}}

    again = library.plan(key, {"title": "New", "headline": "H", "credit": "Me"})
    assert not again.files
    assert library.read(key).homes[Home.EMBEDDED] == {"title": "New"}


def test_a_field_without_a_place_changes_in_the_sidecar_only(library: Library, key: bytes) -> None:
    before = library.bytes_of(key)

    assert homes(library.write(key, {"headline": "Other"})) == {Home.SIDECAR: Mode.REPLACE}
    assert library.bytes_of(key) == before


def test_clearing_clears_both_homes(library: Library, key: bytes) -> None:
    library.write(key, {"title": None, "headline": None})

    assert library.read(key).homes == {Home.SIDECAR: {}, Home.EMBEDDED: {}}


def test_a_title_changed_in_the_file_reaches_the_sidecar(library: Library, key: bytes) -> None:
    base = dict(library.read(key).homes)
    library.add("a.flac", sound("TITLE=theirs"))

    planned = library.plan(key, BOTH | {"credit": "Me"}, base=base)
    library.apply(planned)

    assert planned.taken_in == {"title"}
    assert library.read(key).tags == {"title": "theirs", "headline": "H", "credit": "Me"}
    assert library.read(key).homes[Home.SIDECAR] == library.read(key).tags


def test_a_title_changed_in_the_sidecar_reaches_the_file(library: Library, key: bytes) -> None:
    base = dict(library.read(key).homes)
    library.add("a.xmp", library.bytes_of(b"a.xmp").replace(b">T<", b">theirs<"))

    library.apply(library.plan(key, BOTH, base=base))

    assert entries(library, key) == {b"TITLE=theirs"}


def test_different_changes_in_both_homes_are_a_conflict(library: Library, key: bytes) -> None:
    base = dict(library.read(key).homes)
    library.add("a.flac", sound("TITLE=in the file"))
    library.add("a.xmp", library.bytes_of(b"a.xmp").replace(b">T<", b">in the sidecar<"))

    planned = library.plan(key, BOTH, base=base)
    assert [conflict.field for conflict in planned.conflicts] == ["title"]

    library.policy = Policy(conflicts=ConflictPolicy.HOLD)
    assert not library.plan(key, BOTH, base=base).files


def test_a_sidecar_that_someone_removed_is_made_again(library: Library, key: bytes) -> None:
    base = dict(library.read(key).homes)
    (library.path / "a.xmp").unlink()

    planned = library.plan(key, BOTH, base=base, sidecar=b"a.xmp")
    library.apply(planned)

    assert homes(planned) == {Home.SIDECAR: Mode.CREATE}
    assert library.read(key).tags == BOTH


def test_a_sidecar_of_another_program_is_kept_in_step(library: Library) -> None:
    key = library.add("a.flac", sound("TITLE=old"))
    library.add("a.xmp", packet("", about='xmp:Rating="2" crs:Version="15"', wrapper=False))

    library.write(key, {"title": "new"})

    assert entries(library, key) == {b"TITLE=new", b"RATING=2"}
    assert library.read(key).homes[Home.SIDECAR] == {"title": "new", "rating": 2}
    assert b'crs:Version="15"' in library.bytes_of(b"a.xmp")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (FlatForm.LEAF, {b"KEYWORDS=Paris", b"KEYWORDS=tree"}),
        (FlatForm.ALL_LEVELS, {b"KEYWORDS=Places", b"KEYWORDS=Paris", b"KEYWORDS=tree"}),
    ],
)
def test_keywords_with_levels_are_flat_in_the_file_and_whole_in_the_sidecar(
    library: Library, form: FlatForm, expected: set[bytes]
) -> None:
    library.policy = Policy(flat_form=form)
    key = library.add("a.flac", sound())
    keywords: Tags = {"keywords": ["Places|Paris", "tree"]}

    planned = library.write(key, keywords)
    assert "keywords" in planned.note
    assert entries(library, key) == expected
    assert library.read(key).tags == keywords
    assert not library.plan(key, keywords).files

    library.write(key, {"keywords": ["tree"]})
    assert entries(library, key) == {b"KEYWORDS=tree"}
    assert library.read(key).homes[Home.SIDECAR] == {"keywords": ["tree"]}


def test_whole_paths_need_no_sidecar_where_the_policy_writes_them(library: Library) -> None:
    library.policy = Policy(flat_form=FlatForm.FULL_PATH)
    key = library.add("a.flac", sound())

    assert homes(library.write(key, {"keywords": ["Places|Paris"]})) == {Home.EMBEDDED: Mode.PATCH}
    assert library.read(key).tags == {"keywords": ["Places|Paris"]}


def test_a_keyword_added_to_the_file_joins_those_with_levels(library: Library) -> None:
    key = library.add("a.flac", sound())
    library.write(key, {"keywords": ["Places|Paris"]})
    base = dict(library.read(key).homes)
    library.add("a.flac", sound("KEYWORDS=Paris", "KEYWORDS=Rome"))

    library.apply(library.plan(key, {"keywords": ["Places|Paris"]}, base=base))

    assert library.read(key).tags == {"keywords": ["Places|Paris", "Rome"]}


def test_a_rejected_file_loses_its_stars_and_the_sidecar_says_that_it_is_rejected(library: Library) -> None:
    key = library.add("a.flac", sound("RATING=3"))

    library.write(key, {"rating": -1})

    assert entries(library, key) == set()
    assert library.read(key).tags == {"rating": -1}
    assert not library.plan(key, {"rating": -1}).files


def test_excluded_fields_bring_no_sidecar(library: Library) -> None:
    library.policy = Policy(excluded_fields=frozenset({"headline"}))
    key = library.add("a.flac", sound())

    planned = library.plan(key, BOTH)

    assert homes(planned) == {Home.EMBEDDED: Mode.PATCH}
    assert not planned.note


def test_the_artist_follows_creators_who_stand_in_the_sidecar(library: Library) -> None:
    key = library.add("a.flac", sound("ARTIST=Ann", "LOCATION=here"))
    library.write(key, {"creators": ["Ann"], "place.location": "there"})
    assert entries(library, key) == {b"ARTIST=Ann", b"LOCATION=here"}

    library.write(key, {"creators": ["Bob"], "place.location": "elsewhere"})
    assert entries(library, key) == {b"ARTIST=Bob", b"LOCATION=here"}

    library.write(key, {"creators": None})
    assert entries(library, key) == {b"LOCATION=here"}


def test_two_homes_by_policy_hold_what_they_can(library: Library) -> None:
    library.policy = Policy(formats=(FormatRule(("audio",), HomeChoice.EMBED_AND_SIDECAR),))
    key = library.add("a.flac", sound())

    assert homes(library.write(key, {"title": "T"})) == {Home.EMBEDDED: Mode.PATCH, Home.SIDECAR: Mode.CREATE}
    assert library.read(key).homes == {Home.SIDECAR: {"title": "T"}, Home.EMBEDDED: {"title": "T"}}


def test_a_file_that_cannot_be_written_has_a_sidecar_only(library: Library) -> None:
    key = library.add("a.flac", flac((COMMENTS, comments("TITLE=old")), (COMMENTS, comments())))

    planned = library.write(key, {"title": "new", "headline": "H"})

    assert homes(planned) == {Home.SIDECAR: Mode.CREATE}
    assert "several blocks of comments" in planned.note
    assert library.read(key).tags == {"title": "new", "headline": "H"}
    assert not library.plan(key, {"title": "new", "headline": "H"}).files


@pytest.mark.parametrize("home", [Home.EMBEDDED, Home.SIDECAR])
def test_a_home_that_reads_back_differently_is_noticed(library: Library, key: bytes, home: Home) -> None:
    planned = library.plan(key, BOTH | {"title": "New", "credit": "Me"})
    library.apply(planned)
    wanted = planned.wanted | {home: planned.wanted[home] | {"title": "Other"}}

    with pytest.raises(FileProblem) as problem:
        verify(library.root, replace(planned, wanted=wanted), library.policy)

    assert problem.value.reason is Reason.VERIFY_FAILED
    assert problem.value.message == f"{home}: read back differently: title"


@pytest.mark.parametrize("written", ["a.flac", "a.xmp"])
@pytest.mark.parametrize("title", ["Old", "New"])  # the old one: there is nothing to write
def test_what_others_write_before_it_is_read_back_is_no_failure_for_good(
    library: Library, key: bytes, written: str, title: str
) -> None:
    library.write(key, {"title": "Old"})
    planned = library.plan(key, BOTH | {"title": title})
    for file in planned.files:
        apply(library.root, file, still_ours=lambda: True)
    library.add(written, library.bytes_of(written.encode()).replace(title.encode(), b"Odd"))

    with pytest.raises(FileProblem) as problem:
        verify(library.root, planned, library.policy)

    assert problem.value.reason is Reason.LOCKED
    assert problem.value.transient
