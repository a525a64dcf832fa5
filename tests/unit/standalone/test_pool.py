"""The processes of `indelibled file`."""

from __future__ import annotations

import os
from pathlib import Path

from indelible_server.standalone.pool import patience


def test_large_files_are_given_the_time_that_a_copy_takes(tmp_path: Path) -> None:
    large = tmp_path / "a.mov"
    large.touch()
    os.truncate(large, 50_000_000_000)

    assert patience((os.fsencode(large), b"/nowhere")) - patience((b"/nowhere",)) == 10_000
