"""A small library on disk, and JPEGs made byte by byte."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan, Plan
from indelible_server.files.planning import plan
from indelible_server.files.policy import Policy
from indelible_server.files.port import Root
from indelible_server.files.reading import Reading, read, verify
from indelible_server.files.tags import Tags
from PIL import Image

XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"


def segment(marker: int, payload: bytes) -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def picture(colour: tuple[int, int, int] = (10, 200, 30)) -> bytes:
    """A small JPEG without any metadata: its segments behind JFIF, up to the end."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def jpeg(*segments: bytes, trailer: bytes = b"") -> bytes:
    """A small JPEG with these segments behind JFIF."""
    plain = picture()
    return plain[:20] + b"".join(segments) + plain[20:] + trailer


def packet(body: str, *, about: str = "", wrapper: bool = True) -> bytes:
    """An XMP packet with these properties in one description."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items() if f"{prefix}:" in body + about)
    text = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" {spaces} {about}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    if wrapper:
        text = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n{text}\n<?xpacket end="w"?>'
    return text.encode()


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SPACES = {
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "darktable": "http://darktable.sf.net/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "MicrosoftPhoto1": "http://ns.microsoft.com/photo/1.0",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "pdf": "http://ns.adobe.com/pdf/1.3/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dcterms": "http://purl.org/dc/terms/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
}


def xmp_segment(body: str, *, about: str = "") -> bytes:
    """An APP1 segment with an XMP packet."""
    return segment(0xE1, XMP_SIGNATURE + packet(body, about=about))


@dataclass
class Library:
    """A root folder, and the steps of the pipeline on it."""

    path: Path
    root: Root
    policy: Policy = field(default_factory=Policy)

    def add(self, name: str | bytes, content: bytes) -> bytes:
        """A file in the root; gives back its key."""
        key = os.fsencode(name)
        target = os.path.join(os.fsencode(self.path), key)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
        return key

    def bytes_of(self, key: bytes) -> bytes:
        """What the file holds."""
        with open(os.path.join(os.fsencode(self.path), key), "rb") as file:
            return file.read()

    def names(self) -> set[str]:
        """The names in the root."""
        return set(os.listdir(self.path))

    def read(self, key: bytes, **options: object) -> Reading:
        """What the item's files hold."""
        return read(self.root, key, self.policy, **options)

    def plan(self, key: bytes, tags: Tags, *, base: dict[str, Tags] | None = None, **options: object) -> Plan:
        """A plan that brings these tags in, on top of what the file holds unless another base is given."""
        if base is None:
            reading = self.read(key)
            base, options = dict(reading.homes), {"stale": reading.stale, **options}
        return plan(self.root, key, base=base, ours=tags, policy=self.policy, **options)

    def apply(self, planned: Plan) -> Reading:
        """Apply a plan, and verify it."""
        for file in planned.files:
            apply(self.root, FilePlan.from_bytes(file.to_bytes()), still_ours=lambda: True)
        return verify(self.root, planned, self.policy)

    def write(self, key: bytes, changes: Tags) -> Plan:
        """Plan and apply changes of the tags that the file holds now; None clears."""
        tags = {name: value for name, value in (self.read(key).tags | changes).items() if value is not None}
        planned = self.plan(key, tags)
        self.apply(planned)
        return planned
