"""Apply and settlement: complete old or complete new, never over someone else's work (I2, I4, I5)."""

from __future__ import annotations

import fcntl
import os
import stat

import pytest
from indelible_server.files.apply import LeaseLost, apply
from indelible_server.files.plan import FilePlan, Mode
from indelible_server.files.policy import Policy, WriteMode
from indelible_server.files.port import Folder
from indelible_server.files.problems import Changed, FileProblem, Reason
from indelible_server.files.settle import Outcome, settle
from unit.files.library import Library, jpeg

Prepared = tuple[bytes, FilePlan, bytes, bytes]


def yes() -> bool:
    return True


def prepared(library: Library, mode: Mode) -> Prepared:
    """A file, a plan for it of this mode, and the file's bytes before and after."""
    key = library.add("a.jpg", jpeg(trailer=b"tail"))
    if mode is Mode.PATCH:
        library.write(key, {"title": "first"})
    (plan,) = library.plan(key, {"title": "second title"}).files
    assert plan.mode is mode
    before = library.bytes_of(key)
    after = b"".join(
        piece if isinstance(piece, bytes) else before[piece.offset : piece.offset + piece.length]
        for piece in plan.pieces()
    )
    return key, plan, before, after


@pytest.fixture(params=[Mode.PATCH, Mode.REPLACE])
def work(request: pytest.FixtureRequest, library: Library) -> Prepared:
    return prepared(library, request.param)


def test_a_plan_survives_the_store(work: Prepared) -> None:
    plan = work[1]

    assert FilePlan.from_bytes(plan.to_bytes()) == plan
    for damaged in (b"", b"\0", plan.to_bytes()[:-5], b"\1" + bytes(40)):
        with pytest.raises(ValueError, match="plan"):
            FilePlan.from_bytes(damaged)


def test_apply_makes_exactly_the_planned_file(library: Library, work: Prepared) -> None:
    key, plan, before, after = work
    assert settle(library.root, plan) is Outcome.OLD

    applied = apply(library.root, plan, still_ours=yes)

    assert library.bytes_of(key) == after != before
    assert applied.identity == library.root.identity(key)
    assert settle(library.root, plan) is Outcome.NEW
    assert settle(library.root, plan) is Outcome.NEW
    assert library.names() == {"a.jpg"}


def test_every_torn_patch_is_completed(library: Library) -> None:
    key, plan, before, after = prepared(library, Mode.PATCH)
    first = plan.patches[0]

    for cut in range(len(first.new) + 1):
        library.add("a.jpg", before[: first.offset] + first.new[:cut] + before[first.offset + cut :])
        outcome = settle(library.root, plan)
        assert (outcome, library.bytes_of(key)) in [(Outcome.NEW, after), (Outcome.OLD, before)]
        assert cut == 0 or outcome is Outcome.NEW or first.new[:cut] == first.old[:cut]


def test_a_patch_that_was_torn_in_the_middle_of_pages_is_completed(library: Library) -> None:
    key, plan, before, after = prepared(library, Mode.PATCH)
    mixed = bytes(new if index % 3 else old for index, (old, new) in enumerate(zip(before, after, strict=True)))
    library.add("a.jpg", mixed)

    assert settle(library.root, plan) is Outcome.NEW
    assert library.bytes_of(key) == after


def test_what_someone_else_wrote_is_left_alone(library: Library, work: Prepared) -> None:
    key, plan, before, _after = work
    offset = plan.patches[0].offset
    foreign = before[:offset] + b"\x01" + before[offset + 1 :] + b"more"
    library.add("a.jpg", foreign)

    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)
    assert settle(library.root, plan) is Outcome.FOREIGN
    assert library.bytes_of(key) == foreign
    assert library.names() == {"a.jpg"}


def test_a_file_that_only_looks_touched_is_not_written(library: Library, work: Prepared) -> None:
    key, plan, before, _after = work
    os.utime(library.path / "a.jpg", ns=(1, 1))

    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)
    assert library.bytes_of(key) == before


def test_nothing_is_written_without_a_lease(library: Library, work: Prepared) -> None:
    key, plan, before, _after = work

    with pytest.raises(LeaseLost):
        apply(library.root, plan, still_ours=lambda: False)
    assert library.bytes_of(key) == before
    assert library.names() == {"a.jpg"}


def write_in_place(library: Library, content: bytes) -> None:
    """Write into the file that has the name now, as a program that opens and saves does."""
    with open(library.path / "a.jpg", "r+b") as file:
        file.write(content)


