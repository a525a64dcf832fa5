"""A plan: what an item's files are to hold afterwards and, for each file to be changed, exactly which bytes change."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from .merge import Conflict
from .tags import Tags

_VERSION = 1
_SIZE_LIMIT = 512 * 1024 * 1024


class Home(StrEnum):
    """A place where an item's tags live."""

    EMBEDDED = "embedded"
    SIDECAR = "sidecar"


class Mode(StrEnum):
    """How a file is changed. A plan is UNCHANGED if no file is, and SIDECAR if only the sidecar is.

    PATCH and APPEND change the file where it is; APPEND also makes it longer at its end. REMOVE undoes a CREATE.
    """

    UNCHANGED = "unchanged"
    PATCH = "patch"
    APPEND = "append"
    REPLACE = "replace"
    CREATE = "create"
    REMOVE = "remove"
    SIDECAR = "sidecar"


@dataclass(frozen=True)
class Identity:
    """How a file looked: enough to notice that it is another one now, not enough to prove that it is not."""

    size: int
    mtime_ns: int
    inode: int
    links: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Patch:
    """At `offset` of the old file, the bytes `old` become `new`; the lengths may differ unless the file is patched."""

    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True)
class Guard:
    """Bytes of the old file that the change leaves alone, and that must be there for it to be made."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Copy:
    """A piece of a new file that is taken over from the old one."""

    offset: int
    length: int


@dataclass(frozen=True)
class FilePlan:
    """The change of one file, whole: it can be made, judged by content after a crash, and undone from this alone.

    `patches` are in ascending order and never overlap. `identity` is None for a file that does not exist yet (CREATE).
    `temp` is the name, in the target's folder, under which a new file is built.
    """

    target: bytes
    home: Home
    mode: Mode
    temp: bytes
    identity: Identity | None
    patches: tuple[Patch, ...]
    guards: tuple[Guard, ...] = ()
    keep_mtime: bool = False

    def __post_init__(self) -> None:
        for before, after in pairwise(self.patches):
            if before.offset + len(before.old) > after.offset:
                raise ValueError("patches overlap or are out of order")
        fixed = self.patches[:-1] if self.mode is Mode.APPEND else self.patches
        if self.in_place and any(len(patch.old) != len(patch.new) for patch in fixed):
            raise ValueError("a patch in place cannot change a length")
        if self.mode is Mode.APPEND and not self.tail:
            raise ValueError("nothing is appended at the end")

    @property
    def in_place(self) -> bool:
        """Whether the file itself is changed, and no new one takes its place."""
        return self.mode in (Mode.PATCH, Mode.APPEND)

    @property
    def rebuilds(self) -> bool:
        """Whether a whole new file gets the name."""
        return self.mode in (Mode.REPLACE, Mode.CREATE)

    @property
    def tail(self) -> bytes:
        """What the file gains at its end, if it is changed in place."""
        if self.mode is not Mode.APPEND or not self.patches:
            return b""
        last = self.patches[-1]
        return last.new[len(last.old) :] if last.offset + len(last.old) == self.old_size else b""

    @property
    def fixed(self) -> tuple[Patch, ...]:
        """The patches of a change in place without its tail: those that keep their lengths."""
        if not self.tail:
            return self.patches
        *before, last = self.patches
        rest = Patch(last.offset, last.old, last.new[: len(last.old)])
        return (*before, rest) if rest.old else tuple(before)

    @property
    def old_size(self) -> int:
        """The file's size before; 0 if it did not exist."""
        return self.identity.size if self.identity else 0

    @property
    def new_size(self) -> int:
        """The file's size afterwards."""
        return self.old_size + sum(len(patch.new) - len(patch.old) for patch in self.patches)

    @property
    def old_ranges(self) -> list[tuple[int, bytes]]:
        """What the old file holds, and where."""
        return sorted([(patch.offset, patch.old) for patch in self.patches] + [(g.offset, g.data) for g in self.guards])

    @property
    def new_ranges(self) -> list[tuple[int, bytes]]:
        """What the new file holds, and where."""
        grown, ranges = 0, []
        for patch in self.patches:
            ranges.append((patch.offset + grown, patch.new))
            grown += len(patch.new) - len(patch.old)
        return sorted(ranges + [(self._moved(guard.offset), guard.data) for guard in self.guards])

    @property
    def bytes_changed(self) -> int:
        """How many bytes of data the plan itself brings."""
        return sum(len(patch.new) for patch in self.patches)

    def _moved(self, offset: int) -> int:
        """Where a byte that no patch touches is in the new file."""
        before = [patch for patch in self.patches if patch.offset + len(patch.old) <= offset]
        return offset + sum(len(patch.new) - len(patch.old) for patch in before)

    def pieces(self) -> Iterator[Copy | bytes]:
        """The new file, from its first byte to its last."""
        position = 0
        for patch in self.patches:
            if patch.offset > position:
                yield Copy(position, patch.offset - position)
            if patch.new:
                yield patch.new
            position = patch.offset + len(patch.old)
        if position < self.old_size:
            yield Copy(position, self.old_size - position)

    def to_bytes(self) -> bytes:
        """The plan for the store. Old and new bytes lie side by side uncoded, so that they compress as one."""
        blobs = [self.target, self.temp, *(part for patch in self.patches for part in (patch.old, patch.new))]
        blobs += [guard.data for guard in self.guards]
        head = {
            "home": self.home,
            "mode": self.mode,
            "identity": vars(self.identity) if self.identity else None,
            "patches": [patch.offset for patch in self.patches],
            "guards": [guard.offset for guard in self.guards],
            "keep_mtime": self.keep_mtime,
            "lengths": [len(blob) for blob in blobs],
        }
        text = json.dumps(head, separators=(",", ":")).encode()
        return bytes([_VERSION]) + zlib.compress(struct.pack(">I", len(text)) + text + b"".join(blobs), 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> FilePlan:
        """The plan that `to_bytes` gave; raises `ValueError` for anything else."""
        if data[:1] != bytes([_VERSION]):
            raise ValueError("not a plan of this version")
        try:
            content = _unpacked(data[1:])
            (length,) = struct.unpack_from(">I", content)
            head = json.loads(content[4 : 4 + length])
            blobs = _cut(content, 4 + length, head["lengths"])
            target, temp = next(blobs), next(blobs)
            return cls(
                target=target,
                home=Home(head["home"]),
                mode=Mode(head["mode"]),
                temp=temp,
                identity=Identity(**head["identity"]) if head["identity"] else None,
                patches=tuple(Patch(offset, next(blobs), next(blobs)) for offset in head["patches"]),
                guards=tuple(Guard(offset, next(blobs)) for offset in head["guards"]),
                keep_mtime=head["keep_mtime"],
            )
        except (KeyError, TypeError, RuntimeError, StopIteration, struct.error, zlib.error) as error:
            raise ValueError(f"a damaged plan: {error}") from error


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, _SIZE_LIMIT)
    if not unpacker.eof:
        raise ValueError("a damaged plan: it is cut off, or too large")
    return content


