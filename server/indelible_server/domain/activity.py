"""What a catalog's sync is doing, told from its switch, its run, and what is due. DESIGN.md has the table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Activity(Enum):
    """What the status bar says."""

    IDLE = "IDLE"
    SYNCING = "SYNCING"
    WAITING = "WAITING"


class WaitReason(Enum):
    """Why something that is due may not be written now."""

    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    STORAGE_OFFLINE = "STORAGE_OFFLINE"
    BUDGET = "BUDGET"
    NO_WRITERS = "NO_WRITERS"
    QUIET_PERIOD = "QUIET_PERIOD"
    RETRY_LATER = "RETRY_LATER"


@dataclass(frozen=True)
class Wait:
    """A reason, how many items it holds up, and when it is over if that is known."""

    reason: WaitReason
    items: int
    root_id: str = ""
    until: int | None = None


@dataclass(frozen=True)
class Due:
    """The unsynced items that writers would take by themselves, by what stands in the way.

    `ready` nothing does; `shut` the schedule; `spent` the budgets, of the catalog ("") or of roots, with the time at
    which they are earned again; `quiet` the quiet period; `retry` the delay behind a failure; `offline` per root, a
    share that is gone.
    """

    ready: int = 0
    shut: int = 0
    shut_until: int | None = None
    spent: tuple[tuple[str, int, int], ...] = ()
    quiet: int = 0
    quiet_until: int | None = None
    retry: int = 0
    retry_until: int | None = None
    offline: tuple[tuple[str, int], ...] = ()


def activity(
    auto_sync: bool, run_state: str | None, in_flight: int, due: Due, writers: int
) -> tuple[Activity, list[Wait]]:
    """The row of the table that applies. `run_state` is RUNNING, SUSPENDED or None.

    A lease that is live is SYNCING whatever the switch says: a writer finishes its file after a pause.
    What is ready with a writer at hand is SYNCING too; it is claimed in the next moment.
    """
    if not auto_sync and run_state != "RUNNING":
        return (Activity.SYNCING if in_flight else Activity.IDLE), []
    waits = list(_waits(due, writers, quiet_matters=run_state != "RUNNING"))
    if in_flight or (_ready(due, run_state != "RUNNING") and writers):
        return Activity.SYNCING, waits
    return (Activity.WAITING if waits else Activity.IDLE), waits


def _ready(due: Due, quiet_matters: bool) -> int:
    return due.ready + (0 if quiet_matters or due.shut else due.quiet)


def _waits(due: Due, writers: int, quiet_matters: bool) -> list[Wait]:
    waits = [Wait(WaitReason.STORAGE_OFFLINE, number, root_id) for root_id, number in due.offline if number]
    if due.shut:
        waits.append(Wait(WaitReason.OUTSIDE_WINDOW, due.shut, until=due.shut_until))
    waits += [Wait(WaitReason.BUDGET, number, root_id, until) for root_id, number, until in due.spent if number]
    ready = _ready(due, quiet_matters)
    if ready and not writers:
        waits.append(Wait(WaitReason.NO_WRITERS, ready))
    if due.quiet and quiet_matters:
        waits.append(Wait(WaitReason.QUIET_PERIOD, due.quiet, until=due.quiet_until))
    if due.retry:
        waits.append(Wait(WaitReason.RETRY_LATER, due.retry, until=due.retry_until))
    return waits
