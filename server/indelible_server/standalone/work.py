"""What is done with each file: shown, written, or taken back. One bad file never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..domain.edits import Edit
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem, shown
from ..files.reading import read
from ..files.undoing import is_made, is_taken_back, undo_of
from .journal import Journal, Place, Record, Segment
from .results import Result, beside, refused, split
from .writing import Batch, Change, Maker, Roots


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
        self._maker = Maker()

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
            self._segment.close(settled=self._maker.is_done)
            self._segment = None

    def _guarded(self, path: bytes, work: Callable[[bytes], Result]) -> Result:
        try:
            return work(path)
        except (FileProblem, Changed) as problem:
            return refused(path, problem)

    def _show(self, path: bytes) -> Result:
        folder, name = split(path)
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
            "sidecar_path": beside(folder, reading.sidecar),
            "note": reading.note,
            "warnings": list(reading.warnings),
            "bytes_read": reading.bytes_read,
        }

    def _write(self, paths: Sequence[bytes]) -> list[Result]:
        with Roots() as roots:
            batch = Batch(paths, roots, self._policy, self._maker)
            batch.plan(self._task.edits)
            if not self._task.dry_run:
                batch.put_on_record(self._record)
                batch.make()
                batch.verify()
            return batch.results()

    def _record(self, changes: Sequence[Change]) -> None:
        self._intend([Record(*split(change.path), change.files) for change in changes])

    def _take_back(self, path: bytes) -> Result:
        folder, name = split(path)
        with Root(folder) as root:
            done = _last(root, [self._journal.record(place) for place in self._places.get((folder, name), ())])
            if done is None:
                return {"path": shown(path), "result": "unchanged", "message": "there is nothing to undo"}
            # Of a change that was broken off, some files may not have been reached.
            plans = tuple(undo_of(root, plan) for plan in done.plans if not is_taken_back(root, plan))
            if not self._task.dry_run:
                self._intend([Record(folder, name, plans, is_undo=True)])
                for plan in plans:
                    self._maker.make(root, plan)
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
