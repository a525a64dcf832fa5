"""What can be written where: per format from the code that does it, per root by trying."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .containers import EMBEDDED, container_class
from .formats import FORMATS, KIND_RAW
from .forms import Rule
from .media import filesystem, grants_leases
from .plan import Mode
from .policy import HomeChoice, Policy
from .port import TEMP_PREFIX, Root
from .problems import FileProblem
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


@dataclass(frozen=True)
class RootAbility:
    """What the storage of a root can do."""

    writable: bool = False
    replaces: bool = False
    kernel_copy: bool = False
    write_lease: bool = False
    xattrs: bool = False
    filesystem: str = ""


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


def root_ability(root: Root, read_only: bool) -> RootAbility:
    """What can be done below a root, tried with a small file of ours that is gone afterwards."""
    device = os.stat(root.path).st_dev
    kind, leases = filesystem(device), grants_leases(device)
    if read_only:
        return RootAbility(filesystem=kind, write_lease=leases)
    first, second = (TEMP_PREFIX + secrets.token_hex(8).encode() for _ in range(2))
    try:
        with root.folder_of(first) as (folder, _):
            try:
                with folder.create(first) as one, folder.create(second) as other:
                    one.write(0, b"probe")
                    copies, attributes = other.can_copy(one), one.can_have_attributes()
                return RootAbility(True, folder.exchange(first, second), copies, leases, attributes, kind)
            finally:
                folder.unlink(first)
                folder.unlink(second)
    except FileProblem:
        return RootAbility(filesystem=kind, write_lease=leases)


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
