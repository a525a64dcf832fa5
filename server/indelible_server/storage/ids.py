"""Ids for rows that no counter numbers: they sort by time and are never guessed twice."""

from __future__ import annotations

import secrets
import time


def new_id() -> str:
    """A fresh id of 24 hexadecimal digits: milliseconds first, then 52 random bits."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(7)[:13]}"
