"""Independent witnesses: ExifTool for metadata; Pillow and ffmpeg for what people see and hear."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from PIL import Image, ImageSequence

Seen = dict[str, str]
"""Group and name of a tag, to its value as text; long and binary values as a hash."""
Tags = dict[str, Any]

FORMS = {
    "title": "XMP-dc:Title IPTC:ObjectName IFD0:XPTitle ID3v2_2:Title ID3v2_3:Title ID3v2_4:Title ID3v1:Title"
    " Vorbis:Title ItemList:Title UserData:Title Keys:Title PNG:Title PNG-iTXt:Title PDF:Title RIFF:Title AIFF:Name",
    "headline": "XMP-photoshop:Headline IPTC:Headline",
    "description": "XMP-dc:Description IPTC:Caption-Abstract IFD0:ImageDescription XMP-tiff:ImageDescription"
    " ID3v2_2:Comment ID3v2_3:Comment ID3v2_4:Comment Vorbis:Description ItemList:Description UserData:Description"
    " Keys:Description PNG:Description PNG-iTXt:Description PDF:Subject RIFF:Comment AIFF:Annotation",
    "keywords": "XMP-dc:Subject IPTC:Keywords Vorbis:Keywords",
    "people": "XMP-iptcExt:PersonInImage",
    "event": "XMP-iptcExt:Event",
    "rating": "XMP-xmp:Rating IFD0:Rating XMP-acdsee:Rating",
    "label": "XMP-xmp:Label",
    "flag": "XMP-xmpDM:Pick",
    "creators": "XMP-dc:Creator IPTC:By-line IFD0:Artist XMP-tiff:Artist PDF:Author PNG:Author",
    "copyright": "XMP-dc:Rights IPTC:CopyrightNotice IFD0:Copyright XMP-tiff:Copyright Vorbis:Copyright RIFF:Copyright"
    " ItemList:Copyright UserData:Copyright PNG:Copyright ID3v2_3:Copyright ID3v2_4:Copyright AIFF:Copyright",
    "credit": "XMP-photoshop:Credit IPTC:Credit",
    "source": "XMP-photoshop:Source IPTC:Source",
    "instructions": "XMP-photoshop:Instructions IPTC:SpecialInstructions",
    "place.location": "XMP-iptcCore:Location IPTC:Sub-location",
    "place.city": "XMP-photoshop:City IPTC:City",
    "place.state": "XMP-photoshop:State IPTC:Province-State",
    "place.country": "XMP-photoshop:Country IPTC:Country-PrimaryLocationName",
    "place.country_code": "XMP-iptcCore:CountryCode",
    "gps": "GPS:GPSLatitude XMP-exif:GPSLatitude",
    "taken_at": "ExifIFD:DateTimeOriginal XMP-photoshop:DateCreated XMP-exif:DateTimeOriginal",
}
"""The tags that must say the same as the field, wherever a file has them."""

FOLLOWERS = (
    r"XMP-(acdsee|digiKam|mediapro|microsoft|MP|mwg-rs|mwg-kw|photomech|lr|xmpDM|iptcExt):.*|XMP-exif:GPS.*|GPS:GPS.*"
    r"|XMP-pdf:(Keywords|Author)|IFD0:(XP\w+|DocumentName|RatingPercent|GPSInfo|DateTimeOriginal)|ExifIFD:(UserComment|CreateDate"
    r"|(Sub[Ss]ec|Offset)Time\w*|ModifyDate)|IPTC:(DateCreated|TimeCreated|DigitalCreation\w+|Country-PrimaryLocationCode"
    r"|Contact)|XMP-(xmp|exif):(CreateDate|DateTimeDigitized|UserComment)|XMP-photoshop:LabelColor"
    r"|ID3v\w+:(Popularimeter|UserDefinedText|Artist|Year|Date|Time|RecordingTime|Comment.*)|ID3v1:.*"
    r"|Vorbis:(Comment|Rating|Fmps_rating|Artist|Date|Location)|(ItemList|UserData|Keys|QuickTime):.*"
    r"|PNG\S*:(Author|Comment|CreationTime|Copyright|Exif)|PDF:(Keywords|Author)|RIFF:(Keywords|Artist)|AIFF:Author"
    r"|SVG:(Title|Desc)"
)
"""Other tags that a change of our fields may change."""

_MANAGED = frozenset(name for names in FORMS.values() for name in names.split())


def exiftool(folder: Path) -> dict[Path, Seen]:
    """What ExifTool sees in every file below a folder."""
    command = [
        "exiftool",
        "-r",
        "-j",
        "-G1",
        "-a",
        "-u",
        "-struct",
        "-b",
        "-n",
        "-api",
        "largefilesupport=1",
        "-q",
        "-q",
        str(folder),
    ]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    found = json.loads(output.decode("utf-8", "replace") or "[]")
    return {Path(entry["SourceFile"]): {key: _short(value) for key, value in entry.items()} for entry in found}


def mwg(folder: Path) -> dict[Path, Seen]:
    """What a reader by the rules of the Metadata Working Group sees in every file below a folder."""
    command = ["exiftool", "-r", "-j", "-use", "MWG", "-MWG:all", "-n", "-q", "-q", str(folder)]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    found = json.loads(output.decode("utf-8", "replace") or "[]")
    return {Path(entry["SourceFile"]): {key: _short(value) for key, value in entry.items()} for entry in found}


_MWG = {
    "description": "Description",
    "keywords": "Keywords",
    "creators": "Creator",
    "copyright": "Copyright",
    "rating": "Rating",
    "place.city": "City",
    "place.country": "Country",
    "place.state": "State",
    "place.location": "Location",
    "taken_at": "DateTimeOriginal",
}


def wrong_mwg(seen: Seen, tags: Tags, has_places: bool) -> Iterable[str]:
    """What such a reader sees differently."""
    for field, name in _MWG.items():
        if field.startswith("place.") and has_places:
            continue  # an entry of its own in a list of places is not ours, and is what such a reader sees
        if name in seen and not _says(field, name, seen[name], tags.get(field)):
            yield f"{name} is {seen[name][:60]!r}, not {tags.get(field)!r}"


_ADOBE = {
    "title": "{http://purl.org/dc/elements/1.1/}title",
    "description": "{http://purl.org/dc/elements/1.1/}description",
    "keywords": "{http://purl.org/dc/elements/1.1/}subject",
    "creators": "{http://purl.org/dc/elements/1.1/}creator",
    "copyright": "{http://purl.org/dc/elements/1.1/}rights",
    "rating": "{http://ns.adobe.com/xap/1.0/}Rating",
    "headline": "{http://ns.adobe.com/photoshop/1.0/}Headline",
    "place.city": "{http://ns.adobe.com/photoshop/1.0/}City",
}


def wrong_for_adobe(path: Path, tags: Tags) -> Iterable[str]:
    """What Adobe's toolkit (Debian: exempi) reads differently; nothing where it is not installed, or reads nothing."""
    if shutil.which("exempi") is None:
        return
    done = subprocess.run(["exempi", "-x", str(path)], capture_output=True, check=False, timeout=60)
    start, end = done.stdout.find(b"<x:xmpmeta"), done.stdout.rfind(b"</x:xmpmeta>")
    if start < 0 or end < 0:
        return
    root = ET.fromstring(done.stdout[start : end + len(b"</x:xmpmeta>")])
    for field, name in _ADOBE.items():
        found = root.find(f".//{name}")
        texts = [] if found is None else [text for text in found.itertext() if text.strip()]
        value = "; ".join(texts) if isinstance(tags.get(field), list) else next(iter(texts), "")
        if not _says(field, "", value, tags.get(field)):
            yield f"{field} is {value[:60]!r}, not {tags.get(field)!r}"


