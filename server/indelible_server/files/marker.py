"""A root's marker: the file `.indelible-root` by which a share that is unmounted or swapped is noticed.

Device numbers mean nothing across mounts, so a root is known by the id in its marker. A read-only root has none; it is
known by the file system's id and the folder's inode.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass

MARKER = b".indelible-root"
_CONTENT = re.compile(rb"indelible-root ([0-9a-f]{32})\n")


class NotARoot(Exception):
    """The folder can't be a root; `reason` is a value of ErrorReason, the message says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class MarkedRoot:
    """A folder that may become a root."""

    root_id: str
    path: bytes
    read_only: bool
    identity: str


def real_folder(path: str) -> bytes:
    """The folder at `path` with all links followed: a root never is a link. Raises `NotARoot`."""
    if not os.path.isabs(path) or "\0" in path:
        raise NotARoot("ROOT_NOT_A_FOLDER", f"{path!r} is not an absolute path on the server")
    real = os.path.realpath(os.fsencode(path))
    if not os.path.isdir(real):
        what = "is not a folder" if os.path.exists(real) else "does not exist on the server"
        raise NotARoot("ROOT_NOT_A_FOLDER", f"{path!r} {what}")
    return real


def approve(real: bytes, read_only: bool) -> MarkedRoot:
    """Mark a real folder as a root. Repeated, it gives the same id. Raises `NotARoot`."""
    if read_only:
        return MarkedRoot(read_marker(real) or secrets.token_hex(16), real, True, _identity(real))
    return MarkedRoot(read_marker(real) or _write_marker(real), real, False, "")


def is_present(path: bytes, root_id: str, identity: str) -> bool:
    """Whether the folder at `path` is this root, now."""
    try:
        return _identity(path) == identity if identity else read_marker(path) == root_id
    except OSError:
        return False


def read_marker(path: bytes) -> str | None:
    """The id in the folder's marker; None if it has none."""
    try:
        handle = os.open(os.path.join(path, MARKER), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = _CONTENT.fullmatch(os.read(handle, 200)) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        return found[1].decode() if found else None
    finally:
        os.close(handle)


def _write_marker(real: bytes) -> str:
    root_id = secrets.token_hex(16)
    try:
        handle = os.open(os.path.join(real, MARKER), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, f"indelible-root {root_id}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        folder = os.open(real, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise NotARoot(
            "ROOT_NOT_WRITABLE",
            f"{os.fsdecode(real)!r} can't be written ({error.strerror}); mend that, or add it as read-only",
        ) from error
    return root_id


def _identity(path: bytes) -> str:
    return f"{os.statvfs(path).f_fsid:x}:{os.stat(path).st_ino}"
