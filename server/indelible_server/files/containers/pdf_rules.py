"""What forbids a change of a PDF file: signatures, and standards that it follows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..namespaces import name as xmp_name
from ..problems import FileProblem, Reason
from ..xmp import Packet
from .pdf_document import Document
from .pdf_objects import Dictionary, Reference, Value

_FIELDS_LIMIT = 100
_LOOK = 64 * 1024
_SIGNATURE = re.compile(rb"/ByteRange[\0\t\n\f\r ]*\[")
_SIGNATURES_EXIST = 1
_PERMISSIONS = ("DocMDP", "UR3", "UR")

_ARCHIVAL = "{http://www.aiim.org/pdfa/ns/id/}part"
_NEED_TITLE = (
    "{http://www.aiim.org/pdfua/ns/id/}part",
    "{http://www.npes.org/pdfx/ns/id/}GTS_PDFXVersion",
)
_PRINT, _AUTHOR = "GTS_PDFXVersion", "Author"
_TITLE, _CREATOR = xmp_name("dc:title"), xmp_name("dc:creator")
_PREDEFINED = {
    "dc": "title description subject creator rights",
    "photoshop": "Headline Credit Source Instructions City State Country DateCreated TransmissionReference",
    "exif": "GPSLatitude GPSLongitude GPSAltitude GPSAltitudeRef GPSVersionID DateTimeOriginal DateTimeDigitized",
    "xmp": "MetadataDate CreateDate",
    "xmpRights": "UsageTerms WebStatement Marked",
}
"""What we write of the properties that PDF/A knows without a description: those of XMP 2004."""
_PREDEFINED_SINCE_2 = {"xmp": "Label Rating", "xmpDM": "shotDate"}


def is_signed(document: Document, root: Dictionary, size: int) -> bool:
    """Whether someone has signed the first `size` bytes, as far as a limited look can tell."""
    permissions = document.resolve(root.get("Perms"))
    if isinstance(permissions, Dictionary) and any(key in permissions for key in _PERMISSIONS):
        return True
    for start in (0, max(size - _LOOK, 0)):
        if _SIGNATURE.search(document.source.read(start, min(_LOOK, size - start))):
            return True
    form = document.resolve(root.get("AcroForm"))
    if not isinstance(form, Dictionary):
        return False
    flags = document.resolve(form.get("SigFlags"))
    return (isinstance(flags, int) and bool(flags & _SIGNATURES_EXIST)) or _has_signed_field(document, form)


def _has_signed_field(document: Document, form: Dictionary) -> bool:
    waiting = _references(document, form.get("Fields"))
    seen: set[Reference] = set()
    while waiting and len(seen) < _FIELDS_LIMIT:
        reference = waiting.pop(0)
        if reference in seen:
            continue
        seen.add(reference)
        field = document.resolve(reference)
        if isinstance(field, Dictionary):
            if field.get("FT") == "Sig" and "V" in field:
                return True
            waiting += _references(document, field.get("Kids"))
    return False


def _references(document: Document, value: Value) -> list[Reference]:
    found = document.resolve(value)
    if not isinstance(found, list):
        return []
    return [entry for entry in found[:_FIELDS_LIMIT] if isinstance(entry, Reference)]


def allowed_properties(packet: bytes | None) -> frozenset[str] | None:
    """The properties that XMP may have by the standard that it says the file follows; None if it may have any."""
    try:
        found = Packet.parse(packet or b"")
    except FileProblem:
        return None
    part = found.text(_ARCHIVAL)
    if part is None:
        return None
    later = {} if part.strip() == "1" else _PREDEFINED_SINCE_2
    return frozenset({*found.names(), *_names(_PREDEFINED), *_names(later)})


def _names(properties: Mapping[str, str]) -> list[str]:
    return [xmp_name(f"{prefix}:{name}") for prefix, names in properties.items() for name in names.split()]


def check_standards(old: bytes | None, new: bytes, info: Dictionary | None) -> None:
    """Raise `FileProblem` (UNSUPPORTED) if this change of XMP breaks a standard that the file says it follows."""
    before, after = Packet.parse(old) if old else Packet.empty(), Packet.parse(new)
    part, known = before.text(_ARCHIVAL), before.names()
    keys = {key for key in (_PRINT, _AUTHOR) if info is not None and key in info}
    if _TITLE in known - after.names() and (known.intersection(_NEED_TITLE) or _PRINT in keys):
        raise FileProblem(Reason.UNSUPPORTED, "the file is PDF/X or PDF/UA, which must have a title")
    if part is not None and part.strip() == "1" and _AUTHOR in keys and len(after.items(_CREATOR) or []) > 1:
        raise FileProblem(Reason.UNSUPPORTED, "the file is PDF/A-1, which has a place for one author only")
