"""The engine on a folder of real files: every field set, changed, one alone, cleared; ExifTool and decoders watch.

PYTHONPATH=tests python tests/bench/corpus.py FOLDER … [--keep DIR] [--peers]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indelible_server.domain.edits import Edit
from indelible_server.files.formats import UNKNOWN, format_of, kind_of
from indelible_server.files.policy import Policy
from indelible_server.standalone.work import Task, Worker
from may_differ import may_differ
from witnesses import FORMS, Seen, content_hash, exiftool, is_managed, mwg, wrong_for_adobe, wrong_mwg, wrong_values

PROGRAM = str(Path(sys.executable).with_name("indelibled"))
FIRST: dict[str, Any] = {
    "title": "First title é 漢",
    "headline": "First headline",
    "description": "First description,\nof two lines, with <xml> & “quotes”",
    "keywords": ["places|Europe|Zürich", "first", "flat word"],
    "people": ["Ada Łovelace", "Bob"],
    "event": "First event",
    "rating": 4,
    "label": "Red",
    "flag": 1,
    "creators": ["Jane Doe", "Zoë"],
    "copyright": "© 2024 First",
    "credit": "First credit",
    "source": "First source",
    "instructions": "First instructions",
    "place.location": "First place",
    "place.city": "Zürich",
    "place.state": "ZH",
    "place.country": "Switzerland",
    "place.country_code": "CHE",
    "gps": {"lat": 47.3769, "lon": 8.5417, "alt": 408.0},
    "taken_at": "2021-05-06T07:08:09",
}
SECOND = FIRST | {
    "title": "Second title, and a longer one at that: it does not fit where the first one was",
    "headline": "2nd",
    "description": "2nd",
    "keywords": ["second", "animals|cat"],
    "people": ["Carol"],
    "event": "2nd event",
    "rating": 2,
    "label": "Blue",
    "flag": -1,
    "creators": ["John Q. Public"],
    "copyright": "© 2025 Second",
    "credit": "2nd credit",
    "source": "2nd source",
    "instructions": "2nd instructions",
    "place.location": "2nd place",
    "place.city": "Perth",
    "place.state": "WA",
    "place.country": "Australia",
    "place.country_code": "AUS",
    "gps": {"lat": -31.95, "lon": 115.86},
    "taken_at": "2022-06-07T08:09:10",
}
THIRD = SECOND | {"title": "One alone"}
UNDECODED = frozenset({"HEIC", "JPEG XL", "PDF", "PostScript", "Illustrator", "InDesign", "SVG", "CR3", "CRW", "X3F"})
"""Formats that neither Pillow nor ffmpeg decode here: only ExifTool says whether a file is damaged."""
UNSEEN = frozenset({"AIFF", "MP3"})
"""Formats in which ExifTool does not read XMP everywhere."""
ROUNDS: tuple[tuple[str, dict[str, Any], list[str]], ...] = (
    ("set", FIRST, []),
    ("change", SECOND, []),
    ("one alone", THIRD, ["title"]),
    ("clear", {}, []),
)


@dataclass
class File:
    """A sample, in a folder of its own, and what was found out about it."""

    source: Path
    copy: Path
    format: str
    content: str = ""
    before: Seen = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether ExifTool finds an error in it, or nothing can decode it."""
        return "ExifTool:Error" in self.before or (self.format not in UNDECODED and not self.content)

    @property
    def outcome(self) -> str:
        """What the first write did: embedded, sidecar, failed, or nothing."""
        return str(self.results[0]["result"]) if self.results else "lost"


def main() -> None:
    """Run all rounds and print the table."""
    warnings.simplefilter("ignore")  # Pillow's, about what is wrong with the samples
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--keep", type=Path, help="leave the written files here")
    parser.add_argument("--peers", action="store_true", help="let ExifTool write the same into copies")
    parser.add_argument("--only", default="", help="only formats of this name")
    given = parser.parse_args()
    work = given.keep or Path(tempfile.mkdtemp(prefix="corpus-"))
    files = collect(given.folders, work / "ours", given.only)
    print(f"{len(files)} files")
    run_rounds(files, work)
    report(files)
    if given.peers:
        peers = collect(given.folders, work / "exiftool", given.only)
        write_with_exiftool(peers, work)
        report_peers(files, peers)
    if not given.keep:
        shutil.rmtree(work)
    raise SystemExit(1 if any(each.faults for each in files) else 0)


