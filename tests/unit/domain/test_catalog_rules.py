"""Catalogs: what they may be called, and which folders overlap. Deleting them: tests/contract/test_catalogs.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indelible_server.domain import catalogs as rules
from indelible_server.errors import AlreadyExists, InvalidArgument
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from support.databases import Databases

levels = st.lists(st.sampled_from([b"a", b"b", b"ab", b"a b", b"\xff", b"A"]), max_size=4)


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """An empty database; which one makes no difference to a rule."""
    with closing(Database(databases.fresh("sqlite", tmp_path))) as opened:
        yield opened


@pytest.mark.parametrize("name", ["Archive", "2023 May", "Ärchiv \U0001f600", "a|b/c", "x" * rules.NAME_LENGTH, "1a"])
def test_a_name_is_almost_anything(database: Database, name: str) -> None:
    assert database.write(rules.create, Catalog(0, name), ()).name == name


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "x" * (rules.NAME_LENGTH + 1)}, "name"),
        ({"name": "2023"}, "name"),
        ({"name": "\u0662\u0660"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\u200eb"}, "name"),
        ({"name": "a\ud800b"}, "name"),
        ({"description": "x" * (rules.DESCRIPTION_LENGTH + 1)}, "description"),
        ({"quiet_ms": -1}, "quiet_period"),
        ({"quiet_ms": rules.QUIET_MS_LIMIT + 1}, "quiet_period"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made_and_when_it_is_changed(
    database: Database, values: dict[str, Any], field: str
) -> None:
    wanted = Catalog(0, **{"name": "Archive"} | values)
    present = database.write(rules.create, Catalog(0, "Present"), ())
    for attempt in (
        lambda: database.read(rules.check_new, wanted),
        lambda: database.write(rules.create, wanted, ()),
        lambda: database.write(rules.update, present, wanted),
    ):
        with pytest.raises(InvalidArgument) as caught:
            attempt()
        assert (caught.value.field, caught.value.reason) == (field, "INVALID_FIELD")


def test_a_taken_name_is_noticed_before_anything_is_done_on_the_disk(database: Database) -> None:
    database.write(rules.create, Catalog(0, "Archive"), ())
    with pytest.raises(AlreadyExists) as caught:
        database.read(rules.check_new, Catalog(0, "Archive"))
    assert (caught.value.reason, caught.value.field) == ("NAME_TAKEN", "name")


@given(levels, levels)
def test_folders_overlap_exactly_if_one_is_the_other_or_lies_below_it(one: list[bytes], other: list[bytes]) -> None:
    shorter = min(len(one), len(other))
    assert rules._overlap(b"/" + b"/".join(one), b"/" + b"/".join(other)) == (one[:shorter] == other[:shorter])
