"""The manners of network shares: what is there decides, and not what a call has answered (I2, I4)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.plan import Mode
from indelible_server.files.port import Folder, Root
from indelible_server.files.problems import Changed, FileProblem, Reason
from indelible_server.files.settle import Outcome, settle
from support.shares import Share
from support.ways import MARK, WAYS, Way, contents, make_way


@pytest.fixture(scope="module")
def smb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    with Share("smb", tmp_path_factory.mktemp("shares")) as share:
        yield share


@pytest.fixture(scope="module")
def mounted_nfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    with Share("nfs", tmp_path_factory.mktemp("shares")) as share:
        yield share


@pytest.fixture
def nfs(mounted_nfs: Share) -> Iterator[Share]:
    yield mounted_nfs
    mounted_nfs.relent()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return make_way(request.param, tmp_path / "library")


def applied(share: Share, way: Way) -> FileProblem | None:
    """Apply the plan; gives back why that was refused."""
    try:
        with Root(str(share.path)) as root:
            apply(root, way.plan, still_ours=lambda: True)
    except FileProblem as problem:
        return problem
    return None


def settled(share: Share, way: Way) -> Outcome:
    with Root(str(share.path)) as root:
        outcome = settle(root, way.plan)
        way.check_settled(root, outcome)
    return outcome


def test_i2_a_file_that_someone_has_open_on_smb_is_locked_until_it_is_closed(smb: Share, tmp_path: Path) -> None:
    way = make_way("replace", tmp_path / "library").laid(smb.path)
    with open(smb.path / os.fsdecode(way.plan.target), "rb"):
        problem = applied(smb, way)
        assert problem is not None
        assert (problem.reason, problem.transient) == (Reason.LOCKED, True)
        assert contents(smb.path)[way.plan.target] == way.old
        with Root(str(smb.path)) as root:
            assert settle(root, way.plan) is Outcome.OLD
    assert applied(smb, way) is None
    assert contents(smb.path) == way.content(Outcome.NEW)


@pytest.mark.parametrize("name", ["replace", "sidecar"])
def test_i4_a_write_that_coarse_times_do_not_show_is_noticed(
    smb: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A program writes where we change nothing, while we copy, within the two seconds of one step."""
    way = make_way(name, tmp_path / "library").laid(smb.path)
    path = smb.path / os.fsdecode(way.plan.target)
    theirs = (way.old or b"").replace(MARK, b"edit:000000000007")
    exchange = Folder.exchange

    def raced(folder: Folder, temp: bytes, name: bytes) -> bool:
        with path.open("r+b") as file:
            file.write(theirs)
        return exchange(folder, temp, name)

    monkeypatch.setattr(Folder, "exchange", raced)
    with Root(str(smb.path)) as root, pytest.raises(Changed):
        apply(root, way.plan, still_ours=lambda: True)
    assert contents(smb.path) == {way.plan.target: theirs}


def test_i2_what_smb_does_not_know_is_not_missed(smb: Share, way: Way) -> None:
    """No exchange, links, owners, modes, attributes, fsync of folders or exact times."""
    laid = way.laid(smb.path)
    assert applied(smb, laid) is None
    assert settled(smb, laid) is Outcome.NEW


def test_i2_on_smb_a_name_in_another_case_is_the_same_file(smb: Share, way: Way) -> None:
    laid = way.laid(smb.path)
    assert applied(smb, replace(laid, plan=replace(laid.plan, target=laid.plan.target.upper()))) is None
    assert settled(smb, laid) is Outcome.NEW


@pytest.mark.parametrize("operation", ["write", "fsync", "flush"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_i2_what_nfs_tells_only_at_fsync_or_close_is_heard(nfs: Share, way: Way, operation: str, number: int) -> None:
    if way.plan.mode is Mode.REMOVE:
        return  # nothing is written
    laid = way.laid(nfs.path)
    nfs.fail(operation, number)
    problem = applied(nfs, laid)
    assert problem is not None
    assert (problem.reason, problem.transient) == (Reason.NO_SPACE, True)
    nfs.relent()
    outcome = settled(nfs, laid)
    assert (outcome is Outcome.NEW) is (way.plan.in_place and operation != "write")


def test_i2_a_rename_that_nfs_has_made_and_denies_counts_as_made(nfs: Share, way: Way) -> None:
    laid = way.laid(nfs.path)
    nfs.fail("rename", errno.ENOENT, done=True)
    assert applied(nfs, laid) is None
    assert settled(nfs, laid) is Outcome.NEW


@pytest.mark.parametrize("operation", ["lookup", "getattr", "open", "read", "write", "rename", "link", "fsync"])
def test_i2_a_stale_handle_is_storage_that_is_away(nfs: Share, way: Way, operation: str) -> None:
    laid = way.laid(nfs.path)
    nfs.fail(operation, errno.ESTALE, times=1000)
    problem = applied(nfs, laid)
    nfs.relent()
    if problem is not None:
        assert (problem.reason, problem.transient) == (Reason.STORAGE_OFFLINE, True)
    outcome = settled(nfs, laid)
    assert problem is not None or outcome is Outcome.NEW


def test_i2_after_a_new_mount_content_decides_although_all_inodes_are_new(nfs: Share, tmp_path: Path) -> None:
    """Killed between the exchange and the end: the replaced original is known by what it holds."""
    way = make_way("replace", tmp_path / "library").laid(nfs.path)
    target, temp = (nfs.path / os.fsdecode(name) for name in (way.plan.target, way.plan.temp))
    target.rename(temp)
    target.write_bytes(way.new or b"")
    nfs.mount_again()
    assert settled(nfs, way) is Outcome.NEW


def test_i4_after_a_new_mount_a_file_is_looked_at_again_before_it_is_written(nfs: Share, way: Way) -> None:
    if way.plan.mode is Mode.CREATE:
        return  # there is no file to be looked at
    laid = way.laid(nfs.path)
    nfs.mount_again()
    with Root(str(nfs.path)) as root, pytest.raises(Changed):
        apply(root, laid.plan, still_ours=lambda: True)
    assert settled(nfs, laid) is Outcome.OLD
