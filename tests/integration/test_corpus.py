"""Real files of all kinds, many odd and some hostile, where `INDELIBLE_CORPUS` names a folder of them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from indelible_server.domain.edits import Edit
from indelible_server.files.policy import Policy
from indelible_server.files.sidecar import is_sidecar
from indelible_server.standalone.results import Result
from indelible_server.standalone.work import Task, Worker
from support.content import content
from unit.files.witnesses import EVERYTHING

CORPUS = os.environ.get("INDELIBLE_CORPUS", "")


@pytest.fixture
def samples(tmp_path: Path) -> dict[Path, Path]:
    """Copies of all files, each in a folder of its own, and where they are from."""
    found = {}
    for number, source in enumerate(sorted(path for path in Path(CORPUS).rglob("*") if path.is_file())):
        if not is_sidecar(os.fsencode(source.name)):
            copy = tmp_path / "files" / str(number) / source.name
            copy.parent.mkdir(parents=True)
            shutil.copyfile(source, copy)
            found[copy] = source
    return found


@pytest.mark.skipif(not CORPUS, reason="INDELIBLE_CORPUS names no folder of sample files")
@pytest.mark.timeout(300)
def test_every_file_of_the_corpus_is_written_once_keeps_its_content_and_is_given_back(
    samples: dict[Path, Path], tmp_path: Path
) -> None:
    journal, paths = str(tmp_path / "journal"), [os.fsencode(copy) for copy in samples]
    before = {copy: content(copy) for copy in samples}
    edits = tuple(Edit("set", field, value) for field, value in EVERYTHING.items())
    task = Task("write", journal, Policy().to_json(), edits)

    first = results(task, paths)
    assert {result["result"] for result in first} <= {"embedded", "sidecar"}
    assert Counter(result["result"] for result in first)["embedded"] > len(samples) // 3
    assert [copy for copy in samples if before[copy] and content(copy) != before[copy]] == []

    assert {result["result"] for result in results(task, paths)} == {"unchanged"}

    assert {result["result"] for result in results(Task("undo", journal), paths)} == {"undone"}
    assert [copy for copy, source in samples.items() if copy.read_bytes() != source.read_bytes()] == []
    assert [copy for copy in samples if os.listdir(copy.parent) != [copy.name]] == []


def results(task: Task, paths: list[bytes]) -> list[Result]:
    """What the engine says of each file."""
    worker = Worker(task)
    try:
        return list(_one_by_one(worker, paths))
    finally:
        worker.close()


def _one_by_one(worker: Worker, paths: list[bytes]) -> Iterator[Result]:
    for start in range(0, len(paths), 16):
        yield from worker.work(paths[start : start + 16])
