"""What the storage of a root can do, told by trying: in a hidden folder of our own, which is gone afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from .media import filesystem, grants_leases
from .port import TEMP_PREFIX

_MODE = 0o700
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_EXCHANGE = 2
_LIBC = ctypes.CDLL(None, use_errno=True)
# In an odd second, with a digit in every place: whatever a filesystem rounds away is seen.
_TIME_NS = 1_600_000_001_123_456_789
_TIME_STEPS_NS = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
# An owner that no process of ours has.
_OTHER = 65534


@dataclass(frozen=True)
class RootAbility:
    """What the storage of a root can do; of a read-only root only its filesystem is known.

    `exchange` is two files changing places in one step; `durable` that fsync of files and folders is not refused;
    `keeps_owner` that a file can be given to another owner; `time_step_ns` how finely file times are kept.
    """

    filesystem: str = ""
    writable: bool = False
    replaces: bool = False
    exchange: bool = False
    hard_links: bool = False
    durable: bool = False
    kernel_copy: bool = False
    write_lease: bool = False
    xattrs: bool = False
    keeps_owner: bool = False
    case_sensitive: bool = False
    time_step_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What was stored, by whichever version."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


def probe(path: bytes, read_only: bool) -> RootAbility:
    """What can be done below the folder at `path`. Of a read-only one nothing is tried, and nothing changes.

    Never raises: what can't be tried can't be done.
    """
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return RootAbility()
    try:
        kind = filesystem(os.fstat(root).st_dev)
        if read_only:
            return RootAbility(kind)
        with _own_folder(root) as folder:
            return _tried(folder, kind)
    except OSError:
        return RootAbility(kind)
    finally:
        os.close(root)


def _tried(folder: int, kind: str) -> RootAbility:
    one, other = (os.open(name, _FLAGS, 0o600, dir_fd=folder) for name in ("one", "other"))
    try:
        os.write(one, b"1")
        return RootAbility(
            filesystem=kind,
            writable=True,
            durable=_works(os.fsync, one) and _works(os.fsync, folder),
            kernel_copy=_works(os.copy_file_range, one, other, 1, 0, 0),
            write_lease=_leases(one),
            xattrs=_works(os.setxattr, one, "user.indelible", b"1") and _works(os.getxattr, one, "user.indelible"),
            keeps_owner=_works(os.fchown, one, _OTHER, _OTHER) and os.fstat(one).st_uid == _OTHER,
            case_sensitive=not _works(os.stat, "ONE", dir_fd=folder),
            time_step_ns=_time_step(one),
            exchange=hasattr(_LIBC, "renameat2") and _LIBC.renameat2(folder, b"one", folder, b"other", _EXCHANGE) == 0,
            hard_links=_works(os.link, "one", "link", src_dir_fd=folder, dst_dir_fd=folder),
            replaces=_works(os.rename, "one", "other", src_dir_fd=folder, dst_dir_fd=folder),
        )
    finally:
        os.close(one)
        os.close(other)


@contextlib.contextmanager
def _own_folder(root: int) -> Iterator[int]:
    name = TEMP_PREFIX + secrets.token_hex(8).encode()
    os.mkdir(name, _MODE, dir_fd=root)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=root)
    try:
        yield folder
    finally:
        for each in os.listdir(folder):
            os.unlink(each, dir_fd=folder)
        os.close(folder)
        os.rmdir(name, dir_fd=root)


def _works(call: Callable[..., Any], *arguments: Any, **names: Any) -> bool:
    try:
        call(*arguments, **names)
    except OSError:
        return False
    return True


def _leases(file: int) -> bool:
    """Whether a lease is granted, on a filesystem where that means that every opener is seen."""
    # The signal for "someone is waiting" would kill the process; this one is ignored by default.
    granted = _works(fcntl.fcntl, file, fcntl.F_SETSIG, signal.SIGURG) and _works(
        fcntl.fcntl, file, fcntl.F_SETLEASE, fcntl.F_WRLCK
    )
    return (
        granted and _works(fcntl.fcntl, file, fcntl.F_SETLEASE, fcntl.F_UNLCK) and grants_leases(os.fstat(file).st_dev)
    )


def _time_step(file: int) -> int:
    if not _works(os.utime, file, ns=(_TIME_NS, _TIME_NS)):
        return 0
    lost = abs(_TIME_NS - os.fstat(file).st_mtime_ns)
    return next((step for step in _TIME_STEPS_NS if lost < step), 0)
