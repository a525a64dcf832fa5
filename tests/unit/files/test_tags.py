"""Canonical equality, mapping section 2."""

from __future__ import annotations

import pytest
from indelible_server.files.tags import Value, canonical, difference, same


@pytest.mark.parametrize(
    ("field", "a", "b"),
    [
        ("title", "a\r\nb", " a\nb\0"),
        ("title", "e\u0301", "\xe9"),
        ("title", "", None),
        ("rating", 0, None),
        ("keywords", ["Cat", "dog"], ["cat", "Dog", "cat"]),
        ("keywords", ["Animal|Dog", "dog"], ["Animal | Dog"]),
        ("keywords", ["A/B", "A|B"], ["A|B"]),
        ("keywords", ["red", "A|B"], ["A|B", "red"]),
        ("creators", ["A; B"], ["A", "B"]),
        ("gps", {"lat": 1.00000001, "lon": 2}, {"lat": 1.0, "lon": 2.00000001}),
        ("taken_at", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000+00:00"),
        ("taken_at", "2024-01-02T03:04", "2024-01-02T03:04:00"),
        ("place.country_code", "ita", "ITA"),
        ("custom.job", [], None),
    ],
)
def test_these_are_the_same(field: str, a: Value, b: Value | None) -> None:
    assert same(field, a, b)


@pytest.mark.parametrize(
    ("field", "a", "b"),
    [
        ("title", "a", "A"),
        ("rating", -1, None),
        ("keywords", ["a", "b"], ["b", "a"]),
        ("people", ["a", "b"], ["b", "a"]),
        ("gps", {"lat": 1, "lon": 2}, {"lat": 1, "lon": 2, "alt": 0}),
        ("taken_at", "2024-01-02T03:04:05", "2024-01-02T03:04:05+00:00"),
        ("taken_at", "1923", "1923-01"),
    ],
)
def test_these_are_not(field: str, a: Value, b: Value) -> None:
    assert not same(field, a, b)


def test_the_difference_names_the_fields() -> None:
    assert difference({"title": "a", "rating": 1}, {"title": "a ", "label": "Red"}) == {"rating", "label"}
    assert canonical("title", None) is None
