"""A scan of an SVG: where its root, its metadata and its texts lie, in bytes. Nothing of it is kept as a tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from ..media import MediaFile
from ..problems import FileProblem, Reason

_SIZE_LIMIT = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_SVG, _META = "http://www.w3.org/2000/svg", "adobe:ns:meta/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SIGNING = ("http://c2pa.org/manifest", "http://www.w3.org/2000/09/xmldsig#")
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0")
_TAG = re.compile(rb"""<(?:"[^"]*"|'[^']*'|[^"'>])*>""")
_COUNTING = b"-child"
_SHORT_TAG, _TAG_LIMIT = 1024, 64 * 1024
_TAGS_LIMIT = 1000
_DEPTH_LIMIT = 1000


@dataclass
class Element:
    """An element: from `start` to `end`, its content from `inner` to `inner_end`; these are equal for an empty one."""

    start: int
    inner: int = 0
    inner_end: int = 0
    end: int = 0


@dataclass
class Text(Element):
    """A child of the root with the texts in it; `is_plain` if there is nothing else in it."""

    pieces: list[str] = field(default_factory=list)
    is_plain: bool = True

    @property
    def text(self) -> str:
        """The text, whole."""
        return "".join(self.pieces)


@dataclass
class Packet(Element):
    """RDF in the root's metadata; `start` and `end` are those of its wrapper, if it has one.

    `element` is where the element itself starts, `spaces` are the namespaces that it finds declared around it;
    `is_whole` if it has no wrapper, or both ends of one.
    """

    element: int = 0
    spaces: Mapping[str, str] = field(default_factory=dict)
    is_xmp: bool = False
    is_whole: bool = True


class Scan:
    """What was found. Raises `FileProblem` for what is no SVG in UTF-8, or has entities."""

    def __init__(self, media: MediaFile) -> None:
        self.root: Element | None = None
        self.prefix = ""
        """The root's, with its colon."""
        self.metadata: list[Element] = []
        self.texts: dict[str, list[Text]] = {"title": [], "desc": []}
        self.packets: list[Packet] = []
        self.is_signed = False
        self.counts_elements = False
        """Whether a style may depend on how many elements there are."""
        self._media = media
        self._open: list[Element | None] = []
        self._spaces: dict[str, list[str]] = {}
        self._wrapper: int | None = None
        self._ending: Packet | None = None
        self._tags = 0
        self._parser = self._new_parser()
        self._feed()

    def _feed(self) -> None:
        if self._media.size > _SIZE_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file is larger than 64 MiB")
        if self._media.read(0, 2).startswith(_OTHER_ENCODINGS):
            raise FileProblem(Reason.UNSUPPORTED, "the file is not in UTF-8")
        try:
            end = b""
            for position in range(0, self._media.size, _PIECE):
                piece = self._media.read(position, _PIECE)
                self.counts_elements = self.counts_elements or _COUNTING in end + piece
                end = piece[-len(_COUNTING) :]
                self._parser.Parse(piece, False)
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise FileProblem(Reason.CORRUPT, f"the file is not well-formed: {error}") from error

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.XmlDeclHandler = self._declared
        parser.EntityDeclHandler = self._entity
        parser.StartNamespaceDeclHandler = lambda prefix, uri: self._spaces.setdefault(prefix or "", []).append(uri)
        parser.EndNamespaceDeclHandler = lambda prefix: self._spaces[prefix or ""].pop()
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.CharacterDataHandler = self._characters
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = lambda _text: self._other()
        parser.SkippedEntityHandler = lambda _name, _is_parameter: self._other()
        return parser

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "utf8"):
            raise FileProblem(Reason.UNSUPPORTED, "the file is not in UTF-8")

    def _entity(self, *_: object) -> None:
        raise FileProblem(Reason.UNSUPPORTED, "the file has entities")

    def _started(self, name: str, _attributes: object) -> None:
        parts = name.split(" ")
        space, local, prefix = ["", *parts, ""] if len(parts) == 1 else [*parts, ""][:3]
        at, wrapper, above = self._parser.CurrentByteIndex, self._wrapper, self._open[-1] if self._open else None
        self._other()
        element: Element | None = None
        if len(self._open) > _DEPTH_LIMIT:
            raise FileProblem(Reason.UNSUPPORTED, "the file's elements are nested too deeply")
        if not self._open:
            element = self._root(at, space, local, prefix)
        elif above is not None and above is self.root and space in (_SVG, ""):
            element = self._child(at, local)
        elif any(above is metadata for metadata in self.metadata) and space in (_META, _RDF):
            element = self._packet(at, wrapper, is_xmp=space == _META)
        elif isinstance(above, Packet) and (space, local) == (_RDF, "Description"):
            above.is_xmp = True
        self.is_signed = self.is_signed or space in _SIGNING
        self._open.append(element)

    def _root(self, at: int, space: str, local: str, prefix: str) -> Element:
        if local != "svg" or space not in (_SVG, ""):
            raise FileProblem(Reason.CORRUPT, "the file is no SVG")
        self.prefix = f"{prefix}:" if prefix else ""
        self.root = Element(at)
        return self.root

    def _child(self, at: int, local: str) -> Element | None:
        if local == "metadata":
            self.metadata.append(Element(at))
            return self.metadata[-1]
        if local in self.texts:
            text = Text(at)
            self.texts[local].append(text)
            return text
        return None

    def _packet(self, at: int, wrapper: int | None, *, is_xmp: bool) -> Packet:
        spaces = {prefix: uris[-1] for prefix, uris in self._spaces.items() if uris and prefix}
        return Packet(
            at if wrapper is None else wrapper, element=at, spaces=spaces, is_xmp=is_xmp, is_whole=wrapper is None
        )

    def _ended(self, _name: str) -> None:
        element, at = self._open.pop(), self._parser.CurrentByteIndex
        self._other()
        if element is None:
            return
        element.inner = self._tag_end(element.element if isinstance(element, Packet) else element.start)
        element.inner_end = element.end = at
        if self._media.read(element.inner - 2, 2) != b"/>":
            element.end = self._tag_end(at)
        if isinstance(element, Packet) and element.is_xmp:
            self.packets.append(element)
            self._ending = element

    def _tag_end(self, start: int) -> int:
        found = _TAG.match(self._media.read(start, _SHORT_TAG)) or _TAG.match(self._media.read(start, _TAG_LIMIT))
        self._tags += 1
        if found is None or self._tags > _TAGS_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the file's texts and metadata are too many, or too long")
        return start + found.end()

    def _instruction(self, target: str, data: str) -> None:
        at, ending = self._parser.CurrentByteIndex, self._ending
        self._other()
        if target == "xpacket" and data.startswith("begin="):
            self._wrapper = at
        elif target == "xpacket" and data.startswith("end=") and ending and ending.start != ending.element:
            ending.end = at + self._media.read(at, _SHORT_TAG).find(b"?>") + 2
            ending.is_whole = True

    def _characters(self, text: str) -> None:
        above = self._open[-1]
        if isinstance(above, Text):
            above.pieces.append(text)
        elif text.strip():
            self._other()

    def _other(self) -> None:
        """Something that is neither white space nor part of a packet's wrapper, nor a text."""
        self._wrapper = self._ending = None
        if self._open and isinstance(self._open[-1], Text):
            self._open[-1].is_plain = False
