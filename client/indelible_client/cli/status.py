"""`indelible status`: how far the tags of the catalogs are in the files."""

from typing import Annotated

import typer
from indelible.v1 import catalog_service_pb2, sync_pb2, sync_service_pb2
from rich.live import Live

from indelible_client import formats
from indelible_client.cli.output import Columns, as_table
from indelible_client.cli.session import Session, command
from indelible_client.cli.waiting import waits_text
from indelible_client.pages import pages
from indelible_client.watch import watch_sync

CatalogOrAllArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="The catalog; all without it.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes until Ctrl-C.")]


def _details(status: sync_pb2.SyncStatus) -> str:
    numbers = {
        "failed": status.failed_items,
        "in conflict": status.conflicted_items,
        "held": status.held_items,
        "missing": status.missing_items,
        "being written": status.in_flight_items,
    }
    parts = [f"{number:,} {what}" for what, number in numbers.items() if number]
    if status.HasField("run") and not status.run.HasField("end_time"):
        run = status.run
        counted = run.done_items + run.failed_items + run.conflicted_items + run.skipped_items
        parts.append(f"run {formats.word(run, 'state')}, {counted:,} of {run.total_items:,}")
    return ", ".join([*parts, *filter(None, [waits_text(status)])])


COLUMNS: Columns[sync_pb2.SyncStatus] = {
    "CATALOG": lambda status: status.catalog_name,
    "AUTO-SYNC": lambda status: formats.word(status, "auto_sync"),
    "ACTIVITY": lambda status: formats.word(status, "activity"),
    "STATUS": lambda status: status.text,
    "DETAILS": _details,
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "status", epilog="Example: indelible status --watch")(status)


def status(session: Session, name: CatalogOrAllArgument = None, watch: WatchOption = False) -> None:
    """Show how far the tags are in the files, a line a catalog."""
    if watch:
        _watch(session, [name] if name else [])
    else:
        session.out.table([_get(session, each) for each in ([name] if name else _all(session))], COLUMNS)


def _get(session: Session, name: str) -> sync_pb2.SyncStatus:
    request = sync_service_pb2.GetSyncStatusRequest(catalog=name)
    return session.client.sync.GetSyncStatus(request).status


def _all(session: Session) -> list[str]:
    request = catalog_service_pb2.ListCatalogsRequest()
    found = pages(session.client.catalogs.ListCatalogs, request, lambda page: page.catalogs)
    return [catalog.id for page in found for catalog in page.catalogs]


def _watch(session: Session, names: list[str]) -> None:
    """Show a live table on a terminal, else a line a change, until all that were named are removed."""
    left = set(names)
    by_id: dict[str, sync_pb2.SyncStatus] = {}
    live = Live(console=session.out.console, auto_refresh=False)
    on_terminal = session.out.console.is_terminal and not session.out.as_json
    with live if on_terminal else session.out.console:
        for response in watch_sync(session.client, names):
            snapshot = response.status
            by_id[snapshot.catalog_id] = snapshot
            if response.removed:
                del by_id[snapshot.catalog_id]
                left -= {snapshot.catalog_id, snapshot.catalog_name}
            if on_terminal:
                live.update(as_table(by_id.values(), COLUMNS), refresh=True)
            elif response.removed:
                session.out.say(f"{snapshot.catalog_name}: removed")
            else:
                session.out.emit(snapshot, _line(snapshot))
            if names and not left:
                return


def _line(snapshot: sync_pb2.SyncStatus) -> str:
    texts = [cell(snapshot) for cell in COLUMNS.values()]
    return f"{texts[0]}: auto-sync {', '.join(filter(None, texts[1:]))}"
