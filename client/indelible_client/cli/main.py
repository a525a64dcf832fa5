"""The program `indelible`."""

from importlib.metadata import version
from typing import Annotated

import typer

from indelible_client.cli import (
    catalog,
    history,
    holds,
    items,
    job,
    library,
    pull,
    remote,
    status,
    sync,
    tag,
)
from indelible_client.cli.session import (
    CommonOptions,
    DataOption,
    JsonOption,
    ServerOption,
    TokenOption,
    group,
)

app = group("Your tags, written into your files: talk to an Indelible server.")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"indelible {version('indelible')}")
        raise typer.Exit


@app.callback()
def _program(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
) -> None:
    """Your tags, written into your files: talk to an Indelible server."""
    context.obj = CommonOptions(json, server, token, data)


app.add_typer(catalog.app, name="catalog")
library.register(app)
items.register(app)
tag.register(app)
status.register(app)
app.add_typer(sync.app, name="sync")
holds.register(app)
history.register(app)
app.add_typer(job.app, name="job")
app.add_typer(remote.app, name="remote")
app.add_typer(pull.app, name="pull")
pull.register(app)


def main() -> None:
    """Run the program."""
    app()


if __name__ == "__main__":
    main()
