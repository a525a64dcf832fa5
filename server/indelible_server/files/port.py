"""The one door to people's files: every access goes down from an open root folder and follows no links (I8)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from .media import MediaFile, identity_of
from .plan import Identity
from .problems import NOT_SUPPORTED, Changed, FileProblem, Reason, Telling, problem, shown

TEMP_PREFIX = b".indelible-"
"""Our temporary files and marker files: never media, never imported."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO must not hang, opening a file on which someone holds a lease must fail as LOCKED.
_FILE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_KEPT = b"~"
_NO_LINKS = NOT_SUPPORTED | {errno.EPERM, errno.EMLINK}
_LIBC = ctypes.CDLL(None, use_errno=True)


def checked(path: bytes) -> list[bytes]:
    """The components of a path below a root; raises `FileProblem` (NOT_A_FILE) for one that could lead elsewhere."""
    parts = path.split(b"/")
    if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise FileProblem(Reason.NOT_A_FILE, f"{os.fsdecode(path)!r} is not a path inside the root")
    return parts


class Folder:
    """An open folder: names in it are used without going down the path again. Close it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nothing was written through it, so that a failure says nothing about any file.
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def open(self, name: bytes, *, writable: bool = False) -> MediaFile:
        """Open the regular file of this name."""
        flags = _FILE | (os.O_RDWR if writable else os.O_RDONLY)
        with Telling("open", name):
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise FileProblem(Reason.NOT_A_FILE, f"{shown(name)} is not a regular file")
            except BaseException:
                os.close(descriptor)
                raise
        return MediaFile(descriptor, name)

    def create(self, name: bytes, *, mode: int = 0o600) -> MediaFile:
        """Create a file; a stray one of this name (a temp of ours) is removed first. The umask applies to `mode`."""
        flags = _FILE | os.O_RDWR | os.O_CREAT | os.O_EXCL
        with Telling("create", name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._descriptor)
            return MediaFile(os.open(name, flags, mode, dir_fd=self._descriptor), name)

    def identity(self, name: bytes) -> Identity | None:
        """How what has this name looks now; None if nothing has."""
        try:
            return identity_of(os.stat(name, dir_fd=self._descriptor, follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise problem(error, f"stat {shown(name)}") from error
            return None

    def rename(self, name: bytes, to: bytes) -> None:
        """Let a file take the place of another, in one step."""
        with Telling("rename", to):
            try:
                os.rename(name, to, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except FileNotFoundError:
                # A share that is asked again, as its answer was lost, says so of a rename that it has made.
                if self.identity(name) is not None or self.identity(to) is None:
                    raise

    def replace(self, temp: bytes, name: bytes) -> None:
        """`rename` where there is no `exchange`; raises `FileProblem` (LOCKED) if the share does not let us.

        The folder takes our files, or `temp` would not be there: it is the other file, which someone has open.
        """
        try:
            self.rename(temp, name)
        except FileProblem as problem:
            if problem.reason is not Reason.PERMISSION_DENIED:
                raise
            raise FileProblem(Reason.LOCKED, f"{shown(name)} is open in another program") from problem

    def exchange(self, temp: bytes, name: bytes) -> bool:
        """Give `temp` the place of `name`, and `name` that of `temp`; `name` is never missing meanwhile.

        False where the filesystem can do neither that nor hard links. What a crash leaves half done,
        `finish_exchange` completes.
        """
        with Telling("rename", name):
            if self._rename2(temp, name, _RENAME_EXCHANGE):
                return True
            try:
                self._link(name, temp + _KEPT)
            except OSError as error:
                if error.errno in _NO_LINKS:
                    return False
                raise
            self.rename(temp, name)
            self.rename(temp + _KEPT, temp)
            return True

    def finish_exchange(self, temp: bytes) -> None:
        """Complete what `exchange` may have left; may be called at any time."""
        if self.identity(temp + _KEPT) is None:
            return
        if self.identity(temp) is None:
            self.rename(temp + _KEPT, temp)
        else:
            self.unlink(temp + _KEPT)

    def rename_new(self, name: bytes, to: bytes) -> None:
        """Rename to a name that nothing has; raises `Changed` if something has it."""
        with Telling("create", to):
            try:
                if self._rename2(name, to, _RENAME_NOREPLACE):
                    return
                self._link_new(name, to)
            except FileExistsError as error:
                raise Changed(f"{shown(to)} has come into being meanwhile") from error

    def _link_new(self, name: bytes, to: bytes) -> None:
        """Without a link in between, a file that appears at this very moment would be lost; some have no links."""
        try:
            self._link(name, to)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if self.identity(to) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            self.rename(name, to)
        else:
            self.unlink(name)

    def _link(self, name: bytes, to: bytes) -> None:
        os.link(name, to, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor, follow_symlinks=False)

    def _rename2(self, name: bytes, to: bytes, flags: int) -> bool:
        if not hasattr(_LIBC, "renameat2"):
            return False
        if _LIBC.renameat2(self._descriptor, name, self._descriptor, to, flags) == 0:
            return True
        number = ctypes.get_errno()
        if number in NOT_SUPPORTED:
            return False
        raise OSError(number, os.strerror(number))

    def unlink(self, name: bytes) -> None:
        """Remove a file; one that is not there is no error."""
        with Telling("remove", name), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Return when renames in this folder are durable, as far as the filesystem can say."""
        with Telling("fsync the folder of", b""):
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                if error.errno not in NOT_SUPPORTED:
                    raise

    def names(self) -> list[bytes]:
        """The names in this folder."""
        with Telling("list", b""):
            return [os.fsencode(name) for name in os.listdir(self._descriptor)]

    def entries(self) -> list[tuple[bytes, os.stat_result]]:
        """Names with their stat, links not followed; what vanishes meanwhile is left out."""
        found = []
        for name in sorted(self.names()):
            with contextlib.suppress(FileNotFoundError), Telling("stat", name, missing_ok=True):
                found.append((name, os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)))
        return found

    def folder(self, name: bytes) -> Folder:
        """The folder of this name in this one."""
        with Telling("open the folder", name):
            return Folder(os.open(name, _FOLDER, dir_fd=self._descriptor))


