"""The program `indelibled`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Annotated, Any

import typer

from .config import Settings, WrongSetting, load_settings
from .errors import IndelibleError
from .standalone.command import app as file_commands

app = typer.Typer(
    name="indelibled",
    help="Keeps catalogs of tags and writes them into your files, in the background.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Data = Annotated[str | None, typer.Option(help="Folder for the store and the token. Default: the user's data folder.")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="postgresql://… ; default: SQLite in the data folder.")
]
Writers = Annotated[int | None, typer.Option(help="Writer processes. Default: one for each core.")]
LogFormat = Annotated[str | None, typer.Option(help="text or json.")]
Config = Annotated[str | None, typer.Option(help="Settings file. Default: indelible.toml in the data folder.")]
LocalRoot = Annotated[
    list[str] | None,
    typer.Option("--root", metavar="ID=PATH", help="Where a root is on this host, if elsewhere."),
]


app.add_typer(file_commands)


@app.command()
def serve(
    data: Data = None,
    database: DatabaseUrl = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:7447.")] = None,
    writers: Writers = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Private key, PEM.")] = None,
    tls_client_ca: Annotated[
        str | None, typer.Option(help="Accept only clients with a certificate of this CA.")
    ] = None,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Listen beyond this machine without TLS.")] = None,
    log_format: LogFormat = None,
    root: LocalRoot = None,
    config: Config = None,
) -> None:
    """Run the server: the API, the catalogs and the writers."""
    from .serve import serve as run  # noqa: PLC0415 - other commands need no gRPC

    flags = {key: value for key, value in locals().items() if key not in ("run", "config")}
    _run(run, _settings(flags, config))


@app.command()
def writer(
    database: DatabaseUrl = None,
    data: Data = None,
    writers: Writers = None,
    log_format: LogFormat = None,
    root: LocalRoot = None,
    config: Config = None,
) -> None:
    """Run writers only, on a host that shares the work through one PostgreSQL."""
    from .serve import run_writers as run  # noqa: PLC0415 - as above

    flags = {key: value for key, value in locals().items() if key not in ("run", "config")}
    settings = _settings(flags, config)
    if data is None:
        # A server on this machine has the default folder for itself.
        settings = replace(settings, data=os.path.join(settings.data, "writer"))
    if not settings.database or settings.database.startswith("sqlite"):
        raise _wrong("give --database: writers on a host of their own share a PostgreSQL with the server")
    _run(run, settings)


@app.command()
def migrate(data: Data = None, database: DatabaseUrl = None, config: Config = None) -> None:
    """Bring the database to the schema of this version; `serve` does it by itself."""
    from .serve import open_database  # noqa: PLC0415 - as above
    from .storage import migrate as migrations  # noqa: PLC0415 - as above

    settings = _settings({"data": data, "database": database}, config)
    os.makedirs(settings.data, mode=0o700, exist_ok=True)
    opened = open_database(settings)
    typer.echo(f"schema {opened.read(migrations.current)}")
    opened.close()


@app.command()
def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="End when the proof is done, with 0 only if all of it held.")
    ] = False,
    items: Annotated[int, typer.Option(min=20, help="How many pictures.")] = 1552,
) -> None:
    """Show it all: a sample library, a server, edits, a sync and the proof."""
    from .demo import run_demo  # noqa: PLC0415 - needs the extra [demo]

    raise typer.Exit(run_demo(items, stay=not exit_))


def _settings(flags: dict[str, Any], config: str | None) -> Settings:
    try:
        return load_settings(flags, os.environ, config)
    except WrongSetting as error:
        raise _wrong(str(error)) from error


def _run(work: Any, settings: Settings) -> None:
    from .logs import configure_logging  # noqa: PLC0415 - as above

    configure_logging(settings.log_format)
    running: Coroutine[Any, Any, None] = work(settings)
    try:
        asyncio.run(running)
    except WrongSetting as error:
        raise _wrong(str(error)) from error
    except IndelibleError as error:
        typer.echo(f"indelibled: {error.message}", err=True)
        raise typer.Exit(3) from error


def _wrong(message: str) -> typer.Exit:
    typer.echo(f"indelibled: {message}", err=True)
    return typer.Exit(2)


def main() -> None:
    """Entry point."""
    try:
        app(prog_name="indelibled")
    except ModuleNotFoundError as error:
        typer.echo(
            f"indelibled: {error.name} is missing; install the server with: pip install 'indelible[server]'", err=True
        )
        raise SystemExit(3) from error


if __name__ == "__main__":
    main()
