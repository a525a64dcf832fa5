"""Old copies: a program that had read a file before we wrote it saves it after, and has not changed what we wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..files.dates import is_before
from ..files.plan import Home
from ..files.reading import Reading
from ..files.tags import Tags, difference, element, is_list, same
from ..storage.item import Item
from ..storage.writes import VERIFIED, Write

_NEVER = object()


def set_aside(item: Item, reading: Reading, written: Sequence[Write]) -> tuple[dict[str, Tags], dict[str, Any]]:
    """What a merge starts from, per home, so that old copies are no news; and these: field -> what the file says.

    `written` are the last writes of the item. What people want of such a field is then to be written once more.
    """
    base: dict[str, Tags] = {}
    old_copies: dict[str, Any] = {}
    for home, known in item.homes.items():
        read_then = dict(known)
        if _is_older(item, reading, home):
            found = reading.homes.get(Home(home), {})
            for field in difference(known, found):
                before = _read_before(field, known.get(field), found.get(field), written)
                if before is not _NEVER:
                    read_then[field] = before
                    old_copies[field] = found.get(field)
        base[home] = {field: value for field, value in read_then.items() if value is not None}
    return base, old_copies


def _read_before(field: str, known: Any, found: Any, written: Sequence[Write]) -> Any:
    """What the program had read before one of our writes, as far as what it has saved tells; or `_NEVER`.

    A list may have been changed by the program too: then it started from the one that is nearest.
    """
    read = [each.changes[field][0] for each in written if each.outcome == VERIFIED and field in each.changes]
    if is_list(field):
        nearest = min(read, key=lambda value: _distance(field, value, found), default=known)
        return nearest if _distance(field, nearest, found) < _distance(field, known, found) else _NEVER
    return next((value for value in read if same(field, value, found)), _NEVER)


def _distance(field: str, one: Any, other: Any) -> int:
    """How many elements two lists do not have in common."""
    return len({element(field, text) for text in one or []} ^ {element(field, text) for text in other or []})


def _is_older(item: Item, reading: Reading, home: str) -> bool:
    """Whether a home's metadata are older than what we wrote, or have lost their date.

    Most programs leave the date alone, so that one which is ours still proves nothing.
    """
    ours, theirs = (item.dates or {}).get(home), reading.dates.get(Home(home))
    return ours is not None and (theirs is None or is_before(theirs, ours))
