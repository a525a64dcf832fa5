"""Files as they are found on real disks: odd names, wrong names, damage, links, and roots that must not be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import item_pb2, job_pb2, job_service_pb2, library_service_pb2, sync_pb2
from PIL import Image
from support.client import Client, globs, ids, set_tags
from support.contract import refused
from support.photos import edit_outside, make_photo, make_photos, pixels, seen, stray_files
from support.server import RunningServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The root of the test's catalog."""
    made = tmp_path / "photos"
    made.mkdir()
    return made


def problems(job: Any) -> dict[str, str]:
    """Path -> reason of what an import could not read."""
    return {
        problem.path: sync_pb2.FailureReason.Name(problem.failure.reason).removeprefix("FAILURE_REASON_")
        for problem in job.problems
    }


# --- names ---

NAMES = {
    b"caf\xe9.jpg": r"caf\xe9.jpg",
    b"\xff\xfe.jpg": r"\xff\xfe.jpg",
    "été.jpg".encode(): "été.jpg",
    "e\u0301te\u0301.jpg".encode(): "e\u0301te\u0301.jpg",
    b"with space.jpg": "with space.jpg",
    b"100%_[1]*?.jpg": "100%_[1]*?.jpg",
    b"line\nbreak.jpg": "line\nbreak.jpg",
    b"-rf.jpg": "-rf.jpg",
    b"quote'\"`$(x).jpg": "quote'\"`$(x).jpg",
    b"back\\slash.jpg": "back\\slash.jpg",
    b"UPPER.JPG": "UPPER.JPG",
    "夏.jpeg".encode(): "夏.jpeg",
    b"x" * 240 + b".jpg": "x" * 240 + ".jpg",
}


def test_file_names_are_bytes_they_are_shown_escaped_edited_and_written(
    client: Client, name: str, folder: Path
) -> None:
    root = os.fsencode(folder)
    for seed, key in enumerate(NAMES):
        make_photo(os.path.join(root, key), seed)
    pictures = {key: pixels(os.path.join(root, key)) for key in NAMES}
    client.create(name, folder)
    job = client.import_files(name)
    assert (job.import_counts.added_items, problems(job)) == (len(NAMES), {})
    items = {item.raw_path: item for item in client.items(name)}
    assert {key: item.path for key, item in items.items()} == NAMES
    for item in items.values():
        client.edit(name, set_tags(title=f"Title of {item.id}"), selection=ids(item))
        assert client.item(name, item.path).tags.title == f"Title of {item.id}", "found by the path that is shown"
        client.edit(name, set_tags(rating=3), selection=globs(item.path))
        assert client.item(name, item.path).tags.rating == 3, "and selected by it"
    run = client.sync(name)
    assert (run.done_items, run.failed_items) == (len(NAMES), 0)
    for key, item in items.items():
        path = os.path.join(root, key)
        assert (seen(path).title, seen(path).rating) == (f"Title of {item.id}", 3)
        assert pixels(path) == pictures[key]
    assert {entry for entry in os.listdir(root) if not entry.startswith(b".indelible-root")} == set(NAMES)


def test_folders_with_names_that_are_no_text_are_walked(client: Client, name: str, folder: Path) -> None:
    inner = os.path.join(os.fsencode(folder), b"\xe9t\xe9")
    os.mkdir(inner)
    make_photo(os.path.join(inner, b"a.jpg"))
    client.create(name, folder)
    client.import_files(name)
    (item,) = client.items(name)
    assert item.path == r"\xe9t\xe9/a.jpg"
    client.edit(name, set_tags(title="Inside"))
    client.sync(name)
    assert seen(os.path.join(inner, b"a.jpg")).title == "Inside"


# --- content ---


