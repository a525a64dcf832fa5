"""Changes inside a movie's header: the lengths around them follow, and free space takes what they gain or give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..media import MediaFile
from ..plan import Patch
from ..problems import FileProblem, Reason
from .boxes import Box, box, boxes, resized

FREE = frozenset({b"free", b"skip"})
SLACK = 8192
"""How much free space is left for later changes where there is none."""
_NEAR = 65_536
"""What lies between two changes is rewritten with them up to this length, rather than the whole file."""
_LOOKED_AT = 64
_CHILDREN_LIMIT = 65_536
HEAD = 8
"""How long the head of a box is that has no need of 64 bits."""


@dataclass(frozen=True)
class Node:
    """A box, and those that it lies in, outermost first."""

    box: Box
    within: tuple[Box, ...] = ()

    @property
    def inside(self) -> tuple[Box, ...]:
        """What its children lie in."""
        return (*self.within, self.box)


@dataclass(frozen=True)
class Change:
    """Bytes that become others, and the boxes around them, outermost first."""

    patch: Patch
    within: tuple[Box, ...] = ()

    @property
    def growth(self) -> int:
        """How many bytes it adds."""
        return len(self.patch.new) - len(self.patch.old)


def children(media: MediaFile, parent: Node, start: int | None = None) -> Iterator[Node]:
    """The boxes in a box; what follows a zero in their place is left alone, as QuickTime ends lists so."""
    position, end = parent.box.data if start is None else start, parent.box.end
    for _ in range(_CHILDREN_LIMIT):
        if end - position < HEAD or media.read(position, 4) == bytes(4):
            break
        child = next(boxes(media, position, end))
        yield Node(child, parent.inside)
        position = child.end
    if any(media.read(position, min(end - position, HEAD))):
        raise FileProblem(Reason.CORRUPT, "the file's boxes are damaged")


def meta_start(media: MediaFile, meta: Box) -> int:
    """Where the boxes in a `meta` box begin: in QuickTime at once, in MP4 behind a version."""
    return meta.data if any(media.read(meta.data, min(4, meta.length))) else min(meta.data + 4, meta.end)


def replaced(media: MediaFile, node: Node, content: bytes) -> Change:
    """A box with other content."""
    old = node.box
    if len(content) == old.length and not old.to_end:
        return Change(Patch(old.data, media.read(old.data, old.length), content), node.within)
    return Change(Patch(old.start, media.read(old.start, old.end - old.start), box(old.kind, content)), node.within)


def removed(media: MediaFile, node: Node) -> Change:
    """A box that is no more."""
    return Change(Patch(node.box.start, media.read(node.box.start, node.box.end - node.box.start), b""), node.within)


def freed(media: MediaFile, node: Node) -> Change:
    """A box that becomes free space of the same length."""
    old = media.read(node.box.start, node.box.end - node.box.start)
    return Change(Patch(node.box.start, old, box(b"free", bytes(len(old) - HEAD))), node.within)


def balanced(media: MediaFile, changes: Sequence[Change], spaces: Sequence[Node]) -> list[Change]:
    """The changes, with the free space close to them made smaller or larger by what they gain or give.

    Where there is none, some is added behind them for the next time.
    """
    growth = sum(change.growth for change in changes)
    if growth == 0:
        return list(changes)
    end = max(change.patch.offset + len(change.patch.old) for change in changes)
    near = sorted(spaces, key=lambda node: abs(node.box.start - end))
    blank = [node for node in near if abs(node.box.start - end) <= _NEAR and is_blank(media, node.box, growth)]
    for space in blank:
        left = space.box.end - space.box.start - growth
        if left == 0 or left >= HEAD:
            return [*changes, Change(_space_of(media, space.box, left), space.within)]
    if blank:
        # Made larger, so that small pieces do not become many.
        return [*changes, Change(_space_of(media, blank[0].box, SLACK), blank[0].within)]
    last = max(changes, key=lambda change: change.patch.offset)
    if len(last.within) > 1:
        at, within = last.within[1].end, last.within[:1]
    else:
        at, within = last.patch.offset + len(last.patch.old), last.within
    room = -growth if growth <= -HEAD else SLACK
    return [*changes, Change(Patch(at, b"", box(b"free", bytes(room - HEAD))), within)]


def is_blank(media: MediaFile, space: Box, needed: int) -> bool:
    """Whether nothing is in a free box: dashboard cameras keep their positions in boxes that are called so."""
    looked_at = min(max(needed, _LOOKED_AT), space.length)
    return space.data - space.start == HEAD and not space.to_end and not any(media.read(space.data, looked_at))


def _space_of(media: MediaFile, space: Box, length: int) -> Patch:
    """The patch that makes a blank box longer or shorter."""
    gone = max(space.end - space.start - length, 0)
    old = media.read(space.start, min(HEAD + gone, space.end - space.start))
    new = length.to_bytes(4, "big") + space.kind + bytes(length - (space.end - space.start) + gone) if length else b""
    return Patch(space.start, old, new)


def patches_of(media: MediaFile, changes: Sequence[Change]) -> list[Patch]:
    """The changes and the lengths around them, in the order of the file."""
    growth: dict[Box, int] = {}
    for change in changes:
        for around in change.within:
            growth[around] = growth.get(around, 0) + change.growth
    # What is added where several boxes end comes into the innermost first.
    inner_first = sorted(changes, key=lambda change: -len(change.within))
    patches = [change.patch for change in inner_first if change.patch.old != change.patch.new]
    patches += [resized(media, around, by) for around, by in growth.items() if by]
    found: list[Patch] = []
    for patch in sorted(patches, key=lambda patch: (patch.offset, len(patch.old) > 0)):
        if found and found[-1].offset == patch.offset and not found[-1].old:
            found[-1] = Patch(patch.offset, patch.old, found[-1].new + patch.new)
        else:
            found.append(patch)
    return found


def joined(media: MediaFile, patches: Sequence[Patch]) -> tuple[Patch, ...]:
    """The same change in patches that keep their lengths, if little moves; the last may add to the end."""
    found: list[Patch] = []
    group: list[Patch] = []
    growth = 0
    for patch in patches:
        growth += len(patch.new) - len(patch.old)
        if not group and growth == 0:
            found.append(patch)
            continue
        group.append(patch)
        if growth == 0:
            found += _one(media, group, group[-1].offset + len(group[-1].old))
            group = []
    return (*found, *_one(media, group, media.size)) if group else tuple(found)


def _one(media: MediaFile, group: Sequence[Patch], end: int) -> Sequence[Patch]:
    start = group[0].offset
    if end - start > _NEAR:
        return group
    old, new, position = media.read(start, end - start), b"", start
    for patch in group:
        new += old[position - start : patch.offset - start] + patch.new
        position = patch.offset + len(patch.old)
    new += old[position - start :]
    if len(new) < len(old):
        return group
    # What is added lies apart, as a patch cut to what differs may not reach the end.
    pieces = Patch(start, old, new[: len(old)]), Patch(end, b"", new[len(old) :])
    return [patch for patch in pieces if patch.new]