def is_managed(name: str) -> bool:
    """Whether a tag is one that our fields are written to; further IPTC blocks are numbered."""
    name = re.sub(r"^IPTC[0-9]+:", "IPTC:", name)
    return re.sub(r"-[a-z]{2}(-[A-Z]{2})?$", "", name) in _MANAGED or re.fullmatch(FOLLOWERS, name) is not None


def wrong_values(seen: Seen, tags: Tags) -> Iterable[str]:
    """The managed tags that say something else than `tags`."""
    for field, names in FORMS.items():
        for name in names.split():
            if name in seen and not _says(field, name, seen[name], tags.get(field)):
                yield f"{name} is {seen[name][:60]!r}, not {tags.get(field)!r}"


def _says(field: str, name: str, value: str, wanted: Any) -> bool:
    text = _flat(value)
    if name.startswith("ID3v1:") and not text:
        return True  # it has no letters beyond Latin-1: what it cannot hold is blanked
    if name == "Vorbis:Keywords":
        return wanted is not None and text in [
            _flat(word.split("|")[-1]) for word in wanted
        ]  # the last of them is shown
    if wanted is None:
        return not text or (field == "rating" and text == "0")
    if field == "gps":
        return abs(abs(float(re.split(r"[ ,]", text)[0] or 0)) - abs(wanted["lat"])) < 1e-4
    if field == "taken_at":
        return text.replace(":", "-")[:10] == wanted[:10]
    if isinstance(wanted, list):
        leaves = [_flat(word.split("|")[-1]) for word in wanted]
        return all(leaf[:32] in text for leaf in leaves)
    expected = _flat(str(wanted))
    return text == expected or (len(text) >= 25 and expected.startswith(text))


def _flat(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _short(value: Any) -> str:
    if isinstance(value, list):
        text = "; ".join(_short(each) for each in value)
    else:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return text if len(text) < 12_000 else "hash " + hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def content_hash(path: Path, kind: str) -> str:
    """A hash of every decoded picture, or of every stream of sound and video; empty if it cannot be decoded."""
    if kind in ("audio", "video"):
        return _streams(path)
    return _pictures(path)


def _pictures(path: Path) -> str:
    frames: list[str] = []
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                pixels = hashlib.md5(frame.tobytes(), usedforsecurity=False).hexdigest()
                frames.append(f"{frame.size} {frame.mode} {pixels}")
    except Exception as error:
        # Decoders raise all kinds of things. What comes behind the first frame may be broken, and must stay so.
        return " ".join([*frames, type(error).__name__]) if frames else ""
    return " ".join(frames)


def _streams(path: Path) -> str:
    if shutil.which("ffmpeg") is None:
        return ""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-map",
        "0:a?",
        "-map",
        "0:v?",
        "-c",
        "copy",
        "-f",
        "streamhash",
        "-",
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
