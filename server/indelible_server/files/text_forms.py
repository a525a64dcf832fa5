"""Forms among a container's own texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from .codecs import TEXT, Codec, Raw, date_text
from .dates import InvalidDate, PartialDate, parse_date
from .forms import Metadata, Rule
from .iptc_forms import cut
from .policy import Policy
from .tags import ALTITUDE_STEPS, GPS_STEPS, Value, tidy
from .texts import TextKind


@dataclass(frozen=True)
class TextForm:
    """One text of a kind or, if `many`, a list of texts."""

    block: TextKind
    key: str
    rule: Rule = Rule.PRESENT
    codec: Codec = TEXT
    many: bool = False

    props: ClassVar[frozenset[str] | None] = None

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        texts = metadata.texts
        return texts is not None and self.block in texts.kinds and texts.has(self.key)

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        raw = self._raw(metadata)
        return None if raw is None else self.codec.decode(raw, policy)

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        if metadata.texts is not None:
            metadata.texts.set(self.key, self._encoded(metadata, value, policy))

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        texts = self._encoded(metadata, value, policy)
        return self.codec.decode(texts if self.many else texts[0], policy) if texts else None

    def _encoded(self, metadata: Metadata, value: Value | None, policy: Policy) -> list[str]:
        raw = None if value is None else self.codec.encode(value, self._raw(metadata), policy)
        if raw is None:
            return []
        return [text for text in (raw if self.many else [raw]) if text]

    def _raw(self, metadata: Metadata) -> Raw | None:
        if not self.is_present(metadata) or metadata.texts is None:
            return None
        texts = [tidy(text) for text in metadata.texts.get(self.key)]
        if self.many:
            return [text for text in texts if text]
        return next((text for text in texts if text), "")


FIXED_STEPS = 65_536
"""A degree, or a metre, is kept in this many steps in 3GP's own field for the place."""
_PLACE = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?[^/]*/?")


def _decode_place(raw: str, _policy: Policy) -> Value | None:
    found = _PLACE.fullmatch(tidy(raw))
    if found is None:
        return None
    lat, lon = _degrees(found[1], 2), _degrees(found[2], 3)
    if abs(lat) > 90 or abs(lon) > 180:
        return None
    return {"lat": lat, "lon": lon} | ({"alt": float(found[3])} if found[3] else {})


def _degrees(text: str, digits: int) -> float:
    """Degrees as ISO 6709 has them: whole ones with a fraction, or with minutes, or with minutes and seconds."""
    sign, number = -1 if text[0] == "-" else 1, text[1:]
    whole = number.partition(".")[0]
    if len(whole) <= digits:
        return sign * float(number)
    if len(whole) <= digits + 2:
        return sign * (int(whole[:-2]) + float(number[len(whole) - 2 :]) / 60)
    return sign * (int(whole[:-4]) + int(whole[-4:-2]) / 60 + float(number[len(whole) - 2 :]) / 3600)


def _encode_coarse_place(value: dict[str, float], _old: Raw, _policy: Policy) -> str:
    lat, lon, alt = (round(value.get(key, 0.0) * FIXED_STEPS) / FIXED_STEPS for key in ("lat", "lon", "alt"))
    return f"{lat:+011.7f}{lon:+012.7f}" + (f"{alt:+.2f}/" if round(alt, 2) else "/")


_APPLE_OFFSET = re.compile(r"(T.*[+-]\d\d)(\d\d)$")


def _decode_apple_date(raw: str, _policy: Policy) -> str | None:
    return date_text(_APPLE_OFFSET.sub(r"\1:\2", tidy(raw)))


def _encode_apple_date(value: str, old: Raw, _policy: Policy) -> str | None:
    text = tidy(value)
    return (re.sub(r"([+-]\d\d):(\d\d)$", r"\1\2", text) if _APPLE_OFFSET.search(old or "") else text) or None


def _encode_place(value: dict[str, float], _old: Raw, _policy: Policy) -> str:
    lat, lon = (round(value[key] * GPS_STEPS) / GPS_STEPS for key in ("lat", "lon"))
    altitude = f"{round(value['alt'] * ALTITUDE_STEPS) / ALTITUDE_STEPS:+.2f}" if "alt" in value else ""
    return f"{lat:+011.7f}{lon:+012.7f}{altitude}/"


def _decode_popularity(raw: str, _policy: Policy) -> int | None:
    text = tidy(raw)
    number = int(text) if text.isdecimal() else -1
    return next((stars for stars, most in enumerate((0, 31, 95, 159, 223, 255)) if 0 <= number <= most), None)


