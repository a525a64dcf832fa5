"""What an edit costs: little is read and written however large the file is, and files do not grow by being edited."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest
from indelible_server.files.apply import apply
from indelible_server.files.containers import EMBEDDED, identify
from indelible_server.files.formats import format_of
from indelible_server.files.media import MediaFile
from indelible_server.files.plan import Mode
from indelible_server.files.reading import Reading, verify
from indelible_server.files.tags import Tags
from unit.files.library import Library
from unit.files.stretched import WITH_INDEX, WITHOUT_INDEX, in_fragments
from unit.files.witnesses import EVERYTHING

KIB = 1024
READ_LIMIT, WRITE_LIMIT, GROWTH_LIMIT = 256 * KIB, 64 * KIB, 64 * KIB
EDITS = 1000 if os.environ.get("INDELIBLE_LONG") else 50
LETTERS = "abcdefghijklmnopqrstuvwxyzäé"


@dataclass(frozen=True)
class Cost:
    """How an edit was made, and the bytes that planning read, that were written, and that verification read."""

    mode: Mode
    planned: int
    written: int
    verified: int


def edit(library: Library, key: bytes, reading: Reading, changes: Tags) -> tuple[Reading, Cost]:
    """One edit on top of what was read last."""
    tags = {name: value for name, value in (reading.tags | changes).items() if value is not None}
    plan = library.plan(key, tags, base=dict(reading.homes), stale=reading.stale)
    written = sum(apply(library.root, file, still_ours=lambda: True).bytes_written for file in plan.files)
    after = verify(library.root, plan, library.policy)
    return after, Cost(plan.mode, plan.bytes_read, written, after.bytes_read)


@pytest.fixture
def holes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a file has the same holes, so that a large one costs no more than it holds."""
    plainly = MediaFile._copy_some

    def copy_some(self: MediaFile, source: MediaFile, offset: int, length: int, to: int) -> int:
        try:
            data = os.lseek(source._descriptor, offset, os.SEEK_DATA)
        except OSError:
            data = offset + length
        if data == offset:
            end = os.lseek(source._descriptor, offset, os.SEEK_HOLE)
            return plainly(self, source, offset, min(length, end - offset), to)
        hole = min(data - offset, length)
        os.ftruncate(self._descriptor, to + hole)
        return hole

    monkeypatch.setattr(MediaFile, "_copy_some", copy_some)


def test_there_is_a_sample_of_each_format() -> None:
    assert {*WITH_INDEX, *WITHOUT_INDEX} == set(EMBEDDED)


@pytest.mark.usefixtures("holes_stay")
@pytest.mark.parametrize("size", [1 << 20, 1 << 30], ids=["1 MB", "1 GB"])
@pytest.mark.parametrize("format_name", WITH_INDEX)
def test_of_a_large_file_little_is_read_and_written_again(library: Library, format_name: str, size: int) -> None:
    key = WITH_INDEX[format_name]().make(library.path, size)
    reading = library.read(key)
    assert reading.format == format_name
    assert reading.identity.size == pytest.approx(size, abs=1)
    reading, first = edit(library, key, reading, EVERYTHING | {"title": "T", "keywords": ["k"]})
    assert first.mode in (Mode.APPEND, Mode.REPLACE)

    for number, title in enumerate(("Title", "A longer title than before", "t")):
        changes: Tags = {"title": title, "keywords": [title, "another", f"k{number}"], "rating": number + 1}
        reading, cost = edit(library, key, reading, changes)
        assert cost.mode in (Mode.PATCH, Mode.APPEND)
        assert 0 < cost.written <= WRITE_LIMIT
        assert cost.planned <= READ_LIMIT
        assert cost.verified <= READ_LIMIT


def test_of_a_film_of_many_fragments_only_the_heads_of_boxes_are_read(library: Library) -> None:
    key = library.add("a.mp4", in_fragments(8000))
    reading, _ = edit(library, key, library.read(key), EVERYTHING)
    _, cost = edit(library, key, reading, {"title": "Another"})
    assert library.names() == {"a.mp4"}
    assert cost.mode is Mode.PATCH
    assert cost.planned <= READ_LIMIT


@pytest.mark.parametrize("format_name", [*WITH_INDEX, *WITHOUT_INDEX])
def test_files_do_not_grow_by_being_edited(library: Library, monkeypatch: pytest.MonkeyPatch, format_name: str) -> None:
    """Fifty edits, or with INDELIBLE_LONG=1 a thousand, of values that are now short and now long."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    key = (WITH_INDEX | WITHOUT_INDEX)[format_name]().make(library.path)
    content = content_of(library, key)
    reading, _ = edit(library, key, library.read(key), EVERYTHING)
    first = reading.identity.size

    random = Random(format_name)
    modes: Counter[Mode] = Counter()
    for _ in range(EDITS):
        reading, cost = edit(library, key, reading, values(random))
        assert reading.identity.size - first <= GROWTH_LIMIT
        modes[cost.mode] += 1

    assert modes[Mode.PATCH] > EDITS // 2
    assert content_of(library, key) == content


def values(random: Random) -> Tags:
    """Some of the tags, with values of any length, or without one."""
    made: Tags = {
        "title": text(random, 100),
        "description": text(random, random.choice((10, 1000, 8000))),
        "keywords": [*{text(random, 30): None for _ in range(random.randint(1, 20))}],
        "creators": [*{text(random, 40): None for _ in range(random.randint(1, 4))}],
        "gps": {"lat": random.randint(-180, 180) / 2, "lon": random.randint(-359, 360) / 2},
    }
    return {name: value if random.random() < 0.9 else None for name, value in made.items() if random.random() < 0.7}


def text(random: Random, longest: int) -> str:
    return "".join(random.choices(LETTERS, k=random.randint(1, longest)))


def content_of(library: Library, key: bytes) -> bytes:
    """What no edit may touch."""
    with library.root.folder_of(key) as (folder, name), folder.open(name) as media:
        container = identify(media, format_of(name, media.read(0, 64)))
        assert container is not None
        return b"".join(media.read(offset, length) for offset, length in container.content)
