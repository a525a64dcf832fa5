"""The engine alone against ExifTool: the same tags into the same files, side by side in one run. It is no timed test.

PYTHONPATH=tests python tests/bench/engine.py [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indelible_server.domain.edits import Edit
from indelible_server.files.policy import Policy
from indelible_server.standalone.pool import run
from indelible_server.standalone.work import Task
from whole_way import draw, sync_latency_ms
from witnesses import FORMS

PROGRAM = str(Path(sys.executable).with_name("indelibled"))
WRITERS = 2
SETS = (("small", 300, 1.0), ("large", 60, 4.0))
"""Name, number, and how much larger the side of a picture is than that of a small one."""
READ_COPIES = 60
"""How often the few files are there to be read."""
TAGS_IN_ALL_BLOCKS = (
    *(f"-{group}={value}" for group, value in (("XMP-dc:Title", "A title"), ("IPTC:ObjectName", "A title"))),
    *(f"-{group}=Some words" for group in ("XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription")),
    *(f"-{group}={word}" for group in ("XMP-dc:Subject", "IPTC:Keywords") for word in ("one", "two")),
    *(f"-{group}=Someone" for group in ("XMP-dc:Creator", "IPTC:By-line", "IFD0:Artist")),
    "-XMP-xmp:Rating=3",
    "-ExifIFD:DateTimeOriginal=2020:01:02 03:04:05",
    "-GPS:GPSLatitude=48.5",
    "-GPS:GPSLatitudeRef=N",
    "-GPS:GPSLongitude=9.5",
    "-GPS:GPSLongitudeRef=E",
)


@dataclass
class Side:
    """One of the two programs: how it writes the tags of a round and reads tags, and what starting it costs."""

    name: str
    write: Callable[[Path, int], None]
    read: Callable[[Path], None]
    start_up: float = 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", default=".", help="where the sample files are made; never a tmpfs")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder)).resolve()
    try:
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        print(f"machine     {os.cpu_count()} cores, {system}")
        print(f"storage     fdatasync of 4 KiB: {sync_latency_ms(folder):.2f} ms (median)")
        sides = [Side("ours", ours, ours_reading), Side("ExifTool", exiftool, exiftool_reading)]
        draw(folder / "few", 1)
        # Ours runs in this process and its children, which has started already.
        theirs = sides[1]
        theirs.start_up = statistics.median(timed(theirs, folder / "few" / "000000.jpg", k) for k in range(5))
        print(f"start-up    ExifTool: {theirs.start_up:.2f} s, subtracted")
        for name, number, scale in SETS:
            compare(folder, name, number, scale, sides, given.rounds)
        compare_reading(folder, sides, given.rounds)
    finally:
        shutil.rmtree(folder)


def compare(folder: Path, name: str, number: int, scale: float, sides: list[Side], rounds: int) -> None:
    """First write and re-edits of one set by both, and our bytes."""
    size = draw(folder / name, number, scale)
    print(f"\n{number} JPEGs of {size / 1e6:.1f} MB")
    for side in sides:
        shutil.copytree(folder / name, folder / f"{name}-{side.name}")
    os.sync()
    first: dict[str, list[float]] = {side.name: [] for side in sides}
    again: dict[str, list[float]] = {side.name: [] for side in sides}
    for number_of_round in range(rounds):
        for side in sides:
            target = folder / f"{name}-{side.name}"
            shutil.rmtree(target)
            shutil.copytree(folder / name, target)
            os.sync()
            first[side.name].append(timed(side, target, 2 * number_of_round) - side.start_up)
        for side in sides:
            again[side.name].append(
                timed(side, folder / f"{name}-{side.name}", 2 * number_of_round + 1) - side.start_up
            )
    for title, times in (("first write", first), ("re-edit", again)):
        rates = {key: number / max(statistics.median(values), 1e-6) for key, values in times.items()}
        ratios = sorted(theirs / mine for mine, theirs in zip(times["ours"], times["ExifTool"], strict=True))
        print(
            f"{title:<12}ours {rates['ours']:6.0f}/s   ExifTool {rates['ExifTool']:5.0f}/s   "
            f"ratio {statistics.median(ratios):5.1f} (from {ratios[0]:.1f} to {ratios[-1]:.1f})"
        )
    read, written = our_bytes(folder / f"{name}-ours")
    print(f"a re-edit   reads {read / 1024:.1f} KiB, writes {written / 1024:.1f} KiB (the largest of all files)")


def compare_reading(folder: Path, sides: list[Side], rounds: int) -> None:
    """Reading by both what an import reads, of files with tags in XMP, IPTC and Exif."""
    few, many = folder / "reading-few", folder / "reading"
    draw(few, 17)
    tag_all_blocks(few)
    for number in range(READ_COPIES):
        shutil.copytree(few, many / str(number))
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            # What a run over a few files costs is what starting costs, all but nothing.
            start_up = timed_reading(side, few)
            times[side.name].append(timed_reading(side, many) - start_up)
    number = 17 * (READ_COPIES - 1)
    rates = {name: number / max(statistics.median(values), 1e-6) for name, values in times.items()}
    ratios = sorted(theirs / mine for mine, theirs in zip(times["ours"], times["ExifTool"], strict=True))
    print(
        f"\nreading     ours {rates['ours']:6.0f}/s   ExifTool {rates['ExifTool']:5.0f}/s   "
        f"ratio {statistics.median(ratios):5.1f} (from {ratios[0]:.1f} to {ratios[-1]:.1f})"
    )


def timed_reading(side: Side, target: Path) -> float:
    """How long one run takes, in seconds."""
    began = time.perf_counter()
    side.read(target)
    return time.perf_counter() - began


def tag_all_blocks(target: Path) -> None:
    """Let files have tags in all blocks, as those from cameras and agencies do."""
    subprocess.run(["exiftool", "-q", "-q", "-overwrite_original", *TAGS_IN_ALL_BLOCKS, str(target)], check=True)


def timed(side: Side, target: Path, value: int) -> float:
    """How long one run takes, in seconds."""
    began = time.perf_counter()
    side.write(target, value)
    return time.perf_counter() - began


def tags(value: int) -> dict[str, str]:
    """The tags of a round: each is another than in the round before."""
    return {"title": f"Title {value}", "description": f"Description {value}"}


def ours(target: Path, value: int) -> None:
    """Write with our engine, its journal on the same disk as the files."""
    results(target, value)


def results(target: Path, value: int) -> list[dict[str, Any]]:
    """What our engine says of each file."""
    edits = [Edit("set", key, text) for key, text in tags(value).items()]
    edits += [Edit("set", "keywords", [f"alpha{value}", "beta"]), Edit("set", "rating", 1 + value % 5)]
    task = Task("write", str(target.parent / "journal"), Policy().to_json(), tuple(edits))
    found = list(run(task, [os.fsencode(path) for path in sorted(target.iterdir())], WRITERS))
    assert all(each["result"] == "embedded" for each in found), found
    return found


def our_bytes(target: Path) -> tuple[int, int]:
    """The most that one re-edit reads and writes."""
    found = results(target, 99)
    return max(each["bytes_read"] for each in found), max(each["bytes_written"] for each in found)


def exiftool(target: Path, value: int) -> None:
    """Write with ExifTool, in one batch."""
    names = {"title": "XMP-dc:Title", "description": "XMP-dc:Description"}
    assigned = [f"-{names[key]}={text}" for key, text in tags(value).items()]
    assigned += [f"-XMP-dc:Subject=alpha{value}", "-XMP-dc:Subject=beta", f"-XMP-xmp:Rating={1 + value % 5}"]
    subprocess.run(["exiftool", "-q", "-q", "-overwrite_original", *assigned, str(target)], check=True)


def ours_reading(target: Path) -> None:
    """Read with our engine."""
    command = [PROGRAM, "file", "show", str(target), "--writers", str(WRITERS), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def exiftool_reading(target: Path) -> None:
    """Read with ExifTool: all tags that our fields are read from."""
    asked = [f"-{name}" for names in FORMS.values() for name in names.split()]
    command = ["exiftool", "-q", "-q", "-fast2", "-r", "-json", *asked, str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
