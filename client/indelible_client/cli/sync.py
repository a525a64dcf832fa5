"""`indelible sync`: bringing the tags into the files, always or once."""

from typing import Annotated

import typer
from indelible.v1 import sync_pb2, sync_service_pb2

from indelible_client import formats, settings
from indelible_client.cli import preview
from indelible_client.cli import status as status_command
from indelible_client.cli.selections import CatalogArgument, GlobsArgument, chosen
from indelible_client.cli.session import Session, command, group
from indelible_client.cli.waiting import run_text, wait_for_run, wait_until_nothing_is_due

app = group("Write the tags into the files: always (on), or once (start).")


preview.register(app)


@command(app, "on")
def on(
    session: Session,
    name: CatalogArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing is due any more.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not look first at what would be written.")] = False,
) -> None:
    """Turn auto-sync on: all earlier edits are written, and then every later one, in the background.

    Of a catalog that was never written it is shown first what will be, and on a terminal you are asked.
    """
    if not yes:
        preview.before_first_write(session, name)
    request = sync_service_pb2.SetAutoSyncRequest(catalog=name, auto_sync=sync_pb2.AUTO_SYNC_ON)
    status = session.client.sync.SetAutoSync(request).status
    if wait:
        wait_until_nothing_is_due(session, status)
    else:
        session.out.emit(status, f"auto-sync is on: {status.text}")


@command(app, "pause")
def pause(session: Session, name: CatalogArgument) -> None:
    """Stop all writing at the next file; a run is suspended, and `start` resumes it."""
    request = sync_service_pb2.PauseSyncRequest(catalog=name)
    status = session.client.sync.PauseSync(request).status
    session.out.emit(status, f"auto-sync is paused: {status.text}")


@command(app, "start", epilog="Example: indelible sync start Archive --max-items 20 --wait")
def start(
    session: Session,
    name: CatalogArgument,
    globs: GlobsArgument = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")] = False,
    max_items: Annotated[
        int | None,
        typer.Option("--max-items", min=1, metavar="N", help="Only the first N items, for a trial."),
    ] = None,
    outside_window: Annotated[
        bool, typer.Option("--outside-window", help="Write also when the schedule does not allow it.")
    ] = False,
    give_up_after: Annotated[
        str | None,
        typer.Option("--give-up-after", metavar="TIME", help="End after so long without progress, like 10m. Else 1h."),
    ] = None,
) -> None:
    """Write everything that is not synchronized, or a selection, once; the run ends by itself."""
    request = sync_service_pb2.StartSyncRequest(
        catalog=name, selection=chosen(globs), max_items=max_items, outside_window=outside_window
    )
    if give_up_after:
        request.give_up_after.FromTimedelta(settings.parse_duration("--give-up-after", give_up_after))
    response = session.client.sync.StartSync(request)
    if response.already_running:
        session.out.say("a run was active already; it goes on")
    if wait:
        wait_for_run(session, response.run)
    else:
        session.out.emit(response.run, run_text(response.run))


@command(app, "status")
def status(
    session: Session,
    name: status_command.CatalogOrAllArgument = None,
    watch: status_command.WatchOption = False,
) -> None:
    """Show how far the tags are in the files, as `indelible status` does."""
    status_command.status(session, name, watch)


@command(app, "retry")
def retry(
    session: Session,
    name: CatalogArgument,
    globs: GlobsArgument = None,
) -> None:
    """Make failed items due again, as if they had never failed."""
    request = sync_service_pb2.RetryFailuresRequest(catalog=name, selection=chosen(globs))
    response = session.client.sync.RetryFailures(request)
    session.out.emit(response, f"{formats.count(response.retried, 'item')} due again")
