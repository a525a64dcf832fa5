"""Dates as mail headers spell them, which PNG recommends: `Tue, 09 Feb 2021 14:29:00 +0100`."""

from __future__ import annotations

import re
from datetime import date

from .codecs import Codec, Raw, date_text
from .dates import InvalidDate, PartialDate, parse_date
from .policy import Policy
from .tags import tidy

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONES = {"": "", "UT": "Z", "UTC": "Z", "GMT": "Z", "Z": "Z", "EST": "-05:00", "EDT": "-04:00", "CST": "-06:00"} | {
    "CDT": "-05:00", "MST": "-07:00", "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00"
}  # fmt: skip
_DATE = re.compile(
    r"(?:[A-Za-z]+,?\s+)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*[\s-]+(\d{4})\s+(\d{1,2}):(\d\d)(:\d\d)?\s*"
    r"(?:([+-]\d\d):?(\d\d)|([A-Za-z]*))",
    re.ASCII,
)


def _decode(raw: str, _policy: Policy) -> str | None:
    found = _DATE.fullmatch(tidy(raw))
    if found is None:
        return date_text(raw)
    month, zone = found[2].title(), (found[9] or "").upper()
    if month not in _MONTHS or zone not in _ZONES:
        return None
    offset = f"{found[7]}:{found[8]}" if found[7] else _ZONES[zone]
    day = f"{found[3]}-{_MONTHS.index(month) + 1:02}-{int(found[1]):02}"
    return date_text(f"{day}T{int(found[4]):02}:{found[5]}{found[6] or ':00'}{offset}")


def _encode(value: str, _old: Raw, _policy: Policy) -> str | None:
    try:
        parsed = parse_date(tidy(value))
    except InvalidDate:
        return None
    return _spelled(parsed) or str(parsed)


def _spelled(parsed: PartialDate) -> str | None:
    """The date in this spelling, without a fraction; None for one that is not known to the minute."""
    if parsed.month is None or parsed.day is None or parsed.hour is None or parsed.minute is None:
        return None
    weekday = _DAYS[date(parsed.year, parsed.month, parsed.day).weekday()]
    offset = f" {parsed.offset.replace(':', '')}" if parsed.offset else ""
    day = f"{weekday}, {parsed.day:02} {_MONTHS[parsed.month - 1]} {parsed.year:04}"
    return f"{day} {parsed.hour:02}:{parsed.minute:02}:{parsed.second or 0:02}{offset}"


MAIL_DATE = Codec(_encode, _decode)
"""Reads ISO 8601 and Exif's spelling too, and writes ISO 8601 where the date is not known to the minute."""
