"""An open file: positional reads and writes, all counted, all failures told as `FileProblem`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
from types import TracebackType
from typing import Self

from .plan import Identity
from .problems import NOT_SUPPORTED, Changed, FileProblem, Reason, Telling, problem, shown

_HEAD = 64 * 1024
_COPY = 1024 * 1024
# A lease is honest only where the kernel sees every opener; network filesystems refuse without a reason.
_LOCAL_FILESYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "btrfs"})


def identity_of(status: os.stat_result) -> Identity:
    """The identity in a stat result."""
    return Identity(status.st_size, status.st_mtime_ns, status.st_ino, status.st_nlink)


class MediaFile:
    """An open regular file. Close it; reads and writes are positional and counted, and raise `FileProblem`."""

    def __init__(self, descriptor: int, name: bytes) -> None:
        self.name = name
        self.bytes_read = 0
        self.bytes_written = 0
        self._descriptor = descriptor
        self._head: bytes | None = None
        self._lease: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close, and raise what the filesystem had kept back until now."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with self._trying("close"):
                os.close(descriptor)

    @property
    def identity(self) -> Identity:
        """How the file looks now."""
        with self._trying("stat"):
            return identity_of(os.fstat(self._descriptor))

    @property
    def size(self) -> int:
        """The file's length now, in bytes."""
        with self._trying("stat"):
            return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there are from `offset` on, at most `length`. The first 64 KiB are read once and kept."""
        if offset + length <= _HEAD:
            if self._head is None:
                self._head = self.read_anew(0, _HEAD)
            return self._head[offset : offset + length]
        return self.read_anew(offset, length)

    def read_anew(self, offset: int, length: int) -> bytes:
        """`read`, but from the file as it is at this moment."""
        chunks = []
        with self._trying("read"):
            while length > 0:
                chunk = os.pread(self._descriptor, min(length, _COPY), offset)
                if not chunk:
                    break
                chunks.append(chunk)
                offset += len(chunk)
                length -= len(chunk)
        data = b"".join(chunks)
        self.bytes_read += len(data)
        return data

    def holds(self, ranges: list[tuple[int, bytes]]) -> bool:
        """Whether the file holds these bytes at these places at this moment."""
        return all(self.read_anew(offset, len(data)) == data for offset, data in ranges)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`."""
        view = memoryview(data)
        self._head = None
        with self._trying("write"):
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                if not written:
                    raise OSError(errno.EIO, "the file system takes nothing")
                offset += written
                view = view[written:]
        self.bytes_written += len(data)

    def copy(self, source: MediaFile, offset: int, length: int, to: int) -> None:
        """Copy a range of another file here, in the kernel if possible; raises `Changed` if the source is too short."""
        with self._trying("copy"):
            while length > 0:
                count = self._copy_some(source, offset, min(length, _COPY * 64), to)
                if count == 0:
                    raise Changed("the file became shorter while it was copied")
                self.bytes_written += count
                offset += count
                to += count
                length -= count

    def _copy_some(self, source: MediaFile, offset: int, length: int, to: int) -> int:
        try:
            count = os.copy_file_range(source._descriptor, self._descriptor, length, offset, to)
            if count:
                return count
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
        return os.pwrite(self._descriptor, os.pread(source._descriptor, min(length, _COPY), offset), to)

    def can_copy(self, source: MediaFile) -> bool:
        """Whether the kernel copies from another file without passing the bytes through here."""
        try:
            return os.copy_file_range(source._descriptor, self._descriptor, 1, 0, 0) == 1
        except OSError:
            return False

    def can_have_attributes(self) -> bool:
        """Whether the filesystem keeps extended attributes."""
        try:
            os.setxattr(self._descriptor, "user.indelible", b"1")
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Return when the content is durable. After a failure the file must not be trusted, nor synced again."""
        with self._trying("fsync"):
            os.fsync(self._descriptor)

    def set_mtime(self, mtime_ns: int) -> None:
        """Set the modification time."""
        with self._trying("set the time"):
            os.utime(self._descriptor, ns=(os.fstat(self._descriptor).st_atime_ns, mtime_ns))

    def take_over(self, source: MediaFile) -> None:
        """Take owner, mode, ACLs and other extended attributes over from another file."""
        with self._trying("take over owner and mode"):
            status = os.fstat(source._descriptor)
            mine = os.fstat(self._descriptor)
            if (status.st_uid, status.st_gid) != (mine.st_uid, mine.st_gid):
                # Only root can give files away; the group and the mode still let the same people in.
                with contextlib.suppress(PermissionError):
                    os.fchown(self._descriptor, -1, status.st_gid)
                with contextlib.suppress(PermissionError):
                    os.fchown(self._descriptor, status.st_uid, -1)
            self._take_over_mode(stat.S_IMODE(status.st_mode))
            self._take_over_attributes(source)

    def _take_over_mode(self, mode: int) -> None:
        try:
            os.fchmod(self._descriptor, mode)
        except OSError as error:
            # The file is ours: it is the file system that has no modes.
            if error.errno not in NOT_SUPPORTED | {errno.EPERM}:
                raise

    def _take_over_attributes(self, source: MediaFile) -> None:
        try:
            names = os.listxattr(source._descriptor)
        except OSError as error:
            if error.errno in NOT_SUPPORTED:
                return
            raise
        for name in names:
            try:
                os.setxattr(self._descriptor, name, os.getxattr(source._descriptor, name))
            except OSError as error:
                # Labels of the security system are set by the system itself.
                if not name.startswith(("security.", "trusted.", "system.nfs")):
                    raise
                if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES, errno.ENODATA}:
                    raise

    def hold(self, *, exclusive: bool) -> None:
        """Keep other programs from opening the file (exclusive), or from opening it for writing, until it is closed.

        Raises `FileProblem` (LOCKED) if one has it open. Where the filesystem grants no leases, this does nothing.
        """
        with self._trying("stat"):
            device = os.fstat(self._descriptor).st_dev
        if not grants_leases(device):
            return
        try:
            # The signal for "someone is waiting" would kill the process; this one is ignored by default.
            fcntl.fcntl(self._descriptor, fcntl.F_SETSIG, signal.SIGURG)
            lease = fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, lease)
            self._lease = lease
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise FileProblem(Reason.LOCKED, f"{shown(self.name)} is open in another program") from error
            if error.errno not in NOT_SUPPORTED | {errno.EACCES, errno.EPERM, errno.ENOLCK}:
                raise problem(error, f"hold {shown(self.name)}") from error

    @property
    def is_wanted_by_others(self) -> bool:
        """Whether a program waits to open the file that we `hold`, or was let in because that took too long.

        It has gone down the path already: what it opens is this file, whatever has the name by then.
        """
        with self._trying("hold"):
            return self._lease is not None and fcntl.fcntl(self._descriptor, fcntl.F_GETLEASE) != self._lease

    def _trying(self, doing: str) -> Telling:
        return Telling(doing, self.name)


def grants_leases(device: int) -> bool:
    if device not in _leases:
        _leases[device] = filesystem(device) in _LOCAL_FILESYSTEMS
    return _leases[device]


_leases: dict[int, bool] = {}


def filesystem(device: int) -> str:
    """The type of the filesystem that is mounted as this device; empty if that cannot be told."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            lines = [line.split() for line in mounts]
    except OSError:
        return ""
    return next((line[line.index("-") + 1] for line in lines if line[2] == wanted), "")
