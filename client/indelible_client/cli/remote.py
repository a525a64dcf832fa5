"""`indelible remote`: accounts elsewhere that are pulled into a catalog."""

from typing import Annotated

import typer
from indelible.v1 import remote_pb2, remote_service_pb2

from indelible_client import formats
from indelible_client.cli.catalog import YesOption, confirm
from indelible_client.cli.output import Columns
from indelible_client.cli.refusals import REFUSED, WrongUseError
from indelible_client.cli.selections import CatalogArgument, LimitOption
from indelible_client.cli.session import Session, command, group
from indelible_client.cli.tag import (
    AddOption,
    ClearOption,
    RemoveOption,
    ReplaceOption,
    SetOption,
    ShiftOption,
    changed_text,
    read_edits,
)

app = group("Connect accounts at agencies and elsewhere, and look at what was pulled from them.")

RemoteArgument = Annotated[str, typer.Argument(metavar="NAME", help="The remote, by its name or id.")]
BatchOption = Annotated[str, typer.Option("--batch", metavar="ID", help="Only this batch.")]

COLUMNS: Columns[remote_pb2.Remote] = {
    "NAME": lambda remote: remote.name,
    "ID": lambda remote: remote.id,
    "KIND": lambda remote: remote.kind,
    "CATALOG": lambda remote: remote.catalog_id,
    "LAST PULL": lambda remote: formats.when(remote.last_pull_time) or "never",
    "PROBLEM": lambda remote: formats.word(remote.problem, "reason"),
}
FILE_COLUMNS: Columns[remote_pb2.RemoteFile] = {
    "FILE": lambda file: file.file_name,
    "ID": lambda file: file.id,
    "BATCH": lambda file: file.batch_id,
    "STATUS": lambda file: formats.word(file, "status"),
    "TITLE": lambda file: file.tags.title,
    "DRAFT": lambda file: formats.differences(file.draft),
    "PROBLEMS": lambda file: "; ".join(problem.message for problem in file.problems),
}


@command(
    app,
    "add",
    epilog="Example: indelible remote add Archive agency --kind esp --option-file api_key=key.txt",
)
def add(
    session: Session,
    catalog: CatalogArgument,
    name: Annotated[str, typer.Argument(metavar="REMOTE", help="A name that no other remote has.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="The connector: esp or webdav.")],
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A setting. esp: api_url, token_url, api_key, client_secret, username, password.",
        ),
    ] = None,
    option_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=PATH",
            help="A setting whose value is in a file, so that no list of processes shows it.",
        ),
    ] = None,
) -> None:
    """Add a remote to a catalog; nothing is contacted before `test` or `indelible pull start`."""
    options = dict(_pair(text) for text in option or [])
    for key, path in (_pair(text) for text in option_file or []):
        options[key] = _read(path)
    request = remote_service_pb2.CreateRemoteRequest(catalog=catalog, name=name, kind=kind, options=options)
    remote = session.client.remotes.CreateRemote(request).remote
    session.out.emit(remote, f"added remote {remote.name}; try it with: indelible remote test {remote.name}")


@command(app, "list")
def list_(
    session: Session,
    catalog: Annotated[str, typer.Option(metavar="NAME", help="Only the remotes of this catalog.")] = "",
) -> None:
    """List the remotes."""
    shown, page = session.out.listing(
        session.client.remotes.ListRemotes,
        remote_service_pb2.ListRemotesRequest(catalog=catalog),
        lambda page: page.remotes,
        COLUMNS,
    )
    session.out.footer(shown, page.total_size, "remote")


@command(app, "show")
def show(session: Session, name: RemoteArgument) -> None:
    """Show a remote with its settings; secrets are never shown."""
    remote = get(session, name)
    lines = [f"{key:22} {value}" for key, value in formats.setting_values(remote)]
    session.out.emit(remote, "\n".join(lines))


@command(app, "test")
def test(session: Session, name: RemoteArgument) -> None:
    """Sign in at a remote and read one page; status 3 if that can't be done."""
    response = session.client.remotes.TestRemote(remote_service_pb2.TestRemoteRequest(remote=name))
    if response.HasField("problem"):
        problem = response.problem
        session.out.emit(response, f"{name}: {formats.word(problem, 'reason')}: {problem.message}")
        raise typer.Exit(REFUSED)
    account = f", account {response.account}" if response.account else ""
    session.out.emit(response, f"{name} can be used{account}: {formats.count(response.total_batches, 'batch')}")


@command(app, "files")
def files(
    session: Session,
    name: RemoteArgument,
    batch: BatchOption = "",
    drafts: Annotated[bool, typer.Option("--drafts", help="Only files whose edits are not sent yet.")] = False,
    limit: LimitOption = None,
) -> None:
    """List the files that were pulled, by batch and name."""
    shown, page = session.out.listing(
        session.client.remotes.ListRemoteFiles,
        remote_service_pb2.ListRemoteFilesRequest(remote=name, batch_id=batch, with_draft=drafts),
        lambda page: page.files,
        FILE_COLUMNS,
        limit,
    )
    session.out.footer(shown, page.total_size, "file")


@command(app, "tag", epilog='Example: indelible remote tag agency "IMG_1*" --set title="Rome at night"')
def tag(
    session: Session,
    name: RemoteArgument,
    globs: Annotated[list[str] | None, typer.Argument(metavar="GLOB", help="File names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every file that is not submitted.")] = False,
    batch: Annotated[str, typer.Option("--batch", metavar="ID", help="Every file of this batch.")] = "",
    set_: SetOption = None,
    add: AddOption = None,
    remove: RemoveOption = None,
    replace: ReplaceOption = None,
    clear: ClearOption = None,
    shift: ShiftOption = None,
) -> None:
    """Edit files that are uploaded but not submitted; a pull with --send-local-changes sends it."""
    if bool(globs) + everything + bool(batch) != 1:
        raise WrongUseError("say which files: file names or globs, --batch ID, or --all; only one of them")
    selection = remote_pb2.RemoteFileSelection()
    if globs:
        selection.file_name_globs.globs.extend(globs)
    elif batch:
        selection.batch_id = batch
    else:
        selection.all = True
    request = remote_service_pb2.EditRemoteFilesRequest(
        remote=name, selection=selection, edits=read_edits(set_, add, remove, replace, clear, shift)
    )
    response = session.client.remotes.EditRemoteFiles(request)
    session.out.emit(response, changed_text(response.changed, response.matched, "file"))


@command(app, "remove")
def remove(
    session: Session,
    name: RemoteArgument,
    yes: YesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Although edits have not been sent.")] = False,
) -> None:
    """Remove a remote with all that was pulled from it; nothing changes there."""
    confirm(yes, f"Remove remote {name} with all that was pulled from it?")
    request = remote_service_pb2.DeleteRemoteRequest(remote=name, force=force)
    session.out.emit(session.client.remotes.DeleteRemote(request), f"removed remote {name}")


def get(session: Session, name: str) -> remote_pb2.Remote:
    """Give a remote."""
    return session.client.remotes.GetRemote(remote_service_pb2.GetRemoteRequest(remote=name)).remote


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise WrongUseError(f'an option is KEY=VALUE, not "{text}"')
    return key, value


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except OSError as error:
        raise WrongUseError(f"can't read {path}: {error.strerror}") from error