@pytest.mark.parametrize("cannot_exchange", [False, True])
def test_a_write_in_the_last_gap_of_a_replacement_is_given_back(
    library: Library, monkeypatch: pytest.MonkeyPatch, cannot_exchange: bool
) -> None:
    key, plan, before, _after = prepared(library, Mode.REPLACE)
    monkeypatch.setattr("indelible_server.files.media.MediaFile.hold", lambda *_args, **_kwargs: None)
    original = Folder.exchange

    def late_write(folder: Folder, temp: bytes, name: bytes) -> bool:
        if library.bytes_of(key) == before:
            write_in_place(library, b"\xff\xd8\xffNEWER")
        return original(folder, temp, name)

    monkeypatch.setattr(Folder, "exchange", late_write)
    if cannot_exchange:
        forbid_exchange(monkeypatch)

    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)

    assert library.bytes_of(key).startswith(b"\xff\xd8\xffNEWER")
    assert library.names() == {"a.jpg"}


def forbid_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network filesystem: no RENAME_EXCHANGE."""
    monkeypatch.setattr(Folder, "_rename2", lambda *_args: False)


def test_replacing_carries_mode_attributes_and_wanted_times_over(library: Library) -> None:
    library.policy = Policy(preserve_mtime=True)
    key = library.add("a.jpg", jpeg())
    path = library.path / "a.jpg"
    os.chmod(path, 0o640)
    os.setxattr(path, "user.colour", b"green")
    os.utime(path, ns=(5_000_000_000, 7_000_000_000))

    for title in ("first", "second"):
        library.write(key, {"title": title})
        after = os.stat(path)
        assert stat.S_IMODE(after.st_mode) == 0o640
        assert after.st_mtime_ns == 7_000_000_000
        assert os.getxattr(path, "user.colour") == b"green"


def test_a_hard_linked_file_is_patched_but_never_replaced(library: Library) -> None:
    key = library.add("a.jpg", jpeg())
    library.write(key, {"rating": 2})
    os.link(library.path / "a.jpg", library.path / "b.jpg")

    assert library.write(key, {"rating": 3}).mode is Mode.PATCH
    assert library.read(b"b.jpg").tags == {"rating": 3}

    planned = library.write(key, {"description": "long " * 1000})
    assert planned.mode is Mode.SIDECAR
    assert "hard links" in planned.note


def test_a_policy_of_replacing_never_patches(library: Library) -> None:
    key, _plan, _before, _after = prepared(library, Mode.PATCH)
    library.policy = Policy(write_mode=WriteMode.REPLACE)

    planned = library.plan(key, {"title": "third"})

    assert planned.mode is Mode.REPLACE
    assert library.apply(planned).tags == {"title": "third"}


def test_a_file_that_another_program_writes_is_locked(library: Library, work: Prepared) -> None:
    key, plan, before, _after = work
    descriptor = os.open(library.path / "a.jpg", os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
        with pytest.raises(FileProblem) as problem:
            apply(library.root, plan, still_ours=yes)
    finally:
        os.close(descriptor)

    assert problem.value.reason is Reason.LOCKED
    assert problem.value.transient
    assert library.bytes_of(key) == before
    assert library.names() == {"a.jpg"}


def test_a_new_sidecar_never_replaces_a_file_that_appeared_meanwhile(library: Library) -> None:
    key = library.add("a.nef", b"II*\0raw")
    (plan,) = library.plan(key, {"title": "T"}).files
    assert plan.mode is Mode.CREATE
    assert settle(library.root, plan) is Outcome.OLD
    library.add("a.xmp", b"someone's")

    with pytest.raises(Changed):
        apply(library.root, plan, still_ours=yes)

    assert settle(library.root, plan) is Outcome.FOREIGN
    assert library.bytes_of(b"a.xmp") == b"someone's"
    assert library.names() == {"a.nef", "a.xmp"}


def test_what_was_written_is_read_back_and_compared(library: Library) -> None:
    key = library.add("a.jpg", jpeg())
    planned = library.plan(key, {"title": "T"})

    with pytest.raises(FileProblem) as problem:
        library.apply(planned.__class__(**{**vars(planned), "files": ()}))

    assert problem.value.reason is Reason.VERIFY_FAILED


def test_a_custom_field_that_is_no_longer_declared_stays_in_the_catalog_and_is_not_written(library: Library) -> None:
    key = library.add("a.jpg", jpeg())

    planned = library.plan(key, {"title": "T", "custom.gone": ["kept"]}, base={"embedded": {"custom.gone": ["old"]}})

    assert library.apply(planned).tags == {"title": "T"}
    assert planned.tags == {"title": "T", "custom.gone": ["kept"]}
    assert not library.plan(key, planned.tags).files
