"""`indelible hold`, `release`, `conflicts` and `resolve`: items that are kept from being written."""

from enum import StrEnum
from typing import Annotated

import typer
from indelible.v1 import item_pb2, item_service_pb2, sync_pb2, sync_service_pb2

from indelible_client import formats
from indelible_client.cli.items import conflict_sides
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument, GlobsArgument, LimitOption, chosen
from indelible_client.cli.session import Session, command


class Reason(StrEnum):
    """Why people hold an item."""

    CHECKED_OUT = "checked-out"
    AWAITING_APPROVAL = "awaiting-approval"
    OTHER = "other"


_REASONS = {
    Reason.CHECKED_OUT: item_pb2.HOLD_REASON_CHECKED_OUT,
    Reason.AWAITING_APPROVAL: item_pb2.HOLD_REASON_AWAITING_APPROVAL,
    Reason.OTHER: item_pb2.HOLD_REASON_OTHER,
}

CONFLICT_COLUMNS: Columns[item_pb2.Item] = {
    "PATH": lambda item: item.path,
    "FIELD": lambda item: "\n".join(conflict.field for conflict in item.conflicts),
    "CATALOG AND FILE": lambda item: "\n".join(" | ".join(conflict_sides(conflict)) for conflict in item.conflicts),
}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    example = 'Example: indelible hold Archive "2024/06/*" --note "at the retoucher\'s"'
    command(app, "hold", epilog=example)(hold)
    command(app, "release")(release)
    command(app, "conflicts")(conflicts)
    command(app, "resolve", epilog="Example: indelible resolve Archive --all --catalog")(resolve)


def hold(
    session: Session,
    name: CatalogArgument,
    globs: GlobsArgument = None,
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.CHECKED_OUT,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, in words; needed with `other`.")] = "",
) -> None:
    """Keep items from being written until `indelible release`; their tags can still be edited."""
    request = sync_service_pb2.HoldItemsRequest(
        catalog=name, selection=_some(globs), reason=_REASONS[reason], note=note
    )
    response = session.client.sync.HoldItems(request)
    session.out.emit(response, f"holding {response.held:,} of {formats.count(response.matched, 'item')}")


def release(session: Session, name: CatalogArgument, globs: GlobsArgument = None) -> None:
    """Let held items be written again."""
    request = sync_service_pb2.ReleaseItemsRequest(catalog=name, selection=_some(globs))
    response = session.client.sync.ReleaseItems(request)
    session.out.emit(response, f"released {response.released:,} of {formats.count(response.matched, 'item')}")


def conflicts(session: Session, name: CatalogArgument, limit: LimitOption = None) -> None:
    """List the fields that the catalog and the file changed to different values."""
    shown, page = session.out.listing(
        session.client.items.ListItems,
        item_service_pb2.ListItemsRequest(catalog=name, saved_search=item_pb2.SAVED_SEARCH_CONFLICTED),
        lambda page: page.items,
        CONFLICT_COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "item")


def resolve(
    session: Session,
    name: CatalogArgument,
    globs: GlobsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="Every conflict.")] = False,
    catalog: Annotated[bool, typer.Option("--catalog", help="The catalog's value goes into the file.")] = False,
    file: Annotated[bool, typer.Option("--file", help="The file's value goes into the catalog.")] = False,
    field: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Only this field; may be repeated.")] = None,
) -> None:
    """Decide conflicts for one side."""
    selection = chosen(globs, everything=everything)
    if selection is None:
        raise WrongUseError("nothing is selected; give paths or globs, or --all")
    if catalog == file:
        raise WrongUseError("say which side wins: --catalog or --file")
    request = sync_service_pb2.ResolveConflictsRequest(
        catalog=name,
        selection=selection,
        resolution=sync_pb2.CONFLICT_RESOLUTION_CATALOG if catalog else sync_pb2.CONFLICT_RESOLUTION_FILE,
        fields=field or [],
    )
    response = session.client.sync.ResolveConflicts(request)
    session.out.emit(response, f"resolved {response.resolved:,} of {formats.count(response.matched, 'item')}")


def _some(globs: list[str] | None) -> item_pb2.Selection:
    selection = chosen(globs)
    if selection is None:
        raise WrongUseError("nothing is selected; give paths or globs")
    return selection
