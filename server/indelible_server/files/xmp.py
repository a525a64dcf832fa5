"""An XMP packet as a tree: what it does not know stays, and only the properties that are set change."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from lxml import etree

from .namespaces import NAMESPACES, PREFIXES, name
from .problems import FileProblem, Reason
from .tags import same_text, tidy

PADDING = 4096
"""Room that is left on a first write, so that later ones fit in place."""
SIZE_LIMIT = 16 * 1024 * 1024
LIST_LIMIT = 10_000
"""How many values a list of ours can have: what has more is no list of words any more."""
_NODES_LIMIT = 1000

_RDF, _DESCRIPTION = name("rdf:RDF"), name("rdf:Description")
_LI, _VALUE = name("rdf:li"), name("rdf:value")
_ABOUT, _RESOURCE, _LANG = name("rdf:about"), name("rdf:resource"), name("xml:lang")
_PARSE_TYPE = name("rdf:parseType")
_ARRAYS = (name("rdf:Bag"), name("rdf:Seq"), name("rdf:Alt"))
_DEFAULT = "x-default"
_EMPTY = f'<x:xmpmeta xmlns:x="{NAMESPACES["x"]}"><rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}"/></x:xmpmeta>'

_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
_END = b'<?xpacket end="w"?>'
_LINE = 100

_Place = tuple[etree._Element, etree._Element | None]
"""Where a property is: its node, and its element there; if it has none, it is an attribute of the node."""


class Array(StrEnum):
    """The kinds of arrays: unordered, ordered, and language alternatives."""

    BAG = "rdf:Bag"
    SEQ = "rdf:Seq"
    ALT = "rdf:Alt"


def parser() -> etree.XMLParser:
    """A parser for texts of strangers. libxml2's own limits of depth and text length hold: huge_tree is off."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


_PARSER = parser()


