"""Files written together: all are planned, put on record at once, made, and read back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ..domain.edits import Edit, apply_edits
from ..files.apply import apply
from ..files.plan import FilePlan, Plan
from ..files.planning import plan_edit
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem
from ..files.reading import verify
from ..files.settle import Outcome, settle
from .results import Result, refused, split, written

_LANES = 4
"""To make a whole new file is mostly to wait for the disk: so many are on their way to it at a time."""


class Roots:
    """Folders, each opened once, and closed together."""

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._roots: dict[bytes, Root] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def of(self, path: bytes) -> tuple[Root, bytes]:
        """The folder that a file is in, and its name there; raises `FileProblem` if that folder is not there."""
        folder, name = split(path)
        if folder not in self._roots:
            self._roots[folder] = self._opened.enter_context(Root(folder))
        return self._roots[folder], name


class Maker:
    """Makes changes that are on record. For several threads."""

    def __init__(self) -> None:
        self._under_way: set[bytes] = set()

    @property
    def is_done(self) -> bool:
        """Whether every change was made, refused, or settled."""
        return not self._under_way

    def make(self, root: Root, plan: FilePlan) -> int:
        """Make a change, and return how much was written. It is settled if the storage refuses."""
        self._under_way.add(plan.temp)
        try:
            done = apply(root, plan, still_ours=lambda: True).bytes_written
        except FileProblem:
            if settle(root, plan) is not Outcome.NEW:
                self._under_way.discard(plan.temp)
                raise
            done = plan.bytes_changed
        except Changed:
            settle(root, plan)  # nothing was changed, but the new file may still lie there
            self._under_way.discard(plan.temp)
            raise
        self._under_way.discard(plan.temp)
        return done


@dataclass
class Change:
    """A file on its way to its result; one that has a result goes no further."""

    path: bytes
    plan: Plan | None = None
    bytes_read: int = 0
    bytes_written: int | None = None
    result: Result | None = None

    @property
    def files(self) -> tuple[FilePlan, ...]:
        """What is to be done to the file and its sidecar."""
        return self.plan.files if self.plan and not self.result else ()


class Batch:
    """Files that are to be changed alike. Every step passes over those that have come to grief before."""

    def __init__(self, paths: Sequence[bytes], roots: Roots, policy: Policy, maker: Maker) -> None:
        self.changes = [Change(path) for path in paths]
        self._roots = roots
        self._policy = policy
        self._maker = maker

    def plan(self, edits: Sequence[Edit]) -> None:
        """Plan all."""
        self._each(lambda change: self._plan(change, edits))

    def put_on_record(self, record: Callable[[Sequence[Change]], None]) -> None:
        """Let `record` make all plans durable; without that, none of them is carried out."""
        planned = [change for change in self.changes if change.files]
        try:
            record(planned)
        except FileProblem as problem:
            for change in planned:
                change.result = refused(change.path, problem)

    def make(self) -> None:
        """Make the changes."""
        if not any(file.rebuilds for change in self.changes for file in change.files):
            self._each(self._make)
            return
        with ThreadPoolExecutor(_LANES) as lanes:
            self._each(self._make, lanes.map)

    def verify(self) -> None:
        """Read back what was made."""
        self._each(self._verify)

    def results(self) -> list[Result]:
        """What came of each file, in their order."""
        self._each(self._finish)
        return [change.result for change in self.changes if change.result is not None]

    def _plan(self, change: Change, edits: Sequence[Edit]) -> None:
        root, name = self._roots.of(change.path)
        change.plan = plan_edit(root, name, lambda tags: apply_edits(tags, edits), self._policy)
        change.bytes_read = change.plan.bytes_read

    def _make(self, change: Change) -> None:
        root, _ = self._roots.of(change.path)
        change.bytes_written = sum(self._maker.make(root, file) for file in change.files)

    def _verify(self, change: Change) -> None:
        if change.plan and change.files:
            root, _ = self._roots.of(change.path)
            change.bytes_read += verify(root, change.plan, self._policy).bytes_read

    def _finish(self, change: Change) -> None:
        if change.plan:
            change.result = written(change.path, change.plan, change.bytes_read, change.bytes_written)

    def _each(self, step: Callable[[Change], None], run: Callable[..., Iterable[Any]] = map) -> None:
        def guarded(change: Change) -> None:
            try:
                step(change)
            except (FileProblem, Changed) as problem:
                change.result = refused(change.path, problem)

        list(run(guarded, [change for change in self.changes if change.result is None]))
