"""A writer that dies, or is refused, at every one of its system calls (I2)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from support.applying import Applier, Ending, Point
from support.ways import PLACES, Place, Way, contents, make_way, place_id

pytestmark = pytest.mark.tool("strace")

LONG = os.environ.get("INDELIBLE_LONG") == "1"
ONE_OF = 1 if LONG else 4
ERRORS = {
    "EIO": ("IO_ERROR", True),
    "ENOSPC": ("NO_SPACE", True),
    "EDQUOT": ("NO_SPACE", True),
    "EACCES": ("PERMISSION_DENIED", False),
    "EROFS": ("READ_ONLY", False),
    "EBUSY": ("LOCKED", True),
    "ESTALE": ("STORAGE_OFFLINE", True),
}
"""What people are told, and whether it is tried again by itself."""

Tell = Callable[[str, object], None]


@pytest.fixture(scope="module")
def applier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applier]:
    with Applier(tmp_path_factory.mktemp("applier")) as made:
        yield made


@pytest.fixture(params=PLACES, ids=place_id)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def way(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Way:
    return make_way(place[0], tmp_path_factory.mktemp("ways") / "library")


def some(points: Sequence[Any], one_of: int) -> Sequence[Any]:
    return points[random.randrange(one_of) :: one_of]


def test_i2_killed_at_any_system_call_the_file_is_settled_whole(
    applier: Applier, way: Way, place: Place, record_property: Tell
) -> None:
    tried = some(applier.points(way.laid(applier.folder).plan, place[1]), ONE_OF)
    for point in tried:
        laid = way.laid(applier.folder)
        ending = applier.apply(laid.plan, "signal=SIGKILL", point, place[1])
        assert ending.killed, f"{point}: {ending}"
        settled(applier, laid, point)
    record_property("count system calls at which a writer was killed", len(tried))


def test_i2_refused_at_any_system_call_nothing_is_damaged(
    applier: Applier, way: Way, place: Place, record_property: Tell
) -> None:
    points = applier.points(way.laid(applier.folder).plan, place[1])
    tried = some(list(product(points, ERRORS)), 2 * ONE_OF - 1)
    for point, error in tried:
        laid = way.laid(applier.folder)
        ending = applier.apply(laid.plan, f"error={error}", point, place[1])
        said = f"{error} at {point}: {ending}"
        if ending == Ending(killed=False):
            assert is_dispensable(applier, point, error), said
        else:
            assert (ending.raised, ending.reason, ending.transient) == ("FileProblem", *ERRORS[error]), said
        outcome = settled(applier, laid, point)
        assert outcome is Outcome.NEW or ending.raised, said
    record_property("count system calls at which a writer was refused", len(tried))


def is_dispensable(applier: Applier, point: Point, error: str) -> bool:
    """Whether the write may go on: without a lease, which file systems may refuse, and with a folder left open."""
    about_leases = "mountinfo" in point.shown or ("F_SET" in point.shown and error == "EACCES")
    return about_leases or (point.call == "close" and f"<{applier.folder}>" in point.shown)


def settled(applier: Applier, way: Way, point: Point) -> Outcome:
    """What a later process makes of it: whole, and told truly."""
    found = contents(applier.folder).get(way.plan.target)
    assert way.plan.in_place or found in (way.old, way.new), f"{point}: a third content"
    with Root(str(applier.folder)) as root:
        outcome = settle(root, way.plan)
        way.check_settled(root, outcome)
    return outcome
