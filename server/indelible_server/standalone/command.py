"""`indelibled file`: show, write, undo."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import default_data_dir
from ..domain.fields import FIELDS
from ..files.port import Root
from ..files.problems import FileProblem
from ..files.sidecar import is_sidecar
from .assignments import WrongAssignment, parse_edits, parse_policy
from .journal import Journal
from .pool import run
from .results import Result
from .work import Task

app = typer.Typer(
    name="file",
    help="Read and write the tags of files directly, without a server or a catalog.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Paths = Annotated[list[str], typer.Argument(metavar="PATH …", help="Files, and folders with all that is in them.")]
Assign = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help=f'Lists have ";" between their values. Fields: {", ".join(FIELDS)}.'
    ),
]
Add = Annotated[list[str] | None, typer.Option("--add", metavar="FIELD=VALUE", help="Add to a list.")]
Remove = Annotated[list[str] | None, typer.Option("--remove", metavar="FIELD=VALUE", help="Remove from a list.")]
Clear = Annotated[list[str] | None, typer.Option("--clear", metavar="FIELD", help="Empty a field.")]
PolicyValues = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="KEY=VALUE",
        help="How tags are written, for instance iptc=ALWAYS, write_mode=REPLACE, preserve_mtime=true.",
    ),
]
Writers = Annotated[int, typer.Option(min=1, help="Processes. Default: one for each core.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; nothing is touched.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a file.")]
JournalFolder = Annotated[
    str | None, typer.Option("--journal", metavar="DIR", help="Where undo is kept. Default: in the data folder.")
]
CORES = os.cpu_count() or 1


@app.command()
def show(paths: Paths, policy: PolicyValues = None, writers: Writers = CORES, as_json: Json = False) -> None:
    """Show what files and their sidecars hold."""
    _carry_out(_task("show", None, policy), paths, writers, as_json)


@app.command()
def write(
    paths: Paths,
    assign: Assign = None,
    add: Add = None,
    remove: Remove = None,
    clear: Clear = None,
    policy: PolicyValues = None,
    writers: Writers = CORES,
    dry_run: DryRun = False,
    journal: JournalFolder = None,
    as_json: Json = False,
) -> None:
    """Change tags, verify them, and keep what is needed to undo it."""
    edits = {"assign": assign or [], "add": add or [], "remove": remove or [], "clear": clear or []}
    if not any(edits.values()):
        raise _wrong("say what to change: --set, --add, --remove or --clear")
    _carry_out(_task("write", journal, policy, edits, dry_run=dry_run), paths, writers, as_json)


@app.command()
def undo(
    paths: Paths,
    writers: Writers = CORES,
    dry_run: DryRun = False,
    journal: JournalFolder = None,
    as_json: Json = False,
) -> None:
    """Take the last write of each file back; a file that was changed by others since is left as it is."""
    _carry_out(_task("undo", journal, None, dry_run=dry_run), paths, writers, as_json)


def _task(
    action: str,
    journal: str | None,
    policy: list[str] | None,
    edits: dict[str, list[str]] | None = None,
    *,
    dry_run: bool = False,
) -> Task:
    try:
        parsed = parse_policy(policy or [])
        checked = parse_edits(parsed, **edits) if edits else []
    except WrongAssignment as error:
        raise _wrong(str(error)) from error
    folder = journal or os.path.join(default_data_dir(), "files")
    return Task(action, folder, parsed.to_json(), tuple(checked), dry_run)


def _carry_out(task: Task, paths: Sequence[str], writers: int, as_json: bool) -> None:
    if task.action != "show" and not task.dry_run:
        try:
            Journal(Path(task.journal)).clean_up()
        except (OSError, FileProblem) as error:
            raise _wrong(f"the journal in {task.journal} cannot be used: {error}") from error
    counts: Counter[str] = Counter()
    try:
        # Nothing is done twice with a file that is named twice.
        found = list({os.path.abspath(path): path for path in _files(paths)}.values())
    except FileProblem as problem:
        raise _wrong(problem.message) from problem
    for result in run(task, found, writers):
        counts[result["result"]] += 1
        typer.echo(json.dumps(result, ensure_ascii=False) if as_json else _text(result))
        if sys.stderr.isatty() and not sys.stdout.isatty():
            typer.echo(f"\r{counts.total():,} of {len(found):,}", err=True, nl=counts.total() == len(found))
    if not as_json and counts.total() > 1:
        typer.echo(", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items())))
    raise typer.Exit(1 if counts["failed"] else 0)


def _files(paths: Sequence[str]) -> Iterator[bytes]:
    """The files, and those below folders; sidecars belong to what they are beside."""
    for path in paths:
        if not os.path.isdir(path):
            yield os.fsencode(path)
            continue
        with Root(path) as root:
            for name, _ in root.walk():
                if not is_sidecar(name):
                    yield os.path.join(os.fsencode(path), name)


def _text(result: Result) -> str:
    if result["result"] == "failed":
        return f"{result['path']}: failed: {result['message']} ({result['reason']})"
    if result["result"] == "read":
        return "\n".join([f"{result['path']} ({result['format']})", *_lines(result)])
    details = [result["mode"]] if result.get("mode") else []
    details += [f"{result['bytes_written']:,} bytes"] if result.get("bytes_written") else []
    text = f"{result['path']}: {result['result']}" + (f" ({', '.join(details)})" if details else "")
    return f"{text}: {result['message']}" if result.get("message") else text


def _lines(result: Result) -> list[str]:
    shown: dict[str, Any] = dict(result["tags"])
    for key in ("width", "height", "duration_s", "camera", "sidecar_path", "note"):
        if result[key]:
            shown[key] = result[key]
    lines = [f"  {key:<20} {'; '.join(value) if isinstance(value, list) else value}" for key, value in shown.items()]
    out_of_step = sorted({field for fields in result["stale"].values() for field in fields})
    return [*lines, *([f"  not in step: {', '.join(out_of_step)}"] if out_of_step else []), *result["warnings"]]


def _wrong(message: str) -> typer.Exit:
    typer.echo(f"indelibled file: {message}", err=True)
    return typer.Exit(2)
