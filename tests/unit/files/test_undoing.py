"""Undoing: byte for byte what was there before (I10), and never over someone else's work (I4)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan, Home, Mode, Patch
from indelible_server.files.problems import Changed, FileProblem
from indelible_server.files.settle import Outcome, settle
from indelible_server.files.undoing import is_made, is_taken_back, undo_of
from unit.files.library import Library, jpeg

Done = tuple[bytes, FilePlan, bytes]


def yes() -> bool:
    return True


def appended(library: Library) -> FilePlan:
    """A plan that changes two bytes and makes the file longer at its end."""
    key = library.add("a.bin", b"0123456789")
    patches = (Patch(2, b"23", b"XY"), Patch(8, b"89", b"tail behind"))
    return FilePlan(key, Home.EMBEDDED, Mode.APPEND, b".indelible-x", library.root.identity(key), patches)


def patched(library: Library) -> FilePlan:
    key = library.add("a.jpg", jpeg(trailer=b"tail"))
    library.write(key, {"title": "first"})
    (plan,) = library.plan(key, {"title": "second"}).files
    assert plan.mode is Mode.PATCH
    return plan


def replaced(library: Library) -> FilePlan:
    (plan,) = library.plan(library.add("a.jpg", jpeg(trailer=b"tail")), {"title": "first"}).files
    assert plan.mode is Mode.REPLACE
    return plan


def moved(library: Library) -> FilePlan:
    """A plan of which one change moves the next."""
    key = library.add("a.bin", bytes(range(100)))
    patches = (Patch(10, bytes(range(10, 14)), b"longer text"), Patch(50, bytes(range(50, 60)), b"short"))
    return FilePlan(key, Home.EMBEDDED, Mode.REPLACE, b".indelible-x", library.root.identity(key), patches)


def created(library: Library) -> FilePlan:
    (plan,) = library.plan(library.add("a.nef", b"II*\0raw"), {"title": "first"}).files
    assert plan.mode is Mode.CREATE
    return plan


def removed(library: Library) -> FilePlan:
    plan = created(library)
    apply(library.root, plan, still_ours=yes)
    return undo_of(library.root, plan)


WAYS = [appended, patched, replaced, moved, created]


@pytest.mark.parametrize("make", WAYS)
def test_what_was_done_is_undone_to_the_byte(library: Library, make: Callable[[Library], FilePlan]) -> None:
    plan = make(library)
    before = {name: library.bytes_of(os.fsencode(name)) for name in library.names()}
    assert is_taken_back(library.root, plan)
    apply(library.root, plan, still_ours=yes)
    assert is_made(library.root, plan)
    assert not is_taken_back(library.root, plan)

    undone = FilePlan.from_bytes(undo_of(library.root, plan).to_bytes())
    apply(library.root, undone, still_ours=yes)

    assert {name: library.bytes_of(os.fsencode(name)) for name in library.names()} == before
    assert is_taken_back(library.root, plan)
    assert settle(library.root, undone) is Outcome.NEW


@pytest.mark.parametrize("make", WAYS)
def test_what_others_wrote_since_is_not_undone(library: Library, make: Callable[[Library], FilePlan]) -> None:
    plan = make(library)
    apply(library.root, plan, still_ours=yes)
    found = library.bytes_of(plan.target)
    library.add(plan.target, found + b"more")

    with pytest.raises(Changed):
        undo_of(library.root, plan)
    assert library.bytes_of(plan.target) == found + b"more"


def test_a_sidecar_that_others_have_edited_is_not_removed(library: Library) -> None:
    plan = removed(library)
    found = library.bytes_of(plan.target)
    library.add(plan.target, found.replace(b"first", b"other"))

    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)
    assert settle(library.root, plan) is Outcome.FOREIGN
    assert library.bytes_of(plan.target) == found.replace(b"first", b"other")


def test_an_appended_change_writes_what_is_pointed_at_before_the_pointer(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = appended(library)
    calls: list[object] = []
    write, sync = os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: (calls.append(at), write(fd, data, at))[1])
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), sync(fd))[1])

    apply(library.root, plan, still_ours=yes)

    assert calls == [10, "sync", 2, 8, "sync"]
    assert library.bytes_of(plan.target) == b"01XY4567tail behind"


@pytest.mark.parametrize("length", range(10, 20))
@pytest.mark.parametrize("zeros", [False, True])
def test_a_torn_append_is_completed_or_was_never_begun(library: Library, length: int, zeros: bool) -> None:
    """The tail may be cut off anywhere, or be zeros where the disk did not get to it."""
    plan = appended(library)
    after = b"01XY4567tail behind"
    torn = (b"0123456789" + (bytes(9) if zeros else after[10:]))[:length]
    library.add(plan.target, torn)

    outcome = settle(library.root, plan)

    assert (outcome, library.bytes_of(plan.target)) == (
        (Outcome.OLD, b"0123456789") if length == 10 else (Outcome.NEW, after)
    )


@pytest.mark.parametrize(
    "foreign", [b"0123456789more", b"01234567", b"01XY4567tail behind and more", b"0123456789tai!"]
)
def test_what_others_appended_is_left_alone(library: Library, foreign: bytes) -> None:
    plan = appended(library)
    library.add(plan.target, foreign)

    assert settle(library.root, plan) is Outcome.FOREIGN
    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)
    assert library.bytes_of(plan.target) == foreign


def test_a_plan_in_place_keeps_all_lengths_but_that_of_its_end(library: Library) -> None:
    key = library.add("a.bin", b"0123456789")
    identity = library.root.identity(key)
    for patches in (
        (Patch(2, b"2", b"longer"),),
        (Patch(8, b"89", b"89"),),
        (Patch(2, b"2", b""), Patch(10, b"", b"x")),
    ):
        with pytest.raises(ValueError, match=r"in place|at the end"):
            FilePlan(key, Home.EMBEDDED, Mode.APPEND, b"x", identity, patches)


def test_a_file_with_several_names_is_not_replaced_by_an_undo(library: Library) -> None:
    plan = appended(library)
    apply(library.root, plan, still_ours=yes)
    os.link(library.path / "a.bin", library.path / "b.bin")

    with pytest.raises(FileProblem, match="several names"):
        undo_of(library.root, plan)
