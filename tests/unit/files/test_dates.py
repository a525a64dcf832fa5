"""Dates that are compared although they are not exact."""

from __future__ import annotations

import pytest
from indelible_server.files.dates import is_before


@pytest.mark.parametrize(
    ("one", "other", "before"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:01Z", True),
        ("2024-05-01T10:00:01Z", "2024-05-01T10:00:00Z", False),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z", False),
        ("2024-05-01T10:00:00.25Z", "2024-05-01T10:00:00.5Z", True),
        ("2024-05-01T10:00:00.25Z", "2024-05-01T10:00:00.25Z", False),
        # Most programs write whole seconds.
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z", False),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:30:00Z", True),
        ("2024-05-01T10:00:00-02:00", "2024-05-01T10:30:00Z", False),
        # The zone could decide.
        ("2024-05-01T10:00:00", "2024-05-01T12:00:00Z", False),
        ("2024-04-30T10:00:00", "2024-05-01T12:00:00Z", True),
        # So could the time of the day, or the day.
        ("2024-05-01", "2024-05-01T23:00:00Z", False),
        ("2024", "2024-12-31T00:00:00Z", False),
        ("2023", "2024-12-31T00:00:00Z", True),
        ("yesterday", "2024-12-31T00:00:00Z", False),
        ("2024-12-31T00:00:00Z", "", False),
        ("0001-01-01T00:00:00", "2024-12-31T00:00:00Z", False),
        ("9999-12-31T23:59:59-14:00", "2024-12-31T00:00:00Z", False),
    ],
)
def test_a_moment_is_before_another_only_if_that_is_certain(one: str, other: str, before: bool) -> None:
    assert is_before(one, other) is before
