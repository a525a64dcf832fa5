"""Forms as ExifTool shows them: each reads the value of a field in one place, None where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from exiftool_record import Record
from witness_values import below_zero, date, names, number, position, text

CAMERA_DEFAULTS = re.compile(
    r"OLYMPUS IMAGING CAMERA|SONY DSC|.*DIGITAL (STILL ?)?CAMERA|SAMSUNG|DEFAULT|DCIM|DCF 1.0|EXIF[ _]JPEG(_PICTURE)?"
)
STRUCTURE = re.compile(r"\s*(<\?xml|<OME|<MetaData>|ImageJ=|Aperio|\{|SCANIMAGE)")
LONGEST_CAPTION = 10_000

Value = Any
Read = Callable[[Any], Value | None]
Form = Callable[[Record], Value | None]

OF_XMP: set[Form] = set()
"""Those that are in XMP."""


def xmp(name: str, read: Read = text) -> Form:
    """A property of XMP: of a list the first item, of languages the default one."""

    def form(record: Record) -> Value | None:
        value = record.alternative(f"XMP-{name}") if read is text else record.first(f"XMP-{name}")
        return None if value is None else read(value[0] if isinstance(value, list) and read is not names else value)

    OF_XMP.add(form)
    return form


def listed(name: str) -> Form:
    """All texts of a list."""

    def form(record: Record) -> Value | None:
        return [found for found in map(text, record.all(name)) if found]

    if name.startswith("XMP-"):
        OF_XMP.add(form)
    return form


def one(name: str, read: Read = text) -> Form:
    """The first text of this name that is not blank."""

    def form(record: Record) -> Value | None:
        return next((found for found in (read(value) for value in record.all(name)) if found is not None), None)

    return form


def as_bytes(value: Any) -> str:
    """A text whose letters ExifTool took for Latin ones: mostly it is UTF-8."""
    data = b"".join(_byte(letter) for letter in str(value))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return str(value)


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1", "replace")


def iptc(name: str, read: Read = text) -> Form:
    """A dataset of IPTC."""

    def form(record: Record) -> Value | None:
        # All blocks are forms; the first that has it says it.
        for group in ("IPTC", "IPTC2", "IPTC3"):
            values = [_of_iptc(record, value) for value in record.all(f"{group}:{name}")]
            found = [part for part in map(read, values) if part is not None]
            if found:
                return found if name in ("Keywords", "By-line") else read(values[0])
        return None

    return form


def _of_iptc(record: Record, value: Any) -> str:
    return str(value) if record.first("IPTC:CodedCharacterSet") in ("\x1b%G", "UTF8") else as_bytes(value)


def exif(name: str, read: Read = text) -> Form:
    """A text or number of Exif."""

    def form(record: Record) -> Value | None:
        value = record.first(name)
        return None if value is None else read(as_bytes(value))

    return form


def wide(name: str, read: Read = text) -> Form:
    """A text of Windows in Exif."""
    return one(f"IFD0:{name}", read)


def caption(form: Form) -> Form:
    """A form that may be the structure of another program, or what a camera puts there by itself."""

    def guarded(record: Record) -> Value | None:
        value = form(record)
        if not value or STRUCTURE.match(value) or len(value) > LONGEST_CAPTION:
            return None
        return None if CAMERA_DEFAULTS.fullmatch(value.upper()) else value

    if form in OF_XMP:
        OF_XMP.add(guarded)
    return guarded


def id3(name: str, read: Read = text) -> tuple[Form, ...]:
    """A frame of ID3 tags of all versions."""
    return tuple(one(f"ID3v2_{version}:{name}", read) for version in (2, 3, 4))


def plain_comment(value: Any) -> str | None:
    """An ID3 comment without a description; ExifTool puts that in front, in brackets."""
    return None if re.match(r"\([^)]+\) ", str(value)) else text(value)


def photographer(value: Any) -> str | None:
    """The first part of a copyright; ExifTool puts the editor's into another line."""
    return text(str(value).partition("\n")[0])


def exif_date(record: Record) -> Value | None:
    """The date with its fraction and offset."""
    day = text(record.first("ExifIFD:DateTimeOriginal"))
    if day is None or not re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", day):
        return None
    fraction = text(record.first("ExifIFD:SubSecTimeOriginal")) or ""
    offset = text(record.first("ExifIFD:OffsetTimeOriginal")) or ""
    whole = day + (f".{fraction}" if re.fullmatch(r"\d{1,9}", fraction) else "")
    return date(whole + (offset if re.fullmatch(r"[+-]\d\d:\d\d|Z", offset) else ""))


def iptc_date(record: Record) -> Value | None:
    """The date, with the time of day if that is known; parts of zeros are unknown."""
    for group in ("IPTC", "IPTC2", "IPTC3"):
        day, time = (text(record.first(f"{group}:{name}")) for name in ("DateCreated", "TimeCreated"))
        if day is None:
            continue
        found = re.fullmatch(r"(\d{4}):(\d\d):(\d\d)", day)
        if found is None:
            continue
        known = [part for part in found.groups() if part != "00"]
        clock = re.fullmatch(r"(\d\d:\d\d)(:\d\d)?([+-]\d\d:\d\d)?", time or "")
        if len(known) == 3 and clock:
            return date(f"{day} {clock[1]}{clock[2] or ':00'}{clock[3] or ''}")
        return date(":".join(known)) if found[1] != "0000" else None
    return None


def exif_position(record: Record) -> Value | None:
    """The position, all of it or nothing."""
    ends = []
    for axis, letters, most in (("Latitude", "NS", 90), ("Longitude", "EW", 180)):
        degrees = number(record.first(f"GPS:GPS{axis}"))
        letter = (text(record.first(f"GPS:GPS{axis}Ref")) or " ")[0].upper()
        if degrees is None or letter not in letters or degrees > most:
            return None
        ends.append(-degrees if letter == letters[1] else degrees)
    altitude = number(record.first("GPS:GPSAltitude"))
    below = text(record.first("GPS:GPSAltitudeRef")) in ("1", "3")
    return position(*ends, None if altitude is None else below_zero(altitude, below))


def xmp_position(record: Record) -> Value | None:
    """The same in XMP; ExifTool puts the letters into signs."""
    lat, lon, alt = (number(record.first(f"XMP-exif:GPS{part}")) for part in ("Latitude", "Longitude", "Altitude"))
    if lat is None or lon is None:
        return None
    below = text(record.first("XMP-exif:GPSAltitudeRef")) == "1"
    return position(lat, lon, None if alt is None else below_zero(alt, below))


def entry(part: str) -> tuple[Form, ...]:
    """A text of the only place that is shown, and of the only one where the picture was made."""

    def of(kind: str) -> Form:
        def form(record: Record) -> Value | None:
            places = record.all(f"XMP-iptcExt:{kind}")
            return text(places[0].get(part)) if len(places) == 1 and isinstance(places[0], dict) else None

        return form

    return of("LocationShown"), of("LocationCreated")


def upper(value: Any) -> str | None:
    """A code."""
    found = text(value)
    return found.upper() if found else None


def upper_form(form: Form) -> Form:
    """A form that holds a code."""
    return lambda record: upper(form(record))
