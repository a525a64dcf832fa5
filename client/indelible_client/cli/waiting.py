"""Waiting for work at the server: progress while it goes on, what came of it, and the exit status."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer
from indelible.v1 import job_pb2, job_service_pb2, sync_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from indelible_client import formats
from indelible_client.cli.output import console
from indelible_client.cli.refusals import ENDED_WITH_FAILURES, StoppedWaitingError
from indelible_client.cli.session import Session
from indelible_client.watch import watch_job, watch_run, watch_status

_PROBLEMS_SHOWN = 10


class ProgressView:
    """Progress on stderr: a bar on a terminal, else a line a second at most, and nothing under --json."""

    def __init__(self, session: Session, title: str) -> None:
        self._title = title
        self._silent = session.out.as_json
        self._console = console(True, error=True)
        self._next_line = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=self._console,
            transient=True,
            disable=self._silent or not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, text="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, done: int, total: int, text: str) -> None:
        """Show that so much of so much is done; 0 as a total means that it is not known."""
        text = formats.printable(text)
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, total=total or None, text=text)
        elif not self._silent and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + 1
            parts = [f"{self._title}: {done:,} of {total:,}", *([text] if text else [])]
            self._console.print(", ".join(parts), soft_wrap=True)


@contextmanager
def interruptible(watch: str, stop: str) -> Iterator[None]:
    """Say on Ctrl-C that the work goes on, and how to watch or stop it."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedWaitingError(f"the work goes on at the server. Watch it: `{watch}`; stop it: `{stop}`") from None


def wait_for_job(session: Session, job: job_pb2.Job) -> None:
    """Wait until a job has ended and print it; ends with status 1 if it did not complete or had failures."""
    _follow_job(session, job, every_snapshot=False)


def watch_to_end(session: Session, job_id: str) -> None:
    """Do the same for a job that was started before; as JSON every snapshot is printed."""
    job = session.client.jobs.GetJob(job_service_pb2.GetJobRequest(job_id=job_id)).job
    _follow_job(session, job, every_snapshot=session.out.as_json)


def _follow_job(session: Session, job: job_pb2.Job, *, every_snapshot: bool) -> None:
    with (
        interruptible(f"indelible job watch {job.id}", f"indelible job cancel {job.id}"),
        ProgressView(session, formats.word(job, "kind")) as view,
    ):
        for snapshot in watch_job(session.client, job.id):
            job = snapshot
            view.update(job.done_items + job.failed_items, job.total_items, job.message)
            if every_snapshot:
                session.out.emit(job, "")
    if not every_snapshot:
        session.out.emit(job, job_text(job))
    if job.state != job_pb2.JOB_STATE_COMPLETED or job.failed_items:
        raise typer.Exit(ENDED_WITH_FAILURES)


def job_text(job: job_pb2.Job) -> str:
    """Say how a job ended, what came of it, and its first problems."""
    completed = job.state == job_pb2.JOB_STATE_COMPLETED
    # What came of an undo takes more words than its counts have.
    in_words = job.message.rstrip(".") if completed and job.kind == job_pb2.JOB_KIND_UNDO else ""
    results = [in_words or formats.job_counts(job) or formats.count(job.done_items, "item")]
    if job.failed_items:
        results.append(f"{job.failed_items:,} failed")
    if job.message and not completed:
        results.append(job.message)
    lines = [f"{formats.word(job, 'kind')} {formats.word(job, 'state')}: {', '.join(results)}"]
    shown = job.problems[:_PROBLEMS_SHOWN]
    lines += [f"  {each.path}: {formats.failure(each.failure)}" for each in shown]
    if job.failed_items > len(shown) > 0:
        lines.append(f"  … and {job.failed_items - len(shown):,} more")
    return "\n".join(lines)


def wait_for_run(session: Session, run: sync_pb2.Run) -> None:
    """Wait until a run has ended and print it; ends with status 1 unless all of it was written or skipped."""
    with (
        interruptible(f"indelible status {run.catalog_id} --watch", f"indelible sync pause {run.catalog_id}"),
        ProgressView(session, "sync") as view,
    ):
        for status in watch_run(session.client, run.catalog_id, run.id):
            run = status.run
            counted = run.done_items + run.failed_items + run.conflicted_items + run.skipped_items
            view.update(counted, run.total_items, _run_progress(status))
    session.out.emit(run, run_text(run))
    if run.state != sync_pb2.RUN_STATE_COMPLETED or run.failed_items or run.conflicted_items:
        raise typer.Exit(ENDED_WITH_FAILURES)


def run_text(run: sync_pb2.Run) -> str:
    """Say where a run stands, or how it ended."""
    parts = [f"{formats.count(run.done_items)} of {formats.count(run.total_items, 'item')} written"]
    parts += [
        f"{number:,} {what}"
        for number, what in (
            (run.failed_items, f"failed{_reasons(run)} (`indelible items {run.catalog_id} --failed`)"),
            (run.conflicted_items, f"in conflict (`indelible conflicts {run.catalog_id}`)"),
            (run.skipped_items, "skipped"),
        )
        if number
    ]
    parts.append(formats.size(run.bytes_written))
    return f"run {run.id} {formats.word(run, 'state')}: {', '.join(parts)}"


def _reasons(run: sync_pb2.Run) -> str:
    reasons = ", ".join(f"{each.items:,} {formats.word(each, 'reason')}" for each in run.failures)
    return f": {reasons}" if reasons else ""


def wait_until_nothing_is_due(session: Session, status: sync_pb2.SyncStatus) -> None:
    """Wait until auto-sync has nothing left to do and print the status.

    Ends with status 1 if items failed or are in conflict, or if someone else turned auto-sync off meanwhile.
    """
    catalog, most = status.catalog_id, 0
    with (
        interruptible(f"indelible status {catalog} --watch", f"indelible sync pause {catalog}"),
        ProgressView(session, "sync") as view,
    ):
        for status in watch_status(session.client, [catalog]):
            due = _due(status)
            most = max(most, due)
            view.update(most - due, most, waits_text(status))
            if not due or status.auto_sync != sync_pb2.AUTO_SYNC_ON:
                break
    session.out.emit(status, status.text)
    if _due(status) or status.failed_items or status.conflicted_items:
        raise typer.Exit(ENDED_WITH_FAILURES)


def waits_text(status: sync_pb2.SyncStatus) -> str:
    """Say why items that are due are not written now; empty if they are."""
    return ", ".join(
        " ".join(
            [
                f"{formats.count(wait.items, 'item')} waiting: {formats.word(wait, 'reason')}",
                *([wait.root] if wait.root else []),
                *([f"until {formats.when(wait.until)}"] if wait.HasField("until") else []),
            ]
        )
        for wait in status.waits
    )


def _due(status: sync_pb2.SyncStatus) -> int:
    """Count the items that will be written by themselves; 0 only when none is being written either."""
    helpless = status.failed_items + status.conflicted_items + status.held_items
    return max(status.unsynced_items - helpless, status.in_flight_items)


def _run_progress(status: sync_pb2.SyncStatus) -> str:
    run = status.run
    parts = []
    if run.state == sync_pb2.RUN_STATE_SUSPENDED:
        parts.append("suspended; `indelible sync start` resumes it")
    if run.items_per_second:
        parts.append(f"{run.items_per_second:,.0f} items/s")
    if run.HasField("eta"):
        parts.append(f"{formats.span(run.eta.ToTimedelta().total_seconds())} left")
    return ", ".join([*parts, *filter(None, [waits_text(status)])])
