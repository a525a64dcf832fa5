"""`indelible catalog`: the collections, their folders and their settings."""

import os
import sys
from typing import Annotated

import typer
from indelible.v1 import catalog_pb2, catalog_service_pb2

from indelible_client import formats, settings
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument
from indelible_client.cli.session import Session, command, group
from indelible_client.connection import is_local

app = group("Create, show, change and delete catalogs.")

ForceOption = Annotated[bool, typer.Option("--force", help="Do it although edits are not in the files yet.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

COLUMNS: Columns[catalog_pb2.Catalog] = {
    "NAME": lambda catalog: catalog.name,
    "ID": lambda catalog: catalog.id,
    "AUTO-SYNC": lambda catalog: formats.word(catalog, "auto_sync"),
    "ROOTS": lambda catalog: ", ".join(root.path for root in catalog.roots),
}


@command(app, "create", epilog="Example: indelible catalog create Archive --root /photos/archive")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other catalog has.")],
    root: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="A folder that it covers; may be repeated.")
    ] = None,
    read_only_root: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A folder in which nothing is ever written; may be repeated."),
    ] = None,
    description: Annotated[str, typer.Option(metavar="TEXT", help="Free text.")] = "",
) -> None:
    """Create a catalog; its auto-sync is paused, and its items come with `indelible import`."""
    request = catalog_service_pb2.CreateCatalogRequest(name=name, description=description)
    for path in root or []:
        request.roots.add(path=_server_path(session, path))
    for path in read_only_root or []:
        request.roots.add(path=_server_path(session, path), read_only=True)
    catalog = session.client.catalogs.CreateCatalog(request).catalog
    session.out.emit(
        catalog, f"created catalog {catalog.name}; take its files in with: indelible import {catalog.name}"
    )


@command(app, "list")
def list_(session: Session) -> None:
    """List the catalogs."""
    shown, page = session.out.listing(
        session.client.catalogs.ListCatalogs,
        catalog_service_pb2.ListCatalogsRequest(),
        lambda page: page.catalogs,
        COLUMNS,
    )
    session.out.footer(shown, page.total_size, "catalog")


@command(app, "show")
def show(session: Session, name: CatalogArgument) -> None:
    """Show a catalog with its roots and settings."""
    catalog = _get(session, name)
    session.out.emit(catalog, _text(catalog))


@command(
    app,
    "set",
    epilog='Example: indelible catalog set Archive policy.conflicts=hold schedule="mon-fri 22:00-06:00"',
)
def set_(
    session: Session,
    name: CatalogArgument,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE",
            help=f"Settings; an empty value gives the default back. Keys: {', '.join(settings.KEYS)}.",
        ),
    ],
) -> None:
    """Change settings of a catalog.

    Lists have "," between their values: policy.excluded_fields=people,gps. Folders are added with root=+PATH
    and removed with root=-ID, when they have no items any more; custom fields with custom_field=+PRESET and
    custom_field=-NAME. policy.formats=raw:sidecar,jpg+png:embed says where the tags of formats go.
    budget.bytes_per_second=20M and budget.items_per_minute=600 limit what is written on average.
    """
    catalog = _get(session, name)
    request = catalog_service_pb2.UpdateCatalogRequest()
    for assignment in assignments:
        field = settings.change(catalog, assignment, lambda path: _server_path(session, path))
        if field not in request.update_mask.paths:
            request.update_mask.paths.append(field)
    request.catalog.CopyFrom(catalog)
    catalog = session.client.catalogs.UpdateCatalog(request).catalog
    session.out.emit(catalog, _text(catalog))


@command(app, "delete")
def delete(session: Session, name: CatalogArgument, yes: YesOption = False, force: ForceOption = False) -> None:
    """Delete a catalog with its items and their history; the files stay as they are."""
    confirm(yes, f"Delete catalog {name} with its items and their history? The files stay as they are.")
    request = catalog_service_pb2.DeleteCatalogRequest(catalog=name, force=force)
    session.out.emit(session.client.catalogs.DeleteCatalog(request), f"deleted catalog {name}")


def confirm(yes: bool, question: str) -> None:
    """Ask on a terminal; elsewhere only --yes will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUseError("this can't be undone; give --yes where nobody can be asked")
    if not typer.confirm(question, err=True):
        raise WrongUseError("nothing was done")


def _get(session: Session, name: str) -> catalog_pb2.Catalog:
    request = catalog_service_pb2.GetCatalogRequest(catalog=name)
    return session.client.catalogs.GetCatalog(request).catalog


def _server_path(session: Session, path: str) -> str:
    """Make a path absolute where the server is on this machine; a path of another machine is its own
    business.
    """
    return os.path.abspath(os.path.expanduser(path)) if is_local(session.client.address) else path


def _text(catalog: catalog_pb2.Catalog) -> str:
    width = 26
    lines = []
    for key, value in formats.setting_values(catalog):
        if key != "roots":
            lines.append(f"{key:{width}} {value}")
    for root in catalog.roots:
        notes = [
            *(["read-only"] if root.read_only else []),
            *([] if root.online else ["offline"]),
            f"{formats.count(root.unsynced_items)} not synchronized",
            *([f"at most {formats.budget(root.budget)}"] if root.HasField("budget") else []),
        ]
        lines.append(f"{'root ' + root.id:{width}} {root.path} ({', '.join(notes)})")
        if root.HasField("capabilities"):
            lines.append(f"{'':{width}} {_storage(root)}")
    return "\n".join(lines)


def _storage(root: catalog_pb2.Root) -> str:
    """Say what the storage of a root can do, as tried when it was approved."""
    can = root.capabilities
    name = can.filesystem or "unknown filesystem"
    if root.read_only:
        return name
    abilities = {
        "writing": can.writable,
        "replace": can.replace,
        "exchange": can.exchange,
        "hard links": can.hard_links,
        "fsync": can.durable,
        "write leases": can.write_lease,
        "extended attributes": can.xattrs,
        "owners": can.owner,
        "upper and lower case": can.case_sensitive,
    }
    lacks = [ability for ability, there in abilities.items() if not there]
    times = f"times to {can.time_resolution.ToTimedelta().total_seconds():g} s" if can.time_resolution.seconds else ""
    return "; ".join(filter(None, [name, f"no {', '.join(lacks)}" if lacks else "all abilities", times]))
