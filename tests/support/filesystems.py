"""Small file systems of their own for tests, to be filled up or made read-only. Only root may mount them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BLOCK = 1024
_FILLER = "filler"


@dataclass(frozen=True)
class Mounted:
    """An ext4 of a few megabytes, mounted at `path`."""

    path: Path

    def leave(self, blocks: int) -> None:
        """Take all its room but for about so many blocks."""
        with (self.path / _FILLER).open("wb") as file:
            length, step = 0, 1024
            while step:
                try:
                    os.posix_fallocate(file.fileno(), length, step * BLOCK)
                    length += step * BLOCK
                except OSError:
                    step //= 2  # no room for that
            file.truncate(length - blocks * BLOCK)

    def free(self) -> None:
        """Give the room back."""
        (self.path / _FILLER).unlink()

    def make_read_only(self) -> None:
        """As after an error of the disk, or as its owner wants it."""
        _run("mount", "-o", "remount,ro", self.path)


@contextlib.contextmanager
def small_ext4(folder: Path, megabytes: int = 4) -> Iterator[Mounted]:
    """A fresh ext4; the test is not run where nothing may be mounted."""
    image, path = folder / "image", folder / "mounted"
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        _not_here()
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", "-b", str(BLOCK), "-m", "0", "-O", "^has_journal", image)
    try:
        _run("mount", "-o", "loop", image, path)
    except subprocess.CalledProcessError:
        _not_here()
    try:
        (path / "lost+found").rmdir()
        yield Mounted(path)
    finally:
        _run("umount", path)


def _not_here() -> None:
    if os.environ.get("INDELIBLE_REQUIRE_TOOLS") == "1":
        pytest.fail("needs root that may mount an ext4")
    pytest.skip("needs root that may mount an ext4")


def _run(*command: str | Path) -> None:
    subprocess.run([os.fspath(part) for part in command], check=True, capture_output=True)
