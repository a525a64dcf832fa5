"""Undoing: the plan that takes a change of a file back, made from the plan of that change alone."""

from __future__ import annotations

import secrets

from .patching import guards, way
from .plan import FilePlan, Mode, Patch
from .port import TEMP_PREFIX, Root
from .problems import Changed, FileProblem, Reason


def undo_of(root: Root, done: FilePlan) -> FilePlan:
    """The plan after which the file is, byte for byte, as it was before `done`; it is applied like any other.

    Raises `Changed` if the file is not what `done` made of it, and `FileProblem` if it cannot be read, or not be
    changed where it is although it has several names.
    """
    if done.mode is Mode.REMOVE:
        raise Changed("what was removed cannot be told from what never was")
    with root.open(done.target) as media:
        identity = media.identity
        if identity.size != done.new_size or not media.holds(done.new_ranges):
            raise Changed("the file was written again since")
        patches = _reversed(done)
        mode = Mode.REMOVE if done.mode is Mode.CREATE else way(patches, identity.size)
        if mode is Mode.REPLACE and identity.links > 1:
            raise FileProblem(Reason.UNSUPPORTED, "the file has several names (hard links)")
        return FilePlan(
            target=done.target,
            home=done.home,
            mode=mode,
            temp=TEMP_PREFIX + secrets.token_hex(8).encode(),
            identity=identity,
            patches=patches,
            guards=guards(media, patches),
            keep_mtime=done.keep_mtime,
        )


def is_made(root: Root, done: FilePlan) -> bool:
    """Whether the file is as `done` made it."""
    if root.identity(done.target) is None:
        return done.mode is Mode.REMOVE
    with root.open(done.target) as media:
        return media.size == done.new_size and media.holds(done.new_ranges)


def is_taken_back(root: Root, done: FilePlan) -> bool:
    """Whether the file is as it was before `done`: that was refused, or has been undone."""
    if root.identity(done.target) is None:
        return done.mode is Mode.CREATE
    if done.mode is Mode.CREATE:
        return False
    with root.open(done.target) as media:
        return media.size == done.old_size and media.holds(done.old_ranges)


def _reversed(done: FilePlan) -> tuple[Patch, ...]:
    grown, found = 0, []
    for patch in done.patches:
        found.append(Patch(patch.offset + grown, patch.new, patch.old))
        grown += len(patch.new) - len(patch.old)
    return tuple(found)