class Packet:
    """A parsed XMP packet. Properties are named as lxml names them, `{namespace}local`."""

    def __init__(self, root: etree._Element) -> None:
        rdf = next(root.iter(_RDF), None)
        if rdf is None:
            raise FileProblem(Reason.CORRUPT, "the XMP packet holds no RDF")
        self._nodes = list(rdf.iterchildren(_DESCRIPTION))
        if len(self._nodes) > _NODES_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the XMP packet is in more pieces than anyone makes")
        self._root = root
        self._rdf = rdf
        self._prefixes: dict[str, str] = {}
        self._places: dict[str, list[_Place]] = {}
        self._note_places(self._nodes)

    @classmethod
    def empty(cls) -> Self:
        """A packet without properties."""
        return cls(etree.fromstring(_EMPTY))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a packet or a sidecar; raises `FileProblem` (CORRUPT, TOO_LARGE) for one that is not sound XMP."""
        if len(data) > SIZE_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, "the XMP packet is larger than 16 MiB")
        try:
            root = etree.fromstring(_as_utf8(data), _PARSER)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise FileProblem(Reason.CORRUPT, f"the XMP packet cannot be parsed: {error}") from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise FileProblem(Reason.CORRUPT, "the XMP packet has a DTD")
        return cls(root)

    def take_in(self, other: Packet) -> None:
        """Let this packet also say what the other says; that one is used up by it."""
        self._rdf.extend(other._nodes)
        self._nodes += other._nodes
        self._note_places(other._nodes)

    def declare(self, prefix: str, uri: str) -> None:
        """Say which prefix a namespace that is not one of ours gets, should it have to be added."""
        self._prefixes[uri] = prefix

    def names(self) -> set[str]:
        """The names of all properties."""
        return set(self._places)

    def text(self, prop: str) -> str | None:
        """The property as one text: of alternatives x-default or else the first, of a list the first."""
        place = self._first(prop)
        if place is None:
            return None
        node, element = place
        return node.get(prop) if element is None else _text_of_property(element)

    def items(self, prop: str) -> list[str] | None:
        """The property as a list; None if it is missing. A plain text is a list of one.

        Raises `FileProblem` (TOO_LARGE) for one that is longer than LIST_LIMIT.
        """
        place = self._first(prop)
        if place is None:
            return None
        node, element = place
        if element is None:
            return [node.get(prop, "")]
        array = _array_of(element)
        if array is not None and len(array) > LIST_LIMIT:
            raise FileProblem(Reason.TOO_LARGE, f"a list in XMP has more than {LIST_LIMIT:,} values")
        return [_text_of(element)] if array is None else [_text_of(li) for li in array.iterchildren(_LI)]

    def element(self, prop: str) -> etree._Element | None:
        """The element of a structured property."""
        return next((element for _, element in self._places.get(prop, ()) if element is not None), None)

    def set_text(self, prop: str, value: str) -> None:
        """Set a simple property, in the syntax in which it is there already."""
        place = self._first_only(prop)
        if place is not None and place[1] is None:
            place[0].set(prop, tidy(value))
        else:
            self._emptied(prop).text = tidy(value)

    def set_structure(self, prop: str) -> etree._Element:
        """The element of a structured property, empty and ready to take its parts."""
        element = self._emptied(prop)
        element.set(_PARSE_TYPE, "Resource")
        return element

    def set_items(self, prop: str, values: list[str], array: Array) -> None:
        """Set a list. Items that stay keep their qualifiers."""
        element = self.element(prop)
        present = {} if element is None else _items_by_text(element)
        element = self._emptied(prop)
        parent = etree.SubElement(element, name(array))
        for value in values:
            item = present.pop(tidy(value), None)
            if item is None:
                etree.SubElement(parent, _LI).text = tidy(value)
            else:
                parent.append(item)

    def set_default(self, prop: str, value: str, old: str | None) -> None:
        """Set x-default, and each language that held the old value; other languages stay."""
        place = self._first_only(prop)
        array = None if place is None or place[1] is None else _array_of(place[1])
        if array is None:
            array = etree.SubElement(self._emptied(prop), name(Array.ALT))
        elif array.tag != name(Array.ALT):
            array.tag = name(Array.ALT)
        for item in array.iterchildren(_LI):
            if item.get(_LANG) is None:
                item.set(_LANG, _DEFAULT)
            if item.get(_LANG) == _DEFAULT or same_text(_text_of(item), old):
                _set_text_of(item, value)
        if not any(item.get(_LANG) == _DEFAULT for item in array.iterchildren(_LI)):
            item = etree.Element(_LI, {_LANG: _DEFAULT})
            item.text = tidy(value)
            array.insert(0, item)

    def remove(self, prop: str) -> None:
        """Remove a property, wherever it is."""
        for place in self._places.pop(prop, ()):
            _take_away(prop, place)

    def to_packet(self, *, room: int = 0, padding: int = PADDING, limit: int = SIZE_LIMIT) -> bytes:
        """The packet with its wrapper: `room` bytes long if it fits, else with padding for the next time.

        Raises `FileProblem` (TOO_LARGE) if it is longer than `limit` without any padding.
        """
        content = _BEGIN + etree.tostring(self._root, encoding="utf-8", with_tail=False) + b"\n"
        needed = len(content) + len(_END)
        if needed > limit:
            raise FileProblem(Reason.TOO_LARGE, f"the XMP needs {needed} bytes, and {limit} fit")
        length = room if needed <= room else min(needed + padding, limit)
        return content + _blank(length - needed) + _END

    def to_sidecar(self) -> bytes:
        """The file as it was wrapped and encoded, or a complete XML document for a new one."""
        tree = self._root.getroottree()
        encoding = tree.docinfo.encoding or "UTF-8"
        return bytes(etree.tostring(tree, encoding=encoding, xml_declaration=True))  # type: ignore[arg-type] # never text

    def _note_places(self, nodes: Iterable[etree._Element]) -> None:
        for node in nodes:
            for key in node.attrib:
                self._places.setdefault(str(key), []).append((node, None))
            for child in node.iterchildren("*"):
                self._places.setdefault(str(child.tag), []).append((node, child))

    def _first(self, prop: str) -> _Place | None:
        """Where the property is read from."""
        places = self._places.get(prop)
        return places[0] if places else None

    def _first_only(self, prop: str) -> _Place | None:
        """Where the property is read from; it is removed from anywhere else."""
        places = self._places.get(prop)
        if places is None:
            return None
        for place in places[1:]:
            _take_away(prop, place)
        del places[1:]
        return places[0]

    def _emptied(self, prop: str) -> etree._Element:
        """The property's element without content, made where it is missing; it is there once afterwards."""
        place = self._first_only(prop)
        element = None if place is None else place[1]
        if element is None:
            self.remove(prop)
            return self._new(prop)
        element.text = None
        for child in list(element):
            element.remove(child)
        element.attrib.clear()
        return element

    def _new(self, prop: str) -> etree._Element:
        uri = etree.QName(prop).namespace or ""
        nodes = self._nodes
        node = next((node for node in nodes if uri in node.nsmap.values()), None)
        if node is None:
            # Old packets name their subject without a namespace, and all their nodes must agree.
            about = {key: node.get(key, "") for node in nodes[:1] for key in (_ABOUT, "about") if key in node.attrib}
            prefix = PREFIXES.get(uri) or self._prefixes[uri]
            node = etree.SubElement(self._rdf, _DESCRIPTION, about or {_ABOUT: ""}, {prefix: uri})
            nodes.append(node)
        element = etree.SubElement(node, prop)
        self._places[prop] = [(node, element)]
        return element


