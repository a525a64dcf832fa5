"""What the status bar says: one test a row of the table in server/DESIGN.md."""

from __future__ import annotations

import pytest
from indelible_server.domain.activity import Activity, Due, Wait, WaitReason, activity

IDLE, SYNCING, WAITING = Activity.IDLE, Activity.SYNCING, Activity.WAITING
NOTHING = Due()
READY = Due(ready=3)
QUIET = Due(quiet=2, quiet_until=100)
RETRY = Due(retry=4, retry_until=200)
OFFLINE = Due(offline=(("r1", 5), ("r2", 0)))
SHUT = Due(shut=3, shut_until=300, quiet=2, quiet_until=100)
SPENT = Due(spent=(("", 3, 400),))
SPENT_ROOT = Due(ready=3, spent=(("r1", 5, 400),))
ALL = Due(ready=3, quiet=2, quiet_until=100, retry=4, retry_until=200, offline=(("r1", 5),))

GONE = Wait(WaitReason.STORAGE_OFFLINE, 5, "r1")
EDITED = Wait(WaitReason.QUIET_PERIOD, 2, until=100)
AGAIN = Wait(WaitReason.RETRY_LATER, 4, until=200)
CLOSED = Wait(WaitReason.OUTSIDE_WINDOW, 3, until=300)
PAID_OUT = Wait(WaitReason.BUDGET, 3, until=400)
PAID_OUT_THERE = Wait(WaitReason.BUDGET, 5, "r1", until=400)


def no_writers(items: int) -> Wait:
    """Nobody is there to write so many items."""
    return Wait(WaitReason.NO_WRITERS, items)


@pytest.mark.parametrize("run_state", [None, "SUSPENDED"])
@pytest.mark.parametrize("due", [NOTHING, ALL])
@pytest.mark.parametrize("writers", [0, 1])
@pytest.mark.parametrize(("in_flight", "expected"), [(0, IDLE), (1, SYNCING)])
def test_paused_without_a_running_run(
    run_state: str | None, due: Due, writers: int, in_flight: int, expected: Activity
) -> None:
    """Nothing waits, as nothing is wanted; a writer still finishes the file that it has in hand."""
    assert activity(False, run_state, in_flight, due, writers) == (expected, [])


@pytest.mark.parametrize(
    ("due", "writers", "expected", "waits"),
    [
        pytest.param(NOTHING, 1, IDLE, [], id="nothing is due"),
        pytest.param(NOTHING, 0, IDLE, [], id="nothing is due, no writers"),
        pytest.param(READY, 1, SYNCING, [], id="ready"),
        pytest.param(READY, 0, WAITING, [no_writers(3)], id="ready, no writers"),
        pytest.param(QUIET, 1, WAITING, [EDITED], id="edited just now"),
        pytest.param(QUIET, 0, WAITING, [EDITED], id="edited just now, no writers"),
        pytest.param(RETRY, 1, WAITING, [AGAIN], id="failed, to be tried again"),
        pytest.param(OFFLINE, 1, WAITING, [GONE], id="on a root that is gone"),
        pytest.param(SHUT, 1, WAITING, [CLOSED, EDITED], id="outside the window"),
        pytest.param(SHUT, 0, WAITING, [CLOSED, EDITED], id="outside the window, no writers"),
        pytest.param(SPENT, 1, WAITING, [PAID_OUT], id="the budget is spent"),
        pytest.param(SPENT_ROOT, 1, SYNCING, [PAID_OUT_THERE], id="a root's budget is spent"),
        pytest.param(ALL, 1, SYNCING, [GONE, EDITED, AGAIN], id="everything"),
        pytest.param(ALL, 0, WAITING, [GONE, no_writers(3), EDITED, AGAIN], id="everything, no writers"),
    ],
)
@pytest.mark.parametrize("run_state", [None, "SUSPENDED"])
def test_on_without_a_running_run(
    run_state: str | None, due: Due, writers: int, expected: Activity, waits: list[Wait]
) -> None:
    assert activity(True, run_state, 0, due, writers) == (expected, waits)
    assert activity(True, run_state, 1, due, writers) == (SYNCING, waits)  # a lease is live


@pytest.mark.parametrize(
    ("due", "writers", "expected", "waits"),
    [
        pytest.param(NOTHING, 1, IDLE, [], id="nothing is due"),
        pytest.param(READY, 1, SYNCING, [], id="ready"),
        pytest.param(READY, 0, WAITING, [no_writers(3)], id="ready, no writers"),
        pytest.param(QUIET, 1, SYNCING, [], id="edited just now: a run does not wait for it"),
        pytest.param(QUIET, 0, WAITING, [no_writers(2)], id="edited just now, no writers"),
        pytest.param(RETRY, 1, WAITING, [AGAIN], id="failed, to be tried again"),
        pytest.param(OFFLINE, 1, WAITING, [GONE], id="on a root that is gone"),
        pytest.param(SHUT, 1, WAITING, [CLOSED], id="outside the window: not even what is its own"),
        pytest.param(SPENT, 1, WAITING, [PAID_OUT], id="the budget is spent"),
        pytest.param(SPENT_ROOT, 1, SYNCING, [PAID_OUT_THERE], id="a root's budget is spent"),
        pytest.param(ALL, 1, SYNCING, [GONE, AGAIN], id="everything"),
        pytest.param(ALL, 0, WAITING, [GONE, no_writers(5), AGAIN], id="everything, no writers"),
    ],
)
@pytest.mark.parametrize("auto_sync", [False, True])
def test_a_run_is_running(auto_sync: bool, due: Due, writers: int, expected: Activity, waits: list[Wait]) -> None:
    assert activity(auto_sync, "RUNNING", 0, due, writers) == (expected, waits)
    assert activity(auto_sync, "RUNNING", 1, due, writers) == (SYNCING, waits)  # a lease is live
