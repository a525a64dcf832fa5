"""Applying a plan to a file: with settlement, the only code that changes anything on people's storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .media import MediaFile
from .plan import FilePlan, Identity, Mode
from .port import Folder, Root
from .problems import Changed, FileProblem, LeaseLost
from .settle import put_back, write_in_place

_COARSEST_NS = 2_000_000_000
"""The step in which FAT tells times, also behind a share."""
_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Applied:
    """What was done: the file as it looks now, and how many bytes were written."""

    identity: Identity
    bytes_written: int


def apply(root: Root, plan: FilePlan, *, still_ours: Callable[[], bool]) -> Applied:
    """Make the change durable. The plan must have been committed as an intent before.

    `still_ours` is asked when all is open and ready; if it says no, `LeaseLost` is raised. Raises `Changed` if the
    file is not what the plan was made for. In both cases the file is as it was, and settlement removes what may
    lie beside it. Raises `FileProblem` if the storage refuses: then the intent has to be settled, which finds the
    file old or new or makes it so.
    """
    with root.folder_of(plan.target) as (folder, name):
        if plan.in_place:
            return _patch(folder, name, plan, still_ours)
        return _WAYS[plan.mode](folder, name, plan, still_ours)


def _patch(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name, writable=True) as media:
        media.hold(exclusive=True)
        _ask(still_ours)
        _check(media, plan)
        write_in_place(media, plan)
        return Applied(media.identity, media.bytes_written)


def _create(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with _new_file(folder, plan, 0o666) as temp:
        for patch in plan.patches:
            temp.write(patch.offset, patch.new)
        applied = _finished(temp)
        _ask(still_ours)
        folder.rename_new(plan.temp, name)
        folder.sync()
    return applied


def _remove(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name) as original:
        original.hold(exclusive=False)
        _ask(still_ours)
        _check(original, plan)
        # Only what no longer has the name can be looked at and then removed, with nobody in between.
        folder.rename_new(name, plan.temp)
        if not _is_unwritten(folder, plan, original):
            folder.rename_new(plan.temp, name)
            raise Changed("the file was written by another program meanwhile")
        folder.unlink(plan.temp)
        folder.sync()
        return Applied(original.identity, 0)


def _replace(folder: Folder, name: bytes, plan: FilePlan, still_ours: Callable[[], bool]) -> Applied:
    with folder.open(name) as original:
        original.hold(exclusive=False)
        _check(original, plan)
        with _new_file(folder, plan, 0o600) as temp:
            _build(temp, plan, original)
            applied = _finished(temp)
            _ask(still_ours)
            _check(original, plan)
            _check_name(folder, name, plan)
        _swap(folder, name, plan, original, applied.identity)
    return applied


_WAYS = {Mode.CREATE: _create, Mode.REMOVE: _remove, Mode.REPLACE: _replace}


@contextmanager
def _new_file(folder: Folder, plan: FilePlan, mode: int) -> Iterator[MediaFile]:
    """The plan's temp file, which is removed again if the block fails; as long as it lasts, the name is ours alone."""
    with folder.create(plan.temp, mode=mode) as temp:
        try:
            yield temp
        except BaseException:
            with suppress(FileProblem):
                folder.unlink(plan.temp)
            raise


def _finished(temp: MediaFile) -> Applied:
    """Make the new file durable. What a network file system tells only at the close is told here."""
    temp.sync()
    applied = Applied(temp.identity, temp.bytes_written)
    temp.close()
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


def _swap(folder: Folder, name: bytes, plan: FilePlan, original: MediaFile, ours: Identity) -> None:
    if not folder.exchange(plan.temp, name):
        _take_place(folder, name, plan, original)
    elif _is_unwritten(folder, plan, original):
        folder.unlink(plan.temp)
    else:
        put_back(folder, plan.temp, name, ours)
        raise Changed("the file was written by another program meanwhile")
    folder.sync()


def _take_place(folder: Folder, name: bytes, plan: FilePlan, original: MediaFile) -> None:
    """The best that can be done where names cannot be exchanged: a last look, and a rename at once."""
    try:
        _check_copied(folder, plan, original)
        _check(original, plan)
        # A share may refuse to replace what anyone has open, us too; who waited for that comes in here.
        original.close()
        _check_name(folder, name, plan)
    except Changed:
        folder.unlink(plan.temp)
        raise
    folder.replace(plan.temp, name)


def _check_copied(folder: Folder, plan: FilePlan, original: MediaFile) -> None:
    """Compare what was copied, if the original's time is too near to that of the copy to tell a write in between."""
    with folder.open(plan.temp) as temp:
        if plan.identity is None or temp.identity.mtime_ns - plan.identity.mtime_ns > _COARSEST_NS:
            return
        position = 0
        for piece in plan.pieces():
            if isinstance(piece, bytes):
                position += len(piece)
                continue
            for at in range(0, piece.length, _PIECE):
                length = min(_PIECE, piece.length - at)
                if original.read_anew(piece.offset + at, length) != temp.read_anew(position + at, length):
                    raise Changed("the file was written by another program while it was copied")
            position += piece.length


def _is_unwritten(folder: Folder, plan: FilePlan, original: MediaFile) -> bool:
    """Whether what has the temp name now is the original that was looked at, and nobody is about to write to it."""
    return (
        folder.identity(plan.temp) == plan.identity
        and original.holds(plan.old_ranges)
        and not original.is_wanted_by_others
    )


def _check(media: MediaFile, plan: FilePlan) -> None:
    if media.identity != plan.identity or not media.holds(plan.old_ranges):
        raise Changed("the file is not as it was when the change was planned")


def _check_name(folder: Folder, name: bytes, plan: FilePlan) -> None:
    if folder.identity(name) != plan.identity:
        raise Changed("the file was replaced by another one meanwhile")


def _ask(still_ours: Callable[[], bool]) -> None:
    if not still_ours():
        raise LeaseLost("the lease has ended")
