"""PDF: objects found by cross-references. Metadata are the catalog's XMP stream and the information dictionary.

A change is an update at the end of the file: whatever was there stays where it is, and as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..media import MediaFile
from ..plan import Mode, Patch
from ..problems import FileProblem, Reason
from ..texts import TextKind, Texts
from .blocks import Blocks
from .container import Container, Range
from .pdf_document import Document
from .pdf_objects import Dictionary, Reference, damaged
from .pdf_photoshop import exif_of, find_resources, with_exif
from .pdf_rules import allowed_properties, check_standards, is_signed
from .pdf_source import Indirect
from .pdf_text import string_of, text_of
from .pdf_update import stream_source, update_of

_KEYS = ("Title", "Author", "Subject", "Keywords")
_NEW_METADATA = b"<</Type /Metadata /Subtype /XML /Length %d>>"


class Pdf(Container):
    """A PDF file, read from its end."""

    ways = (Mode.PATCH, Mode.APPEND)
    places = "XMP; the information dictionary"
    remark = "PDF/A has a place for some properties only, and the others go to a sidecar too"

    def __init__(self, media: MediaFile) -> None:
        super().__init__(media)
        self._document = document = Document(media)
        if any("Encrypt" in section.trailer for section in document.references.sections):
            raise FileProblem(Reason.UNSUPPORTED, "the file is encrypted")
        root = self._of_trailer("Root")
        if root is None:
            raise damaged("it has no catalog")
        self._root = root
        self._info = self._of_trailer("Info")
        self._metadata = self._find_metadata()
        self._packet = document.data(self._metadata) if self._metadata else b""
        self.xmp_props = allowed_properties(self._packet)
        self._photoshop: Indirect | None = None
        self._resources: bytes | None = None
        self._exif: bytes | None = None
        self._find_photoshop(root.dictionary)
        self._update = update_of(document)
        ours = [entry.number for entry in (root, self._info, self._metadata, self._photoshop) if entry]
        if len(set(ours)) < len(ours):
            raise damaged("one object is there for several purposes")
        if is_signed(document, root.dictionary, self._update.base_size):
            self.refuse(Reason.SIGNED, "the file is signed, and a change would break the signature")
        self.texts = Texts(TextKind.PDF, self._texts())

    @property
    def xmp(self) -> bytes | None:
        """The document's XMP packet, padding included."""
        return self._packet if self._packet.strip() else None

    @property
    def exif(self) -> bytes | None:
        """The Exif block that Photoshop keeps for itself."""
        return self._exif

    @property
    def resources(self) -> bytes | None:
        """The image resources that Photoshop keeps for itself."""
        return self._resources

    @property
    def content(self) -> tuple[Range, ...]:
        """All that is not ours."""
        return ((0, self._update.base_size),)

    def set_blocks(self, blocks: Blocks) -> tuple[Patch, ...]:
        """The update with new versions of the objects, behind the file or in the place of our old one."""
        objects = dict(self._update.objects)
        if blocks.xmp is not None:
            check_standards(self.xmp, blocks.xmp, self._info.dictionary if self._info else None)
            objects |= self._new_metadata(blocks.xmp)
        objects |= self._new_resources(blocks)
        if blocks.texts:
            objects |= self._new_info(blocks.texts)
        if objects == self._update.objects:
            return ()
        start, length = self._update.base_size, self._update.length
        new = replace(self._update, objects=objects).fitted()
        # In two pieces, so that the second is nothing but new and at the end.
        over, behind = new[:length], new[length:]
        found = [Patch(start, self.media.read(start, length), over), Patch(start + length, b"", behind)]
        return tuple(patch for patch in found if patch.new)

    def _new_metadata(self, packet: bytes) -> dict[Reference, bytes]:
        if self._metadata is not None:
            return _renewed(self._metadata, packet)
        added = Reference(self._update.next_number, 0)
        return {
            added: stream_source(_NEW_METADATA % len(packet), packet),
            _reference(self._root): self._root.dictionary.spliced({"Metadata": added.to_bytes()}),
        }

    def _new_resources(self, blocks: Blocks) -> dict[Reference, bytes]:
        resources = blocks.resources or self._resources
        if self._photoshop is None or resources is None:
            return {}
        if isinstance(blocks.exif, bytes):
            resources = with_exif(resources, blocks.exif)
        return _renewed(self._photoshop, resources) if resources != self._resources else {}

    def _new_info(self, texts: Mapping[str, tuple[str, ...]]) -> dict[Reference, bytes]:
        if self._info is None:
            raise FileProblem(Reason.UNSUPPORTED, "the file has no information dictionary")
        changes = {key: string_of("; ".join(values)) if values else None for key, values in texts.items()}
        return {_reference(self._info): self._info.dictionary.spliced(changes)}

    def _texts(self) -> dict[str, tuple[str, ...]]:
        """The texts of the information dictionary; what is no text counts as a blank one."""
        if self._info is None:
            return {}
        found = {key: self._document.resolve(self._info.dictionary.get(key)) for key in _KEYS}
        return {
            key: (text_of(value) if isinstance(value, bytes) else "",)
            for key, value in found.items()
            if value is not None
        }

    def _of_trailer(self, key: str) -> Indirect | None:
        """The dictionary that the trailer refers to; None if there is none."""
        reference = self._document.trailer.get(key)
        if reference is None:
            return None
        if not isinstance(reference, Reference):
            raise damaged(f"its {key} is not an object of its own")
        found = self._document.object(reference)
        if found is None or found.value is None:
            return None
        if not isinstance(found.value, Dictionary):
            raise damaged(f"its {key} is no dictionary")
        return found

    def _find_photoshop(self, root: Dictionary) -> None:
        try:
            self._photoshop = find_resources(self._document, root)
            self._resources = self._document.data(self._photoshop) if self._photoshop else None
            self._exif = exif_of(self._resources) if self._resources else None
        except FileProblem as problem:
            if problem.reason not in (Reason.CORRUPT, Reason.UNSUPPORTED, Reason.TOO_LARGE):
                raise
            self.refuse(problem.reason, problem.message)

    def _find_metadata(self) -> Indirect | None:
        reference = self._root.dictionary.get("Metadata")
        if reference is None:
            return None
        if not isinstance(reference, Reference):
            raise damaged("its metadata are not an object of their own")
        found = self._document.object(reference)
        if found is not None and found.data_at is None:
            raise damaged("its metadata are not a stream")
        return found


def _renewed(stream: Indirect, data: bytes) -> dict[Reference, bytes]:
    """The stream with these data, not packed; other keys of its dictionary stay."""
    changes: dict[str, bytes | None] = {"Length": b"%d" % len(data), "Filter": None, "DecodeParms": None, "DL": None}
    if "Size" in stream.dictionary:
        changes["Size"] = changes["Length"]
    return {_reference(stream): stream_source(stream.dictionary.spliced(changes), data)}


def _reference(entry: Indirect) -> Reference:
    return Reference(entry.number, entry.generation)
