"""`indelible import`, `rescan` and `verify`: files into the catalog, and a look at them."""

from typing import Annotated

import typer
from indelible.v1 import library_service_pb2

from indelible_client.cli.selections import CatalogArgument, GlobsArgument, chosen
from indelible_client.cli.session import Session, command
from indelible_client.cli.waiting import wait_for_job

SubfolderOption = Annotated[str, typer.Option("--path", metavar="SUB", help="Only this folder or file below a root.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "import", epilog="Example: indelible import Archive --path 2024/06")(import_)
    command(app, "rescan")(rescan)
    command(app, "verify")(verify)


def import_(session: Session, name: CatalogArgument, path: SubfolderOption = "") -> None:
    """Take files that the catalog does not have yet into it, with their tags; waits for the end."""
    request = library_service_pb2.StartImportRequest(catalog=name, path=path)
    wait_for_job(session, session.client.library.StartImport(request).job)


def rescan(
    session: Session,
    name: CatalogArgument,
    path: SubfolderOption = "",
    read_all: Annotated[bool, typer.Option("--read-all", help="Read files that look unchanged, too.")] = False,
    accept_missing: Annotated[
        bool, typer.Option("--accept-missing", help="Even if most files of a root are gone, they were deleted.")
    ] = False,
) -> None:
    """Take what other programs changed in the files into the catalog; waits for the end."""
    request = library_service_pb2.StartRescanRequest(
        catalog=name, path=path, read_all=read_all, accept_missing=accept_missing
    )
    wait_for_job(session, session.client.library.StartRescan(request).job)


def verify(session: Session, name: CatalogArgument, globs: GlobsArgument = None) -> None:
    """Read files back and compare them with what they are said to hold; waits for the end."""
    request = library_service_pb2.StartVerifyRequest(catalog=name, selection=chosen(globs))
    wait_for_job(session, session.client.library.StartVerify(request).job)
