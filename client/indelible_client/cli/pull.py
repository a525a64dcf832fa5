"""`indelible pull`, `batches` and `reviews`: reading a remote, and what came of it."""

from typing import Annotated

import typer
from indelible.v1 import remote_pb2, remote_service_pb2

from indelible_client import formats
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.remote import BatchOption, RemoteArgument, get
from indelible_client.cli.selections import LimitOption
from indelible_client.cli.session import Session, command, group
from indelible_client.cli.waiting import wait_for_job, watch_to_end

app = group("Read remotes into their catalogs.")

BATCH_COLUMNS: Columns[remote_pb2.RemoteBatch] = {
    "BATCH": lambda batch: batch.name,
    "ID": lambda batch: batch.id,
    "STATUS": lambda batch: batch.status,
    "FILES": lambda batch: formats.count(batch.total_files),
    "PENDING": lambda batch: formats.count(batch.pending_files),
    "SUBMITTED": lambda batch: formats.count(batch.submitted_files),
    "IN REVIEW": lambda batch: formats.count(batch.awaiting_review_files),
    "ACCEPTED": lambda batch: formats.count(batch.accepted_files),
    "REVISABLE": lambda batch: formats.count(batch.revisable_files),
    "REJECTED": lambda batch: formats.count(batch.rejected_files),
}


def _reasons(review: remote_pb2.RemoteReview) -> str:
    return "; ".join(reason.description or reason.code for reason in review.reasons)


REVIEW_COLUMNS: Columns[remote_pb2.RemoteReview] = {
    "TIME": lambda review: formats.when(review.review_time),
    "FILE": lambda review: review.file_name,
    "OUTCOME": lambda review: formats.word(review, "outcome"),
    "REASONS": _reasons,
    "NOTE": lambda review: review.note,
}


def register(program: typer.Typer) -> None:
    """Add the commands that are not below `pull` to the program."""
    command(program, "batches")(batches)
    command(program, "reviews")(reviews)


@command(app, "start", epilog="Example: indelible pull start agency --wait")
def start(
    session: Session,
    name: RemoteArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; thumbnails may still come after it.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, also what looks unchanged.")] = False,
    send_local_changes: Annotated[
        bool, typer.Option("--send-local-changes", help="First send edits of files that are not submitted.")
    ] = False,
) -> None:
    """Read a remote: all of it the first time, then what is new."""
    request = remote_service_pb2.StartPullRequest(remote=name, full=full, send_local_changes=send_local_changes)
    job = session.client.remotes.StartPull(request).job
    if wait:
        wait_for_job(session, job)
    else:
        session.out.emit(job, f"pull started; watch it with: indelible pull watch {name}")


@command(app, "watch")
def watch(session: Session, name: RemoteArgument) -> None:
    """Show the progress of the last pull until it has ended; with --json a line a change."""
    job_id = get(session, name).last_pull_job_id
    if not job_id:
        raise WrongUseError(f"{name} was never pulled; start with: indelible pull start {name}")
    watch_to_end(session, job_id)


def batches(session: Session, name: RemoteArgument, limit: LimitOption = None) -> None:
    """List the batches that were pulled, newest first."""
    shown, page = session.out.listing(
        session.client.remotes.ListBatches,
        remote_service_pb2.ListBatchesRequest(remote=name),
        lambda page: page.batches,
        BATCH_COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "batch")


def reviews(
    session: Session,
    name: RemoteArgument,
    since_last_pull: Annotated[
        bool, typer.Option("--since-last-pull", help="Only what the last pull brought.")
    ] = False,
    batch: BatchOption = "",
    limit: LimitOption = None,
) -> None:
    """List what the inspectors said, newest first."""
    shown, page = session.out.listing(
        session.client.remotes.ListReviews,
        remote_service_pb2.ListReviewsRequest(remote=name, batch_id=batch, since_last_pull=since_last_pull),
        lambda page: page.reviews,
        REVIEW_COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "review")
