"""What is said of a file when its work is done: one JSON object."""

from __future__ import annotations

import os
from typing import Any

from ..files.plan import Home, Mode, Plan
from ..files.problems import Changed, FileProblem, shown

Result = dict[str, Any]


def written(path: bytes, plan: Plan, bytes_read: int, bytes_written: int | None) -> Result:
    """The result of a file that was written, or is to be: then `bytes_written` is None."""
    planned = sum(file.bytes_changed for file in plan.files)
    in_sidecar = plan.files and all(file.home is Home.SIDECAR for file in plan.files)
    mode = {Mode.UNCHANGED: None, Mode.CREATE: "sidecar"}.get(plan.mode, plan.mode.value)
    return {
        "path": shown(path),
        "result": "unchanged" if not plan.files else "sidecar" if in_sidecar else "embedded",
        "mode": mode,
        "reason": None,
        "message": plan.note,
        "fields": sorted({key for fields in plan.written.values() for key in fields}),
        "bytes_read": bytes_read,
        "bytes_written": planned if bytes_written is None else bytes_written,
        "sidecar_path": beside(split(path)[0], plan.sidecar),
    }


def refused(path: bytes, problem: FileProblem | Changed) -> Result:
    """The result of a file that storage, format or another program kept from what was wanted."""
    if isinstance(problem, FileProblem):
        return failed(path, problem.reason, problem.message)
    return failed(path, "CONFLICT", str(problem))


def failed(path: bytes, reason: str, message: str) -> Result:
    """The result of a path for which nothing could be done."""
    return {
        "path": shown(path),
        "result": "failed",
        "mode": None,
        "reason": str(reason),
        "message": message,
        "bytes_read": 0,
        "bytes_written": 0,
        "sidecar_path": None,
    }


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder of a path, and the name in it."""
    folder, _, name = os.path.abspath(path).rpartition(b"/")
    return folder or b"/", name


def beside(folder: bytes, name: bytes | None) -> str | None:
    """The path of another file of a folder, as people are shown it."""
    return None if name is None else shown(os.path.join(folder, name))
