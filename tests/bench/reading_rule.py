"""The reading rule once more, from ExifTool's output alone: what each field must be, and which form said so.

It shares no code with the engine, so that a mistake in one of the two shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

from exiftool_record import Record
from witness_forms import (
    OF_XMP,
    Form,
    Value,
    as_bytes,
    caption,
    entry,
    exif,
    exif_date,
    exif_position,
    id3,
    iptc,
    iptc_date,
    listed,
    one,
    photographer,
    plain_comment,
    upper,
    upper_form,
    wide,
    xmp,
    xmp_position,
)
from witness_values import (
    colour,
    commas,
    date,
    good,
    names,
    percent,
    pick,
    pick_label,
    place,
    popularity,
    positive,
    semicolons,
    stars,
    text,
)


def told(record: Record) -> dict[str, Value]:
    """Every field that has a value, by the reading rule."""
    values = {field: _first(record, field, forms) for field, forms in FIELDS.items()}
    values |= {"keywords": _keywords(record), "people": _people(record)}
    return {field: value for field, value in values.items() if value not in (None, [], "")}


def _first(record: Record, field: str, forms: Iterable[Form]) -> Value | None:
    newer = _newer_iptc(record, field) if record.iptc_is_newer else None
    values = (form(record) for form in forms)
    return newer if newer is not None else next((value for value in values if value not in (None, [])), None)


def _newer_iptc(record: Record, field: str) -> Value | None:
    """IPTC's value where it is newer than XMP, unless it is only XMP's as far as it fits."""
    form, limit = IPTC.get(field, (None, 0))
    value = form(record) if form else None
    of_xmp = [other(record) for other in FIELDS.get(field, FLAT) if other in OF_XMP and other(record) not in (None, [])]
    if value in (None, []) or (of_xmp and _cut(of_xmp[0], limit) == _cut(value, limit)):
        return None
    return value


def _cut(value: Value, limit: int) -> Value:
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    return text(value.encode()[:limit].decode("utf-8", "ignore"))


IPTC: dict[str, tuple[Form, int]] = {
    "title": (iptc("ObjectName"), 64),
    "headline": (iptc("Headline"), 256),
    "description": (iptc("Caption-Abstract"), 2000),
    "keywords": (iptc("Keywords"), 64),
    "creators": (iptc("By-line"), 32),
    "copyright": (iptc("CopyrightNotice"), 128),
    "credit": (iptc("Credit"), 32),
    "source": (iptc("Source"), 32),
    "instructions": (iptc("SpecialInstructions"), 256),
    "place.location": (iptc("Sub-location"), 32),
    "place.city": (iptc("City"), 32),
    "place.state": (iptc("Province-State"), 32),
    "place.country": (iptc("Country-PrimaryLocationName"), 64),
    "place.country_code": (iptc("Country-PrimaryLocationCode", upper), 3),
}
"""The forms in IPTC, and how many bytes fit there."""

FLAT: tuple[Form, ...] = (
    listed("XMP-dc:Subject"),
    xmp("pdf:Keywords", commas),
    IPTC["keywords"][0],
    wide("XPKeywords", semicolons),
    *id3("Keywords", semicolons),
    listed("Vorbis:Keywords"),
    one("Keys:Keywords", commas),
    one("ItemList:Keyword", commas),
    one("UserData:Keywords", commas),
    lambda record: commas(", ".join(map(str, record.all("PDF:Keywords")))),
    one("RIFF:Keywords", semicolons),
)

FIELDS: dict[str, tuple[Form, ...]] = {
    "title": (
        *(xmp(name) for name in ("dc:Title", "pdf:Title", "photoshop:Title", "xmp:Title")),
        IPTC["title"][0],
        wide("XPTitle"),
        *id3("Title"),
        *(one(f"{group}:Title") for group in ("APE", "ID3v1", "Vorbis", "ItemList", "UserData", "Keys", "PNG")),
        *(one(name) for name in ("PNG-iTXt:Title", "PDF:Title", "RIFF:Title", "AIFF:Name")),
    ),
    "headline": (xmp("photoshop:Headline"), IPTC["headline"][0]),
    "description": (
        xmp("dc:Description"),
        caption(xmp("tiff:ImageDescription")),
        *(xmp(name) for name in ("pdf:Subject", "photoshop:Caption", "xmp:Description")),
        IPTC["description"][0],
        caption(exif("IFD0:ImageDescription")),
        *id3("Comment", plain_comment),
        *(one(f"{group}:Description") for group in ("Vorbis", "ItemList", "UserData", "Keys", "PNG", "PNG-iTXt")),
        *(one(name) for name in ("PDF:Subject", "RIFF:Comment", "AIFF:Annotation")),
    ),
    "event": (xmp("iptcExt:Event"),),
    "rating": (
        xmp("xmp:Rating", stars),
        exif("IFD0:Rating", stars),
        exif("IFD0:RatingPercent", percent),
        xmp("microsoft:RatingPercent", percent),
        xmp("acdsee:Rating", stars),
        *id3("Popularimeter", popularity),
        one("Keys:UserRating", stars),
    ),
    "label": (
        xmp("xmp:Label"),
        xmp("photoshop:LabelColor", lambda value: str(value).capitalize()),
        xmp("digiKam:ColorLabel", colour("red orange yellow green blue purple")),
        xmp("photomech:ColorClass", colour("purple red orange yellow green - blue")),
    ),
    "flag": (xmp("xmpDM:Pick", pick), xmp("xmpDM:Good", good), xmp("digiKam:PickLabel", pick_label)),
    "creators": (
        listed("XMP-dc:Creator"),
        *(xmp(name, names) for name in ("tiff:Artist", "pdf:Author", "photoshop:Author", "xmp:Author")),
        IPTC["creators"][0],
        exif("IFD0:Artist", names),
        wide("XPAuthor", names),
        *(one(name, names) for name in ("Keys:Author", "PNG:Author", "PNG-iTXt:Author", "PDF:Author")),
    ),
    "copyright": (
        *(xmp(name) for name in ("dc:Rights", "tiff:Copyright", "photoshop:Copyright", "xmpRights:Copyright")),
        IPTC["copyright"][0],
        exif("IFD0:Copyright", photographer),
        *id3("Copyright"),
        *(one(f"{group}:Copyright") for group in ("APE", "Vorbis", "ItemList", "UserData", "Keys")),
        *(one(f"{group}:Copyright") for group in ("PNG", "PNG-iTXt", "RIFF", "AIFF")),
    ),
    "credit": (xmp("photoshop:Credit"), IPTC["credit"][0]),
    "source": (xmp("photoshop:Source"), IPTC["source"][0]),
    "instructions": (xmp("photoshop:Instructions"), IPTC["instructions"][0]),
    "place.location": (xmp("iptcCore:Location"), IPTC["place.location"][0], *entry("Sublocation")),
    "place.city": (xmp("photoshop:City"), IPTC["place.city"][0], *entry("City")),
    "place.state": (xmp("photoshop:State"), IPTC["place.state"][0], *entry("ProvinceState")),
    "place.country": (xmp("photoshop:Country"), IPTC["place.country"][0], *entry("CountryName")),
    "place.country_code": (
        upper_form(xmp("iptcCore:CountryCode")),
        IPTC["place.country_code"][0],
        *map(upper_form, entry("CountryCode")),
    ),
    "gps": (
        exif_position,
        xmp_position,
        *(one(f"{group}:GPSCoordinates", place) for group in ("Keys", "ItemList", "UserData")),
        one("UserData:LocationInformation", place),
    ),
    "taken_at": (
        exif_date,
        exif("IFD0:DateTimeOriginal", date),
        xmp("photoshop:DateCreated", date),
        xmp("exif:DateTimeOriginal", date),
        xmp("xmpDM:ShotDate", date),
        iptc_date,
        one("Keys:CreationDate", date),
        *(one(f"{group}:CreationTime", date) for group in ("PNG", "PNG-iTXt")),
    ),
}
"""The forms of each field, in the order in which they are read."""

PATHS: tuple[tuple[str, str], ...] = (
    ("XMP-lr:HierarchicalSubject", "|"),
    ("XMP-digiKam:TagsList", "/"),
    ("XMP-microsoft:LastKeywordXMP", "/"),
    ("XMP-microsoft:LastKeywordIPTC", "/"),
    ("XMP-mediapro:CatalogSets", "|"),
)


def _keywords(record: Record) -> list[str]:
    listed = [[_levels(value, mark) for value in record.all(name)] for name, mark in PATHS]
    listed += [list(_categories(record)), list(_hierarchy(record))]
    paths = [path for path in next(filter(None, listed), []) if path]
    long = [path for path in paths if len(path) > 1]
    flat = _first(record, "keywords", FLAT) or []
    known = {level.casefold() for path in long for level in (*path, "|".join(path), "/".join(path))}
    words = [word for word in [*flat, *(path[0] for path in paths if len(path) == 1)] if word.casefold() not in known]
    found = ["|".join(path) for path in long] + words
    return list({word.casefold(): word for word in reversed(found)}.values())[::-1]


def _levels(value: Any, mark: str) -> tuple[str, ...]:
    return tuple(level for level in map(text, str(value).split(mark)) if level)


def _categories(record: Record) -> Iterator[tuple[str, ...]]:
    def assigned(element: ET.Element, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for child in element.findall("Category"):
            path = (*above, text(child.text) or "")
            if child.get("Assigned") == "1":
                yield path
            yield from assigned(child, path)

    value = text(record.first("XMP-acdsee:Categories"))
    if value:
        yield from assigned(ET.fromstring(value), ())


def _hierarchy(record: Record) -> Iterator[tuple[str, ...]]:
    def applied(entries: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for each in entries or ():
            path, below = (*above, text(each.get("Keyword")) or ""), each.get("Children")
            if str(each.get("Applied", not below)).lower() == "true":
                yield path
            yield from applied(below, path)

    found = record.first("XMP-mwg-kw:KeywordInfo")
    yield from applied(found.get("Hierarchy") if isinstance(found, dict) else None, ())


def _people(record: Record) -> list[str]:
    found = [*record.all("XMP-iptcExt:PersonInImage")]
    found += [
        each.get("Name") for each in _parts(record, "mwg-rs:RegionInfo", "RegionList") if _is_face(each.get("Type"))
    ]
    found += [each.get("PersonDisplayName") for each in _parts(record, "MP:RegionInfoMP", "Regions")]
    found += [
        each.get("PersonName") for each in record.all("XMP-iptcExt:PersonInImageWDetails") if isinstance(each, dict)
    ]
    found += record.all("XMP-mediapro:People")
    return list(dict.fromkeys(filter(None, map(text, found))))


def _is_face(kind: Any) -> bool:
    return (text(kind) or "Face") == "Face"


def _parts(record: Record, name: str, part: str) -> list[dict[str, Any]]:
    found = record.first(f"XMP-{name}")
    return [each for each in found.get(part, []) if isinstance(each, dict)] if isinstance(found, dict) else []


_GROUPS = {"JPEG": "File", "PNG": "PNG", "GIF": "GIF", "PSD": "Photoshop", "JP2": "Jpeg2000", "SVG": "SVG"}
_RAW = frozenset({"CR2", "NEF", "ARW", "IIQ", "ORF", "PEF", "SRW"})
_TRACKS = ("Track1", "Track2", "Track3")
_CAMERAS = ("IFD0", "Keys", "UserData", "RIFF")


def about(record: Record) -> dict[str, Value]:
    """Width, height, duration and camera."""
    width, height = _sides(record)
    found: dict[str, Value] = {"width": width, "height": height}
    durations = (positive(record.first(f"{group}:Duration")) for group in ("QuickTime", "Composite"))
    found["duration_s"] = next((seconds for seconds in durations if seconds), None)
    maker, model = (
        next(filter(None, (text(as_bytes(record.first(f"{group}:{tag}") or "")) for group in _CAMERAS)), "")
        for tag in ("Make", "Model")
    )
    found["camera"] = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    return {name: value for name, value in found.items() if value not in (None, "")}


def _sides(record: Record) -> tuple[float | None, float | None]:
    """Of the picture itself, not of a thumbnail."""
    groups = [_GROUPS[record.kind]] if record.kind in _GROUPS else [_main_directory(record), "File", "RIFF", *_TRACKS]
    sizes = (_size(record, f"{group}:ImageWidth", f"{group}:ImageHeight") for group in groups)
    if record.kind == "RW2":
        return _size(record, "Composite:ImageWidth", "Composite:ImageHeight")
    if record.kind in _RAW:
        names = [f"{group}:Image" for group in ("IFD0", "IFD1", "IFD2", "SubIFD", "SubIFD1")] + ["ExifIFD:ExifImage"]
        found = (_size(record, f"{name}Width", f"{name}Height") for name in names)
        sizes = (size for size in [max(found, key=lambda size: (size[0] or 0) * (size[1] or 0))])
    return next((size for size in sizes if all(size)), (None, None))


def _size(record: Record, width: str, height: str) -> tuple[float | None, float | None]:
    return positive(record.first(width)), positive(record.first(height))


def _main_directory(record: Record) -> str:
    """The directory of a TIFF file that says that it is not of a smaller picture."""
    if record.kind not in ("TIFF", "DNG"):
        return ""
    directories = ("IFD0", "SubIFD", "SubIFD1", "SubIFD2")
    return next((one for one in directories if record.first(f"{one}:SubfileType") == "0"), "IFD0")
