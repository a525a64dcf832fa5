"""`taken_at`: an ISO 8601 text whose precision and offset are part of its meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<offset>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)

# No zone is further from UTC.
ANY_ZONE = timedelta(hours=15)


class InvalidDate(ValueError):
    """A text that is no date; the message says why."""


@dataclass(frozen=True)
class PartialDate:
    """A date as exactly as it is known: None from the first unknown part on. `fraction` are digits of the second."""

    year: int
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    fraction: str = ""
    offset: str | None = None

    def __str__(self) -> str:
        text = f"{self.year:04}"
        for separator, part in (("-", self.month), ("-", self.day), ("T", self.hour), (":", self.minute)):
            if part is None:
                return text
            text += f"{separator}{part:02}"
        if self.second is not None:
            text += f":{self.second:02}" + (f".{self.fraction}" if self.fraction else "")
        return text + (self.offset or "")


def is_before(one: str, other: str) -> bool:
    """Whether one moment is before another for certain: never where a text is no date, or its zone could decide."""
    try:
        first, second = _moment(parse_date(one)), _moment(parse_date(other))
    except (InvalidDate, OverflowError):
        return False
    return first[1] <= second[0]


def _moment(when: PartialDate) -> tuple[datetime, datetime]:
    """The first moment, by UTC, that a date may mean, and the first that it can't."""
    day = datetime(when.year or 1, when.month or 1, when.day or 1, tzinfo=UTC)
    time = timedelta(hours=when.hour or 0, minutes=when.minute or 0, seconds=when.second or 0)
    first = day + time + timedelta(microseconds=int(f"{when.fraction:0<6}"[:6]))
    parts = (
        (when.month, timedelta(days=366)),
        (when.day, timedelta(days=31)),
        (when.hour, timedelta(days=1)),
        (when.second, timedelta(minutes=1)),
    )
    exact = timedelta(microseconds=10 ** (6 - min(len(when.fraction), 6)))
    span = next((length for part, length in parts if part is None), exact)
    if when.offset is None:
        return first - ANY_ZONE, first + span + ANY_ZONE
    sign = -1 if when.offset.startswith("-") else 1
    offset = sign * timedelta(hours=int(when.offset[1:3]), minutes=int(when.offset[4:]))
    return first - offset, first - offset + span


def parse_date(text: str) -> PartialDate:
    """The date in `text`, with `Z` read as `+00:00`; raises `InvalidDate` for what is none or can't be."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise InvalidDate("it is not written as YYYY-MM-DDThh:mm:ss±hh:mm")
    part = {name: int(found[name]) if found[name] else None for name in ("month", "day", "hour", "minute", "second")}
    offset = "+00:00" if found["offset"] == "Z" else found["offset"]
    parsed = PartialDate(int(found["year"]), **part, fraction=found["fraction"] or "", offset=offset)
    try:
        date(parsed.year, parsed.month or 1, parsed.day or 1)
        datetime(2000, 1, 1, parsed.hour or 0, parsed.minute or 0, parsed.second or 0)  # noqa: DTZ001 - a check of the ranges
    except ValueError as error:
        raise InvalidDate(str(error)) from error
    if offset is not None and (int(offset[1:3]) > 15 or int(offset[4:]) > 59):
        raise InvalidDate(f"there is no offset {offset}")
    return parsed


def shift_date(text: str, by: timedelta) -> str:
    """The date moved by `by`, as exact as before; one without a time of day, or out of the calendar, stays as it is."""
    try:
        parsed = parse_date(text)
        if parsed.hour is None or parsed.month is None or parsed.day is None:
            return text
        moved = by + datetime(  # noqa: DTZ001 - local time of the place; the offset stays as written
            parsed.year, parsed.month, parsed.day, parsed.hour, parsed.minute or 0, parsed.second or 0
        )
    except (InvalidDate, OverflowError):
        return text
    second = None if parsed.second is None else moved.second
    return str(
        PartialDate(
            moved.year,
            moved.month,
            moved.day,
            moved.hour,
            moved.minute,
            second,
            parsed.fraction,
            parsed.offset,
        )
    )
