"""The texts of a movie: QuickTime's and 3GP's user data, the items of iTunes, and those with keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from ..tags import same_text
from . import text_layouts
from .boxes import Box, box
from .movie import Change, Node, children, removed, replaced
from .text_layouts import Layout

_LENGTH_LIMIT = 65_536
_KEYS_LIMIT = 4096
_TEXTS_LIMIT = 1024
_FAR = 16_384
"""A text with more than this behind it, in the same list, is moved to the list's end when it changes."""
_OURS = "com.apple.quicktime."
_USER_DATA: Mapping[bytes, Layout] = {
    b"titl": text_layouts.FULL,
    b"dscp": text_layouts.FULL,
    b"auth": text_layouts.FULL,
    b"cprt": text_layouts.FULL,
    b"kywd": text_layouts.KEYWORDS,
    b"loci": text_layouts.PLACE,
}


@dataclass(frozen=True)
class TextBox:
    """A box with a text: its key as in `table.py`, its content, and how the text lies in it.

    `end` is where the list ends that the box is in.
    """

    key: str
    node: Node
    content: bytes
    layout: Layout
    end: int

    @property
    def texts(self) -> tuple[str, ...]:
        """Its texts in its first language."""
        pieces = self.layout.pieces(self.content)
        return tuple(piece.text or "" for piece in pieces if piece.language == pieces[0].language)

    @property
    def language(self) -> bytes:
        """Its first language, as it is coded in the file."""
        return self.layout.pieces(self.content)[0].language


def in_user_data(media: MediaFile, nodes: Sequence[Node]) -> list[TextBox]:
    """The texts among the boxes of `udta`."""
    found: list[TextBox] = []
    _check_number(nodes)
    for node in nodes:
        kind = node.box.kind
        layout = text_layouts.LIST if kind.startswith(b"\xa9") else _USER_DATA.get(kind)
        if layout is not None:
            found += _text_box(media, f"udta:{kind.decode('latin-1')}", node, layout, nodes[-1].box.end)
    return found


def in_meta(media: MediaFile, nodes: Sequence[Node]) -> list[TextBox]:
    """The texts among the boxes of `meta`; with a table of keys, its items are called by these."""
    within = {node.box.kind: node for node in nodes}
    if sum(node.box.kind in (b"keys", b"ilst") for node in nodes) > len(within.keys() & {b"keys", b"ilst"}):
        raise FileProblem(Reason.UNSUPPORTED, "the file has several lists of texts in one place")
    items = within.get(b"ilst")
    if items is None:
        return []
    keys = _keys(media, within[b"keys"].box) if b"keys" in within else None
    found: list[TextBox] = []
    listed = list(children(media, items))
    _check_number(listed)
    for item in listed:
        if keys is None:
            key = f"ilst:{item.box.kind.decode('latin-1')}"
        else:
            key = keys.get(int.from_bytes(item.box.kind, "big"), "")
        if key:
            found += _text_box(media, key, item, text_layouts.ITEM, listed[-1].box.end)
    return found


def in_header(media: MediaFile, node: Node) -> list[TextBox]:
    """The moment in the header of a movie, a track, or its media."""
    return _text_box(media, node.box.kind.decode("latin-1"), node, text_layouts.MOMENT, node.box.end)


def _check_number(nodes: Sequence[Node]) -> None:
    if len(nodes) > _TEXTS_LIMIT:
        raise FileProblem(Reason.UNSUPPORTED, "the file has too many texts")


def _keys(media: MediaFile, table: Box) -> dict[int, str]:
    """What the items are called, by their numbers. Names without a domain are taken for Apple's, as readers do."""
    if table.length > _LENGTH_LIMIT:
        raise FileProblem(Reason.UNSUPPORTED, "the file has too many keys of texts")
    data = media.read(table.data, table.length)
    names, position = {}, 8
    for number in range(1, min(int.from_bytes(data[4:8], "big"), _KEYS_LIMIT) + 1):
        length = int.from_bytes(data[position : position + 4], "big")
        if length < 8 or position + length > len(data):
            raise FileProblem(Reason.CORRUPT, "the keys of the file's texts are damaged")
        name = data[position + 8 : position + length].decode("utf-8", "replace").rstrip("\0")
        names[number] = f"Keys:{name if '.' in name else _OURS + name}"
        position += length
    return names


def _text_box(media: MediaFile, key: str, node: Node, layout: Layout, end: int) -> list[TextBox]:
    if node.box.length > _LENGTH_LIMIT:
        return []
    content = media.read(node.box.data, node.box.length)
    pieces = layout.pieces(content)
    return [TextBox(key, node, content, layout, end)] if pieces and pieces[0].text is not None else []


def values(found: Sequence[TextBox]) -> dict[str, tuple[str, ...]]:
    """What the boxes say, by key."""
    texts: dict[str, tuple[str, ...]] = {}
    for text_box in found:
        texts[text_box.key] = texts.get(text_box.key, ()) + text_box.texts
    return texts


def changes(media: MediaFile, found: Sequence[TextBox], wanted: Mapping[str, tuple[str, ...]]) -> list[Change]:
    """The changes that make the boxes of some keys say something else, or remove them.

    A box in another language than the first of its key stays, unless it says what that one said.
    """
    changed: list[Change] = []
    for key, texts in wanted.items():
        of_key = [text_box for text_box in found if text_box.key == key]
        for text_box in of_key:
            if not texts and not text_box.layout.stays:
                changed.append(removed(media, text_box.node))
            elif text_box.language == of_key[0].language or same_text(text_box.texts[0], of_key[0].texts[0]):
                changed += _changed(media, text_box, text_box.layout.write(text_box.content, texts))
    return changed


def _changed(media: MediaFile, text_box: TextBox, content: bytes) -> list[Change]:
    node = text_box.node
    if len(content) > _LENGTH_LIMIT:
        raise FileProblem(Reason.TOO_LARGE, "a text does not fit into the file's own field for it")
    if text_box.end - node.box.end <= _FAR or len(content) == node.box.length:
        return [replaced(media, node, content)]
    # Behind a cover, say: the next time, that does not have to move.
    added = Change(Patch(text_box.end, b"", box(node.box.kind, content)), node.within)
    return [removed(media, node), added]
