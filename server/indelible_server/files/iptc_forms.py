"""Forms in IPTC-IIM: texts that are cut to a number of bytes, and dates in two parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from .codecs import TEXT, Codec
from .countries import three_letters
from .dates import InvalidDate, PartialDate, parse_date
from .forms import Block, Metadata, Rule
from .namespaces import name
from .policy import IptcRule, Policy
from .tags import Value, tidy, unique

# Some agencies write them with the marks of other standards.
_DATE = re.compile(r"(\d{4})[-:]?(\d\d)[-:]?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d):?(\d\d)?(?:([+-]\d\d):?(\d\d))?")


def cut(text: str, limit: int) -> str:
    """The text's beginning that needs at most `limit` bytes in UTF-8, made of whole characters."""
    data = text.encode()
    return text if len(data) <= limit else tidy(data[:limit].decode("utf-8", "ignore"))


def _is_in(metadata: Metadata, place: int, *numbers: int) -> bool:
    """Whether the block at this place has a dataset of one of these numbers."""
    return metadata.iptc is not None and any(metadata.iptc_block(place).has(number) for number in numbers)


def _texts_in(metadata: Metadata, place: int, number: int, policy: Policy) -> list[str]:
    return metadata.iptc_block(place).texts(number, policy.legacy_charset) if metadata.iptc else []


@dataclass(frozen=True)
class IptcForm:
    """The datasets of one number: one text or, if `many`, a list of texts, each cut to `limit` bytes.

    `place` says in which of the file's IPTC blocks; the main one is the first.
    """

    number: int
    limit: int
    codec: Codec = TEXT
    many: bool = False
    rule: Rule = Rule.BLOCK
    place: int = 0

    block: ClassVar[Block] = Block.IPTC
    props: ClassVar[frozenset[str] | None] = None

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        return _is_in(metadata, self.place, self.number)

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        texts = self._texts(metadata, policy)
        return self._decoded(texts, policy) if texts else None

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        wanted = None if policy.iptc is IptcRule.REMOVE else value
        if self.is_present(metadata) or wanted is not None:
            metadata.iptc_block(self.place).set_texts(self.number, self._encoded(metadata, wanted, policy))

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        texts = self._encoded(metadata, value, policy)
        return self._decoded(texts, policy) if texts else None

    def _decoded(self, texts: list[str], policy: Policy) -> Value | None:
        return self.codec.decode(texts if self.many else texts[0], policy)

    def _encoded(self, metadata: Metadata, value: Value | None, policy: Policy) -> list[str]:
        raw = None if value is None else self.codec.encode(value, self._old(metadata, policy), policy)
        if raw is None:
            return []
        texts = [cut(text, self.limit) for text in (raw if self.many else [raw])]
        return [text for text in texts if text] if not self.many else list(dict.fromkeys(filter(None, texts)))

    def _old(self, metadata: Metadata, policy: Policy) -> list[str]:
        return []

    def _texts(self, metadata: Metadata, policy: Policy) -> list[str]:
        return _texts_in(metadata, self.place, self.number, policy)


@dataclass(frozen=True)
class IptcKeywords(IptcForm):
    """The flat keywords. They are those of XMP, so that both have the same habit; private ones that are here stay."""

    _SUBJECT: ClassVar[str] = name("dc:subject")

    def _old(self, metadata: Metadata, policy: Policy) -> list[str]:
        subject = metadata.xmp.items(self._SUBJECT) if metadata.xmp else None
        private = [text for text in self._texts(metadata, policy) if policy.is_private(text)]
        return unique("keywords", [*(subject or []), *private])


@dataclass(frozen=True)
class IptcDate:
    """A date in a dataset of its own and, if it has a time of day, the time in another. Fractions do not fit."""

    date: int
    time: int
    rule: Rule = Rule.BLOCK
    place: int = 0

    block: ClassVar[Block] = Block.IPTC
    props: ClassVar[frozenset[str] | None] = None

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        return _is_in(metadata, self.place, self.date, self.time)

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        texts = [self._text(metadata, number, policy) for number in (self.date, self.time)]
        return _decoded_date(*texts)

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        wanted = None if policy.iptc is IptcRule.REMOVE else value
        if not self.is_present(metadata) and wanted is None:
            return
        date, time = _encoded_date(wanted)
        block = metadata.iptc_block(self.place)
        block.set_texts(self.date, [date] if date else [])
        block.set_texts(self.time, [time] if time else [])

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        return _decoded_date(*_encoded_date(value))

    def _text(self, metadata: Metadata, number: int, policy: Policy) -> str:
        texts = _texts_in(metadata, self.place, number, policy)
        return tidy(texts[0]) if texts else ""


def _encoded_date(value: Value | None) -> tuple[str, str]:
    try:
        date = parse_date(tidy(str(value)))
    except InvalidDate:
        return "", ""
    text = f"{date.year:04}{date.month or 0:02}{date.day or 0:02}"
    if date.hour is None:
        return text, ""
    # A zone is demanded by the standard, but one that nobody knows would be a lie.
    return text, f"{date.hour:02}{date.minute or 0:02}{date.second or 0:02}{(date.offset or '').replace(':', '')}"


def _decoded_date(date: str, time: str) -> str | None:
    found = _DATE.fullmatch(date)
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups())
    known = PartialDate(year, month or None, (day or None) if month else None)
    clock = _TIME.fullmatch(time)
    text = str(known)
    if clock is not None and known.day is not None:
        text += f"T{clock[1]}:{clock[2]}:{clock[3] or '00'}" + (f"{clock[4]}:{clock[5]}" if clock[4] else "")
    try:
        return str(parse_date(text))
    except InvalidDate:
        return None


COUNTRY = Codec(
    lambda value, _old, _policy: three_letters(tidy(value).upper()),
    lambda raw, _policy: tidy(raw).upper() or None,
)
