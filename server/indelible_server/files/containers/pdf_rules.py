"""What forbids a change of a PDF file: signatures, and standards that it follows."""

from __future__ import annotations

import re

from ..namespaces import NAMESPACES
from ..namespaces import name as xmp_name
from ..problems import FileProblem, Reason
from ..xmp import Packet
from .pdf_document import Document
from .pdf_objects import Dictionary, Reference, Value

_FIELDS_LIMIT = 100
_LEVELS_LIMIT = 32
_LOOK = 64 * 1024
_SIGNATURE = re.compile(rb"/ByteRange[\0\t\n\f\r ]*\[")
_SIGNATURES_EXIST = 1

_ARCHIVAL = "{http://www.aiim.org/pdfa/ns/id/}part"
_NEED_TITLE = (
    "{http://www.aiim.org/pdfua/ns/id/}part",
    "{http://www.npes.org/pdfx/ns/id/}GTS_PDFXVersion",
)
_TITLE, _CREATOR = xmp_name("dc:title"), xmp_name("dc:creator")
_PREDEFINED_IN_ALL = re.compile(
    r"dc:(title|description|subject|creator|rights)"
    r"|photoshop:(Headline|Credit|Source|Instructions|City|State|Country|DateCreated|TransmissionReference)"
    r"|exif:(GPS(Latitude|Longitude|Altitude|AltitudeRef|VersionID)|DateTimeOriginal|DateTimeDigitized)"
    r"|xmp:(MetadataDate|CreateDate)|xmpRights:(UsageTerms|WebStatement|Marked)"
)
_PREDEFINED_SINCE_2 = re.compile(r"xmp:(Label|Rating)|xmpDM:shotDate")
"""What we write of the properties that PDF/A knows without a description: of XMP 2004, and of 2005."""


def is_signed(document: Document, root: Dictionary, size: int) -> bool:
    """Whether someone has signed the first `size` bytes, as far as a limited look can tell."""
    if document.resolve(root.get("Perms")) is not None:
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


def has_photoshop_copy(document: Document, root: Dictionary) -> bool:
    """Whether Photoshop keeps IPTC and Exif of its own beside the first page, which is where it does."""
    page = document.resolve(root.get("Pages"))
    for _ in range(_LEVELS_LIMIT):
        kids = document.resolve(page.get("Kids")) if isinstance(page, Dictionary) else None
        if not isinstance(kids, list) or not kids:
            break
        page = document.resolve(kids[0])
    for key in ("PieceInfo", "AdobePhotoshop", "Private", "ImageResources"):
        page = document.resolve(page.get(key)) if isinstance(page, Dictionary) else None
    return page is not None


def _references(document: Document, value: Value) -> list[Reference]:
    found = document.resolve(value)
    if not isinstance(found, list):
        return []
    return [entry for entry in found[:_FIELDS_LIMIT] if isinstance(entry, Reference)]


def check_standards(old: bytes | None, new: bytes, info: Dictionary | None) -> None:
    """Raise `FileProblem` (UNSUPPORTED) if this change of XMP breaks a standard that the file says it follows."""
    before, after = Packet.parse(old) if old else Packet.empty(), Packet.parse(new)
    part = before.text(_ARCHIVAL)
    if part is not None:
        _check_archival(part.strip(), before, after, info)
    known = before.names()
    if _TITLE in known - after.names():
        needed = any(mark in known for mark in _NEED_TITLE) or (info is not None and "GTS_PDFXVersion" in info)
        if needed:
            raise FileProblem(Reason.UNSUPPORTED, "the file is PDF/X or PDF/UA, which must have a title")


def _check_archival(part: str, before: Packet, after: Packet, info: Dictionary | None) -> None:
    for prop in sorted(after.names() - before.names()):
        shown = _prefixed(prop)
        known = _PREDEFINED_IN_ALL.fullmatch(shown) or (part != "1" and _PREDEFINED_SINCE_2.fullmatch(shown))
        if not known and not shown.startswith(("rdf:", "xml:")):
            raise FileProblem(Reason.UNSUPPORTED, f"the file is PDF/A-{part}, which has no place for {shown}")
    if part == "1" and info is not None and "Author" in info and len(after.items(_CREATOR) or []) > 1:
        raise FileProblem(Reason.UNSUPPORTED, "the file is PDF/A-1, which has a place for one author only")


def _prefixed(prop: str) -> str:
    uri, _, local = prop[1:].partition("}")
    prefix = next((prefix for prefix, known in NAMESPACES.items() if known == uri), uri)
    return f"{prefix}:{local}"
