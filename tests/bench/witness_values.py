"""What ExifTool prints of a value (`-n`), as the value of a field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Any

_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(value: Any) -> str | None:
    """A text without control characters and blanks at its edges; None for an empty one."""
    if value is None or isinstance(value, dict | list):
        return None
    plain = _NO_TEXT.sub("", str(value).replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", plain).strip(" \t\n\xa0\u2028\u2029") or None


def number(value: Any) -> float | None:
    """A number; None for what is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if abs(found) < float("inf") else None


def positive(value: Any) -> float | None:
    """A number above zero."""
    found = number(value)
    return found if found is not None and found > 0 else None


def names(value: Any) -> list[str] | None:
    """The names of a list with semicolons; one in quotes may hold one."""
    if isinstance(value, list):
        value = value[0] if value else ""
    found = re.findall(r'\s*("(?:[^"]|"")*"|[^;]*)\s*(?:;|$)', str(value))
    plain = [name[1:-1].replace('""', '"') if re.fullmatch(r'".*"', name, re.DOTALL) else name for name in found]
    return [name for name in map(text, plain) if name] or None


def semicolons(value: Any) -> list[str] | None:
    """The words between semicolons."""
    return [word for word in map(text, str(value).split(";")) if word] or None


def commas(value: Any) -> list[str] | None:
    """The words between commas or semicolons."""
    return semicolons(str(value).replace(",", ";"))


def stars(value: Any) -> int | None:
    """A rating from -1 to 5."""
    found = number(value)
    return round(found) if found is not None and -1 <= round(found) <= 5 else None


def percent(value: Any) -> int | None:
    """A rating of Microsoft's, which knows 1, 25, 50, 75 and 99 of 100."""
    found = number(value)
    return min(range(6), key=lambda star: abs((0, 1, 25, 50, 75, 99)[star] - found)) if found is not None else None


def popularity(value: Any) -> int | None:
    """A rating of 255, behind who gave it and before how often it was played."""
    found = re.fullmatch(r".*?(\d+)( \d+)?", str(value))
    given = int(found[1]) if found else None
    return min(range(6), key=lambda star: abs((0, 1, 64, 128, 196, 255)[star] - given)) if given is not None else None


def pick(value: Any) -> int | None:
    """1, 0 or -1."""
    return int(value) if str(value) in ("1", "0", "-1") else None


def good(value: Any) -> int | None:
    """True or false."""
    return {"true": 1, "false": -1}.get(str(value).lower())


def pick_label(value: Any) -> int | None:
    """Rejected, none, accepted; pending is none of ours."""
    return {"1": -1, "0": 0, "3": 1}.get(str(value))


def colour(listed: str) -> Callable[[Any], str | None]:
    """A colour that is kept as its place in a list, counted from one."""
    names = dict(enumerate(listed.split(), 1))

    def read(value: Any) -> str | None:
        found = names.get(int(value), "-") if str(value).isdecimal() else "-"
        return found.capitalize() if found != "-" else None

    return read


_DATE = re.compile(
    r"(\d{4})(?:[:-](\d\d)(?:[:-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)


def date(value: Any) -> str | None:
    """A date in ISO 8601, as exact as it is; None for what is none or can't be."""
    found = _DATE.fullmatch(text(value) or "")
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001 - a check of the ranges
    except ValueError:
        return None
    whole = "-".join(part for part in (year, month, day) if part)
    if hour:
        whole += f"T{hour}:{minute}" + (f":{second}{fraction or ''}" if second else "")
    return whole + ("+00:00" if zone == "Z" else zone or "")


def position(lat: float, lon: float, alt: float | None) -> dict[str, float] | None:
    """A position; None for one that is not on Earth."""
    if abs(lat) > 90 or abs(lon) > 180:
        return None
    return {"lat": lat, "lon": lon} | ({} if alt is None else {"alt": alt})


def below_zero(metres: float, below: bool) -> float:
    """A height, which is a depth if something else says so."""
    return -abs(metres) if below else metres


def place(value: Any) -> dict[str, float] | None:
    """A position as ExifTool prints ISO 6709, three numbers with blanks in between, or the place of a 3GP file."""
    named = re.search(r"Lat=(\S+) Lon=(\S+) Alt=(\S+)", str(value))
    parts = [number(part) for part in (named.groups() if named else str(value).split())]
    if len(parts) < 2 or any(part is None for part in parts):
        return None
    lat, lon, *alt = [part for part in parts if part is not None]
    return position(lat, lon, alt[0] if alt else None)
