"""`indelible items` and `indelible show`: the items, their tags and their states."""

from typing import Annotated

import typer
from indelible.v1 import item_pb2, item_service_pb2, tags_pb2

from indelible_client import formats
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import WrongUseError
from indelible_client.cli.selections import CatalogArgument, LimitOption, PathArgument, find_item
from indelible_client.cli.session import Session, command


def state(item: item_pb2.Item) -> str:
    """Say whether the files of an item hold its tags, and why not."""
    parts = [formats.word(item, "state")]
    if item.HasField("failure"):
        parts.append(formats.word(item.failure, "reason"))
    if item.HasField("hold"):
        parts.append(formats.word(item.hold, "reason"))
    if item.missing:
        parts.append("missing")
    return ", ".join(parts)


COLUMNS: Columns[item_pb2.Item] = {
    "PATH": lambda item: item.path,
    "STATE": state,
    "RATING": lambda item: str(item.tags.rating) if item.tags.HasField("rating") else "",
    "TITLE": lambda item: item.tags.title,
    "KEYWORDS": lambda item: "; ".join(item.tags.keywords),
}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "items", epilog="Example: indelible items Archive --unsynced --path 2024/")(items)
    command(app, "show")(show)


def items(
    session: Session,
    name: CatalogArgument,
    unsynced: Annotated[
        bool, typer.Option("--unsynced", help="Only items with an edit that is not in the file.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only items that could not be written.")] = False,
    conflicts: Annotated[
        bool, typer.Option("--conflicts", help="Only items that wait for `indelible resolve`.")
    ] = False,
    held: Annotated[bool, typer.Option("--held", help="Only items whose edits wait for `indelible release`.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only items whose file is gone.")] = False,
    path: Annotated[str, typer.Option(metavar="PREFIX", help="Only items whose path begins so.")] = "",
    limit: LimitOption = None,
) -> None:
    """List items in the order of their paths."""
    searches = {
        item_pb2.SAVED_SEARCH_UNSYNCED: unsynced,
        item_pb2.SAVED_SEARCH_FAILED: failed,
        item_pb2.SAVED_SEARCH_CONFLICTED: conflicts,
        item_pb2.SAVED_SEARCH_HELD: held,
        item_pb2.SAVED_SEARCH_MISSING: missing,
    }
    given = [search for search, wanted in searches.items() if wanted]
    if len(given) > 1:
        raise WrongUseError("give only one of --unsynced, --failed, --conflicts, --held, --missing")
    shown, page = session.out.listing(
        session.client.items.ListItems,
        item_service_pb2.ListItemsRequest(
            catalog=name,
            saved_search=given[0] if given else item_pb2.SAVED_SEARCH_ALL,
            path_prefix=path,
        ),
        lambda page: page.items,
        COLUMNS,
        limit,
    )
    total = f"showing {formats.count(shown)} of {formats.count(page.total_size)}"
    session.out.say(f"{total}; {formats.count(page.unsynced_size)} not synchronized")


def show(session: Session, name: CatalogArgument, path: PathArgument) -> None:
    """Show an item: its tags, whether they are in the files, and what the files hold."""
    item = find_item(session, name, path)
    session.out.emit(item, _text(item))


def _text(item: item_pb2.Item) -> str:
    lines = [item.path, f"state: {state(item)}"]
    if item.HasField("failure"):
        lines.append(f"failure: {formats.failure(item.failure)}")
    if item.HasField("hold"):
        lines.append(_held(item.hold))
    if item.reader_note:
        lines.append(f"note: {item.reader_note}")
    shape = f"{item.width} x {item.height}" if item.HasField("width") else ""
    facts = [item.format, formats.size(item.size_bytes), shape, formats.when(item.mtime)]
    lines.append(f"file: {', '.join(filter(None, facts))}")
    lines += _section("tags", item.tags)
    for home in item.homes:
        verified = f", verified {formats.when(home.verify_time)}" if home.HasField("verify_time") else ""
        lines += _section(f"{formats.word(home, 'home')} ({home.path}{verified})", home.tags)
    for conflict in item.conflicts:
        lines += ["", f"conflict in {conflict.field}", *(f"  {line}" for line in conflict_sides(conflict))]
    return "\n".join(lines)


def _held(hold: item_pb2.Hold) -> str:
    who = hold.on_behalf_of or hold.held_by
    since = formats.when(hold.hold_time)
    text = (
        f"held: {formats.word(hold, 'reason')}" + (f" by {who}" if who else "") + (f" since {since}" if since else "")
    )
    return f"{text}: {hold.note}" if hold.note else text


def conflict_sides(conflict: item_pb2.Conflict) -> list[str]:
    """Give what the catalog and the file say about a field."""
    sides = (("catalog", conflict.catalog), ("file", conflict.file))
    return [f"{side}: {dict(formats.tag_values(tags)).get(conflict.field, '(none)')}" for side, tags in sides]


def _section(title: str, tags: tags_pb2.Tags) -> list[str]:
    values = [f"  {name}: {value}" for name, value in formats.tag_values(tags)]
    return ["", title, *(values or ["  (none)"])]
