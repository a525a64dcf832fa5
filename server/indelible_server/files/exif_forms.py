"""Forms in Exif: texts and numbers, the date with its fraction and offset, and the position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from .codecs import TEXT, Codec
from .dates import InvalidDate, PartialDate, parse_date
from .exif import Exif, Ifd
from .exif_values import ExifKind, is_camera_default, text_of
from .forms import Block, Metadata, Rule, is_structure
from .policy import Policy
from .tags import ALTITUDE_STEPS, GPS_STEPS, Value, tidy
from .tiff import ASCII, BYTE, RATIONAL, SRATIONAL

_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d|Z")
_SECOND_STEPS = 500_000
"""A second of arc in so many steps is exact for a position in steps of 1e-7°."""


@dataclass(frozen=True)
class ExifForm:
    """One value. A guarded one may be another program's structure, or what a camera puts there by itself."""

    ifd: Ifd
    tag: int
    kind: ExifKind
    rule: Rule = Rule.PRESENT
    codec: Codec = TEXT
    guarded: bool = False

    block: ClassVar[Block] = Block.EXIF
    props: ClassVar[frozenset[str] | None] = None

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        if metadata.exif is None:
            return False
        data = metadata.exif.value(self.ifd, self.tag)
        if data is None:
            return False
        return not (self.guarded and is_structure(self.kind.load(metadata.exif, data, Policy())))

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        if metadata.exif is None or not self.is_present(metadata):
            return None
        data = metadata.exif.value(self.ifd, self.tag) or b""
        text = self.kind.load(metadata.exif, data, policy)
        if not tidy(text) or (self.guarded and is_camera_default(text)):
            return None
        return self.codec.decode(text, policy)

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        if metadata.exif is None:
            return
        present = metadata.exif.value(self.ifd, self.tag) or b""
        text = None if value is None else self.codec.encode(value, None, policy)
        data = self.kind.dump(metadata.exif, text, present)
        if data is None:
            metadata.exif.remove(self.ifd, self.tag)
        else:
            metadata.exif.set(self.ifd, self.tag, self.kind.type, data)

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        text = None if value is None else self.codec.encode(value, None, policy)
        return None if text is None else self.codec.decode(text, policy)


@dataclass(frozen=True)
class ExifDate:
    """A date with a time of day, in three values: to the second, the fraction, the offset."""

    date: int
    fraction: int
    offset: int
    rule: Rule = Rule.PRIMARY

    block: ClassVar[Block] = Block.EXIF
    props: ClassVar[frozenset[str] | None] = None

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        return metadata.exif is not None and metadata.exif.value(Ifd.EXIF, self.date) is not None

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        found = _DATE.fullmatch(self._text(metadata, self.date))
        if found is None:
            return None
        fraction = self._text(metadata, self.fraction)
        offset = self._text(metadata, self.offset)
        text = "{}-{}-{}T{}:{}:{}".format(*found.groups())
        if re.fullmatch(r"[0-9]{1,9}", fraction):
            text += f".{fraction}"
        if _OFFSET.fullmatch(offset):
            text += offset
        try:
            return str(parse_date(text))
        except InvalidDate:
            return None

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        date = _to_the_second(value)
        if date is None:
            for tag in (self.date, self.fraction, self.offset) if metadata.exif is not None else ():
                metadata.exif_block().remove(Ifd.EXIF, tag)
            return
        plain = PartialDate(date.year, date.month, date.day, date.hour, date.minute, date.second or 0)
        day, _, time = str(plain).partition("T")
        exif = metadata.exif_block()
        _set_text(exif, self.date, f"{day.replace('-', ':')} {time}")
        _set_text(exif, self.fraction, date.fraction)
        _set_text(exif, self.offset, date.offset or "")

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        date = _to_the_second(value)
        return None if date is None else str(date)

    def _text(self, metadata: Metadata, tag: int) -> str:
        data = metadata.exif.value(Ifd.EXIF, tag) if metadata.exif else None
        return tidy(text_of((data or b"").partition(b"\0")[0], Policy()))


def _to_the_second(value: Value | None) -> PartialDate | None:
    """The date; None for none, and for one that is known less exactly than Exif can say."""
    try:
        date = parse_date(tidy(str(value)))
    except InvalidDate:
        return None
    return None if date.hour is None or date.year < 1 else date


def _set_text(exif: Exif, tag: int, text: str) -> None:
    if text:
        exif.set(Ifd.EXIF, tag, ASCII, text.encode() + b"\0")
    else:
        exif.remove(Ifd.EXIF, tag)


