"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from indelible_server.files.port import Root
from unit.files.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library."""
    with Root(str(tmp_path)) as root:
        yield Library(tmp_path, root)