def test_a_file_is_judged_by_its_content_not_by_its_name(client: Client, name: str, folder: Path) -> None:
    make_photo(folder / "really.jpg")
    make_photo(folder / "jpeg.png")
    Image.new("RGB", (8, 8), "red").save(folder / "png.jpg", "PNG")
    Image.new("RGB", (8, 8), "red").save(folder / "png.png", "PNG")
    (folder / "text.jpg").write_text("This is no picture.")
    (folder / "notes.txt").write_text("Nor is this.")
    (folder / "empty.jpg").touch()
    client.create(name, folder)
    job = client.import_files(name)
    formats = {item.path: item.format for item in client.items(name)}
    assert formats == {"really.jpg": "JPEG", "jpeg.png": "JPEG", "png.jpg": "PNG", "png.png": "PNG"}
    assert job.import_counts.ignored_files == 1
    assert problems(job) == {"text.jpg": "CORRUPT", "empty.jpg": "CORRUPT"}
    client.edit(name, set_tags(title="Named"))
    run = client.sync(name)
    assert (run.done_items, run.failed_items) == (4, 0)
    assert seen(folder / "jpeg.png").title == "Named"
    assert seen(folder / "really.jpg").title == "Named"
    with Image.open(folder / "png.jpg") as image:
        assert image.format == "PNG"
    assert (folder / "text.jpg").read_text() == "This is no picture."


def test_what_cannot_be_read_is_listed_as_a_problem_and_the_rest_is_imported(
    client: Client, name: str, folder: Path
) -> None:
    make_photos(folder, 2)
    make_photo(folder / "bad sidecar.jpg")
    (folder / "bad sidecar.xmp").write_text("<x:xmpmeta this is damaged")
    client.create(name, folder)
    job = client.import_files(name)
    assert job.state == job_pb2.JOB_STATE_COMPLETED
    assert (job.import_counts.added_items, job.failed_items) == (2, 1)
    assert problems(job) == {"bad sidecar.jpg": "CORRUPT"}
    assert all(problem.failure.message for problem in job.problems)
    assert [item.path for item in client.items(name)] == ["p0000.jpg", "p0001.jpg"]