def collect(folders: list[Path], into: Path, only: str) -> list[File]:
    """Copies of all media files, each in a folder of its own, so that none is another's sidecar or sibling."""
    found = []
    for source in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        with open(source, "rb") as file:
            name = format_of(source.name.encode(), file.read(64))
        if name == UNKNOWN or source.suffix.lower() == ".xmp" or (only and name != only):
            continue
        copy = into / f"{len(found):05}" / source.name
        copy.parent.mkdir(parents=True)
        shutil.copyfile(source, copy)
        found.append(File(source, copy, name))
    return found


def run_rounds(files: list[File], work: Path) -> None:
    """Every round over all files, with the witnesses in between."""
    by_path = {str(each.copy): each for each in files}
    watch(files, work / "ours")
    untouched(files, by_path, work)
    for name, tags, fields in ROUNDS:
        for result in write(work, assignments(tags, fields)):
            by_path[result["path"]].results.append(result)
        seen = exiftool(work / "ours")
        for each in files:
            check(each, name, tags, seen)
        if name == "set":
            ask_others(files, tags, work)
    for result in write(work, assignments({}, [])):
        if result["bytes_written"]:
            by_path[result["path"]].faults.append("the same once more wrote something")
    undo(files, work)


def ask_others(files: list[File], tags: dict[str, Any], work: Path) -> None:
    """Readers by the rules of the Metadata Working Group, and Adobe's, must read the same."""
    standard = mwg(work / "ours")
    for each in files:
        if each.outcome == "embedded" and not each.results[-1]["sidecar_path"]:
            each.faults += [f"Adobe: {wrong}" for wrong in wrong_for_adobe(each.copy, tags)]
            wrong_by_mwg = wrong_mwg(standard.get(each.copy, {}), tags, places(each))
            each.faults += [f"MWG: {wrong}" for wrong in wrong_by_mwg]


def undo(files: list[File], work: Path) -> None:
    """Take back one write after the other: each file must be what it was, to the byte."""
    command = [PROGRAM, "file", "undo", "--journal", str(work / "journal"), str(work / "ours")]
    for _ in ROUNDS:
        subprocess.run(command, capture_output=True, check=False)
    for each in files:
        if each.copy.read_bytes() != each.source.read_bytes():
            each.faults.append("undo did not give it back")
        if len(list(each.copy.parent.iterdir())) > 1:
            each.faults.append("undo left something behind")


def watch(files: list[File], folder: Path) -> None:
    """What the witnesses see before anything is written."""
    seen = exiftool(folder)
    for each in files:
        each.before = seen.get(each.copy, {})
        each.content = "" if each.format in UNDECODED else content_hash(each.copy, kind_of(each.format))


def places(each: File) -> bool:
    """Whether a file has a list of places."""
    return any("Location" in key for key in each.before if key.startswith("XMP-iptcExt:"))


def untouched(files: list[File], by_path: dict[str, File], work: Path) -> None:
    """Every field set to what it is already: nothing may be written."""
    shown = subprocess.run([PROGRAM, "file", "show", "--json", str(work / "ours")], capture_output=True, check=False)
    for line in shown.stdout.decode().splitlines():
        result = json.loads(line)
        if result["result"] == "failed" or not result["tags"]:
            continue
        edits = tuple(Edit("set", key, value) for key, value in result["tags"].items())
        worker = Worker(Task("write", str(work / "journal"), Policy().to_json(), edits))
        (done,) = worker.work([result["path"].encode()])
        worker.close()
        if done["result"] != "unchanged":
            by_path[result["path"]].faults.append(f"its own tags: {done['result']} {done.get('fields')}")


def check(each: File, name: str, tags: dict[str, Any], seen: dict[Path, Seen]) -> None:
    """Compare what the witnesses see after a round with what must be there."""
    result = each.results[-1] if each.results else {"result": "lost"}
    if result["result"] not in ("embedded", "sidecar", "unchanged"):
        return
    sidecar = result.get("sidecar_path")
    now = seen.get(each.copy, {})
    if result["result"] == "embedded":
        held = tags if not sidecar else {key: tags.get(key) for key in FORMS if key in tags}
        each.faults += [f"{name}: {wrong}" for wrong in wrong_values(now, held)]
        if tags and not sidecar and "XMP-dc:Title" not in now and each.format not in UNSEEN:
            each.faults.append(f"{name}: ExifTool sees no XMP")
    if sidecar:
        each.faults += [f"{name}: sidecar: {wrong}" for wrong in wrong_values(seen.get(Path(sidecar), {}), tags)]
    each.faults += [f"{name}: {change}" for change in changes(each.before, now)]
    if each.content and content_hash(each.copy, kind_of(each.format)) != each.content:
        each.faults.append(f"{name}: the content has changed")