def _cut(content: bytes, position: int, lengths: list[int]) -> Iterator[bytes]:
    if position + sum(lengths) != len(content):
        raise ValueError("a damaged plan: its parts do not add up")
    for length in lengths:
        yield content[position : position + length]
        position += length


@dataclass(frozen=True)
class Plan:
    """What is to be done for one item, and why.

    `tags` are the item's tags after the merge; `wanted` is what each home that is written or kept in step must hold
    afterwards; `found` is what each home held; `written` the fields that change, per home. Under a HOLD policy a
    plan with conflicts has no `files`. `note` says why a sidecar is used where people may expect otherwise.
    """

    target: bytes
    format: str
    tags: Tags
    found: dict[Home, Tags]
    wanted: dict[Home, Tags]
    identity: Identity
    written: dict[Home, frozenset[str]] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    taken_in: frozenset[str] = frozenset()
    held: bool = False
    files: tuple[FilePlan, ...] = ()
    sidecar: bytes | None = None
    note: str = ""
    bytes_read: int = 0

    @property
    def mode(self) -> Mode:
        """How the item is written, seen as a whole."""
        if not self.files:
            return Mode.UNCHANGED
        embedded = next((file.mode for file in self.files if file.home is Home.EMBEDDED), None)
        return embedded or Mode.SIDECAR
