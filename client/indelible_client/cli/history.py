"""`indelible history` and `indelible undo`: what happened to the tags, and back."""

from typing import Annotated

import typer
from indelible.v1 import item_pb2, item_service_pb2, sync_service_pb2

from indelible_client import formats
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument, LimitOption, PathArgument, find_item
from indelible_client.cli.session import Session, command
from indelible_client.cli.waiting import wait_for_job


def _what(entry: item_pb2.HistoryEntry) -> str:
    if not entry.HasField("write"):
        return "edited"
    write = entry.write
    parts = [formats.word(write, "method"), formats.word(write, "outcome"), f"write {write.id}"]
    parts += [f"run {entry.run_id}"] if entry.run_id else []
    parts += [] if write.undoable else ["can't be undone any more"]
    return ", ".join(parts)


COLUMNS: Columns[item_pb2.HistoryEntry] = {
    "TIME": lambda entry: formats.when(entry.time),
    "WHO": lambda entry: entry.on_behalf_of or entry.principal or "the server",
    "SOURCE": lambda entry: entry.source,
    "WHAT": _what,
    "CHANGES": lambda entry: formats.differences(entry.diff),
}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "history")(history)
    command(app, "undo", epilog="Example: indelible undo Archive 2024/06/a.jpg")(undo)


def history(session: Session, name: CatalogArgument, path: PathArgument, limit: LimitOption = None) -> None:
    """Show what happened to the tags of an item, newest first."""
    shown, page = session.out.listing(
        session.client.items.ListHistory,
        item_service_pb2.ListHistoryRequest(catalog=name, path=path),
        lambda page: page.entries,
        COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "change")


def undo(
    session: Session,
    name: CatalogArgument,
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="The item's path below its root.")] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Every write of this run.")] = None,
    write: Annotated[
        str | None,
        typer.Option(metavar="ID", help="This write of the item, as `history` shows it. Else the last."),
    ] = None,
) -> None:
    """Restore what files held before a write or a run, in the catalog too; waits for the end."""
    if (path is None) == (run is None) or (run and write):
        raise WrongUseError("say what to undo: PATH (and --write ID), or --run ID")
    if run:
        by_run = sync_service_pb2.UndoRunRequest(catalog=name, run_id=run)
        wait_for_job(session, session.client.sync.UndoRun(by_run).job)
        return
    item = find_item(session, name, path or "")
    by_item = item_service_pb2.UndoWriteRequest(
        catalog=name,
        selection=item_pb2.Selection(item_ids=item_pb2.ItemIds(ids=[item.id])),
        write_id=write or "",
    )
    wait_for_job(session, session.client.items.UndoWrite(by_item).job)
