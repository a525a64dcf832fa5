"""Which items a command is about."""

from collections.abc import Sequence
from typing import Annotated

import typer
from indelible.v1 import item_pb2, item_service_pb2

from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.session import Session

CatalogArgument = Annotated[str, typer.Argument(metavar="NAME", help="The catalog, by its name or id.")]
PathArgument = Annotated[
    str, typer.Argument(metavar="PATH", help="The item's path below its root, as `indelible items` shows it.")
]
GlobsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="GLOB",
        help="Paths below the root. * and ? stay within a folder, ** does not; quote them for the shell.",
    ),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Show at most so many.")]


def chosen(
    globs: Sequence[str] | None, *, everything: bool = False, unsynced: bool = False
) -> item_pb2.Selection | None:
    """Give the selection that the command line makes, None if it makes none; two at once are wrong use."""
    if bool(globs) + everything + unsynced > 1:
        raise WrongUseError("give only one of: paths or globs, --all, --unsynced")
    if globs:
        return item_pb2.Selection(path_globs=item_pb2.PathGlobs(globs=globs))
    if everything:
        return item_pb2.Selection(all=True)
    if unsynced:
        return item_pb2.Selection(saved_search=item_pb2.SAVED_SEARCH_UNSYNCED)
    return None


def find_item(session: Session, catalog: str, path: str) -> item_pb2.Item:
    """Give the one item of a path, with what its files hold."""
    request = item_service_pb2.GetItemRequest(catalog=catalog, path=path)
    return session.client.items.GetItem(request).item
