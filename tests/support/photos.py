"""Real JPEG files, a reader of them that shares no code with the engine, and a program that edits them outside."""

from __future__ import annotations

import os
import random
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

NS = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
for _prefix, _uri in NS.items():
    ET.register_namespace(_prefix, _uri)

HEADER = b"http://ns.adobe.com/xap/1.0/\0"
TEMPS = ".indelible-"
MARKER = ".indelible-root"
# File times are of the kernel's coarse clock, which lags behind by up to a tick.
TICK_NS = 20_000_000


@dataclass(frozen=True)
class Seen:
    """What another program sees in a file's XMP."""

    title: str | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    credit: str | None = None


def make_photo(path: Path | bytes, seed: int = 0, size: tuple[int, int] = (48, 32)) -> None:
    """A small JPEG without metadata; another seed gives another picture."""
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    with open(path, "wb") as file:
        Image.frombytes("RGB", size, noise).save(file, "JPEG", quality=80)


def make_photos(folder: Path, number: int, prefix: str = "p") -> list[Path]:
    """That many JPEGs in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}{index:04}.jpg" for index in range(number)]
    for seed, path in enumerate(paths):
        make_photo(path, seed)
    return paths


def times(paths: list[Path]) -> list[int]:
    """When each file was last changed, in nanoseconds."""
    return [path.stat().st_mtime_ns for path in paths]


def written(paths: list[Path], title: str) -> list[Path]:
    """Those of the files that have this title."""
    return [path for path in paths if seen(path).title == title]


def pixels(path: Path | bytes) -> bytes:
    """The decoded picture; raises for a file that is no whole picture."""
    with Image.open(os.fsdecode(path)) as image:
        return image.convert("RGB").tobytes()


def seen(path: Path | bytes) -> Seen:
    """What Pillow and a plain XML parser find."""
    with Image.open(os.fsdecode(path)) as image:
        packet = image.info.get("xmp")
    if not packet:
        return Seen()
    root = ET.fromstring(packet.rstrip(b"\0 \n"))
    rating = _simple(root, "xmp:Rating")
    return Seen(
        title=next(iter(_listed(root, "dc:title")), None),
        keywords=tuple(sorted(_listed(root, "dc:subject"))),
        rating=None if rating is None else int(rating),
        credit=_simple(root, "photoshop:Credit"),
    )


def edit_outside(path: Path, *, credit: str = "", keyword: str = "", title: str = "", date: str = "") -> None:
    """What another program does: one XMP property changed, the rest of the file as it was, saved by a rename."""
    save_outside(path, edited_outside(path.read_bytes(), credit=credit, keyword=keyword, title=title, date=date))


def edited_outside(data: bytes, *, credit: str = "", keyword: str = "", title: str = "", date: str = "") -> bytes:
    """The content of a JPEG as another program would save it; few of them touch the date of the metadata."""

    def change(root: ET.Element) -> None:
        if date:
            _set_simple(root, "xmp:MetadataDate", date)
        if credit:
            _set_simple(root, "photoshop:Credit", credit)
        if title:
            _add_to_list(root, "dc:title", "rdf:Alt", title, replace=True)
        if keyword:
            _add_to_list(root, "dc:subject", "rdf:Bag", keyword, replace=False)

    return _with_packet(data, change)


def save_outside(path: Path, data: bytes) -> None:
    """Save a file as another program does: beside it, then by a rename."""
    temp = path.with_name(path.name + ".other")
    temp.write_bytes(data)
    temp.replace(path)


def make_sidecar(path: Path, text: str) -> None:
    """What another program writes beside a file."""
    path.with_suffix(".xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
    )


def exiftool(path: Path, *arguments: str) -> None:
    """Let ExifTool change a file."""
    subprocess.run(["exiftool", "-q", "-overwrite_original", *arguments, str(path)], check=True)


def stray_files(folder: Path) -> list[str]:
    """What an unfinished write would have left behind."""
    names = [name for _, _, files in os.walk(folder) for name in files]
    return [name for name in names if name.startswith(TEMPS) and name != MARKER]


def _with_packet(data: bytes, change: Callable[[ET.Element], None]) -> bytes:
    """The JPEG with its XMP packet changed, or with a new one."""
    for start, end in _segments(data):
        if data[start + 1] == 0xE1 and data[start + 4 : end].startswith(HEADER):
            root = ET.fromstring(data[start + 4 + len(HEADER) : end].rstrip(b"\0 \n"))
            change(root)
            return data[:start] + _segment(root) + data[end:]
    root = ET.fromstring(f'<x:xmpmeta xmlns:x="{NS["x"]}"><rdf:RDF xmlns:rdf="{NS["rdf"]}"/></x:xmpmeta>')
    change(root)
    return data[:2] + _segment(root) + data[2:]


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The header segments of a JPEG, up to the picture itself."""
    position = 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield position, end
        position = end


def _segment(root: ET.Element) -> bytes:
    begin = '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
    body = HEADER + begin + ET.tostring(root, encoding="utf-8") + b'<?xpacket end="w"?>'
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


def _name(name: str) -> str:
    prefix, local = name.split(":")
    return f"{{{NS[prefix]}}}{local}"


def _descriptions(root: ET.Element) -> list[ET.Element]:
    return root.findall(f".//{_name('rdf:Description')}")


def _simple(root: ET.Element, name: str) -> str | None:
    for description in _descriptions(root):
        if _name(name) in description.attrib:
            return description.attrib[_name(name)]
        element = description.find(_name(name))
        if element is not None:
            return element.text
    return None


def _listed(root: ET.Element, name: str) -> list[str]:
    items = root.iterfind(f".//{_name(name)}//{_name('rdf:li')}")
    return [item.text or "" for item in items]


def _new_description(root: ET.Element) -> ET.Element:
    parent = root if root.tag == _name("rdf:RDF") else root.find(_name("rdf:RDF"))
    assert parent is not None
    return ET.SubElement(parent, _name("rdf:Description"), {_name("rdf:about"): ""})


def _set_simple(root: ET.Element, name: str, value: str) -> None:
    for description in _descriptions(root):
        description.attrib.pop(_name(name), None)
        for element in description.findall(_name(name)):
            description.remove(element)
    ET.SubElement(_new_description(root), _name(name)).text = value


def _add_to_list(root: ET.Element, name: str, kind: str, value: str, *, replace: bool) -> None:
    container = root.find(f".//{_name(name)}/{_name(kind)}")
    if container is None:
        container = ET.SubElement(ET.SubElement(_new_description(root), _name(name)), _name(kind))
    if replace:
        for element in list(container):
            container.remove(element)
    item = ET.SubElement(container, _name("rdf:li"))
    item.text = value
    if kind == "rdf:Alt":
        item.set("{http://www.w3.org/XML/1998/namespace}lang", "x-default")
