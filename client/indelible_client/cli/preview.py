"""`indelible sync preview`: what would be written, before anything is."""

import sys

import typer
from indelible.v1 import item_pb2, sync_pb2, sync_service_pb2

from indelible_client import formats
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument, GlobsArgument, LimitOption, chosen
from indelible_client.cli.session import Session, command
from indelible_client.cli.waiting import ProgressView


def _files(write: sync_pb2.PlannedWrite) -> str:
    texts = [
        f"{formats.word(file, 'method')} {file.path} ({formats.size(file.bytes_to_write)})" for file in write.files
    ]
    if write.HasField("failure"):
        texts.append(formats.failure(write.failure))
    return ", ".join([*texts, *filter(None, [write.note])]) or "unchanged"


COLUMNS: Columns[sync_pb2.PlannedWrite] = {
    "PATH": lambda write: write.path,
    "HOW": _files,
    "CHANGES": lambda write: formats.differences(write.diff),
}


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    command(app, "preview", epilog='Example: indelible sync preview Archive "2024/**" --limit 20')(preview)


def preview(session: Session, name: CatalogArgument, globs: GlobsArgument = None, limit: LimitOption = 100) -> None:
    """Show what would be written, how, and how many bytes: in all, then item by item. Nothing is touched."""
    selection = chosen(globs)
    summary = _summary(session, name, selection)
    session.out.emit(summary, summary_text(summary))
    if not summary.total_items:
        return
    shown, page = session.out.listing(
        session.client.sync.PreviewWrite,
        sync_service_pb2.PreviewWriteRequest(catalog=name, selection=selection),
        lambda page: page.writes,
        COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "item")


def before_first_write(session: Session, name: str) -> None:
    """Show what is about to be written to a catalog's files for the first time, and ask where someone can answer."""
    status = session.client.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest(catalog=name)).status
    is_first = status.never_written and status.unsynced_items and status.auto_sync != sync_pb2.AUTO_SYNC_ON
    if session.out.as_json or not is_first:
        return
    session.out.say(summary_text(_summary(session, name, None)))
    if sys.stdin.isatty() and not typer.confirm("Write this now, and every later edit?"):
        raise WrongUseError("auto-sync stays paused, and nothing was written")


def summary_text(summary: sync_service_pb2.SummarizeWriteResponse) -> str:
    """Say what would be written in all, a line a format and way, then what would not be, and why."""
    if not summary.total_items:
        return "nothing would be written: everything is synchronized"
    lines = [f"{formats.size(summary.bytes_to_write)} would be written for {_items(summary.total_items)}:"]
    lines += [
        f"  {_items(each.items)}, {each.format}: {formats.word(each, 'method')}"
        + (f" ({formats.size(each.bytes_to_write)})" if each.bytes_to_write else "")
        for each in summary.writes
    ]
    if summary.new_sidecars:
        lines.append(f"  {formats.count(summary.new_sidecars, 'new sidecar')} among them")
    lines += [f"  {_items(each.items)} can't be written: {formats.word(each, 'reason')}" for each in summary.failures]
    lines += [f"  {_items(each.items)} would be left: {each.note}" for each in summary.notes]
    return "\n".join(lines)


def _items(number: int) -> str:
    return formats.count(number, "item")


def _summary(
    session: Session, name: str, selection: item_pb2.Selection | None
) -> sync_service_pb2.SummarizeWriteResponse:
    """Wait for the sums, and show how far the look at the files is."""
    request = sync_service_pb2.SummarizeWriteRequest(catalog=name, selection=selection)
    summary = sync_service_pb2.SummarizeWriteResponse()
    with ProgressView(session, "preview") as view:
        for summary in session.client.sync.SummarizeWrite(request):
            view.update(summary.looked_at_items, summary.total_items, "")
            if summary.done:
                break
    return summary
