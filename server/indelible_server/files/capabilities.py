"""How the tags of each format are written, told by the code that does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .containers import EMBEDDED, container_class
from .formats import FORMATS, KIND_RAW
from .forms import Rule
from .plan import Mode
from .policy import HomeChoice, Policy
from .table import FIELDS
from .texts import TextKind

_HEAD = """# Formats

Where the tags of each format go with a new catalog's policy. Made from the code by `make docs`; a catalog's own answer
is `LibraryService.GetCapabilities`. What cannot be embedded safely in a file (damaged, signed, encrypted, oddly built)
goes to a sidecar all the same, and the item says why.

"""
_NO_READER = "programs that know this format do not look for sidecars; the tags are safe there, but not seen by them"


@dataclass(frozen=True)
class FormatAbility:
    """How the tags of a format are written under a policy.

    `beyond` are the fields that have no place in the file itself and go to a sidecar beside it. `note` says what people
    should know, if there is anything.
    """

    name: str
    kind: str
    extensions: tuple[str, ...]
    home: HomeChoice
    ways: tuple[Mode, ...] = (Mode.SIDECAR,)
    places: str = ""
    beyond: tuple[str, ...] = ()
    note: str = ""


def format_abilities(policy: Policy) -> list[FormatAbility]:
    """All formats that are known, by name."""
    found = []
    for entry in sorted(FORMATS, key=lambda entry: entry.name.lower()):
        home = policy.home_of(f"x.{entry.extensions[0]}", entry.name)
        module = container_class(entry.name) if entry.name in EMBEDDED else None
        if home is HomeChoice.CATALOG_ONLY:
            ability = FormatAbility(entry.name, entry.kind, entry.extensions, home, ways=())
        elif home is HomeChoice.SIDECAR or module is None:
            note = "" if entry.kind in (KIND_RAW, "image") else _NO_READER
            ability = FormatAbility(entry.name, entry.kind, entry.extensions, HomeChoice.SIDECAR, note=note)
        else:
            beyond = () if module.takes_xmp else _without_place(TextKind.VORBIS)
            ability = FormatAbility(
                entry.name, entry.kind, entry.extensions, home, module.ways, module.places, beyond, module.remark
            )
        found.append(ability)
    return found


def _without_place(kind: TextKind) -> tuple[str, ...]:
    """The fields that have no place of their own among the texts of a kind."""
    return tuple(
        name
        for name, field in FIELDS.items()
        if not any(form.block is kind and form.rule is Rule.PRIMARY for form in field.forms)
    )


def as_markdown(abilities: Sequence[FormatAbility]) -> str:
    """The table of formats for the documentation."""
    lines = ["| format | extensions | home | what is written | ways | note |", "|---|---|---|---|---|---|"]
    for each in abilities:
        note = each.note or ("without a place: " + ", ".join(each.beyond) if each.beyond else "")
        home = "the file" if each.home is HomeChoice.EMBED else each.home.value.lower()
        lines.append(
            f"| {each.name} | {' '.join(each.extensions)} | {home} | {each.places or 'XMP'} | "
            f"{', '.join(each.ways)} | {note} |"
        )
    return "\n".join(lines) + "\n"


def main(path: str) -> None:
    """Write the page about formats, as they are with a new catalog's policy."""
    Path(path).write_text(_HEAD + as_markdown(format_abilities(Policy())), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
