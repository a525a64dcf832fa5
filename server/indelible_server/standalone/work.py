"""What is done with each file: shown, written, or taken back. One bad file never stops the others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..domain.edits import Edit, apply_edits
from ..files.apply import apply
from ..files.plan import FilePlan, Home, Mode, Plan
from ..files.planning import plan_edit
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem, shown
from ..files.reading import read, verify
from ..files.settle import Outcome, settle
from ..files.undoing import is_made, is_taken_back, undo_of
from .journal import Journal, Place, Record, Segment

Result = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is to be done with every file. The policy is data, so that it can be sent to another process."""

    action: str
    journal: str
    policy: dict[str, Any] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    dry_run: bool = False


class Worker:
    """Does one task with many files, in one process. Close it at the end."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._policy = Policy.from_json(task.policy)
        self._journal = Journal(Path(task.journal))
        self._segment: Segment | None = None
        self._under_way = 0

    def work(self, paths: Sequence[bytes]) -> list[Result]:
        """The result of each path, in their order."""
        if self._task.action == "show":
            return [self._guarded(path, self._show) for path in paths]
        if self._task.action == "undo":
            return [self._guarded(path, self._take_back) for path in paths]
        return self._write(paths)

    def close(self) -> None:
        """Let go of the journal. What was interrupted, or could not be settled, is for the next run to settle."""
        if self._segment is not None:
            self._segment.close(settled=not self._under_way)
            self._segment = None

    def _guarded(self, path: bytes, work: Any, *arguments: Any) -> Result:
        try:
            result: Result = work(path, *arguments)
            return result
        except FileProblem as problem:
            return failed(path, problem.reason, problem.message)
        except Changed as changed:
            return failed(path, "CONFLICT", str(changed))

    def _show(self, path: bytes) -> Result:
        folder, name = _split(path)
        with Root(folder) as root:
            reading = read(root, name, self._policy, details=True)
        return {
            "path": shown(path),
            "result": "read",
            "format": reading.format,
            "tags": reading.tags,
            "homes": {home.value: tags for home, tags in reading.homes.items()},
            "stale": {home.value: sorted(fields) for home, fields in reading.stale.items()},
            "width": reading.width,
            "height": reading.height,
            "duration_s": reading.duration_s,
            "camera": reading.camera,
            "fingerprint": reading.fingerprint,
            "sidecar_path": _beside(folder, reading.sidecar),
            "note": reading.note,
            "warnings": list(reading.warnings),
            "bytes_read": reading.bytes_read,
        }

    def _write(self, paths: Sequence[bytes]) -> list[Result]:
        made = [self._guarded(path, self._plan) for path in paths]
        plans = {path: result["plan"] for path, result in zip(paths, made, strict=True) if "plan" in result}
        if self._task.dry_run:
            return [
                _written(path, plans[path], plans[path].bytes_read, None) if path in plans else result
                for path, result in zip(paths, made, strict=True)
            ]
        try:
            self._intend([Record(*_split(path), plan.files) for path, plan in plans.items() if plan.files])
        except FileProblem as problem:
            made = [
                failed(path, problem.reason, problem.message) if path in plans else result
                for path, result in zip(paths, made, strict=True)
            ]
            plans = {}
        return [
            self._guarded(path, self._carry_out, plans[path]) if path in plans else result
            for path, result in zip(paths, made, strict=True)
        ]

    def _plan(self, path: bytes) -> Result:
        folder, name = _split(path)
        with Root(folder) as root:
            return {"plan": plan_edit(root, name, lambda tags: apply_edits(tags, self._task.edits), self._policy)}

    def _carry_out(self, path: bytes, plan: Plan) -> Result:
        written = 0
        with Root(_split(path)[0]) as root:
            for file in plan.files:
                written += self._make(root, file)
            bytes_read = plan.bytes_read + (verify(root, plan, self._policy).bytes_read if plan.files else 0)
        return _written(path, plan, bytes_read, written)

    def _make(self, root: Root, plan: FilePlan) -> int:
        """Make a change that is on record, and return how much was written. It is settled if the storage refuses."""
        self._under_way += 1
        try:
            written = apply(root, plan, still_ours=lambda: True).bytes_written
        except Changed:
            self._under_way -= 1
            raise
        except FileProblem:
            outcome = settle(root, plan)
            self._under_way -= 1
            if outcome is not Outcome.NEW:
                raise
            written = plan.bytes_changed
        else:
            self._under_way -= 1
        return written

    def _take_back(self, path: bytes) -> Result:
        folder, name = _split(path)
        with Root(folder) as root:
            done = _last(root, [self._journal.record(place) for place in self._places.get((folder, name), ())])
            if done is None:
                return {"path": shown(path), "result": "unchanged", "message": "there is nothing to undo"}
            # Of a change that was broken off, some files may not have been reached.
            plans = tuple(undo_of(root, plan) for plan in done.plans if not is_taken_back(root, plan))
            if not self._task.dry_run:
                self._intend([Record(folder, name, plans, is_undo=True)])
                for plan in plans:
                    self._make(root, plan)
        return {"path": shown(path), "result": "undone", "bytes_written": sum(plan.bytes_changed for plan in plans)}

    @cached_property
    def _places(self) -> Mapping[tuple[bytes, bytes], Sequence[Place]]:
        return self._journal.places()

    def _intend(self, records: Sequence[Record]) -> None:
        if records:
            self._segment = self._segment or self._journal.begin()
            self._segment.add(records)


def _last(root: Root, records: Sequence[Record]) -> Record | None:
    """The newest change that is in the file; None if all are undone, or never were. Raises `Changed`."""
    changes = [record for record in records if not record.is_undo]
    made = next((record for record in changes if any(is_made(root, plan) for plan in record.plans)), None)
    if made is None and changes and not any(is_taken_back(root, plan) for plan in changes[-1].plans):
        raise Changed("the file was written by another program since: nothing is undone")
    return made


def _split(path: bytes) -> tuple[bytes, bytes]:
    folder, _, name = os.path.abspath(path).rpartition(b"/")
    return folder or b"/", name


def _beside(folder: bytes, name: bytes | None) -> str | None:
    return None if name is None else shown(os.path.join(folder, name))


def _written(path: bytes, plan: Plan, bytes_read: int, bytes_written: int | None) -> Result:
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
        "sidecar_path": _beside(_split(path)[0], plan.sidecar),
    }


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
