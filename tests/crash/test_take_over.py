"""A writer that stalls between any two calls and wakes when another has taken over: what is newer stays (I5).

The file systems of these tests grant no lease, as a share between two hosts grants none.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from indelible_server.files import media
from indelible_server.files.apply import apply
from indelible_server.files.fencing import fence
from indelible_server.files.plan import FilePlan, Home, Mode, Patch
from indelible_server.files.port import Folder, Root
from indelible_server.files.problems import Changed, FileProblem, LeaseLost, Reason
from indelible_server.files.settle import Outcome, settle
from support.stalling import Stalling
from support.ways import Way, contents, make_way

StillOurs = Callable[[], bool]


@pytest.fixture(autouse=True)
def share(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease is granted."""
    monkeypatch.setattr(media, "grants_leases", lambda _device: False)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """An open root folder."""
    (tmp_path / "photos").mkdir()
    return Root(str(tmp_path / "photos"))


def write(root: Root, plan: FilePlan, still_ours: StillOurs) -> None:
    """What a writer does with a plan, from its first call to its last."""
    try:
        apply(root, plan, still_ours=still_ours)
    except (FileProblem, Changed):
        with contextlib.suppress(FileProblem):
            settle(root, plan, still_ours=still_ours)


def take_over(root: Root, plan: FilePlan, still_ours: StillOurs, late: int = 1) -> Outcome:
    """What the one does who finds the intent of a writer whose lease has ended."""
    fence(root, plan, late=late, may_live=True, still_ours=still_ours)
    return settle(root, plan, still_ours=still_ours)


def write_newer(root: Root, target: bytes) -> dict[bytes, bytes]:
    """Another edit of the same file, in place where there is one: nothing is more exposed to a late write."""
    identity = root.identity(target)
    old = b"" if identity is None else contents(os.fsdecode(root.path))[target]
    new = bytes(byte ^ 0xFF for byte in old) or b"newer"
    mode = Mode.CREATE if identity is None else Mode.PATCH
    newer = FilePlan(target, Home.EMBEDDED, mode, b".indelible-newer", identity, (Patch(0, old, new),))
    apply(root, newer, still_ours=lambda: True)
    return {target: new}


def tear(folder: Path, plan: FilePlan) -> None:
    """What a writer leaves that is killed in the middle of a write in place."""
    with open(folder / os.fsdecode(plan.target), "r+b") as file:
        patch = plan.patches[0]
        file.seek(patch.offset)
        file.write(patch.new[: max(len(patch.new) // 2, 1)])


def settle_alone(root: Root, plan: FilePlan, still_ours: StillOurs) -> None:
    """What the one does who finds the intent of a writer that is dead."""
    settle(root, plan, still_ours=still_ours)


def at_every_call(
    tmp_path: Path, root: Root, way: Way, work: Callable[[Root, FilePlan, StillOurs], object], *, late: int = 1
) -> int:
    """Stall the work before each of its calls, take over, write what is newer, and let it go on; how many calls."""
    folder, taken_over = tmp_path / "photos", tmp_path / "taken over"

    def is_late(plan: FilePlan) -> None:
        with contextlib.suppress(LeaseLost, FileProblem):
            work(root, plan, lambda: not os.path.exists(taken_over))

    for call in itertools.count(1):
        plan = way.laid(folder).plan
        if work is not write:
            tear(folder, plan)
        taken_over.unlink(missing_ok=True)
        stalled = Stalling(partial(is_late, plan), call)
        if not stalled.stands:
            break
        taken_over.touch()
        outcome = take_over(root, plan, lambda: True, late)
        assert outcome is not Outcome.FOREIGN, f"call {call}"
        expected = write_newer(root, plan.target)
        stalled.go_on()
        assert contents(folder) == expected, f"call {call}, taken over as {outcome}"
    return call - 1


@pytest.mark.parametrize("name", ["patch", "append", "replace", "sidecar", "create"])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_writer_that_stalls_overwrites_nothing_newer(
    tmp_path: Path,
    root: Root,
    name: str,
    exchange: bool,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    if not exchange:
        monkeypatch.setattr(Folder, "_rename2", lambda *_: False)
    points = at_every_call(tmp_path, root, make_way(name, tmp_path / "way"), write)
    assert points > 5
    record_property("figure", f"{name}, exchange {exchange}: taken over before each of {points} calls")


@pytest.mark.parametrize("name", ["patch", "append"])
def test_one_who_settles_and_stalls_overwrites_nothing_newer(tmp_path: Path, root: Root, name: str) -> None:
    assert at_every_call(tmp_path, root, make_way(name, tmp_path / "way"), settle_alone) > 10


@pytest.mark.parametrize("name", ["patch", "append"])
def test_one_who_takes_over_and_stalls_overwrites_nothing_newer(tmp_path: Path, root: Root, name: str) -> None:
    assert at_every_call(tmp_path, root, make_way(name, tmp_path / "way"), take_over, late=2) > 10


@pytest.mark.parametrize("why", ["remove", "hard link"])
def test_where_a_late_writer_cannot_be_shut_out_it_is_waited_for(tmp_path: Path, root: Root, why: str) -> None:
    way = make_way("remove" if why == "remove" else "patch", tmp_path / "way")
    plan = way.laid(tmp_path / "photos").plan
    if why == "hard link":
        os.link(tmp_path / "photos" / "a.jpg", tmp_path / "second name")
    before = contents(tmp_path / "photos")
    with pytest.raises(FileProblem, match="may still be alive") as waits:
        take_over(root, plan, lambda: True)
    assert waits.value.reason is Reason.LOCKED
    assert waits.value.transient
    assert contents(tmp_path / "photos") == before
    fence(root, plan, late=1, may_live=False, still_ours=lambda: True)
    assert settle(root, plan) is Outcome.OLD


def test_a_copy_that_a_dead_one_has_left_is_removed(tmp_path: Path, root: Root) -> None:
    way = make_way("patch", tmp_path / "way")
    folder = tmp_path / "photos"
    for call in itertools.count(1):
        plan = way.laid(folder).plan
        stalled = Stalling(partial(take_over, root, plan, lambda: True), call)
        if not stalled.stands:
            break
        stalled.kill()
        fence(root, plan, late=1, may_live=False, still_ours=lambda: True)
        assert settle(root, plan) is Outcome.OLD
        assert contents(folder) == way.content(Outcome.OLD), f"call {call}"


def test_what_an_outside_program_writes_during_the_take_over_stays(tmp_path: Path, root: Root) -> None:
    way = make_way("patch", tmp_path / "way")
    plan = way.laid(tmp_path / "photos").plan
    path = tmp_path / "photos" / "a.jpg"

    def written_meanwhile() -> bool:
        path.write_bytes(b"theirs")
        return True

    with pytest.raises(FileProblem) as locked:
        take_over(root, plan, written_meanwhile)
    assert locked.value.reason is Reason.LOCKED
    assert contents(tmp_path / "photos") == {b"a.jpg": b"theirs"}
    assert take_over(root, plan, lambda: True) is Outcome.FOREIGN
    assert contents(tmp_path / "photos") == {b"a.jpg": b"theirs"}


def test_a_file_that_is_gone_is_nobodys_to_fence(tmp_path: Path, root: Root) -> None:
    plan = make_way("patch", tmp_path / "way").plan
    assert take_over(root, plan, lambda: True) is Outcome.FOREIGN
    assert take_over(root, replace(plan, target=b"gone/a.jpg"), lambda: True) is Outcome.FOREIGN
    assert contents(tmp_path / "photos") == {}
