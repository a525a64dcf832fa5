"""`indelible tag`: edits of tags, of one item or of all."""

from typing import Annotated

import typer
from indelible.v1 import item_service_pb2, tags_pb2

from indelible_client import assignments, formats
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument, GlobsArgument, chosen
from indelible_client.cli.session import Session, command

_FIELDS = f"Fields: {', '.join(assignments.FIELDS)}."

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=f'Give a field a value; lists and custom fields have ";" between theirs. {_FIELDS}',
    ),
]
AddOption = Annotated[list[str] | None, typer.Option("--add", metavar="FIELD=VALUE", help="Add one value to a list.")]
RemoveOption = Annotated[
    list[str] | None, typer.Option("--remove", metavar="FIELD=VALUE", help="Take one value out of a list.")
]
ReplaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="FIELD=FROM=TO",
        help="Change one value into another; the keywords below a keyword come along.",
    ),
]
ClearOption = Annotated[
    list[str] | None, typer.Option("--clear", metavar="FIELD", help="Take the value of a field away.")
]
ShiftOption = Annotated[
    list[str] | None,
    typer.Option("--shift", metavar="taken_at=±…", help="Move the time: ±HH:MM[:SS], ±Nh or ±Nd."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    example = 'Example: indelible tag Archive "2024/**" --set rating=4 --add "keywords=Places|Rome"'
    command(app, "tag", epilog=example)(tag)


def tag(
    session: Session,
    name: CatalogArgument,
    globs: GlobsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="Every item.")] = False,
    unsynced: Annotated[bool, typer.Option("--unsynced", help="Every item that is not synchronized.")] = False,
    set_: SetOption = None,
    add: AddOption = None,
    remove: RemoveOption = None,
    replace: ReplaceOption = None,
    clear: ClearOption = None,
    shift: ShiftOption = None,
) -> None:
    """Edit the tags of items in the catalog; synchronizing brings them into the files.

    The edits are applied in the order clear, set, replace, remove, add, shift. Every one of them may be
    repeated.
    """
    selection = chosen(globs, everything=everything, unsynced=unsynced)
    if selection is None:
        raise WrongUseError("nothing is selected; give paths or globs, --all or --unsynced")
    request = item_service_pb2.EditTagsRequest(
        catalog=name,
        selection=selection,
        edits=read_edits(set_, add, remove, replace, clear, shift),
    )
    response = session.client.items.EditTags(request)
    session.out.emit(response, changed_text(response.changed, response.matched, "item"))


def read_edits(
    set_: list[str] | None,
    add: list[str] | None,
    remove: list[str] | None,
    replace: list[str] | None,
    clear: list[str] | None,
    shift: list[str] | None,
) -> list[tags_pb2.Edit]:
    """Give the edits of a command line; none is wrong use."""
    edits = assignments.edits(
        clear=clear or (),
        set=set_ or (),
        replace=replace or (),
        remove=remove or (),
        add=add or (),
        shift=shift or (),
    )
    if not edits:
        raise WrongUseError("nothing to change; give --set, --add, --remove, --replace, --clear or --shift")
    return edits


def changed_text(changed: int, matched: int, noun: str) -> str:
    """Say how many of those that were selected are different now."""
    return f"changed {formats.count(changed)} of {formats.count(matched, noun)}"
