"""Forms inside XMP structures: positions, places shown, and the names in face regions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lxml import etree

from .forms import Block, Metadata, Rule
from .namespaces import name
from .policy import Policy
from .tags import ALTITUDE_STEPS, GPS_STEPS, Value, element, same, tidy, unique

_LI, _DESCRIPTION, _VALUE = name("rdf:li"), name("rdf:Description"), name("rdf:value")
_POSITION = re.compile(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])", re.IGNORECASE)
_RATIONAL = re.compile(r"(-?\d+(?:\.\d+)?)(?:/(\d+))?")


def _degrees(text: str | None) -> float | None:
    found = _POSITION.fullmatch(tidy(text or ""))
    if found is None:
        return None
    degrees = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SWsw" else degrees


def _altitude(text: str | None, below: str | None) -> float | None:
    found = _RATIONAL.fullmatch(tidy(text or ""))
    if found is None or found[2] == "0":
        return None
    metres = float(found[1]) / int(found[2] or 1)
    return -metres if tidy(below or "") == "1" else metres


def _position(degrees: float, letters: str) -> str:
    # The minutes of a position that is a whole number of steps are exact enough with seven decimals.
    steps = abs(round(degrees * GPS_STEPS))
    whole, rest = divmod(steps, GPS_STEPS)
    return f"{whole},{rest * 60 / GPS_STEPS:.7f}{letters[degrees < 0]}"


@dataclass(frozen=True)
class XmpPosition:
    """A position in XMP's exif properties: all of it or nothing."""

    rule: Rule
    is_source: bool = True

    block: ClassVar[Block] = Block.XMP

    @property
    def props(self) -> frozenset[str]:
        return frozenset({self._LAT, self._LON, self._ALT})

    _LAT = name("exif:GPSLatitude")
    _LON = name("exif:GPSLongitude")
    _ALT = name("exif:GPSAltitude")
    _REF = name("exif:GPSAltitudeRef")

    def is_present(self, metadata: Metadata) -> bool:
        return bool(metadata.names & {self._LAT, self._LON, self._ALT})

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        if metadata.xmp is None or not self.is_present(metadata):
            return None
        lat, lon = (_degrees(metadata.xmp.text(prop)) for prop in (self._LAT, self._LON))
        if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180:
            return None
        altitude = _altitude(metadata.xmp.text(self._ALT), metadata.xmp.text(self._REF))
        return {"lat": lat, "lon": lon} | ({} if altitude is None else {"alt": altitude})

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        packet = metadata.packet()
        texts = dict.fromkeys((self._LAT, self._LON, self._ALT, self._REF), "")
        if isinstance(value, dict):
            texts[self._LAT] = _position(value["lat"], "NS")
            texts[self._LON] = _position(value["lon"], "EW")
            if "alt" in value:
                steps = round(value["alt"] * ALTITUDE_STEPS)
                texts[self._ALT] = f"{abs(steps)}/{ALTITUDE_STEPS}"
                texts[self._REF] = "1" if steps < 0 else "0"
        for prop, text in texts.items():
            if text:
                packet.set_text(prop, text)
                metadata.names.add(prop)
            else:
                packet.remove(prop)
                metadata.names.discard(prop)

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        return value


@dataclass(frozen=True)
class PlaceEntry:
    """One text of the only entry of a list of places; a list of several says nothing about this field."""

    prop: str
    part: str
    rule: Rule = Rule.FOLLOWER
    is_source: bool = True

    block: ClassVar[Block] = Block.XMP

    @property
    def props(self) -> frozenset[str]:
        return frozenset({self.prop})

    def is_present(self, metadata: Metadata) -> bool:
        return self._entry(metadata) is not None

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        entry = self._entry(metadata)
        if entry is None:
            return None
        child = entry.find(self.part)
        return tidy(entry.get(self.part) or (_text(child) if child is not None else "")) or None

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        entry = self._entry(metadata)
        if entry is None:
            return
        child = entry.find(self.part)
        if value is None:
            entry.attrib.pop(self.part, "")
            if child is not None:
                entry.remove(child)
        elif entry.get(self.part) is not None:
            entry.set(self.part, tidy(str(value)))
        elif child is not None:
            _set_text(child, str(value))

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        return value

    def _entry(self, metadata: Metadata) -> etree._Element | None:
        if self.prop not in metadata.names or metadata.xmp is None:
            return None
        found = metadata.xmp.element(self.prop)
        places = [] if found is None else list(entries(found))
        return places[0] if len(places) == 1 else None


@dataclass(frozen=True)
class RegionNames:
    """The names in a list of regions. A name goes or changes with the person; the area stays."""

    prop: str
    steps: tuple[str, ...]
    part: str
    only: tuple[str, str] | None = None
    rule: Rule = Rule.PRESENT
    is_source: bool = True

    block: ClassVar[Block] = Block.XMP

    @property
    def props(self) -> frozenset[str]:
        return frozenset({self.prop})

    def is_present(self, metadata: Metadata) -> bool:
        return self.prop in metadata.names

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        names = (part(region, self.part) for region in self._regions(metadata))
        return unique("people", [found for found in names if found]) or None

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        renamed = _renamed(_listed(old), _listed(value))
        for region in self._regions(metadata):
            key = element("people", part(region, self.part))
            if key in renamed:
                _set_part(region, self.part, renamed[key])

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        wanted = {element("people", person) for person in _listed(value)}
        present = _listed(self.read(metadata, policy))
        return [person for person in present if element("people", person) in wanted] or None

    def _regions(self, metadata: Metadata) -> Iterator[etree._Element]:
        found = metadata.xmp.element(self.prop) if metadata.xmp and self.is_present(metadata) else None
        for step in self.steps:
            found = None if found is None else found.find(f".//{step}")
        for region in entries(found) if found is not None else ():
            if self.only is None or part(region, self.only[0]) in ("", self.only[1]):
                yield region


def _listed(value: Value | None) -> list[str]:
    return value if isinstance(value, list) else []


def _renamed(old: list[str], new: list[str]) -> dict[object, str]:
    """What becomes of each name that went: the one that came instead, if exactly one did, or nothing."""
    gone = [person for person in old if not any(same("people", [person], [other]) for other in new)]
    come = [person for person in new if not any(same("people", [person], [other]) for other in old)]
    heir = come[0] if len(gone) == len(come) == 1 else ""
    return {element("people", person): heir for person in gone}


def entries(container: etree._Element) -> Iterator[etree._Element]:
    """The structures in a list: the items themselves, or the descriptions inside them."""
    for item in container.iterfind(f"./*/{_LI}"):
        inner = item.find(_DESCRIPTION)
        yield item if inner is None else inner


def part(entry: etree._Element, prop: str) -> str:
    """A text of a structure, whether it is an attribute or an element; empty if it is missing."""
    child = entry.find(prop)
    return tidy(entry.get(prop) or (_text(child) if child is not None else ""))


def _set_part(entry: etree._Element, part: str, text: str) -> None:
    child = entry.find(part)
    if child is not None and text:
        _set_text(child, text)
    elif child is not None:
        entry.remove(child)
    elif text:
        entry.set(part, text)
    else:
        entry.attrib.pop(part, "")


def _text(part: etree._Element) -> str:
    """The text of a part, of alternatives the first."""
    item = part.find(f"./*/{_LI}")
    return (part if item is None else item).text or ""


def _set_text(part: etree._Element, text: str) -> None:
    item = part.find(f"./*/{_LI}")
    (part if item is None else item).text = tidy(text)
