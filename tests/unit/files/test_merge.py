"""The three-way merge of design section 4."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from indelible_server.files.merge import Conflict, ConflictPolicy, base_after, merge, merge_homes
from indelible_server.files.tags import Tags, difference

WORDS = st.lists(st.sampled_from("abcdef"), unique=True)


def test_edits_of_other_fields_on_both_sides_survive() -> None:
    merged = merge({"title": "old"}, {"title": "ours"}, {"title": "old", "rating": 3})

    assert merged.tags == {"title": "ours", "rating": 3}
    assert merged.taken_in == {"rating"}
    assert not merged.conflicts


def test_lists_merge_by_element() -> None:
    merged = merge({"keywords": ["a", "b"]}, {"keywords": ["b", "c"]}, {"keywords": ["a", "b", "d"]})

    assert merged.tags == {"keywords": ["b", "d", "c"]}


def test_a_changed_order_alone_is_a_change() -> None:
    base: Tags = {"creators": ["a", "b"]}

    assert merge(base, {"creators": ["b", "a"]}, base).tags == {"creators": ["b", "a"]}
    assert merge(base, base, {"creators": ["b", "a"]}).tags == {"creators": ["b", "a"]}


def test_a_scalar_changed_on_both_sides_is_a_conflict_that_names_what_was_replaced() -> None:
    sides = ({"title": "old"}, {"title": "ours"}, {"title": "theirs"})

    conflict = (Conflict("title", "old", "ours", "theirs"),)
    catalog, file, hold = (merge(*sides, policy) for policy in ConflictPolicy)
    assert catalog.conflicts == file.conflicts == hold.conflicts == conflict
    assert catalog.tags == {"title": "ours"}
    assert not catalog.taken_in
    assert file.tags == {"title": "theirs"}
    assert file.taken_in == {"title"}
    assert hold.tags == {"title": "theirs"}
    assert not hold.taken_in


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    merged = merge({"title": "old"}, {"title": "new"}, {"title": " new\r\n"})

    assert merged.tags == {"title": "new"}
    assert not merged.conflicts
    assert not merged.taken_in


def test_clearing_reaches_the_other_side() -> None:
    assert merge({"title": "old"}, {}, {"title": "old"}).tags == {}
    assert merge({"title": "old"}, {"title": "old"}, {}).tags == {}


def test_a_home_without_a_base_brings_what_it_has_and_removes_nothing() -> None:
    base: dict[str, Tags] = {"embedded": {"title": "t", "rating": 2}}
    theirs: dict[str, Tags] = {"sidecar": {"rating": 5}, "embedded": {"title": "t", "rating": 2}}

    merged = merge_homes(base, {"title": "t", "rating": 2}, theirs, ConflictPolicy.CATALOG_WINS)

    assert merged.tags == {"title": "t", "rating": 5}
    assert not merged.conflicts


def test_two_homes_changed_differently_are_a_conflict() -> None:
    base: dict[str, Tags] = {"sidecar": {"title": "t"}, "embedded": {"title": "t"}}
    theirs: dict[str, Tags] = {"sidecar": {"title": "s"}, "embedded": {"title": "e"}}

    merged = merge_homes(base, {"title": "t"}, theirs, ConflictPolicy.CATALOG_WINS)

    assert merged.tags == {"title": "s"}
    assert [conflict.theirs for conflict in merged.conflicts] == ["e"]


@given(WORDS, WORDS, WORDS)
def test_no_list_edit_of_either_side_is_lost(base: list[str], ours: list[str], theirs: list[str]) -> None:
    merged = merge({"people": base}, {"people": ours}, {"people": theirs}).tags.get("people", [])

    assert isinstance(merged, list)
    assert set(merged) == (set(theirs) | (set(ours) - set(base))) - (set(base) - set(ours))


@given(WORDS, WORDS)
def test_merging_with_an_unchanged_side_gives_the_other(base: list[str], changed: list[str]) -> None:
    before, after = {"people": base}, {"people": changed}

    assert not difference(merge(before, after, before).tags, after)
    assert not difference(merge(before, before, after).tags, after)


def test_who_writes_over_what_we_wrote_has_started_from_it() -> None:
    base: Tags = {"title": "old", "keywords": ["a", "b"], "rating": 1}
    wanted: Tags = {"keywords": ["b", "c"], "rating": 1}
    written = ["title", "keywords"]

    assert base_after(base, wanted, written, wanted | {"credit": "theirs"}) == wanted
    assert base_after(base, wanted, written, {"title": "theirs", "keywords": ["b", "c", "d"]}) == wanted
    assert base_after(base, wanted, written, {"keywords": ["a", "b"]}) == wanted, "the title is cleared"


def test_who_writes_over_what_was_there_before_us_has_not_started_from_ours() -> None:
    base: Tags = {"title": "old", "keywords": ["a", "b"]}
    wanted: Tags = {"title": "new", "keywords": ["b", "c"]}

    for found in (base, base | {"credit": "theirs"}, {"title": "theirs", "keywords": ["a", "b", "c"]}, {}):
        assert base_after(base, wanted, ["title", "keywords"], found) == base


@given(base=WORDS, wanted=WORDS, theirs=WORDS)
def test_what_is_taken_back_after_others_wrote_over_it_stays_away(
    base: list[str], wanted: list[str], theirs: list[str]
) -> None:
    found = wanted + [word for word in theirs if word not in (*wanted, *base)]
    known = base_after({"keywords": base}, {"keywords": wanted}, ["keywords"], {"keywords": found})

    taken_back = merge(known, {"keywords": base}, {"keywords": found})

    assert not set(taken_back.tags.get("keywords", [])) & (set(wanted) - set(base))