_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT = range(1, 7)
_BELOW = (1, 3)
_WITH_POSITION = (7, *range(12, 32))
"""What is said about a position: it goes with it, but is not touched when it changes."""


@dataclass(frozen=True)
class ExifPosition:
    """The position: all of it or nothing."""

    rule: Rule = Rule.PRIMARY
    is_source: bool = True

    block: ClassVar[Block] = Block.EXIF
    props: ClassVar[frozenset[str] | None] = None

    def is_present(self, metadata: Metadata) -> bool:
        exif = metadata.exif
        return exif is not None and any(exif.value(Ifd.GPS, tag) is not None for tag in range(_LAT_REF, _ALT + 1))

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        if metadata.exif is None:
            return None
        lat = _degrees(metadata.exif, _LAT, _LAT_REF, b"NS", 90)
        lon = _degrees(metadata.exif, _LON, _LON_REF, b"EW", 180)
        if lat is None or lon is None:
            return None
        altitude = _altitude(metadata.exif)
        return {"lat": lat, "lon": lon} | ({} if altitude is None else {"alt": altitude})

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        if not isinstance(value, dict):
            for tag in (*range(_LAT_REF, _ALT + 1), *_WITH_POSITION) if metadata.exif is not None else ():
                metadata.exif_block().remove(Ifd.GPS, tag)
            return
        exif = metadata.exif_block()
        _set_degrees(exif, _LAT, _LAT_REF, value["lat"], "NS")
        _set_degrees(exif, _LON, _LON_REF, value["lon"], "EW")
        if "alt" not in value:
            exif.remove(Ifd.GPS, _ALT)
            exif.remove(Ifd.GPS, _ALT_REF)
            return
        steps = round(value["alt"] * ALTITUDE_STEPS)
        exif.set(Ifd.GPS, _ALT, RATIONAL, exif.pack("2I", abs(steps), ALTITUDE_STEPS))
        exif.set(Ifd.GPS, _ALT_REF, BYTE, bytes([steps < 0]))

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        return value


def _degrees(exif: Exif, tag: int, ref_tag: int, letters: bytes, most: int) -> float | None:
    numbers = _rationals(exif, tag, 3)
    ref = (exif.value(Ifd.GPS, ref_tag) or b"")[:1].upper()
    # Without the letter it is one of two places: nobody can say which.
    if not numbers or not ref or ref not in letters or not numbers[1] or not numbers[3]:
        return None
    whole, of_whole, minutes, of_minutes, seconds, of_seconds = numbers if numbers[5] else (*numbers[:4], 0, 1)
    above = (whole * of_minutes * 60 + minutes * of_whole) * of_seconds * 60 + seconds * of_whole * of_minutes
    below = of_whole * of_minutes * of_seconds * 3600
    if not 0 <= above <= most * below:
        return None
    # A quotient of whole numbers is rounded only once, however large they are.
    return (-above if ref == letters[1:] else above) / below


def _rationals(exif: Exif, tag: int, count: int) -> tuple[int, ...]:
    """Numerators and denominators; none if the value is something else, such as a text."""
    code = {RATIONAL: "I", SRATIONAL: "i"}.get(exif.kind(Ifd.GPS, tag) or 0)
    return exif.unpack(f"{2 * count}{code}", exif.value(Ifd.GPS, tag) or b"") if code else ()


def _set_degrees(exif: Exif, tag: int, ref_tag: int, degrees: float, letters: str) -> None:
    steps = round(degrees * GPS_STEPS)
    whole, rest = divmod(abs(steps), GPS_STEPS)
    minutes, rest = divmod(rest * 60, GPS_STEPS)
    seconds = rest * 60 * _SECOND_STEPS // GPS_STEPS
    exif.set(Ifd.GPS, tag, RATIONAL, exif.pack("6I", whole, 1, minutes, 1, seconds, _SECOND_STEPS))
    exif.set(Ifd.GPS, ref_tag, ASCII, letters[steps < 0].encode() + b"\0")


def _altitude(exif: Exif) -> float | None:
    numbers = _rationals(exif, _ALT, 1)
    if not numbers or not numbers[1]:
        return None
    metres = numbers[0] / numbers[1]
    return -metres if (exif.value(Ifd.GPS, _ALT_REF) or b"\0")[:1] in (bytes([below]) for below in _BELOW) else metres
