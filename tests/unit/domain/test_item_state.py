"""How an item's state changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indelible_server.domain import item_state
from indelible_server.storage.item import Item, ItemState

SYNCED, PENDING, FAILED, CONFLICTED, HELD = ItemState
TAGS = {"title": "new"}
NOW = 1_000_000
HOLD = {"reason": "CHECKED_OUT"}


def item(state: ItemState = SYNCED, **values: Any) -> Item:
    """An item in a state, with what goes with it."""
    by_state: dict[ItemState, dict[str, Any]] = {
        SYNCED: {},
        PENDING: {"due_at": 50},
        FAILED: {"failure": "LOCKED", "failure_message": "why", "attempts": 2, "due_at": 60},
        CONFLICTED: {"conflicts": [conflict("title")]},
        HELD: {"hold": HOLD},
    }
    unsynced: dict[str, Any] = {} if state is SYNCED else {"unsynced_since": 4, "revision": 5, "synced_revision": 3}
    plain = Item(1, 1, "r", b"a.jpg", "a.jpg", "JPEG", 1, 1, 1, None, None, {}, {"embedded": {}})
    return replace(plain, state=state, **unsynced | by_state[state] | values)


def conflict(field: str, theirs: Any = "theirs") -> dict[str, Any]:
    """A field that the file says otherwise."""
    return {"field": field, "base": None, "theirs": theirs}


def edited(before: Item, *, to_write: bool = True) -> Item:
    """The item after an edit at revision 9."""
    return item_state.edited(before, TAGS, revision=9, due_at=NOW, to_write=to_write)


def assert_synced(after: Item) -> None:
    """Nothing of another state is left; only what a person holds stays held."""
    assert (after.state, after.unsynced_since, after.due_at, after.unsynced) == (SYNCED, None, None, False)
    assert (after.failure, after.failure_message, after.attempts) == (None, "", 0)
    assert after.conflicts == []
    assert after.hold in (None, HOLD)
    assert after.synced_revision == after.revision


def test_an_edit_of_a_synced_item_makes_it_pending_since_that_edit() -> None:
    after = edited(item())
    assert (after.state, after.unsynced_since, after.due_at) == (PENDING, 9, NOW)
    assert (after.tags, after.revision, after.synced_revision) == (TAGS, 9, 0)


def test_an_edit_of_a_pending_item_puts_off_its_write_but_not_its_oldest_edit() -> None:
    after = edited(item(PENDING))
    assert (after.state, after.unsynced_since, after.due_at) == (PENDING, 4, NOW)


@pytest.mark.parametrize("state", [FAILED, CONFLICTED, HELD])
def test_an_edit_of_an_item_that_waits_leaves_it_waiting(state: ItemState) -> None:
    before = item(state)
    after = edited(before)
    assert after == replace(before, tags=TAGS, revision=9)


def test_a_conflict_is_over_when_an_edit_says_what_the_file_says() -> None:
    before = item(CONFLICTED, conflicts=[conflict("title", "new"), conflict("label", "Red")])
    after = edited(before)
    assert (after.state, after.conflicts) == (CONFLICTED, [conflict("label", "Red")])
    after = edited(item(CONFLICTED, conflicts=[conflict("title", "new")]))
    assert (after.state, after.conflicts, after.due_at) == (PENDING, [], NOW)


def test_a_hold_of_a_read_only_root_ends_with_what_there_was_to_write_and_a_persons_does_not() -> None:
    by_server = {"reason": item_state.READ_ONLY_ROOT}
    assert edited(item(HELD, hold=by_server), to_write=False).hold is None
    assert edited(item(HELD), to_write=False).hold == HOLD


@pytest.mark.parametrize("state", ItemState)
def test_an_edit_that_leaves_nothing_to_write_leaves_the_item_synced(state: ItemState) -> None:
    after = edited(item(state), to_write=False)
    assert_synced(after)
    assert (after.tags, after.revision) == (TAGS, 9)


@pytest.mark.parametrize("state", [PENDING, FAILED, CONFLICTED, HELD])
def test_a_verified_write_of_the_last_edit_makes_any_item_synced(state: ItemState) -> None:
    assert_synced(item_state.verified(item(state), written_revision=5, next_edit=None, now=NOW))


@pytest.mark.parametrize("state", [PENDING, FAILED, CONFLICTED])
def test_a_verified_write_leaves_an_item_with_a_later_edit_pending_since_that_edit(state: ItemState) -> None:
    before = item(state, revision=8)
    after = item_state.verified(before, written_revision=5, next_edit=7, now=NOW)
    assert (after.state, after.unsynced_since, after.synced_revision) == (PENDING, 7, 5)
    assert after.due_at == (before.due_at or NOW)
    assert (after.failure, after.attempts, after.conflicts) == (None, 0, [])


def test_a_held_item_with_a_later_edit_stays_held_for_its_reason() -> None:
    after = item_state.verified(item(HELD), written_revision=4, next_edit=5, now=NOW)
    assert (after.state, after.unsynced_since, after.due_at) == (HELD, 5, None)
    assert after.hold == HOLD


def test_an_edit_of_a_synced_item_that_is_held_waits_for_its_release() -> None:
    before = item_state.held(item(), HOLD)
    assert before.state is SYNCED
    after = edited(before)
    assert (after.state, after.due_at, after.unsynced_since) == (HELD, None, 9)


def test_a_transient_failure_is_due_again_after_its_delay() -> None:
    after = item_state.failed(item(PENDING), "LOCKED", "why", transient=True, now=NOW)
    assert (after.state, after.failure, after.failure_message, after.attempts) == (FAILED, "LOCKED", "why", 1)
    assert after.due_at is not None
    assert NOW + 4_000 <= after.due_at <= NOW + 6_000
    assert after.unsynced_since == 4


def test_a_permanent_failure_is_not_due_by_itself() -> None:
    after = item_state.failed(item(PENDING), "CORRUPT", "why", transient=False, now=NOW)
    assert (after.state, after.due_at) == (FAILED, None)
    assert after.unsynced


@pytest.mark.parametrize("transient", [False, True])
def test_a_held_item_that_fails_stays_held(transient: bool) -> None:
    after = item_state.failed(item(HELD), "LOCKED", "why", transient=transient, now=NOW)
    assert (after.state, after.due_at) == (HELD, None)


def test_a_conflict_waits_for_a_person() -> None:
    after = item_state.conflicted(item(FAILED), [conflict("label")], NOW)
    assert (after.state, after.due_at, after.conflicts) == (CONFLICTED, None, [conflict("label")])
    assert after.failure is None
    assert item_state.conflicted(item(HELD), [conflict("label")], NOW).state is CONFLICTED


def test_a_conflict_that_an_edit_ended_meanwhile_leaves_the_item_due() -> None:
    after = item_state.conflicted(item(PENDING, tags={"label": "theirs"}), [conflict("label")], NOW)
    assert (after.state, after.due_at, after.conflicts) == (PENDING, NOW, [])


def test_an_item_is_due_when_its_last_conflict_is_decided() -> None:
    before = item(CONFLICTED, conflicts=[conflict("title"), conflict("label")])
    after = item_state.resolved(before, ["title"], revision=9, now=NOW)
    assert (after.state, after.due_at, after.conflicts, after.revision) == (CONFLICTED, None, [conflict("label")], 9)
    after = item_state.resolved(after, ["label"], revision=10, now=NOW)
    assert (after.state, after.due_at, after.conflicts, after.unsynced_since) == (PENDING, NOW, [], 4)


@pytest.mark.parametrize("state", [PENDING, FAILED])
def test_a_held_item_is_not_due_and_says_why(state: ItemState) -> None:
    after = item_state.held(item(state), HOLD)
    assert (after.state, after.due_at, after.hold) == (HELD, None, HOLD)
    assert after.unsynced


def test_a_released_item_is_due_at_once_with_a_clean_slate() -> None:
    after = item_state.released(item_state.held(item(FAILED), HOLD), NOW)
    assert (after.state, after.due_at, after.hold, after.failure, after.attempts) == (PENDING, NOW, None, None, 0)
    synced = item_state.released(item_state.held(item(), HOLD), NOW)
    assert (synced.state, synced.due_at, synced.hold) == (SYNCED, None, None)


def test_a_conflict_outlives_a_hold_and_its_release() -> None:
    held = item_state.held(item(CONFLICTED), HOLD)
    assert (held.state, held.hold) == (CONFLICTED, HOLD)
    assert item_state.resolved(held, ["title"], revision=9, now=NOW).state is HELD
    assert item_state.released(held, NOW).state is CONFLICTED


def test_a_retried_item_is_due_at_once_with_a_clean_slate() -> None:
    after = item_state.retried(item(FAILED), NOW)
    assert (after.state, after.due_at, after.failure, after.failure_message, after.attempts) == (
        PENDING,
        NOW,
        None,
        "",
        0,
    )


@given(st.integers(1, 10_000))
def test_the_delay_grows_and_never_beyond_its_bound(attempts: int) -> None:
    delay = item_state.retry_delay(attempts)
    assert item_state.RETRY_FIRST_MS * 0.8 <= delay <= item_state.RETRY_LAST_MS * 1.2
    if attempts < 7:
        assert 0.8 <= delay / (item_state.RETRY_FIRST_MS * 2 ** (attempts - 1)) <= 1.2


def test_items_that_failed_together_are_not_tried_together() -> None:
    """A share that comes back is not stormed."""
    delays = [item_state.retry_delay(3) for _ in range(200)]
    assert len(set(delays)) > 100
    assert max(delays) - min(delays) > 0.2 * item_state.RETRY_FIRST_MS * 4


@given(st.integers(1, 6))
def test_each_delay_is_longer_than_the_one_before(attempts: int) -> None:
    """Whatever the spread is."""
    assert item_state.retry_delay(attempts) < item_state.retry_delay(attempts + 1)


STEPS = ["edit", "edit back", "verify", "fail", "give up", "conflict", "resolve", "hold", "release", "retry"]


@given(st.lists(st.sampled_from(STEPS)))
def test_an_item_is_synced_exactly_while_it_has_no_unverified_edit(steps: list[str]) -> None:
    present, revision = item(), 10
    for step in steps:
        revision += 1
        present = _after(present, step, revision)
        assert (present.state is SYNCED) == (present.unsynced_since is None)
        assert present.state is SYNCED or present.unsynced_since <= present.revision
        assert (present.state is PENDING) <= (present.due_at is not None)
        assert present.due_at is None or present.state in (PENDING, FAILED)
        assert (present.state is CONFLICTED) == bool(present.conflicts)
        assert (present.hold is not None) >= (present.state is HELD)
        assert present.hold is None or present.state in (SYNCED, CONFLICTED, HELD)


def _after(present: Item, step: str, revision: int) -> Item:
    if step.startswith("edit"):
        return item_state.edited(present, TAGS, revision=revision, due_at=NOW, to_write=step == "edit")
    if step == "hold":
        return item_state.held(present, HOLD)
    if step == "release":
        return item_state.released(present, NOW)
    if present.state is SYNCED:
        return present
    if step == "verify":
        next_edit = present.revision if revision % 2 else None
        return item_state.verified(present, written_revision=1, next_edit=next_edit, now=NOW)
    if step in ("fail", "give up"):
        return item_state.failed(present, "LOCKED", "", transient=step == "fail", now=NOW)
    if step == "conflict":
        return item_state.conflicted(present, [conflict("title")], NOW)
    if step == "resolve":
        return item_state.resolved(present, ["title"], revision=revision, now=NOW) if present.conflicts else present
    return item_state.retried(present, NOW) if present.state is FAILED else present
