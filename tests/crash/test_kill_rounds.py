"""Rounds of SIGKILL on random processes, while four clients and another program edit: nothing is lost or damaged.

INDELIBLE_LONG=1 makes it 200 rounds on each database.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from indelible.v1 import sync_pb2, sync_service_pb2
from indelible_server.storage import tables
from indelible_server.storage.database import Database
from support import processes
from support.client import Client, set_tags
from support.editors import Editor
from support.other_program import OtherProgram
from support.photos import make_photos, pixels
from support.programs import finished, free_address
from support.server import RunningServer
from support.steps import InHand, Step, in_hand, with_intents
from support.stored import database_of, nothing_is_left, rows
from support.tracer import Tracer
from support.waiting import until

LONG = bool(os.environ.get("INDELIBLE_LONG"))
ROUNDS = 200 if LONG else 6
FILES = 60
NAME = "Archive"
FIELDS = {"title": "Title", "headline": "Headline", "instructions": "Instructions", "source": "Source"}
"""The field that each client edits, and what ExifTool calls it in XMP."""

AIMS = {Step.IDLE: 3, Step.PLANNED: 3, Step.INTENDED: 8, Step.APPLYING: 6, Step.APPLIED: 8}
"""How often a round waits for this step before it kills. Until the signal arrives it may have become another one."""
AIM_S = 5.0


class Rounds:
    """Kills processes of a server, and knows at which step each kill hit and what it left unfinished."""

    def __init__(self, server: RunningServer, database: Database, root: Path, dice: random.Random) -> None:
        self.steps: Counter[tuple[str, Step]] = Counter()
        self.unfinished: Counter[Path] = Counter()
        self._server = server
        self._database = database
        self._root = root
        self._dice = dice

    def kill_something(self) -> None:
        """Wait for the moment, then kill the server with all its writers, or one writer alone."""
        wanted = self._dice.choices(list(AIMS), list(AIMS.values()))[0]
        writer = self._aim(wanted)
        if self._dice.random() < 0.5:
            self._note("server", self._kill_server())
        else:
            self._note("writer", self._kill_writer(writer))

    def _aim(self, wanted: Step) -> str | None:
        """Return when a writer is at this step, and which one; None if the step is to have none, or none is in time."""
        end = time.monotonic() + AIM_S
        if wanted is Step.INTENDED:
            return self._aim_at_an_intent(end)
        while time.monotonic() < end:
            living = processes.writer_ids(self._server.pid)
            found = {writer: held.step for writer, held in self._in_hand().items() if writer in living}
            if wanted is Step.IDLE and living and not found:
                return None
            if wanted in found.values():
                time.sleep(self._dice.choice((0, self._dice.uniform(0, 0.005))))  # in the step, or in the next one
                return next(writer for writer, step in found.items() if step is wanted)
        return None

    def _aim_at_an_intent(self, end: float) -> str | None:
        """The step lasts a millisecond or two: no time to look at files, and the writer has to stand still at once."""
        before, living = with_intents(self._database), processes.writer_ids(self._server.pid)
        while time.monotonic() < end:
            now = with_intents(self._database)
            for writer in now - before:
                if writer in living:
                    os.kill(living[writer], signal.SIGSTOP)
                    return writer
                living = processes.writer_ids(self._server.pid)
            before = now
        return None

    def _kill_server(self) -> list[InHand]:
        children = processes.children(self._server.pid)
        with processes.all_end(children):
            self._server.kill()
        found = list(self._in_hand().values())
        self._server.start()
        return found

    def _kill_writer(self, wanted: str | None) -> list[InHand]:
        """All stand still while we look: otherwise another writer would have gone on with it by then."""
        living = processes.writer_ids(self._server.pid)
        if not living:  # the last ones were killed a moment ago
            return self._kill_server()
        with processes.stopped([*living.values(), self._server.pid]):
            victim = wanted if wanted in living else self._dice.choice(sorted(living))
            processes.kill(living[victim])
            found = self._in_hand()
            return [found[victim]] if victim in found else []

    def _in_hand(self) -> dict[str, InHand]:
        return in_hand(self._database, self._root)

    def _note(self, what: str, found: list[InHand]) -> None:
        self.steps[what, max((held.step for held in found), key=list(Step).index, default=Step.IDLE)] += 1
        for held in found:
            self.unfinished.update(self._root / os.fsdecode(plan.target) for plan in held.plans)

    def table(self) -> str:
        """The steps that were hit, as lines of a table."""
        lines = [f"{'hit at':34} server writer"]
        lines += [f"{step:34} {self.steps['server', step]:6} {self.steps['writer', step]:6}" for step in Step]
        return "\n".join(lines)

    def hits(self) -> Counter[Step]:
        """How often each step was hit."""
        hits: Counter[Step] = Counter()
        for (_, step), count in self.steps.items():
            hits[step] += count
        return hits


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return make_photos(tmp_path / "photos", FILES)


@pytest.fixture
def server(tmp_path: Path, database_url: str, paths: list[Path]) -> Iterator[RunningServer]:
    """A server with two writers, always at the same address, and an imported catalog whose auto-sync is on."""
    with RunningServer(tmp_path / "data", database_url, writers=2, listen=free_address()) as running:
        client = Client(running.stubs())
        client.create(NAME, tmp_path / "photos")
        assert client.import_files(NAME).import_counts.added_items == FILES
        client.switch(NAME, True)
        # Otherwise no writer would ever be found with anything in hand.
        until(
            lambda: processes.writer_ids(running.pid).keys() == {row.writer_id for row in rows(running, tables.writers)}
        )
        yield running
        assert not [line for line in running.log if "[error" in line], "".join(running.log)


@pytest.mark.tool("exiftool")
@pytest.mark.timeout(7200 if LONG else 120)
def test_kill_rounds_lose_and_damage_nothing(server: RunningServer, paths: list[Path], record_property: Any) -> None:
    """I1, I2, I4, I9: what was acknowledged is in the files, what others wrote too; pictures are as they were."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    root = paths[0].parent
    pictures = [pixels(path) for path in paths]
    with database_of(server) as database, Tracer(root) as tracer:
        rounds = Rounds(server, database, root, dice)
        with contextlib.ExitStack() as stack:
            editors = [stack.enter_context(Editor(server, NAME, field, paths, seed, 0.05)) for field in FIELDS]
            other = stack.enter_context(OtherProgram(paths, seed, 0.05))
            for number in range(ROUNDS):
                text = f"round {number} " + "." * dice.randrange(4000)  # some fit where the last one was, some do not
                client = Client(server.stubs())
                client.edit(NAME, set_tags(description=text))
                _retry(client, sync_pb2.FAILURE_REASON_CRASHED)  # it was in hand when we killed a writer, twice
                rounds.kill_something()
                assert [pixels(path) for path in paths] == pictures, "a picture is not as it was"
        client = Client(server.stubs())
        _retry(client, sync_pb2.FAILURE_REASON_CRASHED, sync_pb2.FAILURE_REASON_LOCKED)
        client.wait_synced(NAME)
        _assert_written_as_often_as_needed(tracer, rounds, editors, other, paths)

        before = tracer.writes()
        client.edit(NAME, set_tags(description="the last edit"))
        assert client.wait_synced(NAME).failed_items == 0
        told = _exiftool(paths)
        assert tracer.writes() - before == Counter(paths), "each file once"
    for path in paths:
        _assert_holds_all(told[path.name], path, editors, other)
    _assert_items_agree(client, told)
    assert [pixels(path) for path in paths] == pictures
    nothing_is_left(server, paths)
    _tell(rounds, editors, other, record_property)


