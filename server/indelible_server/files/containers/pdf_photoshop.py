"""What Photoshop keeps for itself beside a page of a PDF file: image resources, with copies of IPTC and Exif."""

from __future__ import annotations

from ..photoshop import Entry, entries, packed
from ..problems import FileProblem, Reason
from .pdf_document import Document
from .pdf_objects import Dictionary, Reference, Value, damaged
from .pdf_source import Indirect

_EXIF = 1058
_LEVELS_LIMIT = 32
_PAGES_LIMIT = 100
_PATH = ("PieceInfo", "AdobePhotoshop", "Private", "ImageResources")


def find_resources(document: Document, root: Dictionary) -> Indirect | None:
    """The stream with the image resources of the only page that has some; None if the first page has none.

    Raises `FileProblem` (UNSUPPORTED) if other pages have some too.
    """
    page, siblings = _first_page(document, root)
    reference = _kept(document, page)
    if reference is None:
        return None
    if any(_kept(document, document.resolve(other)) is not None for other in siblings[:_PAGES_LIMIT]):
        raise FileProblem(Reason.UNSUPPORTED, "Photoshop keeps metadata of several pages in the file")
    if not isinstance(reference, Reference):
        raise damaged("Photoshop's image resources are not an object of their own")
    return document.object(reference)


def exif_of(resources: bytes) -> bytes | None:
    """The Exif block among image resources; raises `FileProblem` (CORRUPT, UNSUPPORTED) for a broken list, or two."""
    found = [entry for entry in _listed(resources) if entry.number == _EXIF]
    if len(found) > 1:
        raise FileProblem(Reason.UNSUPPORTED, "the file has several Exif blocks")
    return resources[found[0].data : found[0].data + found[0].length] if found else None


def with_exif(resources: bytes, exif: bytes) -> bytes:
    """The image resources with this Exif block in the place of the old one."""
    entry = next(entry for entry in _listed(resources) if entry.number == _EXIF)
    return resources[: entry.start] + packed(resources[entry.start : entry.data - 4], exif) + resources[entry.end :]


def _listed(resources: bytes) -> list[Entry]:
    return list(entries(lambda start, length: resources[start : start + length], 0, len(resources)))


def _first_page(document: Document, root: Dictionary) -> tuple[Value, list[Value]]:
    """The first page, and those that follow it at the same level."""
    page, siblings = document.resolve(root.get("Pages")), list[Value]()
    for _ in range(_LEVELS_LIMIT):
        kids = document.resolve(page.get("Kids")) if isinstance(page, Dictionary) else None
        if not isinstance(kids, list) or not kids:
            break
        page, siblings = document.resolve(kids[0]), kids[1:]
    return page, siblings


def _kept(document: Document, page: Value) -> Value:
    """What a page says of Photoshop's image resources: a reference to them."""
    found = page
    for key in _PATH:
        found = document.resolve(found)
        found = found.get(key) if isinstance(found, Dictionary) else None
    return found
