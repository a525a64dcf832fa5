"""Applying a plan to a file: with settlement, the only code that changes anything on people's storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .media import MediaFile
from .plan import FilePlan, Identity, Mode
from .port import Folder, Root
from .problems import Changed, LeaseLost
from .settle import discard_temp, write_in_place


@dataclass(frozen=True)
class Applied:
    """What was done: the file as it looks now, and how many bytes were written."""

    identity: Identity
    bytes_written: int


def apply(root: Root, plan: FilePlan, *, still_ours: Callable[[], bool]) -> Applied:
    """Make the change durable. The plan must have been committed as an intent before.

    `still_ours` is asked when all is open and ready; if it says no, `LeaseLost` is raised. Raises `Changed` if the
    file is not what the plan was made for. In both cases the file is as it was. Raises `FileProblem` if the storage
    refuses: then the intent has to be settled, which finds the file old or new or makes it so.
    """
    with root.folder_of(plan.target) as (folder, name):
        if plan.in_place:
            return _patch(folder, name, plan, still_ours)
        if plan.mode is Mode.REMOVE:
            return _remove(folder, name, plan, still_ours)
        try:
            if plan.mode is Mode.CREATE:
                return _create(folder, name, plan, still_ours)
            return _replace(folder, name, plan, still_ours)
        finally:
            discard_temp(folder, plan)


def _patch(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name, writable=True) as media:
        media.hold(exclusive=True)
        _ask(still_ours)
        _check(media, plan)
        write_in_place(media, plan)
        return Applied(media.identity, media.bytes_written)


def _create(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.create(plan.temp, mode=0o666) as temp:
        for patch in plan.patches:
            temp.write(patch.offset, patch.new)
        temp.sync()
        applied = Applied(temp.identity, temp.bytes_written)
    _ask(still_ours)
    folder.rename_new(plan.temp, name)
    folder.sync()
    return applied


def _remove(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name) as media:
        media.hold(exclusive=False)
        _ask(still_ours)
        _check(media, plan)
        folder.unlink(name)
        folder.sync()
        return Applied(media.identity, 0)


def _replace(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name) as original:
        original.hold(exclusive=False)
        _check(original, plan)
        with folder.create(plan.temp) as temp:
            _build(temp, plan, original)
            applied = Applied(temp.identity, temp.bytes_written)
        _ask(still_ours)
        _check(original, plan)
        _swap(folder, name, plan, original)
    return applied


def _build(temp: MediaFile, plan: FilePlan, original: MediaFile) -> None:
    position = 0
    for piece in plan.pieces():
        if isinstance(piece, bytes):
            temp.write(position, piece)
            position += len(piece)
        else:
            temp.copy(original, piece.offset, piece.length, position)
            position += piece.length
    temp.take_over(original)
    if plan.keep_mtime and plan.identity:
        temp.set_mtime(plan.identity.mtime_ns)
    temp.sync()


def _swap(folder: Folder, name: bytes, plan: FilePlan, original: MediaFile) -> None:
    if folder.identity(name) != plan.identity:
        raise Changed("the file was replaced by another one meanwhile")
    if not folder.exchange(plan.temp, name):
        folder.rename(plan.temp, name)
    elif folder.identity(plan.temp) != plan.identity or not original.holds(plan.old_ranges):
        # Someone wrote between the last look and the exchange: theirs is the newer content.
        folder.exchange(plan.temp, name)
        raise Changed("the file was written by another program meanwhile")
    folder.sync()


def _check(media: MediaFile, plan: FilePlan) -> None:
    if media.identity != plan.identity or not media.holds(plan.old_ranges):
        raise Changed("the file is not as it was when the change was planned")


def _ask(still_ours: Callable[[], bool]) -> None:
    if not still_ours():
        raise LeaseLost("the lease has ended")
