"""`indelible job`: work in the background that was asked for once."""

from typing import Annotated

import typer
from indelible.v1 import job_pb2, job_service_pb2

from indelible_client import formats
from indelible_client.cli.output import Columns
from indelible_client.cli.selections import LimitOption
from indelible_client.cli.session import Session, command, group
from indelible_client.cli.waiting import watch_to_end

app = group("Show, watch and cancel work in the background.")

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job, as `indelible job list` shows it.")]


def _progress(job: job_pb2.Job) -> str:
    text = f"{job.done_items:,} of {job.total_items:,}"
    return f"{text}, {job.failed_items:,} failed" if job.failed_items else text


COLUMNS: Columns[job_pb2.Job] = {
    "ID": lambda job: job.id,
    "KIND": lambda job: formats.word(job, "kind"),
    "STATE": lambda job: formats.word(job, "state"),
    "PROGRESS": _progress,
    "SINCE": lambda job: formats.when(job.create_time),
    "MESSAGE": lambda job: job.message,
}


@command(app, "list")
def list_(
    session: Session,
    catalog: Annotated[str, typer.Option(metavar="NAME", help="Only the jobs of this catalog.")] = "",
    active: Annotated[bool, typer.Option("--active", help="Only jobs that have not ended.")] = False,
    limit: LimitOption = 100,
) -> None:
    """List jobs, newest first."""
    shown, page = session.out.listing(
        session.client.jobs.ListJobs,
        job_service_pb2.ListJobsRequest(catalog=catalog, active=active),
        lambda page: page.jobs,
        COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "job")


@command(app, "watch")
def watch(session: Session, job_id: JobArgument) -> None:
    """Show the progress of a job until it has ended; with --json a line a change."""
    watch_to_end(session, job_id)


@command(app, "cancel")
def cancel(session: Session, job_id: JobArgument) -> None:
    """End a job at the next safe point; what is done stays done."""
    job = session.client.jobs.CancelJob(job_service_pb2.CancelJobRequest(job_id=job_id)).job
    session.out.emit(job, f"job {job.id}: {formats.word(job, 'state')}")