def changes(before: Seen, now: Seen) -> list[str]:
    """Metadata of others that was lost or changed, and new warnings."""
    found = [
        f"{key} was {value[:50]!r}, is {now.get(key, '')[:50]!r}"
        for key, value in before.items()
        if now.get(key) != value and not is_managed(key) and not may_differ(key)
    ]
    for key in ("ExifTool:Warning", "ExifTool:Error"):
        if key in now and key not in before:
            found.append(f"new: {key} {now[key][:80]}")
    return found


def assignments(tags: dict[str, Any], fields: list[str]) -> list[str]:
    """The command line that sets these fields, or clears all."""
    if not tags:
        return [argument for name in FORMS for argument in ("--clear", name)]
    found = []
    for name in fields or list(tags):
        value = tags[name]
        if isinstance(value, list):
            if any(";" in text for text in value):
                continue
            text = ";".join(value)
        elif isinstance(value, dict):
            text = ",".join(repr(value[part]) for part in ("lat", "lon", "alt") if part in value)
        else:
            text = str(value)
        if name in FORMS:
            found += ["--set", f"{name}={text}"]
    return found


def write(work: Path, arguments: list[str], paths: list[str] | None = None) -> Any:
    """What `indelibled file write` says of each file."""
    command = [PROGRAM, "file", "write", "--json", "--journal", str(work / "journal"), *arguments]
    done = subprocess.run([*command, *(paths or [str(work / "ours")])], capture_output=True, check=False)
    if done.returncode not in (0, 1):
        print(done.stderr.decode())
    for line in done.stdout.decode().splitlines():
        yield json.loads(line)


def report(files: list[File]) -> None:
    """The table, the reasons and the faults."""
    print(
        f"\n{'format':<12}{'files':>6}{'damaged':>9}{'embedded':>10}{'sidecar':>9}{'failed':>8}{'faults':>8}  undamaged"
    )
    by_format: dict[str, list[File]] = defaultdict(list)
    for each in files:
        by_format[each.format].append(each)
    for name, group in sorted(by_format.items()):
        count = Counter(each.outcome for each in group)
        whole = [each for each in group if not each.damaged]
        good = sum(each.outcome == "embedded" for each in whole)
        part = f"{good}/{len(whole)}" + (f" = {100 * good / len(whole):.0f} %" if whole else "")
        print(
            f"{name:<12}{len(group):>6}{len(group) - len(whole):>9}{count['embedded']:>10}{count['sidecar']:>9}"
            f"{count['failed']:>8}{sum(bool(each.faults) for each in group):>8}  {part}"
        )
    reasons = Counter(
        (each.format, each.results[0].get("message") or each.results[0]["result"])
        for each in files
        if each.results and each.outcome != "embedded"
    )
    print("\nnot embedded:")
    for (name, reason), number in reasons.most_common():
        print(f"  {number:>4} {name}: {reason}")
    print("\nfaults:")
    for each in files:
        for fault in each.faults[:6]:
            print(f"  {each.source}: {fault}")


def write_with_exiftool(files: list[File], work: Path) -> None:
    """The same first round by ExifTool."""
    watch(files, work / "exiftool")
    for each in files:
        command = [
            "exiftool",
            "-q",
            "-q",
            "-overwrite_original",
            "-MWG:Description=First description",
            "-XMP-dc:Title=First",
        ]
        command += ["-MWG:Keywords=first", "-XMP-xmp:Rating=4", "-MWG:Creator=Jane", "-use", "MWG", str(each.copy)]
        done = subprocess.run(command, capture_output=True, check=False)
        each.results.append(
            {"result": "embedded" if done.returncode == 0 else "failed", "message": done.stderr.decode()}
        )
    seen = exiftool(work / "exiftool")
    for each in files:
        if each.outcome == "embedded":
            each.faults += changes(each.before, seen.get(each.copy, {}))
            if each.content and content_hash(each.copy, kind_of(each.format)) != each.content:
                each.faults.append("the content has changed")


def report_peers(ours: list[File], peers: list[File]) -> None:
    """Side by side: embedded without any fault."""
    print(f"\n{'format':<12}{'files':>6}{'ours':>6}{'ExifTool':>10}   (embedded, and nothing else lost or changed)")
    for name in sorted({each.format for each in ours}):
        sides = [
            sum(each.outcome == "embedded" and not each.faults for each in side if each.format == name)
            for side in (ours, peers)
        ]
        print(f"{name:<12}{sum(each.format == name for each in ours):>6}{sides[0]:>6}{sides[1]:>10}")


if __name__ == "__main__":
    main()