def _take_away(prop: str, place: _Place) -> None:
    node, element = place
    if element is None:
        del node.attrib[prop]
    else:
        node.remove(element)


def fitted(packet: bytes, length: int) -> bytes | None:
    """A packet made by `to_packet` with its padding such that it is `length` bytes long; None if it does not fit."""
    content, end, behind = packet.rpartition(_END[:10])
    content = content.rstrip(b" \n") + b"\n"
    room = length - len(content) - len(end) - len(behind)
    return content + _blank(room) + end + behind if room >= 0 else None


def _as_utf8(data: bytes) -> bytes:
    """The packet without what surrounds it; one in UTF-16 or UTF-32 says so in its first bytes, and not to XML."""
    for start, encoding in (
        (b"\0\0\0<", "utf-32-be"),
        (b"<\0\0\0", "utf-32-le"),
        (b"\0<\0", "utf-16-be"),
        (b"<\0", "utf-16-le"),
    ):
        if data.startswith(start):
            return data.decode(encoding, "replace").strip("\0 \t\r\n").encode()
    # A byte order mark is followed by whole characters: nothing may be cut off behind them.
    return data if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.strip(b"\0 \t\r\n")


def _text_of(element: etree._Element) -> str:
    """The text of a simple value, also if it is qualified or a resource."""
    if not len(element) and element.get(_VALUE) is None:
        return element.get(_RESOURCE) or element.text or ""
    for holder in (element, element.find(_DESCRIPTION)):
        if holder is None:
            continue
        inner = holder.find(_VALUE)
        if inner is not None:
            return _plain(inner)
        if holder.get(_VALUE) is not None:
            return holder.get(_VALUE, "")
    return element.get(_RESOURCE) or _plain(element)


def _plain(element: etree._Element) -> str:
    """The text in an element, whatever comments stand in between."""
    return "".join([element.text or "", *(one.tail or "" for one in element if _is_remark(one))])


def _is_remark(node: etree._Element) -> bool:
    return isinstance(node, etree._Comment | etree._ProcessingInstruction)


def _set_text_of(element: etree._Element, value: str) -> None:
    target = element
    for holder in (element, element.find(_DESCRIPTION)):
        inner = None if holder is None else holder.find(_VALUE)
        if inner is not None:
            target = inner
        elif holder is not None and holder.get(_VALUE) is not None:
            holder.set(_VALUE, tidy(value))
            return
    target.attrib.pop(_RESOURCE, "")
    for remark in [one for one in target if _is_remark(one)]:
        target.remove(remark)
    target.text = tidy(value)


def _array_of(element: etree._Element) -> etree._Element | None:
    for child in element:
        if child.tag in _ARRAYS:
            return child
    return None


def _text_of_property(element: etree._Element) -> str:
    array = _array_of(element)
    if array is None:
        return _text_of(element)
    items = list(array.iterchildren(_LI))
    for item in items:
        if item.get(_LANG) == _DEFAULT:
            return _text_of(item)
    return _text_of(items[0]) if items else ""


def _items_by_text(element: etree._Element) -> dict[str, etree._Element]:
    array = _array_of(element)
    items = [] if array is None else list(array.iterchildren(_LI))
    return {tidy(_text_of(item)): item for item in reversed(items)}


def resized(packet: bytes, length: int) -> bytes | None:
    """A writable packet, made this long by its padding; None if it cannot be."""
    end = packet.rfind(_END)
    content = packet[: max(end, 0)].rstrip() + b"\n"
    blank = length - len(content) - len(_END)
    return content + _blank(blank) + _END if end >= 0 and blank >= 0 else None


def _blank(length: int) -> bytes:
    """White space in lines, so that editors which show the packet stay readable.

    Lines are counted from the end, so that what lies behind the change of a text stays as it is.
    """
    line = b" " * (_LINE - 1) + b"\n"
    lines = line * (length // _LINE + 1)
    return lines[len(lines) - length :]
