"""A writer that dies, or is refused, at every one of its system calls (I2)."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from support.applying import Applier, Ending, Point
from support.shares import Share
from support.ways import ON_DISK, ON_SHARES, Place, Way, contents, make_way

pytestmark = pytest.mark.tool("strace")

LONG = os.environ.get("INDELIBLE_LONG") == "1"
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
def appliers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Applier]]:
    """Gives the process that writes on the disk (""), or on a share of this character."""
    scratch = tmp_path_factory.mktemp("appliers")
    made: dict[str, Applier] = {}
    with contextlib.ExitStack() as opened:

        def applier(share: str) -> Applier:
            if share not in made:
                folder = opened.enter_context(Share(share, scratch)).path if share else scratch / "disk"
                folder.mkdir(exist_ok=True)
                made[share] = opened.enter_context(Applier(folder, scratch))
            return made[share]

        yield applier


@pytest.fixture(params=ON_DISK + ON_SHARES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def applier(place: Place, appliers: Callable[[str], Applier]) -> Applier:
    return appliers(place.share)


@pytest.fixture
def way(place: Place, tmp_path: Path) -> Way:
    return make_way(place.way, tmp_path / "library")


def some(points: Sequence[Any], one_of: int) -> Sequence[Any]:
    """All of them, or one of so many where there is no time."""
    return points if LONG else points[random.randrange(one_of) :: one_of]


def test_i2_killed_at_any_system_call_the_file_is_settled_whole(
    applier: Applier, way: Way, place: Place, record_property: Tell
) -> None:
    tried = some(applier.points(way.laid(applier.folder).plan, place.lacks), 12 if place.share else 4)
    for point in tried:
        laid = way.laid(applier.folder)
        ending = applier.apply(laid.plan, "signal=SIGKILL", point, place.lacks)
        assert ending.killed, f"{point}: {ending}"
        settled(applier, laid, point)
    record_property(f"count system calls at which a writer was killed{on(place)}", len(tried))


def test_i2_refused_at_any_system_call_nothing_is_damaged(
    applier: Applier, way: Way, place: Place, record_property: Tell
) -> None:
    points = applier.points(way.laid(applier.folder).plan, place.lacks)
    tried = some(list(product(points, ERRORS)), 48 if place.share else 12)
    for point, error in tried:
        laid = way.laid(applier.folder)
        ending = applier.apply(laid.plan, f"error={error}", point, place.lacks)
        said = f"{error} at {point}: {ending}"
        if ending == Ending(killed=False):
            assert is_dispensable(applier, point, error), said
        else:
            assert (ending.raised, ending.reason, ending.transient) == (
                "FileProblem",
                *expected(place, point, error),
            ), said
        outcome = settled(applier, laid, point)
        assert outcome is Outcome.NEW or ending.raised, said
    record_property(f"count system calls at which a writer was refused{on(place)}", len(tried))


def on(place: Place) -> str:
    return f", on {place.share}" if place.share else ""


def expected(place: Place, point: Point, error: str) -> tuple[str, bool]:
    """The reason, and whether it passes by itself. A plain rename is refused where others have the file open."""
    plain = place.share == "smb" or "links" in place.lacks
    if plain and place.way in ("replace", "sidecar") and (point.call, error) == ("renameat", "EACCES"):
        return ERRORS["EBUSY"]
    return ERRORS[error]


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
