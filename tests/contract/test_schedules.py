"""When a catalog's files may be written, and how much: claims, the pipeline and the status agree on it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from indelible_server.domain import catalogs as catalog_rules
from indelible_server.domain import claiming, runs, sync
from indelible_server.domain.schedule import make_schedule
from indelible_server.storage import catalogs, leases, spending, writers
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.database import Database
from indelible_server.storage.items import Selection
from support.archive import ANN, Archive, make_archive
from support.edits import edit, title
from support.outcomes import acknowledge, verified
from support.samples import add_items, make_catalog

BERLIN = ZoneInfo("Europe/Berlin")
BUDGET = {"items_per_minute": 2, "bytes_per_second": 0}
NIGHTS = make_schedule([((), "22:00", "02:30")], "Europe/Berlin", "schedule").to_json()


@dataclass
class Clock:
    """A clock that stands until it is set, by what the clock on the wall says in Berlin."""

    now: int = 0

    def set(self, text: str) -> None:
        """Set it; "+" is the second time of an hour that comes twice."""
        moment = datetime.fromisoformat(text.rstrip("+")).replace(tzinfo=BERLIN, fold=int(text.endswith("+")))
        self.now = int(moment.timestamp() * 1000)


@dataclass
class Day:
    """A catalog of twelve photos with a writer, on a database whose clock is ours."""

    url: str
    clock: Clock
    archive: Archive
    seen: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def catalog(self) -> Catalog:
        found = self.archive.database.read(catalogs.get, self.archive.catalog.catalog_id)
        assert found is not None
        return found

    def edit_all(self) -> None:
        edit(self.archive.database, self.catalog, title(f"at {self.clock.now}"))

    def write(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        """Change something in the catalog."""
        self.archive.database.write(work, *arguments, **more)

    def settings(self, **values: Any) -> None:
        """Change settings, as UpdateCatalog does."""
        self.write(catalog_rules.update, self.catalog, replace(self.catalog, **values))

    def on(self) -> None:
        self.write(sync.set_auto_sync, self.catalog, True)

    def pause(self) -> None:
        self.write(sync.pause, self.catalog)

    def start(self, **more: Any) -> None:
        self.write(runs.start, ANN, self.catalog, None, **more)

    def restart(self) -> None:
        """All that a server knows is in the database: another one goes on."""
        self.archive.database.close()
        self.archive.database = Database(self.url, clock=lambda: self.clock.now)

    def nothing(self) -> None:
        """Only time goes by."""

    def look(self) -> tuple[Any, ...]:
        """How many files a writer writes now; then the activity, why what is due waits and until when, the run."""
        self.write(writers.beat, ["writer"])
        written = 0
        while number := self.archive.look_around():
            written += number
        status = self.archive.database.read(sync.status, self.catalog)
        waits = [f"{wait.reason.name} {self._clock(wait.until)}" for wait in status.waits]
        return written, status.counts.unsynced, status.activity.name, waits, status.run.state if status.run else None

    def _clock(self, at: int | None) -> str:
        moment = datetime.fromtimestamp((at or 0) / 1000, BERLIN)
        return f"{moment:%H:%M:%S}" + "+" * moment.fold


@pytest.fixture
def day(database_url: str, tmp_path: Path) -> Iterator[Day]:
    """Twelve photos that are synchronized, at noon before the night in which the clocks are put back."""
    clock = Clock()
    clock.set("2026-10-24T12:00:00")
    database = Database(database_url, clock=lambda: clock.now)
    database.write(writers.insert, "writer", "host")
    archive = make_archive(database, tmp_path / "photos", photos=12)
    made = Day(database_url, clock, archive)
    made.settings(schedule=NIGHTS, quiet_ms=2000)
    with contextlib.closing(made.archive.database):
        yield made
    made.archive.database.close()


def test_a_day_with_windows_budgets_a_pause_a_restart_and_a_change_of_the_clocks(day: Day) -> None:
    run_one = {"max_items": 1, "outside_window": True}
    shut = "OUTSIDE_WINDOW 22:00:00"
    steps: list[tuple[str, Callable[[], None], tuple[Any, ...]]] = [
        ("24T12:00:00", day.nothing, (0, 0, "IDLE", [], None)),
        ("24T12:00:10", day.edit_all, (0, 12, "WAITING", ["QUIET_PERIOD 12:00:12"], None)),
        ("24T12:00:12", day.nothing, (0, 12, "WAITING", [shut], None)),
        ("24T12:01:00", lambda: day.start(**run_one), (1, 11, "WAITING", [shut], "COMPLETED")),
        ("24T12:02:00", lambda: day.start(max_items=2), (0, 11, "WAITING", [shut], "RUNNING")),
        ("24T12:03:00", day.restart, (0, 11, "WAITING", [shut], "RUNNING")),
        ("24T21:59:59", day.nothing, (0, 11, "WAITING", [shut], "RUNNING")),
        ("24T22:00:00", lambda: day.settings(budget=BUDGET), (1, 10, "WAITING", ["BUDGET 22:00:30"], "RUNNING")),
        ("24T22:00:29", day.nothing, (0, 10, "SYNCING", [], "RUNNING")),
        ("24T22:00:30", day.nothing, (1, 9, "WAITING", ["BUDGET 22:01:00"], "COMPLETED")),
        ("24T22:00:40", day.restart, (0, 9, "WAITING", ["BUDGET 22:01:00"], "COMPLETED")),
        ("24T23:00:00", day.nothing, (1, 8, "WAITING", ["BUDGET 23:00:30"], "COMPLETED")),
        ("24T23:10:00", day.pause, (0, 8, "IDLE", [], "COMPLETED")),
        ("24T23:20:00", lambda: day.settings(budget=None), (0, 8, "IDLE", [], "COMPLETED")),
        ("25T00:30:00", day.restart, (0, 8, "IDLE", [], "COMPLETED")),
        ("25T00:40:00", day.on, (8, 0, "IDLE", [], "COMPLETED")),
        ("25T02:29:00", day.edit_all, (0, 12, "WAITING", ["QUIET_PERIOD 02:29:02"], "COMPLETED")),
        ("25T02:30:00", day.nothing, (0, 12, "WAITING", ["OUTSIDE_WINDOW 02:00:00+"], "COMPLETED")),
        ("25T02:59:59", day.nothing, (0, 12, "WAITING", ["OUTSIDE_WINDOW 02:00:00+"], "COMPLETED")),
        ("25T02:00:00+", day.nothing, (12, 0, "IDLE", [], "COMPLETED")),
        ("25T02:30:00+", day.edit_all, (0, 12, "WAITING", ["QUIET_PERIOD 02:30:02+"], "COMPLETED")),
        ("25T12:00:00", day.nothing, (0, 12, "WAITING", [shut], "COMPLETED")),
        ("25T12:00:00", lambda: day.settings(schedule=None), (12, 0, "IDLE", [], "COMPLETED")),
    ]
    seen = []
    for time, act, _ in steps:
        day.clock.set(f"2026-10-{time}")
        act()
        seen.append((time, *day.look()))

    assert seen == [(time, *expected) for time, _, expected in steps]


def test_what_is_claimed_when_the_window_shuts_is_not_begun_any_more(day: Day) -> None:
    day.clock.set("2026-10-24T23:00:00")
    day.edit_all()
    day.clock.set("2026-10-25T02:29:59")
    claims = day.archive.database.write(claiming.claim, day.catalog.catalog_id, "writer", 32)
    assert len(claims) == 12

    day.clock.set("2026-10-25T02:30:00")
    day.archive.pipeline.write(day.catalog, claims)

    assert day.look()[:3] == (0, 12, "WAITING")
    assert day.archive.database.read(leases.count, day.catalog.catalog_id) == 0


def test_a_start_outside_the_window_frees_the_run_that_waits_for_it(day: Day) -> None:
    day.edit_all()
    day.start()
    assert day.look()[0] == 0

    day.start(outside_window=True)

    assert day.look()[:2] == (12, 0)


def test_a_start_of_a_selection_changes_nothing_of_the_run_that_there_is(day: Day) -> None:
    day.edit_all()
    day.start()

    day.write(runs.start, ANN, day.catalog, Selection(ids=(1,)), outside_window=True)

    assert day.look()[0] == 0


def test_bytes_are_spent_when_they_are_written(day: Day) -> None:
    day.settings(schedule=None, budget={"items_per_minute": 0, "bytes_per_second": 100})
    day.edit_all()
    day.clock.now += 2000

    written, left, activity, waits, _ = day.look()

    assert (written, left, activity) == (1, 11, "WAITING")
    assert waits[0].startswith("BUDGET")
    day.clock.now += 3600_000
    assert day.look()[:2] == (1, 10)


@pytest.fixture
def two_roots(database: Database) -> Catalog:
    """A catalog with auto-sync, and three items due below each of its two roots, the first of which has a budget."""
    catalog = make_catalog(database, quiet_ms=0, auto_sync=True)
    second = Root("f" * 32, catalog.catalog_id, b"/elsewhere", read_only=False)
    database.write(catalogs.insert_root, second)
    database.write(catalogs.set_root_budget, replace(catalog.roots[0], budget=BUDGET))
    catalog = present(database, catalog)
    for root in catalog.roots:
        add_items(database, catalog, [f"{number}.jpg" for number in range(3)], root_id=root.root_id)
    edit(database, catalog, title("new"))
    database.write(writers.insert, "writer", "host")
    return catalog


def present(database: Database, catalog: Catalog) -> Catalog:
    """The catalog as it is stored now."""
    found = database.read(catalogs.get, catalog.catalog_id)
    assert found is not None
    return found


def test_a_budget_of_a_root_holds_up_that_root_alone(database: Database, two_roots: Catalog) -> None:
    limited, free = two_roots.roots
    claimed: Counter[str] = Counter()
    while claims := database.write(claiming.claim, two_roots.catalog_id, "writer", 1):
        claimed.update(each.item.root_id for each in claims)

    assert claimed == {limited.root_id: 1, free.root_id: 3}
    status = database.read(sync.status, present(database, two_roots))
    (wait,) = status.waits
    assert (wait.reason.name, wait.root_id, wait.items) == ("BUDGET", limited.root_id, 3)


def test_of_a_catalog_whose_budget_is_spent_nobody_tries_to_claim(database: Database) -> None:
    catalog = make_catalog(database, quiet_ms=0, auto_sync=True, budget=BUDGET)
    add_items(database, catalog, ["a.jpg", "b.jpg"])
    edit(database, catalog, title("new"))
    database.write(writers.insert, "writer", "host")
    assert database.read(claiming.catalogs_with_work, "writer") == [catalog.catalog_id]

    assert len(database.write(claiming.claim, catalog.catalog_id, "writer", 32)) == 1

    assert database.read(claiming.catalogs_with_work, "writer") == []


def test_when_only_a_spent_root_has_work_the_catalog_waits(database: Database, two_roots: Catalog) -> None:
    limited = two_roots.roots[0]
    for claims in iter(lambda: database.write(claiming.claim, two_roots.catalog_id, "writer", 1), []):
        acknowledge(database, two_roots, *(verified(each) for each in claims))

    status = database.read(sync.status, present(database, two_roots))

    assert (status.activity.name, [wait.root_id for wait in status.waits]) == ("WAITING", [limited.root_id])


def test_another_budget_begins_anew(database: Database, two_roots: Catalog) -> None:
    while database.write(claiming.claim, two_roots.catalog_id, "writer", 1):
        pass
    more = {"items_per_minute": 60_000, "bytes_per_second": 0}
    limited, free = two_roots.roots

    database.write(catalog_rules.update, two_roots, replace(two_roots, roots=(replace(limited, budget=more), free)))

    (claimed,) = database.write(claiming.claim, two_roots.catalog_id, "writer", 1)
    assert claimed.item.root_id == limited.root_id


def test_what_several_spend_adds_up_each_kind_for_itself(database: Database, other: Database) -> None:
    catalog_id = make_catalog(database).catalog_id
    database.write(spending.add, catalog_id, spending.CATALOG, "items", 60_000)
    before = database.read(spending.of_catalog, catalog_id)[spending.CATALOG]

    other.write(spending.add, catalog_id, spending.CATALOG, "items", 30_000)
    other.write(spending.add, catalog_id, spending.CATALOG, "bytes", 1_000)
    other.write(spending.add, catalog_id, "f" * 32, "bytes", 500)

    assert database.read(spending.of_catalog, catalog_id)[spending.CATALOG] == before + 30_000
    assert database.read(claiming.seconds_to_next) <= 0.5


@pytest.mark.parametrize("offline", ["24T12:30:00", "24T22:00:00"])
def test_a_run_does_not_give_up_because_it_waits_for_its_window(day: Day, offline: str) -> None:
    """Only an offline root makes it, from the moment at which nothing else stands in the way."""
    day.edit_all()
    day.clock.set("2026-10-24T12:00:00")
    day.start()
    root_id = day.catalog.roots[0].root_id
    states = []
    for time in sorted([offline, "24T13:30:00", "24T22:00:05", "24T22:59:59", "24T23:00:00"]):
        day.clock.set(f"2026-10-{time}")
        if time == offline:
            day.write(catalogs.set_root_offline, root_id, offline=True)
        day.write(sync.tend_run, day.catalog.catalog_id)
        run = day.archive.database.read(sync.status, day.catalog).run
        assert run is not None
        states.append(run.state)

    assert states == ["RUNNING"] * 4 + ["GAVE_UP"]


def test_a_night_of_waiting_says_nothing_of_a_runs_speed(day: Day) -> None:
    day.edit_all()
    day.clock.set("2026-10-24T12:00:00")
    day.start(max_items=11)
    day.clock.set("2026-10-24T22:00:00")
    claims = day.archive.database.write(claiming.claim, day.catalog.catalog_id, "writer", 10)

    acknowledge(day.archive.database, day.catalog, *(verified(each) for each in claims))

    run = day.archive.database.read(sync.status, day.catalog).run
    assert run is not None
    assert run.counted == 10
    assert run.rate == pytest.approx(1.0)


def test_ten_items_never_starve_behind_a_thousand(database: Database) -> None:
    big, small = make_catalog(database, "Big", quiet_ms=0), make_catalog(database, "Small", quiet_ms=0)
    for catalog, number in ((big, 1000), (small, 10)):
        add_items(database, catalog, [f"{each}.jpg" for each in range(number)])
        edit(database, catalog, title("new"))
        database.write(sync.set_auto_sync, catalog, True)
    database.write(writers.insert, "writer", "host")

    batches = 0
    while not database.read(leases.count, small.catalog_id):
        database.write(claiming.claim, database.read(claiming.catalogs_with_work, "writer")[0], "writer", 8)
        batches += 1

    assert batches < 60, "chosen by lot each time: 1 in 2^60 to be passed over so often"


def test_what_a_run_wants_comes_first(database: Database) -> None:
    always, once = make_catalog(database, "Always", quiet_ms=0), make_catalog(database, "Once", quiet_ms=0)
    for catalog in (always, once):
        add_items(database, catalog, ["a.jpg"])
        edit(database, catalog, title("new"))
    database.write(sync.set_auto_sync, always, True)
    database.write(runs.start, ANN, once, None)
    database.write(writers.insert, "writer", "host")

    for _ in range(20):
        assert database.read(claiming.catalogs_with_work, "writer") == [once.catalog_id, always.catalog_id]
