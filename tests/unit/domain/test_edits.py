"""The six kinds of edits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indelible_server.domain.edits import SHIFT_LIMIT_S, Edit, apply_edits, check_edits
from indelible_server.errors import InvalidArgument
from indelible_server.files.policy import CustomField, CustomForm
from indelible_server.files.tags import element

words = st.sampled_from(["sea", "Sea", "SEA", "sky", "a|b", "A|b", "a|b|c", "a", "é", "e\u0301"])
lists = st.lists(words, max_size=6)


def applied(value: Any, *edits: Edit, field: str = "keywords") -> Any:
    """The field after edits that were checked."""
    tags = {} if value is None else {field: value}
    return apply_edits(tags, check_edits(edits, {})).get(field)


def keys(values: Any, field: str = "keywords") -> list[Any]:
    """What the values are compared by."""
    return [element(field, value) for value in values or []]


def test_set_replaces_the_value() -> None:
    assert applied("old", Edit("set", "title", "new"), field="title") == "new"
    assert applied(None, Edit("set", "rating", -1), field="rating") == -1
    assert applied(["a"], Edit("set", "keywords", ["b", "c", "b"])) == ["b", "c"]


def test_setting_an_empty_list_clears_the_field() -> None:
    assert apply_edits({"keywords": ["a"]}, check_edits([Edit("set", "keywords", [])], {})) == {}


@pytest.mark.parametrize(("field", "value"), [("title", "a"), ("keywords", ["a"]), ("gps", {"lat": 1.0, "lon": 1.0})])
def test_clear_removes_the_field(field: str, value: Any) -> None:
    assert apply_edits({field: value, "label": "Red"}, check_edits([Edit("clear", field)], {})) == {"label": "Red"}
    assert apply_edits({}, [Edit("clear", field)]) == {}


@pytest.mark.parametrize(
    ("position", "expected"),
    [(None, ["a", "b", "new"]), (0, ["new", "a", "b"]), (1, ["a", "new", "b"]), (99, ["a", "b", "new"])],
)
def test_add_puts_the_values_where_they_are_wanted(position: int | None, expected: list[str]) -> None:
    assert applied(["a", "b"], Edit("add", "keywords", ["new"], position=position)) == expected


def test_add_leaves_what_is_there_where_it_is() -> None:
    assert applied(["Sea", "b"], Edit("add", "keywords", ["sea", "new"], position=0)) == ["new", "Sea", "b"]


@given(lists, lists.filter(bool), st.none() | st.integers(0, 8))
def test_add_keeps_every_element_in_order_and_makes_no_doubles(
    present: list[str], new: list[str], position: int | None
) -> None:
    present = list({element("keywords", value): value for value in present}.values())
    after = applied(present or None, Edit("add", "keywords", new, position=position))
    assert [value for value in after if value in present] == present
    assert set(keys(after)) == set(keys(present)) | set(keys(new))
    assert len(keys(after)) == len(set(keys(after)))
    assert applied(after, Edit("add", "keywords", new, position=position)) == after


def test_remove_takes_equal_elements_only() -> None:
    assert applied(["Sea", "sky", "a|sea"], Edit("remove", "keywords", ["SEA"])) == ["sky", "a|sea"]
    assert applied(["Ann", "ann"], Edit("remove", "people", ["Ann"]), field="people") == ["ann"]


def test_removing_the_last_element_clears_the_field() -> None:
    assert apply_edits({"keywords": ["sea"]}, check_edits([Edit("remove", "keywords", ["sea"])], {})) == {}


@given(lists, lists.filter(bool))
def test_remove_undoes_add_and_leaves_the_others(present: list[str], new: list[str]) -> None:
    added = applied(present or None, Edit("add", "keywords", new))
    after = applied(added, Edit("remove", "keywords", new)) or []
    assert after == [value for value in present if element("keywords", value) not in keys(new)]


def test_replace_renames_an_element_in_its_place() -> None:
    assert applied(["a", "Old", "b"], Edit("replace", "keywords", "old", to="new")) == ["a", "new", "b"]
    assert applied(["a"], Edit("replace", "keywords", "old", to="new")) == ["a"]
    assert applied(["Ann", "Bo"], Edit("replace", "people", "Ann", to="Anna"), field="people") == ["Anna", "Bo"]


def test_replace_by_one_that_is_there_leaves_one() -> None:
    assert applied(["new", "old"], Edit("replace", "keywords", "old", to="new")) == ["new"]
    assert applied(["old", "x", "new"], Edit("replace", "keywords", "old", to="new")) == ["new", "x"]


def test_replace_reaches_below_a_level_only_when_asked() -> None:
    present = ["Places|Rome", "places|rome|Forum", "Places|Romeo", "Rome"]
    whole = Edit("replace", "keywords", "Places|Rome", to="Italy|Rome")
    assert applied(present, whole) == ["Italy|Rome", "places|rome|Forum", "Places|Romeo", "Rome"]
    below = Edit("replace", "keywords", "Places|Rome", to="Italy|Rome", subtree=True)
    assert applied(present, below) == ["Italy|Rome", "Italy|Rome|Forum", "Places|Romeo", "Rome"]


@pytest.mark.parametrize(
    ("date", "seconds", "expected"),
    [
        ("2023-05-17T10:20:30+01:00", 3600, "2023-05-17T11:20:30+01:00"),
        ("2023-12-31T23:30:00", 1800, "2024-01-01T00:00:00"),
        ("2023-05-17T10:20:30.125", -30, "2023-05-17T10:20:00.125"),
        ("2023-05-17T10:20", 60, "2023-05-17T10:21"),
        ("2023-05-17", 3600, "2023-05-17"),
        ("2023", 3600, "2023"),
        ("9999-12-31T23:59:59", 60, "9999-12-31T23:59:59"),
    ],
)
def test_shift_moves_a_date_as_exactly_as_it_is_known(date: str, seconds: int, expected: str) -> None:
    assert applied(date, Edit("shift", "taken_at", seconds=seconds), field="taken_at") == expected


def test_shift_of_an_item_without_a_date_does_nothing() -> None:
    assert apply_edits({}, check_edits([Edit("shift", "taken_at", seconds=1)], {})) == {}


@given(st.datetimes(), st.integers(-SHIFT_LIMIT_S, SHIFT_LIMIT_S).filter(bool))
def test_shifting_back_gives_the_date_that_was(date: Any, seconds: int) -> None:
    before = date.replace(microsecond=0).isoformat()
    there = applied(before, Edit("shift", "taken_at", seconds=seconds), field="taken_at")
    back = applied(there, Edit("shift", "taken_at", seconds=-seconds), field="taken_at")
    assert back == before or there == before  # out of the calendar: it stays


def test_edits_are_applied_in_their_order() -> None:
    edits = [Edit("set", "keywords", ["a", "b"]), Edit("remove", "keywords", ["a"]), Edit("add", "keywords", ["c"])]
    assert applied(["x"], *edits) == ["b", "c"]
    assert applied(None, Edit("set", "title", "a"), Edit("clear", "title"), field="title") is None


@given(lists, st.sampled_from(["add", "remove", "set"]), lists.filter(bool))
def test_the_tags_that_are_given_stay_as_they_are(present: list[str], kind: str, values: list[str]) -> None:
    tags: Any = {"keywords": present, "title": "t"}
    before = copy.deepcopy(tags)
    after = apply_edits(tags, check_edits([Edit(kind, "keywords", values)], {}))
    after.setdefault("keywords", []).append("later")
    assert tags == before


def test_an_edit_survives_its_way_through_json() -> None:
    edit = Edit("replace", "keywords", "a", position=1, to="b", subtree=True, seconds=1.5)
    assert Edit(**edit.to_json()) == edit


@pytest.mark.parametrize(
    ("edits", "field", "reason"),
    [
        ([], "edits", "EMPTY_EDITS"),
        ([Edit("set", "rating", 9)], "edits[0].set.rating", "INVALID_FIELD"),
        ([Edit("clear", "title"), Edit("set", "titel", "x")], "edits[1].set", "UNKNOWN_FIELD"),
        ([Edit("clear", "titel")], "edits[0].clear", "UNKNOWN_FIELD"),
        ([Edit("add", "titel", ["x"])], "edits[0].add.field", "UNKNOWN_FIELD"),
        ([Edit("add", "custom.job", ["x"])], "edits[0].add.field", "UNDECLARED_CUSTOM_FIELD"),
        ([Edit("add", "title", ["x"])], "edits[0].add.field", "INVALID_FIELD"),
        ([Edit("remove", "rating", ["x"])], "edits[0].remove.field", "INVALID_FIELD"),
        ([Edit("replace", "title", "a", to="b")], "edits[0].replace.field", "INVALID_FIELD"),
        ([Edit("add", "keywords", [])], "edits[0].add.values", "EMPTY_EDITS"),
        ([Edit("add", "keywords", ["a", "b||c"])], "edits[0].add.values[1]", "INVALID_FIELD"),
        ([Edit("add", "keywords", ["a"], position=-1)], "edits[0].add.position", "INVALID_FIELD"),
        ([Edit("replace", "keywords", "", to="b")], "edits[0].replace.from", "EMPTY_VALUE"),
        ([Edit("replace", "keywords", "a", to=" ")], "edits[0].replace.to", "EMPTY_VALUE"),
        ([Edit("shift", "title", seconds=1)], "edits[0].shift.field", "INVALID_FIELD"),
        ([Edit("shift", "taken_at")], "edits[0].shift.by", "INVALID_FIELD"),
        ([Edit("shift", "taken_at", seconds=SHIFT_LIMIT_S + 1)], "edits[0].shift.by", "INVALID_FIELD"),
        ([Edit("set", "rating", 9, at="tags")], "tags.rating", "INVALID_FIELD"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_where_it_is_wrong(edits: list[Edit], field: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_edits(edits, {})
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_a_custom_field_that_is_declared_as_a_list_is_one() -> None:
    declared = {"job": CustomField("http://example.com/ns/", "ex", "Job", CustomForm.BAG)}
    edits = check_edits([Edit("add", "custom.job", ["1"]), Edit("add", "custom.job", ["2"])], declared)
    assert apply_edits({}, edits) == {"custom.job": ["1", "2"]}


@pytest.mark.parametrize(
    ("form", "given", "stored"),
    [
        (CustomForm.TEXT, "any", "any"),
        (CustomForm.INTEGER, "+7", "7"),
        (CustomForm.INTEGER, "7.5", None),
        (CustomForm.REAL, "-7.5e3", "-7.5e3"),
        (CustomForm.REAL, "nan", None),
        (CustomForm.BOOLEAN, "true", "True"),
        (CustomForm.BOOLEAN, "yes", None),
        (CustomForm.DATE, "1923-05", "1923-05"),
        (CustomForm.DATE, "yesterday", None),
    ],
)
def test_a_custom_value_is_checked_by_the_form_that_is_declared(
    form: CustomForm, given: str, stored: str | None
) -> None:
    declared = {"job": CustomField("http://example.com/ns/", "ex", "Job", form)}
    if stored is None:
        with pytest.raises(InvalidArgument):
            check_edits([Edit("set", "custom.job", [given])], declared)
    else:
        assert check_edits([Edit("set", "custom.job", [given])], declared)[0].value == [stored]
    with pytest.raises(InvalidArgument):
        check_edits([Edit("set", "custom.job", ["1", "2"])], declared)
    with pytest.raises(InvalidArgument):
        check_edits([Edit("add", "custom.job", ["1"])], declared)
