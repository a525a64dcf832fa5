"""A writer that dies, or is refused, at every one of its system calls (I2)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from support.applying import Applier, Point
from support.ways import PLACES, Way, contents, make_way

pytestmark = pytest.mark.tool("strace")

LONG = os.environ.get("INDELIBLE_LONG") == "1"
Tell = Callable[[str, object], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def applier(folder: Path, tmp_path: Path) -> Iterator[Applier]:
    with Applier(folder, tmp_path) as made:
        yield made


@pytest.mark.parametrize(("name", "cannot"), PLACES)
def test_i2_killed_at_any_system_call_the_file_is_settled_whole(
    applier: Applier, folder: Path, tmp_path: Path, name: str, cannot: str, record_property: Tell
) -> None:
    made = make_way(name, tmp_path / "library")
    points = applier.points(made.laid(folder).plan, cannot)
    tried = points if LONG else points[random.randrange(4) :: 4]
    for point in tried:
        way = made.laid(folder)
        ending = applier.apply(way.plan, "signal=SIGKILL", point, cannot)
        assert ending.killed, f"{point}: {ending}"
        settled(folder, way, point)
    record_property("count system calls at which a writer was killed", len(tried))


def settled(folder: Path, way: Way, point: Point) -> Outcome:
    """What a later process makes of it: whole, and told truly."""
    found = contents(folder).get(way.plan.target)
    assert way.plan.in_place or found in (way.old, way.new), f"{point}: a third content"
    with Root(str(folder)) as root:
        outcome = settle(root, way.plan)
        way.check_settled(root, outcome)
    return outcome
