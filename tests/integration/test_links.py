"""Links are never followed, whatever they lead to and whenever they came (I8)."""

from __future__ import annotations

from pathlib import Path

from indelible.v1 import (
    sync_pb2,
)
from support.client import Client, set_tags
from support.photos import make_photos
from support.server import RunningServer


def test_links_are_never_followed(sqlite_server: RunningServer, tmp_path: Path) -> None:
    client = Client(sqlite_server.stubs())
    root, outside = tmp_path / "root", tmp_path / "outside"
    make_photos(root, 1, "mine")
    make_photos(outside, 2, "private")
    (root / "file link.jpg").symlink_to(outside / "private0000.jpg")
    (root / "own link.jpg").symlink_to(root / "mine0000.jpg")
    (root / "folder link").symlink_to(outside)
    (root / "dead link.jpg").symlink_to(outside / "nothing.jpg")
    (root / "loop").symlink_to(root)
    client.create("Links", root)
    assert client.import_files("Links").import_counts.added_items == 1
    for path in ("folder link", "folder link/private0000.jpg", "file link.jpg", "loop/mine0000.jpg"):
        job = client.import_files("Links", path)
        assert job.import_counts.added_items == 0, job
    assert [item.path for item in client.items("Links")] == ["mine0000.jpg"]


def test_an_item_whose_folder_became_a_link_is_not_written_through_it(
    sqlite_server: RunningServer, tmp_path: Path
) -> None:
    client = Client(sqlite_server.stubs())
    root, outside = tmp_path / "root", tmp_path / "outside"
    make_photos(root / "sub", 1)
    outside.mkdir()
    client.create("Swapped", root)
    client.import_files("Swapped")
    (root / "sub").rename(outside / "sub")
    (root / "sub").symlink_to(outside / "sub")
    before = (outside / "sub" / "p0000.jpg").read_bytes()
    client.edit("Swapped", set_tags(title="Not there"))
    run = client.sync("Swapped")
    assert (run.done_items, run.failed_items) == (0, 1)
    assert (outside / "sub" / "p0000.jpg").read_bytes() == before
    failure = client.items("Swapped")[0].failure
    assert sync_pb2.FailureReason.Name(failure.reason) in ("FAILURE_REASON_NOT_A_FILE", "FAILURE_REASON_MISSING")