def test_what_is_no_file_is_never_opened(client: Client, name: str, folder: Path) -> None:
    make_photo(folder / "real.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to("real.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    client.create(name, folder)
    job = client.import_files(name)
    assert job.import_counts.added_items == 1
    assert [item.path for item in client.items(name)] == ["real.jpg"]


# --- imports ---


def test_a_second_import_adds_nothing_and_changes_nothing(client: Client, name: str, folder: Path) -> None:
    make_photos(folder, 5)
    client.create(name, folder)
    first = client.import_files(name)
    counts = first.import_counts
    assert (counts.added_items, counts.known_items, first.done_items, first.total_items) == (5, 0, 5, 5)
    client.edit(name, set_tags(title="Ours"), selection=globs("p0000.jpg"))
    edit_outside(folder / "p0001.jpg", title="Theirs")
    before = client.items(name)
    again = client.import_files(name)
    assert (again.import_counts.added_items, again.import_counts.known_items) == (0, 5)
    assert client.items(name) == before
    make_photo(folder / "new.jpg")
    assert client.import_files(name).import_counts.added_items == 1


def test_an_imported_item_has_the_tags_of_its_file_and_is_synced(client: Client, name: str, folder: Path) -> None:
    make_photo(folder / "a.jpg", size=(40, 30))
    edit_outside(folder / "a.jpg", title="From the file", keyword="found", credit="Agency")
    before = (folder / "a.jpg").read_bytes()
    client.create(name, folder)
    client.import_files(name)
    item = client.item(name, "a.jpg")
    assert (item.tags.title, list(item.tags.keywords), item.tags.credit) == ("From the file", ["found"], "Agency")
    assert (item.state, item.width, item.height) == (item_pb2.ITEM_STATE_SYNCED, 40, 30)
    assert item.size_bytes == len(before)
    assert abs(item.mtime.ToNanoseconds() - (folder / "a.jpg").stat().st_mtime_ns) < 1_000_000
    assert client.sync(name).total_items == 0
    assert (folder / "a.jpg").read_bytes() == before


def test_an_import_of_a_sub_path_takes_in_that_and_nothing_else(client: Client, name: str, folder: Path) -> None:
    make_photos(folder / "2023", 2)
    make_photos(folder / "2024" / "06", 3)
    make_photos(folder / "2024-copy", 1)
    client.create(name, folder)
    assert client.import_files(name, "2024").import_counts.added_items == 3
    assert {item.path for item in client.items(name)} == {f"2024/06/p000{number}.jpg" for number in range(3)}
    assert client.import_files(name, "2023/").import_counts.added_items == 2
    assert client.import_files(name, "2024-copy/p0000.jpg").import_counts.added_items == 1
    assert client.import_files(name).import_counts.added_items == 0
    assert [item.path for item in client.items(name, path_prefix="2024/")] == [
        f"2024/06/p000{number}.jpg" for number in range(3)
    ]
    request = library_service_pb2.StartImportRequest(catalog=name, path="2025")
    missing = client.job(client.stubs.library.StartImport(request).job.id)
    assert missing.import_counts.added_items == 0


def test_a_cancelled_import_ends_and_keeps_what_it_has(
    server: RunningServer, client: Client, name: str, folder: Path
) -> None:
    make_photos(folder, 400)
    client.create(name, folder)
    job = client.start_import(name)
    client.stubs.jobs.CancelJob(job_service_pb2.CancelJobRequest(job_id=job.id))
    ended = client.job(job.id)
    assert ended.state == job_pb2.JOB_STATE_CANCELLED
    assert ended.import_counts.added_items == len(client.items(name)) < 400
    assert client.stubs.jobs.CancelJob(job_service_pb2.CancelJobRequest(job_id=job.id)).job == ended
    again = client.import_files(name)
    assert again.import_counts.added_items + ended.import_counts.added_items == 400


def test_an_import_goes_on_after_the_server_was_killed(
    server: RunningServer, client: Client, name: str, folder: Path
) -> None:
    make_photos(folder, 300)
    client.create(name, folder)
    job = client.start_import(name)
    server.kill()
    server.start()
    client = Client(server.stubs())
    ended = client.job(job.id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert len({item.path for item in client.items(name, page_size=1000)}) == 300
    assert client.status(name).total_items == 300


def test_an_import_with_a_marker_of_another_root_is_offline(client: Client, name: str, folder: Path) -> None:
    make_photo(folder / "a.jpg")
    client.create(name, folder)
    (folder / ".indelible-root").unlink()
    job = client.import_files(name)
    assert job.state == job_pb2.JOB_STATE_FAILED
    assert client.items(name) == []


# --- read-only roots ---


def test_a_read_only_root_is_never_written(client: Client, name: str, folder: Path) -> None:
    make_photos(folder, 2)
    before = sorted((path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir())
    catalog = client.create(name, folder, read_only=True)
    assert catalog.roots[0].read_only
    client.import_files(name)
    client.switch(name, True)
    client.edit(name, set_tags(title="Not in the file"))
    held = client.wait(name, lambda status: status.held_items == 2)
    assert (held.unsynced_items, held.failed_items) == (2, 0)
    item = client.item(name, "p0000.jpg")
    assert (item.state, item.hold.reason) == (item_pb2.ITEM_STATE_HELD, item_pb2.HOLD_REASON_READ_ONLY_ROOT)
    run = client.sync(name)
    assert (run.state, run.done_items) == (sync_pb2.RUN_STATE_COMPLETED, 0)
    assert sorted((path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()) == before


def test_a_read_only_root_needs_no_right_to_write(client: Client, name: str, folder: Path, tmp_path: Path) -> None:
    make_photos(folder, 1)
    mount = tmp_path / "mounted"
    mount.mkdir()
    if subprocess.run(["mount", "--bind", "-o", "ro", folder, mount], check=False, capture_output=True).returncode:
        pytest.skip("needs mount")
    try:
        with refused("ROOT_NOT_WRITABLE", "roots[0].path"):
            client.create(name, mount)
        client.create(name, mount, read_only=True)
        assert client.import_files(name).import_counts.added_items == 1
    finally:
        subprocess.run(["umount", mount], check=True)


# --- sidecars ---


def test_a_format_that_cannot_carry_tags_gets_a_sidecar_beside_it(client: Client, name: str, folder: Path) -> None:
    (folder / "raw.nef").write_bytes(b"II*\0\x08\0\0\0" + bytes(100))
    before = (folder / "raw.nef").read_bytes()
    client.create(name, folder)
    client.import_files(name)
    client.edit(name, set_tags(title="Beside"))
    client.sync(name)
    assert (folder / "raw.nef").read_bytes() == before
    assert "Beside" in (folder / "raw.xmp").read_text()
    item = client.item(name, "raw.nef")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert [(home.home, home.path) for home in item.homes if home.home == 2] == [(2, "raw.xmp")]
    assert stray_files(folder) == []
