"""`indelibled file`: the engine alone, as people and scripts use it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from indelible_server.files.planning import plan_edit
from indelible_server.files.policy import Policy
from indelible_server.files.port import Root
from indelible_server.standalone.journal import Journal, Record
from support.photos import make_photo, make_photos, pixels, seen, stray_files

PROGRAM = (sys.executable, "-P", "-m", "indelible_server.main", "file")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for files; the program's own data are beside it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = tmp_path / "photos"
    made.mkdir()
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the journal is if nothing else is said."""
    return tmp_path / "indelible" / "files"


def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [*PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def results(*arguments: str | Path, status: int = 0) -> list[dict[str, Any]]:
    """What the program says of each file."""
    return [json.loads(line) for line in run(*arguments, "--json", status=status).stdout.splitlines()]


def test_written_tags_are_in_the_file_and_shown(folder: Path) -> None:
    photo = make_photos(folder, 1)[0]
    picture = pixels(photo)

    (written,) = results("write", photo, "--set", "title=Hello", "--add", "keywords=a|b;c", "--set", "gps=1.5,-2,3")
    (shown,) = results("show", photo)

    assert (written["result"], written["mode"], written["reason"]) == ("embedded", "replace", None)
    assert written["bytes_written"] > 0
    assert written["sidecar_path"] is None
    assert shown["tags"] == {
        "title": "Hello",
        "keywords": ["a|b", "c"],
        "gps": {"lat": 1.5, "lon": -2.0, "alt": 3.0},
    }
    assert (shown["width"], shown["height"], shown["format"]) == (48, 32, "JPEG")
    assert seen(photo).title == "Hello"
    assert pixels(photo) == picture


def test_the_same_written_twice_writes_nothing(folder: Path) -> None:
    photo = make_photos(folder, 1)[0]
    run("write", photo, "--set", "title=Hello")
    status = photo.stat()

    (again,) = results("write", photo, "--set", "title=Hello")

    assert (again["result"], again["mode"], again["bytes_written"]) == ("unchanged", None, 0)
    assert photo.stat().st_mtime_ns == status.st_mtime_ns


def test_a_dry_run_says_what_would_be_done_and_touches_nothing(folder: Path) -> None:
    photo = make_photos(folder, 1)[0]
    before = photo.read_bytes()

    (planned,) = results("write", photo, "--set", "title=Hello", "--dry-run")

    assert (planned["result"], planned["mode"], planned["fields"]) == ("embedded", "replace", ["title"])
    assert photo.read_bytes() == before
    assert os.listdir(folder) == [photo.name]


def test_one_bad_file_never_stops_the_others(folder: Path) -> None:
    photos = make_photos(folder, 40)
    (folder / "no.jpg").symlink_to(photos[0])
    photos[3].write_bytes(b"\xff\xd8\xffdamaged")

    found = {
        Path(result["path"]).name: result
        for result in results("write", *photos, folder / "no.jpg", folder / "gone.jpg", "--set", "title=x", status=1)
    }

    assert found["no.jpg"]["reason"] == "NOT_A_FILE"
    assert found["gone.jpg"]["reason"] == "MISSING"
    assert found[photos[3].name]["result"] == "sidecar"
    assert Path(found[photos[3].name]["sidecar_path"]).exists()
    assert sum(result["result"] == "embedded" for result in found.values()) == 39


def test_a_folder_stands_for_all_that_is_in_it_and_sidecars_are_no_files_of_their_own(folder: Path) -> None:
    make_photos(folder / "below", 6)
    (folder / "raw.nef").write_bytes(b"II*\0raw")

    first = results("write", folder, "--set", "title=x")
    second = results("show", folder)

    assert len(first) == len(second) == 7
    assert {result["tags"]["title"] for result in second} == {"x"}


def test_undo_gives_back_each_write_in_turn(folder: Path) -> None:
    photo, raw = make_photos(folder, 1)[0], folder / "raw.nef"
    raw.write_bytes(b"II*\0raw")
    states = [photo.read_bytes()]
    for title in ("first", "second"):
        run("write", photo, raw, "--set", f"title={title}")
        states.append(photo.read_bytes())

    for state in reversed(states[:-1]):
        assert {result["result"] for result in results("undo", photo, raw)} == {"undone"}
        assert photo.read_bytes() == state
    assert not (folder / "raw.xmp").exists()
    assert {result["result"] for result in results("undo", photo, raw)} == {"unchanged"}
    assert stray_files(folder) == []


def test_a_file_that_is_named_twice_is_undone_once(folder: Path) -> None:
    photo = make_photos(folder, 1)[0]
    run("write", photo, "--set", "title=first")
    first = photo.read_bytes()
    run("write", photo, "--set", "title=second")

    run("undo", photo, folder, folder / "." / photo.name)

    assert photo.read_bytes() == first


def test_undo_leaves_what_others_wrote(folder: Path) -> None:
    photo = make_photos(folder, 1)[0]
    run("write", photo, "--set", "title=first")
    make_photo(photo, seed=99)
    other = photo.read_bytes()

    (result,) = results("undo", photo, status=1)

    assert (result["result"], result["reason"]) == ("failed", "CONFLICT")
    assert photo.read_bytes() == other


def test_what_a_killed_run_left_is_settled_by_the_next(folder: Path, journal: Path) -> None:
    """The change was on record, and not or half made, when the process died."""
    photos = make_photos(folder, 2)
    plans = []
    for photo in photos:
        run("write", photo, "--set", "title=first")
        with Root(str(folder)) as root:
            plan = plan_edit(root, os.fsencode(photo.name), lambda tags: tags | {"title": "second"}, Policy())
        plans.append(Record(os.fsencode(folder), os.fsencode(photo.name), plan.files))
    segment = Journal(journal).begin()
    segment.add(plans)
    os.close(segment._descriptor)  # what the end of a process does, without the closing record
    patch = max(plans[0].plans[0].patches, key=lambda patch: len(patch.new))
    with open(photos[0], "r+b") as file:  # torn: half of the first patch is there
        file.seek(patch.offset)
        file.write(patch.new[: len(patch.new) // 2])

    run("write", photos[1], "--set", "rating=1")

    assert seen(photos[0]).title == "second"
    assert seen(photos[1]).title == "first"


def test_a_run_that_is_killed_leaves_each_file_old_or_new(folder: Path, journal: Path) -> None:
    photos = make_photos(folder, 300)
    before = {photo: photo.read_bytes() for photo in photos}
    command = [*PROGRAM, "write", str(folder), "--set", "title=x"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while _locked(journal):
        assert time.monotonic() < end

    run("write", photos[0], "--set", "title=x")

    assert stray_files(folder) == []
    states = [seen(photo).title for photo in photos]
    assert "x" in states
    assert all(title == "x" or photo.read_bytes() == before[photo] for photo, title in zip(photos, states, strict=True))


def _locked(journal: Path) -> bool:
    """Whether a process that was killed still holds its segment."""
    for path in journal.glob("*.segment"):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "rating=9"], "must be between -1 and 5"),
        (["--set", "rating=many"], "no whole number"),
        (["--set", "nothing=x"], "there is no field 'nothing'"),
        (["--set", "title"], "--set takes FIELD=VALUE"),
        (["--set", "gps=north"], "LAT,LON"),
        (["--set", "taken_at=yesterday"], "is no date"),
        (["--set", "title="], "clear the field"),
        (["--add", "title=x"], "title holds one value"),
        (["--clear", "colour"], "there is no field 'colour'"),
        (["--set", "title=x", "--policy", "iptc=MAYBE"], "iptc"),
        (["--set", "title=x", "--policy", "speed=high"], "unknown settings: speed"),
        ([], "say what to change"),
    ],
)
def test_wrong_use_is_said_and_changes_nothing(folder: Path, arguments: list[str], message: str) -> None:
    photo = make_photos(folder, 1)[0]
    before = photo.read_bytes()

    done = run("write", photo, *arguments, status=2)

    assert message in done.stderr
    assert done.stdout == ""
    assert photo.read_bytes() == before
    assert os.listdir(folder) == [photo.name]


def test_people_read_one_line_a_file_and_a_sum(folder: Path) -> None:
    make_photos(folder, 2)

    written = run("write", folder, "--set", "title=Hello").stdout.splitlines()
    shown = run("show", folder / "p0000.jpg").stdout

    assert written[-1] == "2 embedded"
    assert "p0000.jpg: embedded (replace, " in written[0]
    assert "Hello" in shown
