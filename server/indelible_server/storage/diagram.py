"""The table diagram of server/DESIGN.md, made from the tables: `make docs` writes it, a test compares it."""

from __future__ import annotations

import sys

import sqlalchemy as sa

from .tables import metadata

BEGIN, END = "<!-- diagram: made by `make docs` -->\n", "<!-- end of diagram -->"

# Which table's rows belong to which: told by the columns, as nothing cascades and so nothing is a foreign key.
PARENTS = (
    ("change_id", "changes"),
    ("run_id", "runs"),
    ("item_id", "items"),
    ("intent_id", "intents"),
    ("job_id", "jobs"),
    ("root_id", "roots"),
    ("catalog_id", "catalogs"),
)


def diagram() -> str:
    """The tables with their columns and whose rows they hold, as a Mermaid diagram."""
    lines = ["```mermaid", "erDiagram"]
    for table in metadata.sorted_tables:
        lines += [f"    {parent} ||--o{{ {table.name} : {column}" for column, parent in _parents(table)]
    for table in metadata.sorted_tables:
        lines += [f"    {table.name} {{", *(f"        {_column(column)}" for column in table.columns), "    }"]
    return "\n".join([*lines, "```", ""])


def with_diagram(text: str) -> str:
    """The text with the diagram between its two marks renewed."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + diagram() + END + rest.partition(END)[2]


def _parents(table: sa.Table) -> list[tuple[str, str]]:
    """The nearest owner of a table's rows: the first of PARENTS that its key names."""
    names = {column.name for column in table.primary_key}
    names |= {column.name for column in table.columns if column.name in ("catalog_id", "item_id")}
    found = [(column, parent) for column, parent in PARENTS if column in names and parent != table.name]
    return found[:1]


def _column(column: sa.Column[object]) -> str:
    kind = column.type.compile().split("(")[0].lower()
    comment = f' "{column.comment}"' if column.comment else ""
    return f"{kind} {column.name}{' PK' if column.primary_key else ''}{comment.replace(';', ',')}"


def main() -> None:
    """Renew the diagram in the file on the command line."""
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(with_diagram(text))


if __name__ == "__main__":
    main()
