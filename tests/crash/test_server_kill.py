"""SIGKILL at any moment: nothing acknowledged is lost, nothing is done twice, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import grpc
import pytest
from indelible.v1 import item_pb2, item_service_pb2, job_pb2, sync_pb2, sync_service_pb2
from indelible_server.storage import tables
from support import processes
from support.client import Client, add, globs, set_tags
from support.photos import make_photos, pixels, seen
from support.server import RunningServer
from support.stored import nothing_is_left, rows
from support.waiting import until

FILES = 60
ROUNDS = 2
NAME = "Archive"


class Editor:
    """Edits one item after another until the server is gone, and remembers which answers came."""

    def __init__(self, client: Client, paths: list[Path], dice: random.Random) -> None:
        self._client = client
        self._paths = paths
        self._dice = dice
        self._number = 0
        # The last title that was acknowledged, and those that came after it without an answer.
        self.titles: dict[str, list[str]] = defaultdict(list)
        self.keywords: dict[str, list[str]] = defaultdict(list)
        self.unanswered: dict[str, list[str]] = defaultdict(list)

    def work(self, client: Client) -> threading.Thread:
        """Begin; it ends with the server."""
        self._client = client
        thread = threading.Thread(target=self._run)
        thread.start()
        return thread

    def _run(self) -> None:
        while True:
            self._number += 1
            name = self._dice.choice(self._paths).name
            text = f"edit {self._number}"
            try:
                self._client.edit(NAME, set_tags(title=text), add("keywords", text), selection=globs(name))
            except grpc.RpcError:
                self.unanswered[name].append(text)
                return
            self.titles[name] = [text]
            self.keywords[name].append(text)

    def check(self, name: str, title: str | None, keywords: list[str]) -> None:
        """What an item or a file holds is what was acknowledged last, or what was on its way."""
        allowed = self.titles[name] + self.unanswered[name]
        assert title in allowed if self.titles[name] else title in [None, *allowed], f"{name}: {title}, not {allowed}"
        assert len(keywords) == len(set(keywords)), f"{name}: {keywords}"
        assert set(self.keywords[name]) <= set(keywords), f"{name}: lost {set(self.keywords[name]) - set(keywords)}"
        assert set(keywords) <= set(self.keywords[name] + self.unanswered[name]), f"{name}: {keywords}"


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Any:
    """A server with two writers and an imported catalog whose auto-sync is on."""
    with RunningServer(tmp_path / "data", database_url, writers=2) as running:
        make_photos(tmp_path / "photos", FILES)
        client = Client(running.stubs())
        client.create(NAME, tmp_path / "photos")
        assert client.import_files(NAME).import_counts.added_items == FILES
        client.switch(NAME, True)
        yield running
        assert not [line for line in running.log if "[error" in line], "".join(running.log)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [tmp_path / "photos" / f"p{number:04}.jpg" for number in range(FILES)]


def test_an_acknowledged_edit_survives_sigkill_of_the_server(server: RunningServer, paths: list[Path]) -> None:
    """Rounds of edits while writers work, each ended by SIGKILL at a random moment; the next server goes on."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    pictures = [pixels(path) for path in paths]
    editor = Editor(Client(server.stubs()), paths, dice)
    for _ in range(ROUNDS):
        client = Client(server.stubs())
        client.edit(NAME, set_tags(headline=f"all {dice.random()}"))  # every file has to be written
        editing = editor.work(client)
        revision = client.status(NAME).revision + dice.randrange(5, 60)
        client.wait(NAME, lambda status, revision=revision: status.revision >= revision)
        time.sleep(dice.uniform(0, 0.05))  # not for luck: the moment shall not be that of a commit
        children = processes.children(server.pid)
        assert len(children) >= 2
        with processes.all_end(children):
            server.kill()
        editing.join()
        for path, picture in zip(paths, pictures, strict=True):
            assert pixels(path) == picture, "torn before anyone has settled it"
        server.start()
        client = Client(server.stubs())
        assert client.status(NAME).auto_sync == sync_pb2.AUTO_SYNC_ON
        assert client.status(NAME).total_items == FILES

    client = Client(server.stubs())
    status = client.wait_synced(NAME)
    assert status.failed_items == 0
    items = {item.path: item for item in client.items(NAME)}
    for path, picture in zip(paths, pictures, strict=True):
        item, found = items[path.name], seen(path)
        editor.check(path.name, item.tags.title if item.tags.HasField("title") else None, list(item.tags.keywords))
        assert found.title == (item.tags.title if item.tags.HasField("title") else None)
        assert set(found.keywords) == set(item.tags.keywords)
        assert item.state == item_pb2.ITEM_STATE_SYNCED
        assert item.synced_revision == item.revision
        assert pixels(path) == picture
    nothing_is_left(server, paths)


def test_the_history_tells_each_edit_once(server: RunningServer, paths: list[Path]) -> None:
    editor = Editor(Client(server.stubs()), paths[:3], random.Random(1))
    editing = editor.work(Client(server.stubs()))
    revision = Client(server.stubs()).status(NAME).revision
    Client(server.stubs()).wait(NAME, lambda status: status.revision >= revision + 40)
    server.kill()
    editing.join()
    server.start()
    client = Client(server.stubs())
    client.wait_synced(NAME)
    for path in paths[:3]:
        request = item_service_pb2.ListHistoryRequest(catalog=NAME, path=path.name, page_size=1000)
        entries = client.stubs.items.ListHistory(request).entries
        edits = [
            entry.diff.after.title
            for entry in reversed(entries)
            if entry.source == "EDIT" and not entry.HasField("write")
        ]
        assert len(edits) == len(set(edits))
        known = editor.keywords[path.name]
        assert edits[: len(known)] == known
        assert set(edits[len(known) :]) <= set(editor.unanswered[path.name])


