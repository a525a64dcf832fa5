"""Which values a field can have: each bad one is refused with a reason, naming the field."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indelible_server.domain.fields import FIELDS, LIST_LENGTH, check_value, field_of
from indelible_server.errors import InvalidArgument
from indelible_server.files.policy import CustomField, CustomForm

CUSTOM = {"job": CustomField("http://example.com/ns/", "ex", "Job", CustomForm.BAG)}


def checked(name: str, value: Any) -> Any:
    """The value as it is stored."""
    return check_value(field_of(name, CUSTOM, "at"), value, f"at.{name}")


@pytest.mark.parametrize(
    ("name", "value", "field", "reason", "message"),
    [
        ("rating", 9, "at.rating", "INVALID_FIELD", "between -1 and 5"),
        ("rating", -2, "at.rating", "INVALID_FIELD", "between -1 and 5"),
        ("rating", "5", "at.rating", "INVALID_FIELD", "whole number"),
        ("rating", 2.5, "at.rating", "INVALID_FIELD", "whole number"),
        ("rating", True, "at.rating", "INVALID_FIELD", "whole number"),
        ("flag", 2, "at.flag", "INVALID_FIELD", "between -1 and 1"),
        ("label", "x" * 10_000, "at.label", "INVALID_FIELD", "10,000 characters"),
        ("label", "two\nlines", "at.label", "INVALID_FIELD", "U\\+000A"),
        ("label", "a\tb", "at.label", "INVALID_FIELD", "U\\+0009"),
        ("title", "", "at.title", "EMPTY_VALUE", "clear the field"),
        ("title", " \n\t ", "at.title", "EMPTY_VALUE", "clear the field"),
        ("title", 5, "at.title", "INVALID_FIELD", "text"),
        ("title", ["x"], "at.title", "INVALID_FIELD", "text"),
        ("title", None, "at.title", "INVALID_FIELD", "text"),
        ("title", "a\x00b", "at.title", "INVALID_FIELD", "U\\+0000"),
        ("title", "a\x1bb", "at.title", "INVALID_FIELD", "U\\+001B"),
        ("title", "a\x85b", "at.title", "INVALID_FIELD", "U\\+0085"),
        ("title", "a\ud800b", "at.title", "INVALID_FIELD", "U\\+D800"),
        ("title", "a\ufffeb", "at.title", "INVALID_FIELD", "U\\+FFFE"),
        ("title", "x" * 2_001, "at.title", "INVALID_FIELD", "2,001"),
        ("description", "x" * 100_001, "at.description", "INVALID_FIELD", "100,001"),
        ("keywords", ["a", "b||c"], "at.keywords[1]", "INVALID_FIELD", "empty level"),
        ("keywords", ["|a"], "at.keywords[0]", "INVALID_FIELD", "empty level"),
        ("keywords", ["a| "], "at.keywords[0]", "INVALID_FIELD", "empty level"),
        ("keywords", [""], "at.keywords[0]", "EMPTY_VALUE", "clear"),
        ("keywords", ["x" * 501], "at.keywords[0]", "INVALID_FIELD", "501"),
        ("keywords", ["a\nb"], "at.keywords[0]", "INVALID_FIELD", "U\\+000A"),
        ("keywords", "a", "at.keywords", "INVALID_FIELD", "list"),
        ("keywords", None, "at.keywords", "INVALID_FIELD", "list"),
        ("keywords", [5], "at.keywords[0]", "INVALID_FIELD", "text"),
        ("keywords", [str(number) for number in range(LIST_LENGTH + 1)], "at.keywords", "INVALID_FIELD", "5,000"),
        ("people", ["\ud83d"], "at.people[0]", "INVALID_FIELD", "U\\+D83D"),
        ("custom.job", ["a", ""], "at.custom.job[1]", "EMPTY_VALUE", "clear"),
        ("taken_at", "2023-02-30", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "2023-13", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "2023-05-17T25:00", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "2023-05-17T10:20+25:00", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "17.05.2023", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "0000", "at.taken_at", "INVALID_FIELD", "no date"),
        ("taken_at", "\u0662\u0660\u0662\u0663", "at.taken_at", "INVALID_FIELD", "no date"),
        ("place.country_code", "Germany", "at.place.country_code", "INVALID_FIELD", "7 characters"),
        ("place.country_code", "D", "at.place.country_code", "INVALID_FIELD", "ISO 3166"),
        ("place.country_code", "D1", "at.place.country_code", "INVALID_FIELD", "ISO 3166"),
        ("gps", {"lat": 90.1, "lon": 0}, "at.gps.lat", "INVALID_FIELD", "between -90 and 90"),
        ("gps", {"lat": 0, "lon": -180.5}, "at.gps.lon", "INVALID_FIELD", "between -180 and 180"),
        ("gps", {"lat": 0, "lon": 0, "alt": 1e9}, "at.gps.alt", "INVALID_FIELD", "between"),
        ("gps", {"lat": math.nan, "lon": 0}, "at.gps.lat", "INVALID_FIELD", "number"),
        ("gps", {"lat": math.inf, "lon": 0}, "at.gps.lat", "INVALID_FIELD", "number"),
        ("gps", {"lat": True, "lon": 0}, "at.gps.lat", "INVALID_FIELD", "number"),
        ("gps", {"lat": "1", "lon": 0}, "at.gps.lat", "INVALID_FIELD", "number"),
        ("gps", {"lat": 1}, "at.gps", "INVALID_FIELD", "both"),
        ("gps", {}, "at.gps", "INVALID_FIELD", "both"),
        ("gps", {"lat": 1, "lon": 1, "up": 1}, "at.gps", "INVALID_FIELD", "up"),
        ("gps", "1,1", "at.gps", "INVALID_FIELD", "position"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: Any, field: str, reason: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        checked(name, value)
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("custom.other", "UNDECLARED_CUSTOM_FIELD"),
        ("custom.", "UNDECLARED_CUSTOM_FIELD"),
        ("titel", "UNKNOWN_FIELD"),
        ("", "UNKNOWN_FIELD"),
        ("place", "UNKNOWN_FIELD"),
    ],
)
def test_a_field_that_is_not_there_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        field_of(name, CUSTOM, "edits[3].set")
    assert (caught.value.field, caught.value.reason, caught.value.metadata) == ("edits[3].set", reason, {"name": name})


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("rating", -1, -1),
        ("rating", 5, 5),
        ("flag", 0, 0),
        ("title", "  a title \n", "a title"),
        ("title", "e\u0301", "\u00e9"),
        ("description", "a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        ("description", "x" * 100_000, "x" * 100_000),
        ("label", "Zu prüfen \U0001f600", "Zu prüfen \U0001f600"),
        ("keywords", ["a | b", "c", "c", "a|b"], ["a|b", "c"]),
        ("keywords", (), []),
        ("people", ["Ann", "ann"], ["Ann", "ann"]),
        ("custom.job", ["1\n2"], ["1\n2"]),
        ("place.country_code", "de", "DE"),
        ("place.country_code", "deu", "DEU"),
        ("taken_at", "1923", "1923"),
        ("taken_at", "1923-05", "1923-05"),
        ("taken_at", "2024-02-29", "2024-02-29"),
        ("taken_at", "1923-05-17T10:20:30.5+01:00", "1923-05-17T10:20:30.5+01:00"),
        ("gps", {"lat": -90, "lon": 180}, {"lat": -90.0, "lon": 180.0}),
        ("gps", {"lat": 0.1, "lon": 0.2, "alt": -10}, {"lat": 0.1, "lon": 0.2, "alt": -10.0}),
    ],
)
def test_a_good_value_is_stored_in_its_one_form(name: str, value: Any, stored: Any) -> None:
    assert checked(name, value) == stored
    assert checked(name, stored) == stored


@given(st.sampled_from([name for name in sorted(FIELDS) if name != "gps"]), st.text())
def test_any_text_is_stored_in_a_form_that_stays_or_is_refused_by_name(name: str, text: str) -> None:
    stored = stored_or_refused(name, [text] if FIELDS[name].is_list else text)
    if isinstance(stored, InvalidArgument):
        assert stored.field.startswith(f"at.{name}")
        assert stored.reason in ("INVALID_FIELD", "EMPTY_VALUE")
    else:
        assert checked(name, stored) == stored
        assert str(stored).encode()


def stored_or_refused(name: str, value: Any) -> Any:
    """What is stored, or the error."""
    try:
        return checked(name, value)
    except InvalidArgument as error:
        return error
