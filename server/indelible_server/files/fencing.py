"""Fencing: before a change is settled whose writer may still be alive, what that writer can still do is made harmless.

It has asked for its lease for the last time and stands before its next call, for a moment or for hours. All that it has
are open files and the names in its plan. No rename of its succeeds any more once settlement has taken its temp file
away. A file that it changes in place moves to a new inode first: a late write lands in the old one, which has no name.
"""

from __future__ import annotations

from collections.abc import Callable

from .media import MediaFile
from .plan import FilePlan, Mode
from .port import Folder, Root
from .problems import Changed, FileProblem, LeaseLost, Reason


def fence(root: Root, plan: FilePlan, *, late: int, may_live: bool, still_ours: Callable[[], bool]) -> None:
    """Shut out the writers that a change is taken over from. Its settlement must follow. May be repeated.

    `late` is how many had it in hand when their lease ended: each who takes over makes its copy under a name of its
    own. `may_live` is whether one of them is not known to be dead. Raises `LeaseLost` if `still_ours` says no when the
    copy is ready, and `FileProblem` (LOCKED) if the late writer's end has to be waited for. Then the file is as it was.
    """
    if plan.mode is Mode.REMOVE and may_live:
        raise _must_wait("what it is about to remove cannot be kept from it")
    if not plan.in_place:
        return
    try:
        with root.folder_of(plan.target) as (folder, name):
            copies = [plan.temp + b"+%d" % number for number in range(1, late + 1)]
            for copy_name in copies:
                folder.unlink(copy_name)
            if may_live:
                _fence_in_place(folder, name, plan, copies[-1], still_ours)
    except FileProblem as problem:
        # What is gone can't be written late; what it means is settlement's to say.
        if problem.reason is not Reason.MISSING:
            raise


def _fence_in_place(
    folder: Folder, name: bytes, plan: FilePlan, copy_name: bytes, still_ours: Callable[[], bool]
) -> None:
    try:
        _move_to_new_inode(folder, name, plan, copy_name, still_ours)
    except Changed as changed:
        raise FileProblem(Reason.LOCKED, str(changed)) from changed
    finally:
        folder.unlink(copy_name)
    folder.sync()


def _move_to_new_inode(
    folder: Folder, name: bytes, plan: FilePlan, copy_name: bytes, still_ours: Callable[[], bool]
) -> None:
    # Not held: a late writer on this machine would keep us from that for as long as it lives.
    with folder.open(name) as original, _created(folder, copy_name) as copy:
        before = original.identity
        if before.links > 1:
            raise _must_wait("the file has several names (hard links)")
        copy.copy(original, 0, before.size, 0)
        copy.take_over(original)
        copy.set_mtime(before.mtime_ns)
        copy.sync()
        if not still_ours():
            raise LeaseLost("the lease has ended")
        if folder.identity(name) != before:
            raise Changed("the file is being written at this moment")
        if not folder.exchange(copy_name, name):
            folder.rename(copy_name, name)
        elif folder.identity(copy_name) != before or not _alike(original, copy, plan):
            folder.exchange(copy_name, name)
            raise Changed("the file was written at this moment")


def _created(folder: Folder, copy_name: bytes) -> MediaFile:
    try:
        return folder.create(copy_name)
    except FileProblem as problem:
        raise _must_wait(problem.message) from problem


def _alike(original: MediaFile, copy: MediaFile, plan: FilePlan) -> bool:
    """Whether a late writer has left alone, until now, what it would write."""
    places = [(offset, len(data)) for offset, data in plan.new_ranges]
    return all(original.read_anew(*place) == copy.read_anew(*place) for place in places)


def _must_wait(why: str) -> FileProblem:
    return FileProblem(Reason.LOCKED, f"another writer that may still be alive has this file in hand, and {why}")
