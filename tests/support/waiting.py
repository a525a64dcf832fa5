"""Waiting for what no stream tells."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.client import PATIENCE_S


def until(reached: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Look again and again; return when it has come about."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "not reached"
        time.sleep(0.005)
