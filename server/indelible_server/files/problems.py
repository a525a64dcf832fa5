"""What can be wrong with a file, in the words that people are shown; every errno is mapped here and nowhere else."""

from __future__ import annotations

import errno
from enum import StrEnum
from types import TracebackType


class Reason(StrEnum):
    """Why a file could not be read or written."""

    READ_ONLY = "READ_ONLY"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    LOCKED = "LOCKED"
    MISSING = "MISSING"
    NOT_A_FILE = "NOT_A_FILE"
    CORRUPT = "CORRUPT"
    UNSUPPORTED = "UNSUPPORTED"
    TOO_LARGE = "TOO_LARGE"
    SIGNED = "SIGNED"
    NO_SPACE = "NO_SPACE"
    IO_ERROR = "IO_ERROR"
    STORAGE_OFFLINE = "STORAGE_OFFLINE"
    VERIFY_FAILED = "VERIFY_FAILED"


TRANSIENT = frozenset({Reason.LOCKED, Reason.NO_SPACE, Reason.IO_ERROR, Reason.STORAGE_OFFLINE})
"""Worth another try without anybody doing something about it."""


class FileProblem(Exception):
    """A file that could not be read or written. It is as it was, unless an intent says otherwise."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def transient(self) -> bool:
        """Whether another try may succeed by itself."""
        return self.reason in TRANSIENT


class Changed(Exception):
    """The file is not what the plan was made for: someone else wrote. Nothing was written; read it and plan anew."""


class LeaseLost(Exception):
    """The work is no longer ours; nothing was written."""


_REASONS = {
    errno.EACCES: Reason.PERMISSION_DENIED,
    errno.EPERM: Reason.PERMISSION_DENIED,
    errno.EROFS: Reason.READ_ONLY,
    errno.ENOSPC: Reason.NO_SPACE,
    errno.EDQUOT: Reason.NO_SPACE,
    errno.EFBIG: Reason.TOO_LARGE,
    errno.ENAMETOOLONG: Reason.UNSUPPORTED,
    errno.ENOENT: Reason.MISSING,
    errno.ENOTDIR: Reason.NOT_A_FILE,
    errno.ELOOP: Reason.NOT_A_FILE,
    errno.EISDIR: Reason.NOT_A_FILE,
    errno.ENXIO: Reason.NOT_A_FILE,
    errno.EBUSY: Reason.LOCKED,
    errno.ETXTBSY: Reason.LOCKED,
    errno.EAGAIN: Reason.LOCKED,
    errno.EDEADLK: Reason.LOCKED,
    errno.ESTALE: Reason.STORAGE_OFFLINE,
    errno.ENOTCONN: Reason.STORAGE_OFFLINE,
    errno.EHOSTDOWN: Reason.STORAGE_OFFLINE,
    errno.EHOSTUNREACH: Reason.STORAGE_OFFLINE,
    errno.ENETDOWN: Reason.STORAGE_OFFLINE,
    errno.ENETUNREACH: Reason.STORAGE_OFFLINE,
    errno.ECONNREFUSED: Reason.STORAGE_OFFLINE,
    errno.ECONNRESET: Reason.STORAGE_OFFLINE,
    errno.ECONNABORTED: Reason.STORAGE_OFFLINE,
    errno.ETIMEDOUT: Reason.STORAGE_OFFLINE,
    errno.ENODEV: Reason.STORAGE_OFFLINE,
    errno.ENOMEDIUM: Reason.STORAGE_OFFLINE,
    errno.EREMOTEIO: Reason.IO_ERROR,
    errno.EIO: Reason.IO_ERROR,
}


NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV})
"""What filesystems answer when asked for something that they do not have."""


def shown(name: bytes) -> str:
    """A file name as people are shown it."""
    return name.decode("utf-8", "backslashreplace")


def problem(error: OSError, doing: str) -> FileProblem:
    """The problem that an operating system error is; `doing` names what was tried."""
    reason = _REASONS.get(error.errno or 0, Reason.IO_ERROR)
    return FileProblem(reason, f"{doing}: {error.strerror or error}")


class Telling:
    """A block of file calls: an `OSError` in it becomes the `FileProblem` that it is. Dozens are entered for a file."""

    __slots__ = ("_doing", "_missing_ok", "_name")

    def __init__(self, doing: str, name: bytes, *, missing_ok: bool = False) -> None:
        self._doing = doing
        self._name = name
        self._missing_ok = missing_ok

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not (self._missing_ok and isinstance(error, FileNotFoundError)):
            raise problem(error, f"{self._doing} {shown(self._name)}".strip()) from error
