"""What every command shares: the common options, the connection, the output, and how it ends."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar

import typer

from indelible_client.cli.output import Output
from indelible_client.cli.refusals import WrongUseError, reported
from indelible_client.connection import Client, connect

_PANEL = "Common options"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.", rich_help_panel=_PANEL)]
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The server. Else INDELIBLE_SERVER, the data folder's, or 127.0.0.1:7447.",
        rich_help_panel=_PANEL,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="The token. Else INDELIBLE_TOKEN, or that of the data folder.",
        rich_help_panel=_PANEL,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="The data folder of a local server. Else INDELIBLE_DATA, or the user's.",
        rich_help_panel=_PANEL,
    ),
]

_Command = TypeVar("_Command", bound=Callable[..., None])


@dataclass(frozen=True)
class CommonOptions:
    """The options that every command takes, before or after its name."""

    json: bool = False
    server: str | None = None
    token: str | None = None
    data: str | None = None

    def over(self, other: "CommonOptions") -> "CommonOptions":
        """Take from `other` what is not given here."""
        return CommonOptions(
            self.json or other.json,
            self.server or other.server,
            self.token or other.token,
            self.data or other.data,
        )


class Session:
    """One command at work; the connection is opened when it is first used."""

    def __init__(self, options: CommonOptions) -> None:
        self.options = options
        self.out = Output(options.json)

    @cached_property
    def client(self) -> Client:
        """The connection that the options and the environment name."""
        try:
            return connect(self.options.server, self.options.token, self.options.data)
        except OSError as error:
            raise WrongUseError(f"can't read the certificates of INDELIBLE_TLS_CA: {error}") from error

    def close(self) -> None:
        """End the connection, if there is one."""
        if "client" in self.__dict__:
            self.client.close()


def common_options(
    context: typer.Context,
    json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
) -> CommonOptions:
    """Merge the common options of a command with those that came before its name."""
    return CommonOptions(json, server, token, data).over(context.obj or CommonOptions())


def command(app: typer.Typer, name: str, *, epilog: str | None = None) -> Callable[[_Command], _Command]:
    """Register a function, whose first parameter is the Session, as a command with the common options too."""

    def register(function: _Command) -> _Command:
        common = inspect.signature(common_options).parameters
        own = list(inspect.signature(function).parameters.values())[1:]

        def run(**values: Any) -> None:
            session = Session(common_options(**{each: values.pop(each) for each in common}))
            try:
                with reported(session.options.json):
                    function(session, **values)
            finally:
                session.close()

        parameters = [common["context"], *own, *(each for each in common.values() if each.name != "context")]
        # typer reads the command line from the signature and the annotations.
        by_keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        run.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined]  # read by inspect
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, help=_unwrapped(inspect.getdoc(function) or ""), epilog=epilog)(run)
        return function

    return register


def _unwrapped(text: str) -> str:
    """Give each paragraph as one line; typer would keep the line breaks of the source."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def group(help_text: str) -> typer.Typer:
    """Give a group of commands; without a command it shows its help."""
    return typer.Typer(no_args_is_help=True, help=help_text, pretty_exceptions_enable=False)
