"""Windows go by the clock on the wall, over midnight and through the nights in which the clocks are changed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from indelible_server.domain.schedule import Schedule, clock, local_zone, make_schedule
from indelible_server.errors import InvalidArgument

BERLIN = "Europe/Berlin"
MON, TUE, WED, THU, FRI, SAT, SUN = range(1, 8)


def at(text: str, zone: str = BERLIN) -> int:
    """A moment as the clock on the wall says it; of one that comes twice, "+" is the second."""
    moment = datetime.fromisoformat(text.rstrip("+")).replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("+")))
    return int(moment.timestamp() * 1000)


def shown(milliseconds: int | None, zone: str = BERLIN) -> str | None:
    """A moment as `at` takes it."""
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, ZoneInfo(zone))
    return f"{moment:%Y-%m-%d %H:%M}" + "+" * moment.fold


def windows(*spans: str, days: tuple[int, ...] = ()) -> Schedule:
    """A schedule of spans like "22:00-06:00", in Berlin."""
    return make_schedule([(days, *span.split("-")) for span in spans], BERLIN, "schedule")


ALWAYS = Schedule()
NIGHTS = windows("22:00-06:00")
WEEKDAYS = windows("22:00-06:00", days=(MON, TUE, WED, THU, FRI))
MIDNIGHTS = windows("00:00-24:00", days=(SAT, SUN))
NOON = windows("12:00-12:30", "12:15-13:00")
WHOLE_DAYS = windows("00:00-24:00")
LEFT_OUT = windows("02:15-02:45")
INTO_LEFT_OUT = windows("01:00-02:30")
FROM_LEFT_OUT = windows("02:30-05:00")
TWICE = windows("22:00-02:30")


@pytest.mark.parametrize(
    ("schedule", "now", "is_open", "until"),
    [
        pytest.param(ALWAYS, "2026-11-22 12:00", True, None, id="no windows: at any time"),
        pytest.param(NIGHTS, "2026-11-22 21:59", False, "2026-11-22 22:00", id="before"),
        pytest.param(NIGHTS, "2026-11-22 22:00", True, "2026-11-23 06:00", id="the first minute"),
        pytest.param(NIGHTS, "2026-11-23 00:00", True, "2026-11-23 06:00", id="over midnight"),
        pytest.param(NIGHTS, "2026-11-23 06:00", False, "2026-11-23 22:00", id="the minute after the last"),
        pytest.param(WEEKDAYS, "2026-11-21 05:00", True, "2026-11-21 06:00", id="Friday's night ends on Saturday"),
        pytest.param(WEEKDAYS, "2026-11-21 22:30", False, "2026-11-23 22:00", id="none on Saturday"),
        pytest.param(WEEKDAYS, "2026-11-23 05:00", False, "2026-11-23 22:00", id="Sunday's night is none"),
        pytest.param(MIDNIGHTS, "2026-11-21 12:00", True, "2026-11-23 00:00", id="two days that meet"),
        pytest.param(NOON, "2026-11-22 12:00", True, "2026-11-22 13:00", id="spans that overlap"),
        pytest.param(WHOLE_DAYS, "2026-11-22 12:00", True, None, id="all days: never shut"),
        pytest.param(LEFT_OUT, "2026-03-28 12:00", False, "2026-03-30 02:15", id="spring: the hour that is left out"),
        pytest.param(INTO_LEFT_OUT, "2026-03-29 01:30", True, "2026-03-29 03:00", id="spring: ends with the change"),
        pytest.param(FROM_LEFT_OUT, "2026-03-29 01:30", False, "2026-03-29 03:00", id="spring: begins with the change"),
        pytest.param(TWICE, "2026-10-25 01:00", True, "2026-10-25 02:30", id="autumn: shut for the first time"),
        pytest.param(TWICE, "2026-10-25 02:30", False, "2026-10-25 02:00+", id="autumn: the hour comes again"),
        pytest.param(TWICE, "2026-10-25 02:00+", True, "2026-10-25 02:30+", id="autumn: open again"),
        pytest.param(TWICE, "2026-10-25 02:30+", False, "2026-10-25 22:00", id="autumn: shut for the second time"),
    ],
)
def test_it_is_open_when_a_window_covers_the_time_on_the_wall(
    schedule: Schedule, now: str, is_open: bool, until: str | None
) -> None:
    assert schedule.is_open(at(now)) is is_open
    assert shown(schedule.next_change(at(now))) == until


@pytest.mark.parametrize(
    ("schedule", "now", "opened"),
    [
        (NIGHTS, "2026-11-22 22:00", "2026-11-22 22:00"),
        (NIGHTS, "2026-11-23 05:59", "2026-11-22 22:00"),
        (MIDNIGHTS, "2026-11-22 12:00", "2026-11-21 00:00"),
        (NOON, "2026-11-22 12:40", "2026-11-22 12:00"),
        (TWICE, "2026-10-25 02:10+", "2026-10-25 02:00+"),
        (FROM_LEFT_OUT, "2026-03-29 04:00", "2026-03-29 03:00"),
        (WHOLE_DAYS, "2026-11-22 12:00", None),
        (ALWAYS, "2026-11-22 12:00", None),
    ],
)
def test_it_is_known_when_the_present_window_opened(schedule: Schedule, now: str, opened: str | None) -> None:
    assert shown(schedule.opened_at(at(now))) == opened


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])
def test_the_next_change_is_the_minute_in_which_it_opens_or_shuts(zone: str, day: str) -> None:
    schedule = make_schedule([((), "01:45", "02:20"), ((SUN,), "03:10", "03:20"), ((), "23:30", "00:10")], zone, "s")
    start = at(f"{day} 00:00", zone)
    now, told = start, schedule.next_change(start)
    while now < start + 26 * 3600 * 1000:
        now += 60_000
        if schedule.is_open(now) is not schedule.is_open(now - 60_000):
            assert told == now
            told = schedule.next_change(now)
    assert told is not None
    assert told > now


@pytest.mark.parametrize(
    ("days", "start", "end", "zone", "field"),
    [
        ([], "24:00", "06:00", BERLIN, "schedule.windows[0].start"),
        ([], "2:00", "06:00", BERLIN, "schedule.windows[0].start"),
        ([], "22:00", "24:01", BERLIN, "schedule.windows[0].end"),
        ([], "22:00", "", BERLIN, "schedule.windows[0].end"),
        ([], "22:00", "06:60", BERLIN, "schedule.windows[0].end"),
        ([0], "22:00", "06:00", BERLIN, "schedule.windows[0].days"),
        ([8], "22:00", "06:00", BERLIN, "schedule.windows[0].days"),
        ([], "22:00", "06:00", "Europe/Atlantis", "schedule.time_zone"),
        ([], "22:00", "06:00", "../../etc/passwd", "schedule.time_zone"),
        ([], "22:00", "06:00", "Europe", "schedule.time_zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_field(
    days: list[int], start: str, end: str, zone: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make_schedule([(days, start, end)], zone, "schedule")

    assert refused.value.field == field


def test_there_is_an_end_to_windows() -> None:
    with pytest.raises(InvalidArgument):
        make_schedule([((), "22:00", "06:00")] * 101, BERLIN, "schedule")


def test_it_is_stored_and_read_as_it_was() -> None:
    assert Schedule.from_json(WEEKDAYS.to_json()) == WEEKDAYS
    assert Schedule.from_json(None) == ALWAYS


@pytest.mark.parametrize(("minute", "text"), [(0, "00:00"), (1320, "22:00"), (1440, "24:00"), (1800, "06:00")])
def test_a_minute_is_shown_as_people_write_it(minute: int, text: str) -> None:
    assert clock(minute) == text


def test_without_a_zone_it_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    assert local_zone() == "Asia/Tokyo"
    assert make_schedule([], "", "schedule").time_zone == "Asia/Tokyo"
