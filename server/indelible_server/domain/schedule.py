"""When a catalog's files may be written: spans of the week by the clock on the wall of one time zone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from ..errors import invalid

WINDOWS = 100
EVERY_DAY = frozenset(range(1, 8))
_DAY = 24 * 60
_TIME = re.compile(r"(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")
# Windows repeat every week; a change of the clocks may hide one of them.
_DAYS_AHEAD = 15
_LOOK_BACK_MS = 8 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Window:
    """A span that starts on these days (ISO numbers); `start` and `end` are minutes, past 24 h for the next day."""

    days: frozenset[int]
    start: int
    end: int

    def covers(self, local: datetime) -> bool:
        """Whether it is open when the clock on the wall says this."""
        minute = local.hour * 60 + local.minute
        yesterday = (local.isoweekday() - 2) % 7 + 1
        return (local.isoweekday() in self.days and self.start <= minute < self.end) or (
            yesterday in self.days and minute + _DAY < self.end
        )


@dataclass(frozen=True)
class Schedule:
    """When files may be written; without windows, at any time.

    Windows go by the clock on the wall: what lies in the hour that is left out in spring is left out, what lies in
    the hour that comes twice in autumn is open twice.
    """

    windows: tuple[Window, ...] = ()
    time_zone: str = "UTC"

    def is_open(self, at: int) -> bool:
        """Whether files may be written at this time, in milliseconds; never in a zone that this host does not know."""
        if not self.windows:
            return True
        if not _is_zone(self.time_zone):
            return False
        local = _time(at).astimezone(ZoneInfo(self.time_zone))
        return any(window.covers(local) for window in self.windows)

    def next_change(self, at: int) -> int | None:
        """When it opens if it is shut, or shuts if it is open; None if it never does."""
        if not self.windows or not _is_zone(self.time_zone):
            return None
        present = self.is_open(at)
        return next(
            (moment for moment in self._moments(at) if moment > at and self.is_open(moment) is not present), None
        )

    def opened_at(self, at: int) -> int | None:
        """When the window opened that is open at this time; None if that was long ago, or it is always open."""
        if not self.windows or not _is_zone(self.time_zone):
            return None
        start = at - _LOOK_BACK_MS
        opened, was_open = None, self.is_open(start)
        for moment in (each for each in self._moments(start) if start < each <= at):
            is_open = self.is_open(moment)
            opened, was_open = (moment if is_open and not was_open else opened), is_open
        return opened

    def _moments(self, at: int) -> Iterator[int]:
        """Every time at which it may open or shut, in order: the windows' ends, and where the clocks are changed."""
        zone = ZoneInfo(self.time_zone)
        today = _time(at).astimezone(zone).date()
        for ahead in range(-1, _DAYS_AHEAD):
            midnight = datetime.combine(today + timedelta(days=ahead), time(), zone)
            noted = {midnight + timedelta(minutes=minute) for minute in self._minutes()}
            found = {_milliseconds(moment.replace(fold=fold)) for moment in noted for fold in (0, 1)}
            yield from sorted(found | set(_clock_changes(midnight)))

    def _minutes(self) -> set[int]:
        return {minute % _DAY for window in self.windows for minute in (window.start, window.end)}

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        windows = [{"days": sorted(each.days), "start": each.start, "end": each.end} for each in self.windows]
        return {"windows": windows, "time_zone": self.time_zone}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Self:
        """What was stored; None: at any time."""
        if values is None:
            return cls()
        windows = (Window(frozenset(each["days"]), each["start"], each["end"]) for each in values["windows"])
        return cls(tuple(windows), values["time_zone"])


def make_schedule(windows: Iterable[tuple[Iterable[int], str, str]], time_zone: str, field: str) -> Schedule:
    """A schedule as people give it: days (none: every day), "HH:MM" to "HH:MM"; no zone: that of this machine.

    Raises `InvalidArgument` that names what is wrong.
    """
    made = []
    for place, (days, start, end) in enumerate(windows):
        at = f"{field}.windows[{place}]"
        chosen = frozenset(days)
        if chosen - EVERY_DAY:
            raise invalid(f"{at}.days", f"has {min(chosen - EVERY_DAY)}, which is no day of the week")
        first, last = _minute(start, f"{at}.start"), _minute(end, f"{at}.end")
        if first == _DAY:
            raise invalid(f"{at}.start", "is 24:00: a day starts at 00:00")
        made.append(Window(chosen or EVERY_DAY, first, last if last > first else last + _DAY))
    if len(made) > WINDOWS:
        raise invalid(f"{field}.windows", f"has more than {WINDOWS} windows")
    return Schedule(tuple(made), _known_zone(time_zone, f"{field}.time_zone") if time_zone else local_zone())


def clock(minute: int) -> str:
    """A minute of the day or of the next one, as people write it."""
    return "24:00" if minute == _DAY else f"{minute % _DAY // 60:02}:{minute % 60:02}"


def local_zone() -> str:
    """The IANA name of this machine's time zone; UTC where it has none."""
    linked = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").removeprefix(":"), linked):
        if name and _is_zone(name):
            return name
    return "UTC"


def _known_zone(name: str, field: str) -> str:
    if not _is_zone(name):
        raise invalid(field, f'is no time zone: {name!r}; one is called like "Europe/Rome"')
    return name


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _minute(text: str, field: str) -> int:
    match = _TIME.fullmatch(text)
    if not match:
        raise invalid(field, f'is no time of the day: {text!r}; one is written like "22:00"')
    hours, minutes = (match[1], match[2]) if match[1] else (match[3], match[4])
    return int(hours) * 60 + int(minutes)


def _clock_changes(midnight: datetime) -> Iterator[int]:
    """When the clocks are changed on a day: at most once."""
    before, after = _milliseconds(midnight), _milliseconds(midnight + timedelta(days=1))
    zone = midnight.tzinfo
    offset = _time(before).astimezone(zone).utcoffset()
    if _time(after).astimezone(zone).utcoffset() == offset:
        return
    while after - before > 1000:
        middle = (before + after) // 2
        if _time(middle).astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    yield after // 1000 * 1000


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
