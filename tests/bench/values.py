"""What an import reads of a folder of real files, against what ExifTool sees in them by the same reading rule.

PYTHONPATH=tests python tests/bench/values.py FOLDER … [--all]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exiftool_record import Record, exiftool
from indelible_server.files.formats import XMP_EXTENSION
from indelible_server.files.plan import Home
from indelible_server.files.policy import Policy
from indelible_server.files.port import Root
from indelible_server.files.problems import FileProblem
from indelible_server.files.reading import read
from indelible_server.files.tags import same
from reading_rule import FIELDS, about, told
from values_may_differ import reason_for

COMPARED = ("keywords", "people", *FIELDS, "width", "height", "duration_s", "camera")
EXV, EXV_HEAD, JPEG_HEAD = ".exv", b"\xff\x01Exiv2", b"\xff\xd8"
"""Exiv2 keeps what belongs to a JPEG in a file of its own, which is one but for its first bytes."""
STEPS, ALTITUDE_STEPS = 1e-7, 0.01


@dataclass
class File:
    """A sample in a folder of its own, and what both say of it."""

    source: Path
    copy: Path
    ours: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    record: Record = field(default_factory=lambda: Record({}))
    format: str = ""
    notes: tuple[str, ...] = ()
    opened: bool = True

    @property
    def warnings(self) -> list[str]:
        """What ExifTool finds wrong with it."""
        return [str(each) for name in ("Warning", "Error") for each in self.record.all(f"ExifTool:{name}")]


@dataclass(frozen=True)
class Difference:
    """A field of a file that both read differently; without a reason it is a fault of one of them."""

    file: File
    field: str
    reason: str

    def __str__(self) -> str:
        sides = (_short(side.get(self.field)) for side in (self.file.ours, self.file.theirs))
        return f"{self.file.source}: {' / '.join(sides)}"


def main() -> None:
    """Read all files with both, compare, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--all", action="store_true", help="name each file that differs for a known reason too")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="values-"))
    try:
        files = collect(given.folders, work)
        seen = exiftool(work)
        for each in files:
            each.record = seen.get(each.copy, Record({}))
            each.theirs = told(each.record) | about(each.record)
            read_ours(each)
    finally:
        shutil.rmtree(work)
    differences = compare(files)
    report(files, differences, name_all=given.all)
    raise SystemExit(1 if any(not each.reason for each in differences) else 0)


def collect(folders: list[Path], into: Path) -> list[File]:
    """Copies of all files, each in a folder of its own, so that none is another's sidecar or sibling."""
    found = []
    for source in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        copy = into / f"{len(found):05}" / source.name
        copy.parent.mkdir()
        data = source.read_bytes()
        if source.suffix == EXV and data.startswith(EXV_HEAD):
            copy = copy.with_suffix(".jpg")
            data = JPEG_HEAD + data.removeprefix(EXV_HEAD)
        copy.write_bytes(data)
        found.append(File(source, copy))
    return found


def read_ours(each: File) -> None:
    """Read as an import does; a sidecar that is alone is given a file that it belongs to."""
    name, home = each.copy.name, Home.EMBEDDED
    if each.copy.suffix.lower() == f".{XMP_EXTENSION}":
        name, home = each.copy.stem, Home.SIDECAR
        (each.copy.parent / name).touch()
    try:
        with Root(str(each.copy.parent)) as root:
            reading = read(root, name.encode(), Policy())
    except FileProblem as problem:
        each.format, each.notes = problem.reason, (problem.message,)
        return
    each.format = reading.format if home is Home.EMBEDDED else "sidecar"
    each.opened = home in reading.homes
    each.notes = (*reading.warnings, *([reading.note] if reading.note else []))
    each.ours = {key: value for key, value in reading.homes.get(home, {}).items() if key in COMPARED}
    if home is Home.EMBEDDED:
        about_it = {key: getattr(reading, key) for key in ("width", "height", "duration_s", "camera")}
        each.ours |= {key: value for key, value in about_it.items() if value}


def compare(files: list[File]) -> list[Difference]:
    """All differences, with their reasons."""
    return [
        Difference(each, name, reason_for(each, name))
        for each in files
        for name in COMPARED
        if not _equal(name, each.ours.get(name), each.theirs.get(name))
    ]


def _equal(name: str, ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None:
        return ours is theirs or same(name, ours, theirs)
    if name == "gps":
        return set(ours) == set(theirs) and all(
            abs(ours[part] - theirs[part]) <= (ALTITUDE_STEPS if part == "alt" else STEPS) for part in ours
        )
    if name == "duration_s":
        # ExifTool guesses the length of some files from their bit rate.
        return bool(abs(ours - theirs) <= 0.01 * max(ours, theirs) + 0.05)
    if name in ("width", "height"):
        return bool(ours == theirs)
    return same(name, ours, theirs)


def report(files: list[File], differences: list[Difference], *, name_all: bool) -> None:
    """How many, and every difference by its field and reason."""
    values = sum(any(name in side for side in (each.ours, each.theirs)) for each in files for name in COMPARED)
    print(f"{len(files)} files, {values} values compared, {values - len(differences)} equal")
    by_field: dict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        by_field[difference.field].append(difference)
    print("\nby reason:")
    for reason, number in Counter(each.reason or "not explained" for each in differences).most_common():
        concerned = len({each.file.source for each in differences if (each.reason or "not explained") == reason})
        print(f"  {number:>4} values of {concerned} files: {reason}")
    print("\nby field (ours / ExifTool):")
    for name, found in by_field.items():
        for reason in sorted({each.reason for each in found}):
            group = [each for each in found if each.reason == reason]
            print(f"  {name}: {len(group)}: {reason or 'not explained'}")
            for each in group if name_all or not reason else ():
                print(f"    {each}")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:97]}…"


if __name__ == "__main__":
    main()
