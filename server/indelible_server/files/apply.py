"""Applying a plan to a file: the only code that changes anything on people's storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .plan import FilePlan, Identity, Mode
from .port import Folder, MediaFile, Root
from .problems import Changed, FileProblem, Reason


@dataclass(frozen=True)
class Applied:
    """What was done: the file as it looks now, and how many bytes were written."""

    identity: Identity
    bytes_written: int


class LeaseLost(Exception):
    """The work is no longer ours; nothing was written."""


def apply(root: Root, plan: FilePlan, *, still_ours: Callable[[], bool]) -> Applied:
    """Make the change durable. The plan must have been committed as an intent before.

    `still_ours` is asked last, when all is open and ready; if it says no, `LeaseLost` is raised. Raises `Changed` if
    the file is not what the plan was made for. In both cases nothing was written. Raises `FileProblem` if
    the storage refuses: then the file is whole, unless it was being patched and its intent is yet to be settled.
    """
    with root.folder_of(plan.target) as (folder, name):
        if plan.mode in (Mode.PATCH, Mode.APPEND):
            return _patch(folder, name, plan, still_ours)
        return _replace(folder, name, plan, still_ours)


def _patch(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name, writable=True) as media:
        media.hold(exclusive=True)
        _ask(still_ours)
        _check(media, plan)
        # The tail first: a pointer must never be seen before what it points to is there.
        tail = [patch for patch in plan.patches if not patch.old]
        for patches in (tail, [patch for patch in plan.patches if patch.old]):
            for patch in patches:
                media.write(patch.offset, patch.new)
            if patches:
                media.sync()
        if plan.keep_mtime and plan.identity:
            media.set_mtime(plan.identity.mtime_ns)
        return Applied(media.identity, media.bytes_written)


def _replace(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    try:
        if plan.mode is Mode.CREATE:
            return _create(folder, name, plan, still_ours)
        with folder.open(name) as original:
            original.hold(exclusive=False)
            _check(original, plan)
            with folder.create(plan.temp) as temp:
                _build(temp, plan, original)
                applied = Applied(temp.identity, temp.bytes_written)
            _ask(still_ours)
            _check(original, plan)
            if folder.identity(name) != plan.identity:
                raise Changed(f"{name!r} was replaced meanwhile")
            _swap(folder, name, plan, original)
        return applied
    finally:
        folder.unlink(plan.temp)


def _create(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.create(plan.temp) as temp:
        _build(temp, plan, None)
        applied = Applied(temp.identity, temp.bytes_written)
    _ask(still_ours)
    folder.rename_new(plan.temp, name)
    folder.sync()
    return applied


def _build(temp: MediaFile, plan: FilePlan, original: MediaFile | None) -> None:
    raise NotImplementedError


def _swap(folder: Folder, name: bytes, plan: FilePlan, original: MediaFile) -> None:
    raise NotImplementedError


def _check(media: MediaFile, plan: FilePlan) -> None:
    raise NotImplementedError


def _ask(still_ours: Callable[[], bool]) -> None:
    if not still_ours():
        raise LeaseLost("the lease has ended")