class Root:
    """A root folder. Paths are bytes, relative to it. Close it."""

    def __init__(self, path: str | bytes) -> None:
        """Open the folder; raises `FileProblem` (STORAGE_OFFLINE) if it is not there."""
        self.path = os.fsencode(path)
        try:
            # The root's own path was approved by an admin: it may be a link.
            self._folder = Folder(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileProblem(Reason.STORAGE_OFFLINE, f"the folder {shown(self.path)} is not there") from error
        except OSError as error:
            raise problem(error, f"open the folder {shown(self.path)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.__exit__(None, None, None)

    @contextlib.contextmanager
    def folder_of(self, path: bytes) -> Iterator[tuple[Folder, bytes]]:
        """The open folder that the path is in, and the path's last component."""
        *parents, name = checked(path)
        with contextlib.ExitStack() as opened:
            folder = self._folder
            for part in parents:
                folder = opened.enter_context(folder.folder(part))
            yield folder, name

    def open(self, path: bytes, *, writable: bool = False) -> MediaFile:
        """Open a regular file; raises `FileProblem` for links, folders, devices and anything that is not there."""
        with self.folder_of(path) as (folder, name):
            return folder.open(name, writable=writable)

    def identity(self, path: bytes) -> Identity | None:
        """How the file looks now; None if there is none."""
        try:
            with self.folder_of(path) as (folder, name):
                return folder.identity(name)
        except FileProblem as missing:
            if missing.reason is Reason.MISSING:
                return None
            raise

    def walk(self, path: bytes = b"") -> Iterator[tuple[bytes, Identity]]:
        """Every regular file below `path`, folder by folder in the order of names. Hidden ones are left out."""
        with contextlib.ExitStack() as opened:
            folder = self._folder
            for part in checked(path) if path else []:
                folder = opened.enter_context(folder.folder(part))
            yield from _walk(folder, path + b"/" if path else b"")


def _walk(folder: Folder, prefix: bytes) -> Iterator[tuple[bytes, Identity]]:
    below = []
    for name, status in folder.entries():
        if name.startswith(b"."):
            continue
        if stat.S_ISDIR(status.st_mode):
            below.append(name)
        elif stat.S_ISREG(status.st_mode):
            yield prefix + name, identity_of(status)
    for name in below:
        with folder.folder(name) as inner:
            yield from _walk(inner, prefix + name + b"/")
