"""Settlement: what became of a change that was under way when its writer died. Judged by content alone.

A replaced file is complete and durable before it gets its name, so what is found there is the old file, the new one,
or someone else's. The two differ in size or in a byte of the plan's ranges: comparing these decides it, without reading
the rest, which is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from .media import MediaFile
from .plan import FilePlan, Identity, Mode
from .port import Folder, Root
from .problems import FileProblem, LeaseLost, Reason


class Outcome(StrEnum):
    """NEW: the change is made. OLD: it was never begun. FOREIGN: someone else has written since; left as it is."""

    NEW = "NEW"
    OLD = "OLD"
    FOREIGN = "FOREIGN"


def settle(root: Root, plan: FilePlan, *, still_ours: Callable[[], bool] = lambda: True) -> Outcome:
    """Find out, complete a torn patch, and remove the plan's temp file. May be repeated any number of times.

    Before a patch is completed, `still_ours` is asked; if it says no, `LeaseLost` is raised and nothing was written.
    Raises `FileProblem` if the storage refuses, or another program has the file open: then nothing is settled.
    """
    try:
        with root.folder_of(plan.target) as (folder, name):
            folder.finish_exchange(plan.temp)
            outcome = _judged(folder, name, plan, still_ours)
            if not _discarded(folder, name, plan, outcome) and outcome is Outcome.NEW:
                # Someone wrote into, or replaced, the file that was just being taken away: theirs is the newer content.
                _give_back(folder, name, plan)
                outcome = Outcome.FOREIGN
            folder.sync()
            return outcome
    except FileProblem as problem:
        if problem.reason is Reason.MISSING:
            return Outcome.FOREIGN
        raise


def put_back(folder: Folder, temp: bytes, name: bytes, ours: Identity) -> None:
    """Give its name back to a file that we have taken it from, and remove ours, which has it now.

    If something else comes out, someone has replaced even that one: then theirs is newer still, and gets the name.
    """
    taken = folder.identity(temp)
    while taken is not None:
        folder.exchange(temp, name)
        out = folder.identity(temp)
        # Not by the time of change, which some file systems set only after a file was closed.
        if out is None or (out.inode, out.size) == (ours.inode, ours.size):
            break
        ours, taken = taken, out
    folder.unlink(temp)


def _discarded(folder: Folder, name: bytes, plan: FilePlan, outcome: Outcome) -> bool:
    """Remove the plan's temp file, if it is ours or the original unchanged; otherwise it holds what nobody else has."""
    temp = folder.identity(plan.temp)
    if temp is None or plan.in_place:
        return True
    if plan.identity is None or (outcome is not Outcome.NEW and temp.inode != plan.identity.inode):
        folder.unlink(plan.temp)
        return True
    with folder.open(plan.temp) as media:
        media.hold(exclusive=False)
        if temp == folder.identity(name) or _is_as_it_was(media, plan):
            folder.unlink(plan.temp)
            return True
    return False


def _is_as_it_was(media: MediaFile, plan: FilePlan) -> bool:
    """Inodes are not compared: on a network file system that was mounted again they mean nothing."""
    found, old = media.identity, plan.identity
    same = old is not None and (found.size, found.mtime_ns) == (old.size, old.mtime_ns)
    return same and media.holds(plan.old_ranges) and not media.is_wanted_by_others


def _give_back(folder: Folder, name: bytes, plan: FilePlan) -> None:
    ours = folder.identity(name)
    if ours is None:
        folder.rename_new(plan.temp, name)
    else:
        put_back(folder, plan.temp, name, ours)


def _judged(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Outcome:
    try:
        media = folder.open(name)
    except FileProblem as problem:
        if problem.reason is not Reason.MISSING:
            raise
        return {Mode.CREATE: Outcome.OLD, Mode.REMOVE: Outcome.NEW}.get(plan.mode, Outcome.FOREIGN)
    with media:
        if plan.rebuilds and media.size == plan.new_size and media.holds(plan.new_ranges):
            media.sync()
            return Outcome.NEW
        if plan.mode is not Mode.CREATE and media.size == plan.old_size and media.holds(plan.old_ranges):
            return Outcome.OLD
        if not plan.in_place or not _is_torn(media, plan):
            return Outcome.FOREIGN
    return _completed(folder, name, plan, still_ours)


def _is_torn(media: MediaFile, plan: FilePlan) -> bool:
    """Whether every byte is the old or the new one at its place: our own change, written in part.

    Of a tail, what a crash kept from the disk may be missing, or be zeros.
    """
    present = media.read_anew(plan.old_size, len(plan.tail) + 1)
    if media.size > plan.new_size or media.size < plan.old_size or len(present) > len(plan.tail):
        return False
    if not all(byte in (0, new) for byte, new in zip(present, plan.tail, strict=False)):
        return False
    if not media.holds([(guard.offset, guard.data) for guard in plan.guards]):
        return False
    return all(
        len(present := media.read_anew(patch.offset, len(patch.new))) == len(patch.new)
        and all(byte in pair for byte, pair in zip(present, zip(patch.old, patch.new, strict=True), strict=True))
        for patch in plan.fixed
    )


def write_in_place(media: MediaFile, plan: FilePlan) -> None:
    """Write the whole change, durably; what points at the tail is written when the tail is safe."""
    if plan.tail:
        media.write(plan.old_size, plan.tail)
        media.sync()
    for patch in plan.fixed:
        media.write(patch.offset, patch.new)
    if plan.keep_mtime and plan.identity:
        media.set_mtime(plan.identity.mtime_ns)
    media.sync()


def _completed(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Outcome:
    """Also a patch that reads as complete is written once more: after a failed fsync that proves nothing."""
    with folder.open(name, writable=True) as media:
        media.hold(exclusive=True)
        if not still_ours():
            raise LeaseLost("the lease has ended")
        # It may be another file by now: whoever takes over gives the name to a new one.
        if not _is_torn(media, plan):
            return Outcome.FOREIGN
        write_in_place(media, plan)
        return Outcome.NEW