def _decode_vorbis_rating(raw: str, _policy: Policy) -> int | None:
    try:
        number = float(tidy(raw))
    except ValueError:
        return None
    if not 0 <= number <= 100:
        return None
    return round(number if number <= 5 else number / 20)


def _encode_vorbis_rating(value: int, old: Raw, _policy: Policy) -> str | None:
    if value < 0:
        return None
    try:
        in_percent = float(tidy(old or "")) > 5
    except ValueError:
        in_percent = False
    return str(value * 20 if in_percent and value else value)


def _decode_fmps_rating(raw: str, _policy: Policy) -> int | None:
    try:
        part = float(tidy(raw))
    except ValueError:
        return None
    return round(part * 5) if 0 <= part <= 1 else None


def _latin(limit: int) -> Codec:
    def encode(value: str, _old: Raw, _policy: Policy) -> str | None:
        text = tidy(value)[:limit].rstrip()
        return text if max(text, default=" ") <= "\xff" else None

    return Codec(encode, lambda raw, _policy: tidy(raw) or None)


def _within(charset: str, codec: Codec) -> Codec:
    def fits(text: str) -> bool:
        return text.encode(charset, "ignore").decode(charset) == text

    def encode(value: Value, old: Raw, policy: Policy) -> str | None:
        text = codec.encode(value, old, policy)
        # Where there is a text beyond the alphabet already, readers do understand others.
        return text if text is None or fits(text) or not fits(old or "") else None

    return Codec(encode, codec.decode)


def cut_to(limit: int, codec: Codec) -> Codec:
    """A codec of lists whose texts have at most so many bytes each."""

    def encode(value: Value, old: Raw, policy: Policy) -> list[str] | None:
        return [text for text in (cut(text, limit) for text in codec.encode(value, old, policy) or []) if text] or None

    return Codec(encode, codec.decode)


def in_windows(codec: Codec = TEXT) -> Codec:
    """A codec of texts that are read in Windows' western alphabet, as a rule."""
    return _within("cp1252", codec)


def in_roman(codec: Codec = TEXT) -> Codec:
    """A codec of texts that are read in the Macintosh's alphabet, as a rule."""
    return _within("mac_roman", codec)


def _date_to(*, seconds: bool) -> Codec:
    def encode(value: str, _old: Raw, _policy: Policy) -> str | None:
        try:
            date = replace(parse_date(tidy(value)), fraction="", offset=None)
        except InvalidDate:
            return None
        if seconds:
            return str(date)
        return str(replace(date, second=None) if date.day else PartialDate(date.year))

    return Codec(encode, lambda raw, _policy: date_text(raw))


def _encode_moment(value: str, _old: Raw, _policy: Policy) -> str | None:
    try:
        date = parse_date(tidy(value))
        if date.hour is None or date.offset is None:
            return None
        whole = datetime.fromisoformat(str(replace(date, second=date.second or 0, fraction="")))
        return whole.astimezone(UTC).isoformat()
    except (InvalidDate, ValueError, OverflowError):
        return None


POSITION = Codec(_encode_place, _decode_place)
"""ISO 6709: `+48.8583701+002.2944813+035.00/`."""
COARSE_POSITION = Codec(_encode_coarse_place, _decode_place)
"""The same, as exact as fixed numbers of 16 bits and 16 behind the point are."""
APPLE_DATE = Codec(_encode_apple_date, _decode_apple_date)
"""ISO 8601 as Apple writes it, `2024-05-01T10:11:12+0200`; the colon of the offset stays where it was."""
MOMENT = Codec(_encode_moment, lambda raw, _policy: date_text(raw))
"""A moment in UTC, in whole seconds; a time whose offset is not known is none."""
POPULARITY = Codec(
    lambda value, _old, _policy: str((0, 1, 64, 128, 196, 255)[value]) if value >= 0 else None, _decode_popularity
)
VORBIS_RATING = Codec(_encode_vorbis_rating, _decode_vorbis_rating)
LATIN_28, LATIN_30 = _latin(28), _latin(30)
"""Texts of so many signs, in one old alphabet; one in another cannot be held."""
TO_SECONDS, TO_MINUTES = _date_to(seconds=True), _date_to(seconds=False)
"""Local times, without fractions and offsets."""
FMPS_RATING = Codec(lambda value, _old, _policy: f"{value / 5:.1f}" if value >= 0 else None, _decode_fmps_rating)