def test_a_bulk_edit_that_was_cut_off_is_finished_by_the_next_server(tmp_path: Path, database_url: str) -> None:
    """Either none of it is there, or the server finishes all of it by itself; repeated, it gives its first answer."""
    number = 1500
    with RunningServer(tmp_path / "data", database_url, writers=0) as server:
        make_photos(tmp_path / "photos", number)
        client = Client(server.stubs())
        client.create(NAME, tmp_path / "photos")
        client.import_files(NAME)
        before = client.status(NAME).revision
        call = threading.Thread(target=edit_all, args=(Client(server.stubs()),))
        call.start()
        client.wait(NAME, lambda status: status.revision > before)
        server.kill()
        call.join()
        server.start()
        client = Client(server.stubs())
        client.wait(NAME, lambda status: status.unsynced_items == number)
        answer = client.edit(NAME, add("keywords", "bulk"), request_id="bulk")
        assert (answer.matched, answer.changed) == (number, number)
        revision = client.status(NAME).revision
        assert client.edit(NAME, add("keywords", "bulk"), request_id="bulk") == answer
        assert client.status(NAME).revision == revision
        assert {tuple(item.tags.keywords) for item in client.items(NAME, page_size=1000)} == {("bulk",)}


def edit_all(client: Client) -> None:
    try:
        client.edit(NAME, add("keywords", "bulk"), request_id="bulk")
    except grpc.RpcError:
        return


def test_a_run_goes_on_after_sigkill_and_counts_each_item_once(server: RunningServer, paths: list[Path]) -> None:
    client = Client(server.stubs())
    client.switch(NAME, False)
    client.edit(NAME, set_tags(title="Run"))
    run = client.start(NAME).run
    client.wait(NAME, lambda status: status.run.done_items > 0)
    server.kill()
    server.start()
    client = Client(server.stubs())
    ended = client.wait_run(NAME)
    assert (ended.id, ended.state) == (run.id, sync_pb2.RUN_STATE_COMPLETED)
    assert (ended.total_items, ended.done_items, ended.failed_items) == (FILES, FILES, 0)
    assert {seen(path).title for path in paths} == {"Run"}
    nothing_is_left(server, paths)


def test_an_undo_goes_on_after_sigkill_and_ends_as_it_should(server: RunningServer, paths: list[Path]) -> None:
    """Killed in the middle of it, twice: every file is to the byte as it was, and stays so (I10)."""
    client = Client(server.stubs())
    client.edit(NAME, set_tags(title="Before"))
    client.wait_synced(NAME)
    before = [path.read_bytes() for path in paths]
    client.switch(NAME, False)
    client.edit(NAME, set_tags(title="After"), add("keywords", "new"))
    run = client.sync(NAME)
    client.switch(NAME, True)
    job = client.stubs.sync.UndoRun(sync_service_pb2.UndoRunRequest(catalog=NAME, run_id=run.id)).job
    until(lambda: rows(server, tables.intents))
    server.kill()
    server.start()
    until(lambda: any(row.done for row in rows(server, tables.jobs) if row.kind == "UNDO"))
    server.kill()
    server.start()
    client = Client(server.stubs())
    ended = client.job(job.id)
    assert (ended.state, ended.done_items, ended.failed_items) == (job_pb2.JOB_STATE_COMPLETED, FILES, 0)
    # A file whose undo was settled after the kill is counted like any other.
    assert ended.undo_counts.restored_items == FILES
    client.wait_synced(NAME)
    assert [path.read_bytes() for path in paths] == before
    assert {item.tags.title for item in client.items(NAME)} == {"Before"}
    nothing_is_left(server, paths)


def test_a_writer_that_is_killed_costs_nothing(server: RunningServer, paths: list[Path]) -> None:
    """SIGKILL of a writer while it works: the server goes on, another writer takes over, all is synchronized."""
    pictures = [pixels(path) for path in paths]
    client = Client(server.stubs())
    for round_ in range(2):
        victims = processes.writers(server.pid)
        assert len(victims) == 2
        # Other items in each round: one that ends its writer twice is not tried again.
        names = [path.name for path in paths][round_::2]
        client.edit(NAME, set_tags(title=f"Round {round_}"), selection=globs(*names))
        until(lambda: rows(server, tables.leases))  # the stream may pass over what lasts less than a quarter second
        for victim in victims if round_ else victims[:1]:
            processes.kill(victim)
        status = client.wait_synced(NAME)
        assert status.failed_items == 0
        assert {seen(path).title for path in paths[round_::2]} == {f"Round {round_}"}
    assert [pixels(path) for path in paths] == pictures
    nothing_is_left(server, paths)


def test_no_child_outlives_a_killed_server(tmp_path: Path, database_url: str) -> None:
    """Writers and a job at work, and idle ones too."""
    make_photos(tmp_path / "photos", 800)
    with RunningServer(tmp_path / "data", database_url, writers=2) as server:
        client = Client(server.stubs())
        client.create(NAME, tmp_path / "photos")
        job = client.start_import(NAME)
        until(lambda: rows(server, tables.items))
        children = processes.children(server.pid)
        assert len(children) == 3
        for child in processes.writers(server.pid):
            until(lambda child=child: processes.dies_with_its_server(child))
            os.kill(child, signal.SIGSTOP)  # one that hangs can't notice by itself that its server is gone
        with processes.all_end(children):
            server.kill()
        server.start()
        client = Client(server.stubs())
        assert client.job(job.id).import_counts.added_items <= 800
        assert client.status(NAME).total_items == 800
