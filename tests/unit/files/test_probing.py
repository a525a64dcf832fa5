"""What the storage of a root can do, told by trying it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from indelible_server.files import probing
from indelible_server.files.probing import RootAbility, probe


def test_a_local_filesystem_can_do_it_all(tmp_path: Path) -> None:
    can = probe(os.fsencode(tmp_path), read_only=False)
    assert (can.writable, can.replaces, can.hard_links, can.durable, can.case_sensitive) == (True,) * 5
    assert can.filesystem
    assert can.keeps_owner == (os.geteuid() == 0)
    assert 0 < can.time_step_ns <= 2_000_000_000


def test_nothing_is_left_behind_also_when_a_try_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"theirs")

    def broken(_file: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(probing, "_time_step", broken)
    assert not probe(os.fsencode(tmp_path), read_only=False).writable
    assert os.listdir(tmp_path) == ["photo.jpg"]
    assert (tmp_path / "photo.jpg").read_bytes() == b"theirs"


def test_of_a_read_only_root_nothing_is_tried(tmp_path: Path) -> None:
    before = tmp_path.stat()
    can = probe(os.fsencode(tmp_path), read_only=True)
    assert can == RootAbility(filesystem=can.filesystem)
    after = tmp_path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)


def test_a_folder_that_is_not_there_can_do_nothing(tmp_path: Path) -> None:
    assert probe(os.fsencode(tmp_path / "gone"), read_only=False) == RootAbility()


def test_what_was_stored_by_another_version_is_read(tmp_path: Path) -> None:
    can = probe(os.fsencode(tmp_path), read_only=False)
    assert RootAbility.from_json(can.to_json() | {"of a newer version": 1}) == can
    assert RootAbility.from_json({"filesystem": "nfs4"}) == RootAbility("nfs4")


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_mount_that_takes_nothing_is_told_so(tmp_path: Path, how: str) -> None:
    """On a filesystem that is really so."""
    options = {"read-only": "ro", "full": "size=4k,nr_inodes=1"}[how]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", tmp_path], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    try:
        can = probe(os.fsencode(tmp_path), read_only=False)
        assert (can.filesystem, can.writable) == ("tmpfs", False)
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