def _retry(client: Client, *reasons: int) -> None:
    client.stubs.sync.RetryFailures(sync_service_pb2.RetryFailuresRequest(catalog=NAME, reasons=reasons))


def _assert_written_as_often_as_needed(
    tracer: Tracer, rounds: Rounds, editors: Sequence[Editor], other: OtherProgram, paths: list[Path]
) -> None:
    """At most once for each edit, and once more for each write that a kill had left open."""
    written = tracer.writes()
    for path in paths:
        edits = sum(len(editor.keywords[path.name]) for editor in editors) + ROUNDS
        assert written[path] <= edits + other.edits[path] + rounds.unfinished[path], path.name


def _exiftool(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    names = [f"-XMP:{name}" for name in (*FIELDS.values(), "Subject", "Credit")]
    told = json.loads(finished(["exiftool", "-j", *names, *paths], paths[0].parent).stdout)
    return {Path(each["SourceFile"]).name: each for each in told}


def _assert_holds_all(told: dict[str, Any], path: Path, editors: Sequence[Editor], other: OtherProgram) -> None:
    for editor in editors:
        assert told.get(FIELDS[editor.field]) == editor.texts.get(path.name), path.name
    keywords = _listed(told.get("Subject"))
    assert len(keywords) == len(set(keywords)), f"{path.name}: {keywords}"
    assert set(keywords) == set().union(*(editor.keywords[path.name] for editor in editors)), path.name
    assert told.get("Credit") == other.credits.get(path), path.name


def _assert_items_agree(client: Client, told: dict[str, dict[str, Any]]) -> None:
    for item in client.items(NAME):
        in_file = told[item.path]
        assert list(item.tags.keywords) == _listed(in_file.get("Subject"))
        assert item.tags.credit == in_file.get("Credit", "")
        assert item.synced_revision == item.revision


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _tell(rounds: Rounds, editors: Sequence[Editor], other: OtherProgram, record_property: Any) -> None:
    hits = rounds.hits()
    between = sum(count for step, count in hits.items() if step.is_between)
    print(rounds.table())
    figure = (
        f"{ROUNDS} kills, {between} between intend and acknowledge; "
        f"{sum(editor.acknowledged for editor in editors)} edits acknowledged, "
        f"{sum(editor.repeated for editor in editors)} of them after a repeat, "
        f"{other.edits.total()} outside edits: 0 lost, 0 damaged\n{rounds.table()}"
    )
    record_property("figure", figure)
    if LONG:
        assert between >= 0.6 * ROUNDS
        assert all(hits[step] >= 10 for step in Step), hits
