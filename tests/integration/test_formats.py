"""Files of other formats than JPEG, the whole way: import, edit, write, verify, outside edits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import tags_pb2
from PIL import Image
from support.client import Client, add, globs, remove, set_tags
from support.photos import stray_files
from unit.files.vorbis_files import COMMENTS, comments, flac

PICTURES = {"a.png": "PNG", "b.tif": "TIFF", "c.webp": "WEBP", "d.gif": "GIF", "e.jp2": "JPEG2000"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture of each kind, and a piece of music."""
    made = tmp_path / "media"
    made.mkdir()
    for number, (name, kind) in enumerate(PICTURES.items()):
        Image.new("RGB", (16, 12), (20 * number, 90, 200)).save(made / name, kind)
    (made / "f.flac").write_bytes(flac((COMMENTS, comments("TITLE=Old", "ENCODER=x"))))
    return made


def witness(path: Path) -> dict[str, Any]:
    """What ExifTool reads."""
    done = subprocess.run(["exiftool", "-j", "-G1", "-a", str(path)], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)
    return dict(found)


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.tool("exiftool")
def test_tags_get_into_files_of_every_kind_and_nothing_else_changes(client: Client, name: str, folder: Path) -> None:
    before = {kind: pixels(folder / kind) for kind in PICTURES}
    client.create(name, folder)
    assert client.import_files(name).import_counts.added_items == len(PICTURES) + 1
    client.switch(name, True)
    for title in ("First", "A second, longer title"):
        client.edit(name, set_tags(title=title), add("keywords", "Places|Lisbon", title))
        assert client.wait_synced(name).failed_items == 0

    for kind, picture in before.items():
        seen = witness(folder / kind)
        assert seen["XMP-dc:Title"] == "A second, longer title", kind
        assert "Lisbon" in seen["XMP-dc:Subject"], kind
        assert pixels(folder / kind) == picture, kind
    assert witness(folder / "f.flac")["Vorbis:Title"] == "A second, longer title"
    assert stray_files(folder) == []


def test_what_a_file_has_no_place_for_is_beside_it_and_both_are_kept_in_step(
    client: Client, name: str, folder: Path
) -> None:
    client.create(name, folder)
    client.import_files(name)
    music = globs("f.flac")
    client.edit(name, set_tags(title="In the file", headline="Beside it"), selection=music)
    client.sync(name)

    homes = {home.home: home.tags for home in client.item(name, "f.flac").homes}
    assert homes[tags_pb2.HOME_EMBEDDED].title == homes[tags_pb2.HOME_SIDECAR].title == "In the file"
    assert not homes[tags_pb2.HOME_EMBEDDED].HasField("headline")
    assert homes[tags_pb2.HOME_SIDECAR].headline == "Beside it"
    assert (folder / "f.xmp").exists()

    client.edit(name, add("keywords", "x"), selection=music)
    client.edit(name, remove("keywords", "x"), selection=music)
    status = client.status(name)
    assert status.unsynced_items == 0, "changed back: there is nothing to write"
