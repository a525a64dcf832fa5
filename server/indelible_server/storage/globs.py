"""Globs over paths: `*` and `?` stay within a folder, `**` does not, `[…]` is one of a set."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PARTS = re.compile(r"\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def literal_prefix(glob: str) -> str:
    """What every path begins with that the glob matches."""
    return re.split(r"[*?\[]", glob, maxsplit=1)[0]


def translate(glob: str) -> re.Pattern[str]:
    """The pattern that matches the whole of a path; a glob with a set that can't be matches only itself."""
    try:
        return re.compile("".join(_translated(glob)), re.DOTALL)
    except re.error:
        return re.compile(re.escape(glob))


def _translated(glob: str) -> Iterator[str]:
    for part in _PARTS.findall(glob):
        if part == "**":
            yield ".*"
        elif part == "*":
            yield "[^/]*"
        elif part == "?":
            yield "[^/]"
        elif part.startswith("[") and len(part) > 2:
            negated = part.startswith("[!")
            content = part[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[")
            yield f"(?!/)[{'^' if negated else ''}{content}]"
        else:
            yield re.escape(part)
