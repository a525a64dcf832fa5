"""What goes to stdout: JSON for programs, compact tables and sentences for people."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from indelible_client import formats
from indelible_client.pages import pages

# Wide enough that no line of a table is ever folded where a program, not a terminal, reads it.
_UNFOLDED = 10_000

_AnyMessage = TypeVar("_AnyMessage", bound=Message)
Columns = Mapping[str, Callable[[_AnyMessage], str]]


class _Request(Protocol):
    page_size: int
    page_token: str


class _Page(Protocol):
    next_page_token: str
    total_size: int


_AnyRequest = TypeVar("_AnyRequest", bound=_Request)
_AnyPage = TypeVar("_AnyPage", bound=_Page)


class Output:
    """With `as_json` stdout gets messages, one a line, and nothing else; without it, texts and tables."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = console(sys.stdout.isatty())

    def emit(self, message: Message, text: str) -> None:
        """Print a message as JSON, or else the text that says the same."""
        if self.as_json:
            print(formats.to_json(message), flush=True)
        else:
            self.say(text)

    def say(self, text: str) -> None:
        """Print a text for people only."""
        if not self.as_json:
            self.console.print(formats.printable(text), soft_wrap=True)

    def table(self, rows: Iterable[_AnyMessage], columns: Columns[_AnyMessage]) -> None:
        """Print messages, one a line."""
        if self.as_json:
            for row in rows:
                print(formats.to_json(row))
        else:
            self.console.print(as_table(rows, columns))

    def listing(
        self,
        call: Callable[[_AnyRequest], _AnyPage],
        request: _AnyRequest,
        rows: Callable[[_AnyPage], Sequence[_AnyMessage]],
        columns: Columns[_AnyMessage],
        limit: int | None = None,
    ) -> tuple[int, _AnyPage]:
        """Print a list to its end, or so many of it; gives how many were printed, and the last page."""
        shown = 0
        for page in pages(call, request, rows, limit):
            shown += len(rows(page))
            if rows(page):
                self.table(rows(page), columns)
        return shown, page

    def footer(self, shown: int, total: int, noun: str) -> None:
        """Say how much of a list was printed."""
        if shown < total:
            self.say(f"showing {formats.count(shown)} of {formats.count(total)}")
        else:
            self.say(formats.count(total, noun))


def console(terminal: bool, *, error: bool = False) -> Console:
    """Give a console that prints what it is given: no markup, no emoji, no folding unless on a terminal."""
    return Console(stderr=error, markup=False, emoji=False, highlight=False, width=None if terminal else _UNFOLDED)


def as_table(rows: Iterable[_AnyMessage], columns: Columns[_AnyMessage]) -> Table:
    """Lay messages out, one a row; a column is its title and what it says about a message."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(columns):
        # The first column names the row; the others are narrowed before it.
        table.add_column(title, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(formats.printable(cell(row)) for cell in columns.values()))
    return table
