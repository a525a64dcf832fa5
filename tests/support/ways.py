"""The ways in which the engine changes a file, each as a plan that is ready to be applied."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan, Identity, Mode
from indelible_server.files.port import Root
from indelible_server.files.settle import Outcome, settle
from indelible_server.files.tags import Tags
from indelible_server.files.undoing import undo_of
from unit.files.library import Library, jpeg
from unit.files.tiffs import Maker

MARK = b"edit:000000000000"
"""In every file, for other programs to change."""
TAGS: Tags = {"title": "second title", "headline": MARK.decode(), "description": "long " * 350}
LATER: Tags = {"title": "a third title", "headline": MARK.decode(), "description": "longer " * 300}


@dataclass(frozen=True)
class Way:
    """A plan, and what its target holds before and after it; None is no file."""

    plan: FilePlan
    old: bytes | None
    new: bytes | None

    def content(self, outcome: Outcome) -> dict[bytes, bytes]:
        """All that the folder may hold after this outcome."""
        content = {Outcome.NEW: self.new, Outcome.OLD: self.old}[outcome]
        return {} if content is None else {self.plan.target: content}

    def laid(self, folder: Path) -> Way:
        """The same at the beginning, in this folder, with nothing else in it."""
        for name in os.listdir(folder):
            os.unlink(folder / name)
        if self.old is None:
            return self
        path = folder / os.fsdecode(self.plan.target)
        path.write_bytes(self.old)
        status = path.stat()
        return replace(
            self, plan=replace(self.plan, identity=Identity(status.st_size, status.st_mtime_ns, status.st_ino))
        )

    def check_settled(self, root: Root, outcome: Outcome) -> None:
        """What settlement said is true, settled once more it is the same, nothing is left, and a write on top works."""
        folder = os.fsdecode(root.path)
        assert outcome in (Outcome.NEW, Outcome.OLD), "taken for someone else's"
        assert contents(folder) == self.content(outcome)
        assert settle(root, self.plan) is outcome, "settled once more, it is another outcome"
        following = self._next(root, outcome)
        if following is not None:
            apply(root, following.plan, still_ours=lambda: True)
            assert contents(folder) == following.content(Outcome.NEW)

    def _next(self, root: Root, outcome: Outcome) -> Way | None:
        """The write that comes after this outcome: once more, or back again. None if nothing is left to be written."""
        if outcome is Outcome.OLD:
            return replace(self, plan=replace(self.plan, identity=root.identity(self.plan.target)))
        return None if self.new is None else Way(undo_of(root, self.plan), self.new, self.old)


def contents(folder: str | Path) -> dict[bytes, bytes]:
    """What a folder holds."""
    return {os.fsencode(path.name): path.read_bytes() for path in Path(folder).iterdir()}


def _patch(library: Library) -> FilePlan:
    key = library.add("a.jpg", jpeg(trailer=MARK))
    library.write(key, {"title": "first"})
    return _only(library, key)


def _append(library: Library) -> FilePlan:
    return _only(library, library.add("a.tif", Maker(begin=MARK).made()))


def _replace(library: Library) -> FilePlan:
    return _only(library, library.add("a.jpg", jpeg(trailer=MARK)))


def _create(library: Library) -> FilePlan:
    return _only(library, library.add("a.nef", b"II*\0raw"))


def _remove(library: Library) -> FilePlan:
    done = _create(library)
    apply(library.root, done, still_ours=lambda: True)
    return undo_of(library.root, done)


def _sidecar(library: Library) -> FilePlan:
    key = library.add("a.nef", b"II*\0raw")
    library.write(key, TAGS)
    (plan,) = library.plan(key, LATER).files
    return plan


def _only(library: Library, key: bytes) -> FilePlan:
    (plan,) = library.plan(key, TAGS).files
    return plan


_WAYS: Mapping[str, tuple[Mode, Callable[[Library], FilePlan]]] = {
    "patch": (Mode.PATCH, _patch),
    "append": (Mode.APPEND, _append),
    "replace": (Mode.REPLACE, _replace),
    "sidecar": (Mode.REPLACE, _sidecar),
    "create": (Mode.CREATE, _create),
    "remove": (Mode.REMOVE, _remove),
}

WAYS = tuple(_WAYS)


@dataclass(frozen=True)
class Place:
    """A way of writing, on a disk that may lack something, or on a share of this character."""

    way: str
    lacks: str = ""
    share: str = ""

    def __str__(self) -> str:
        lacks = f"no {self.lacks}" if self.lacks else ""
        return ", ".join(part for part in (self.way, lacks, self.share) if part)


ON_DISK = [
    *[Place(way) for way in _WAYS],
    *[Place(way, lacks) for way in ("replace", "create", "remove") for lacks in ("exchange", "exchange nor links")],
]
"""Each way, and those of them that depend on it also where the file system cannot do something."""
ON_SHARES = [Place(way, share=share) for share in ("smb", "nfs") for way in _WAYS]


def make_way(name: str, folder: Path) -> Way:
    """The way of this name. The folder is needed only meanwhile."""
    mode, make = _WAYS[name]
    folder.mkdir()
    with Root(str(folder)) as root:
        library = Library(folder, root)
        plan = make(library)
        assert plan.mode is mode
        old = None if plan.mode is Mode.CREATE else library.bytes_of(plan.target)
    return Way(plan, old, None if mode is Mode.REMOVE else _made(plan, old or b""))


def _made(plan: FilePlan, old: bytes) -> bytes:
    pieces = (piece if isinstance(piece, bytes) else old[piece.offset :][: piece.length] for piece in plan.pieces())
    return b"".join(pieces)
