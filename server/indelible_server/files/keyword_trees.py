"""Keywords as trees: ACDSee keeps one as XML inside a text, and the Metadata Working Group one as XMP structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lxml import etree

from .codecs import Codec, Raw
from .forms import Block, Metadata, Rule
from .keywords import meant
from .namespaces import name
from .policy import Policy
from .structures import entries, part
from .tags import SEPARATOR, Value, levels, tidy, unique
from .xmp import Array, parser


@dataclass
class _Branch:
    """A keyword and those below it, by their case-folded names. One that is not assigned is only there for others.

    `gone` says that it was assigned until now.
    """

    name: str = ""
    assigned: bool = False
    gone: bool = False
    below: dict[str, _Branch] = field(default_factory=dict)

    def at(self, name: str) -> _Branch:
        """The branch of this name right below, made if there is none."""
        return self.below.setdefault(name.casefold(), _Branch(name))

    def paths(self, above: tuple[str, ...] = ()) -> Iterator[str]:
        """The paths of what is assigned below."""
        for branch in self.below.values():
            path = (*above, branch.name)
            if branch.assigned:
                yield SEPARATOR.join(path)
            yield from branch.paths(path)

    def assign(self, keywords: Iterable[str]) -> None:
        """Let these be assigned and no others. What was not assigned before is some vocabulary, and stays."""
        self._unassign()
        for keyword in keywords:
            branch = self
            for level in levels(keyword):
                branch = branch.at(level)
            branch.assigned = branch is not self
        self._prune()

    def _unassign(self) -> None:
        self.gone = self.assigned
        self.assigned = False
        for branch in self.below.values():
            branch._unassign()

    def _prune(self) -> bool:
        """Take out what is assigned no longer and has nothing below; whether this branch is to be taken out itself."""
        was_empty = not self.below
        self.below = {key: branch for key, branch in self.below.items() if not branch._prune()}
        return not self.assigned and not self.below and (self.gone or not was_empty)


def _wanted(value: Any, present: Iterable[str], policy: Policy) -> list[str]:
    shown = [keyword for keyword in meant(value) if not policy.is_private(keyword)]
    return unique("keywords", [*shown, *(keyword for keyword in present if policy.is_private(keyword))])


_CATEGORIES, _CATEGORY, _ASSIGNED = "Categories", "Category", "Assigned"


def _tree_in(text: str) -> _Branch:
    """ACDSee's tree; an empty one for what is none."""
    tree = _Branch()
    try:
        root = etree.fromstring(text.encode(), parser())
    except etree.XMLSyntaxError:
        return tree
    _grow(tree, root)
    return tree


def _grow(tree: _Branch, element: etree._Element) -> None:
    for child in element.iterchildren(_CATEGORY):
        label = tidy(child.text or "")
        if label:
            branch = tree.at(label)
            branch.assigned |= child.get(_ASSIGNED) == "1"
            _grow(branch, child)


def _encode_categories(value: Any, old: Raw | None, policy: Policy) -> str | None:
    tree = _tree_in(old or "")
    tree.assign(_wanted(value, list(tree.paths()), policy))
    if not tree.below:
        return None
    root = etree.Element(_CATEGORIES)
    _write_categories(root, tree)
    return etree.tostring(root, encoding="unicode")


def _write_categories(element: etree._Element, tree: _Branch) -> None:
    for branch in tree.below.values():
        child = etree.SubElement(element, _CATEGORY, {_ASSIGNED: "1" if branch.assigned else "0"})
        child.text = branch.name
        _write_categories(child, branch)


CATEGORIES = Codec(_encode_categories, lambda raw, _policy: list(_tree_in(raw).paths()) or None)


@dataclass(frozen=True)
class KeywordHierarchy:
    """The hierarchy of the Metadata Working Group."""

    rule: Rule = Rule.COMPATIBLE
    is_source: bool = True

    block: ClassVar[Block] = Block.XMP

    _PROP = name("mwg-kw:Keywords")
    _HIERARCHY = name("mwg-kw:Hierarchy")
    _KEYWORD, _APPLIED, _CHILDREN = name("mwg-kw:Keyword"), name("mwg-kw:Applied"), name("mwg-kw:Children")
    props: ClassVar[frozenset[str]] = frozenset({_PROP})

    def is_present(self, metadata: Metadata) -> bool:
        return self._PROP in metadata.names

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        return list(self._tree(metadata).paths()) or None

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        packet = metadata.packet()
        tree = self._renewed(metadata, value, policy)
        packet.remove(self._PROP)
        metadata.names.discard(self._PROP)
        if value is not None and tree.below:
            element = packet.set_structure(self._PROP)
            self._write(etree.SubElement(element, self._HIERARCHY), tree)
            metadata.names.add(self._PROP)

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        return list(self._renewed(metadata, value, policy).paths()) or None

    def _renewed(self, metadata: Metadata, value: Value | None, policy: Policy) -> _Branch:
        tree = self._tree(metadata)
        tree.assign(_wanted(value if isinstance(value, list) else [], list(tree.paths()), policy))
        return tree

    def _tree(self, metadata: Metadata) -> _Branch:
        tree = _Branch()
        found = metadata.xmp.element(self._PROP) if metadata.xmp and self.is_present(metadata) else None
        hierarchy = None if found is None else found.find(f".//{self._HIERARCHY}")
        if hierarchy is not None:
            self._grow(tree, hierarchy)
        return tree

    def _grow(self, tree: _Branch, list_element: etree._Element) -> None:
        for entry in entries(list_element):
            label = part(entry, self._KEYWORD)
            if not label:
                continue
            branch, below = tree.at(label), entry.find(self._CHILDREN)
            if below is not None:
                self._grow(branch, below)
            # What does not say whether it is applied is so at the end of its branch.
            applied = part(entry, self._APPLIED).lower()
            branch.assigned |= applied == "true" or (not applied and not branch.below)

    def _write(self, element: etree._Element, tree: _Branch) -> None:
        bag = etree.SubElement(element, name(Array.BAG))
        for branch in tree.below.values():
            item = etree.SubElement(bag, name("rdf:li"), {name("rdf:parseType"): "Resource"})
            etree.SubElement(item, self._KEYWORD).text = branch.name
            etree.SubElement(item, self._APPLIED).text = str(branch.assigned)
            if branch.below:
                self._write(etree.SubElement(item, self._CHILDREN), branch)
