"""A folder with hostile files among good ones: the good ones are synchronized, and the server answers all the time.

INDELIBLE_LONG=1 makes it 1,000 good files, INDELIBLE_CORPUS takes the hostile ones from the corpus's exiv2 folder.
"""

from __future__ import annotations

import os
import re
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import item_pb2, sync_pb2, tags_pb2
from indelible.v1.sync_service_pb2 import GetSyncStatusRequest
from indelible_server.files.formats import KIND_RAW, UNKNOWN, format_named, kind_of
from support import processes
from support.client import Client, add, set_tags
from support.content import content
from support.photos import make_photos, pixels, seen
from support.repeating import Repeating
from support.server import RunningServer

LONG = bool(os.environ.get("INDELIBLE_LONG"))
CORPUS = os.environ.get("INDELIBLE_CORPUS", "")
GOOD = 1000 if LONG else 60
HOSTILE = 30
NAME = "Archive"
TITLE = "Among thieves"
EVERY_S = 0.1
PATIENCE_S = 5.0

EXPLOITS = re.compile(r"poc|crash|cve|oob|recursion", re.IGNORECASE)
"""How the corpus names what was made, or found, to break a reader."""


class Caller(Repeating):
    """Calls the server every 100 ms. A call that is not answered in time is an error."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(EVERY_S)
        self.slowest_s = 0.0
        self.calls = 0
        self._stubs = server.stubs()

    def work(self) -> None:
        """Call once."""
        began = time.monotonic()
        self._stubs.sync.GetSyncStatus(GetSyncStatusRequest(catalog=NAME), timeout=PATIENCE_S)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.calls += 1


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    return make_photos(tmp_path / "photos", GOOD)


@pytest.fixture
def hostile(good: list[Path], tmp_path: Path) -> dict[str, Path]:
    """The hostile files, sown among the good ones: name -> a copy that stays as it was."""
    copies = {}
    (tmp_path / "copies").mkdir()
    found = dict(_of_the_corpus() if CORPUS else _of_our_own(good[0].read_bytes()))
    for number, (name, data) in enumerate(found.items()):
        # Their names come between those of the good files, so that they share batches with them.
        sown = good[0].with_name(f"p{number * GOOD // len(found):04}-{name}")
        copies[sown.name] = tmp_path / "copies" / sown.name
        for path in (sown, copies[sown.name]):
            path.write_bytes(data)
    return copies


def _of_the_corpus() -> Iterator[tuple[str, bytes]]:
    found = [path for path in sorted((Path(CORPUS) / "exiv2").iterdir()) if EXPLOITS.search(path.name)]
    media = [path for path in found if format_named(os.fsencode(path.name)) != UNKNOWN and path.suffix != ".xmp"]
    for path in media[:: len(media) // HOSTILE][:HOSTILE]:
        yield path.name, path.read_bytes()


def _of_our_own(photo: bytes) -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "cut.jpg", photo[:40]
    yield "long.jpg", b"\xff\xd8\xff\xe1\xff\xffhttp://ns.adobe.com/xap/1.0/\0"
    yield "laughs.jpg", _with_xmp(photo, _LAUGHS)
    yield "deep.jpg", _with_xmp(photo, b"<a>" * 10_000 + b"</a>" * 10_000)
    yield "loop.tif", b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 256, 4, 1, 1, 8)
    yield "many.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(100)
    yield "bomb.png", _png_with_a_bomb()
    yield "endless.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\xff\xff\xff\xffmoov"
    yield "nothing.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff"


_LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (97 + level, b"&%c;" % (96 + level) * 10) for level in range(1, 12))
    + b']><x:xmpmeta xmlns:x="adobe:ns:meta/">&l;</x:xmpmeta>'
)


def _with_xmp(photo: bytes, packet: bytes) -> bytes:
    body = b"http://ns.adobe.com/xap/1.0/\0" + packet
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", min(len(body) + 2, 0xFFFF)) + body + photo[2:]


def _png_with_a_bomb() -> bytes:
    """A PNG whose XMP is a few kilobytes that unpack to half a gigabyte."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    text = b"XML:com.adobe.xmp\0\x01\0\0\0" + bomb
    chunks = ((b"IHDR", header), (b"iTXt", text), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.timeout(900 if LONG else 120)
def test_hostile_files_among_good_ones_harm_nobody(
    tmp_path: Path, good: list[Path], hostile: dict[str, Path], record_property: Any
) -> None:
    folder = good[0].parent
    pictures = [pixels(path) for path in good]
    os.mkfifo(folder / "pipe.jpg")  # whoever opens it waits for ever
    (folder / "zeros.jpg").symlink_to("/dev/zero")
    with RunningServer(tmp_path / "data", writers=2) as server:
        client = Client(server.stubs())
        client.create(NAME, folder)
        writers = processes.writers(server.pid)
        with Caller(server) as caller:
            refused = {problem.path: problem.failure.message for problem in client.import_files(NAME).problems}
            client.edit(NAME, set_tags(title=TITLE), add("keywords", "kept"))
            client.switch(NAME, True)
            client.wait(NAME, _is_through)
        assert processes.writers(server.pid) == writers, "a writer has died"
        items = {item.path: client.item(NAME, item.path) for item in client.items(NAME)}
    assert not [line for line in server.log if "[error" in line], "".join(server.log)

    assert items.keys() | refused.keys() == {path.name for path in good} | hostile.keys()
    for path, picture in zip(good, pictures, strict=True):
        assert items[path.name].state == item_pb2.ITEM_STATE_SYNCED
        assert (seen(path).title, seen(path).keywords) == (TITLE, ("kept",))
        assert pixels(path) == picture
    ends = Counter(_end_of(folder / name, copy, items.get(name), refused.get(name)) for name, copy in hostile.items())
    assert CORPUS or "embedded" not in ends
    slowest = f"{caller.slowest_s * 1000:.0f} ms"
    record_property("figure", f"{GOOD} good files, hostile ones: {dict(ends)}; {caller.calls} calls, within {slowest}")


def _is_through(status: Any) -> bool:
    return bool(status.unsynced_items == status.failed_items and status.in_flight_items == 0)


def _end_of(path: Path, copy: Path, item: Any, refused: str | None) -> str:
    """How it ended for a hostile file: with a reason, or with all in it that is no metadata as it was."""
    if item is None:
        assert refused
        end = "not imported"
    elif item.state == item_pb2.ITEM_STATE_FAILED:
        assert item.failure.reason != sync_pb2.FAILURE_REASON_UNSPECIFIED
        assert item.failure.message
        end = "failed"
    elif path.read_bytes() != copy.read_bytes():
        assert content(path) == content(copy) != ""
        return "embedded"
    else:
        assert item.state == item_pb2.ITEM_STATE_SYNCED
        assert [home.home for home in item.homes if home.tags.title == TITLE] == [tags_pb2.HOME_SIDECAR]
        assert item.reader_note or kind_of(item.format) == KIND_RAW, "nobody expects anything else of raw files"
        end = "sidecar"
    assert path.read_bytes() == copy.read_bytes()
    return end
