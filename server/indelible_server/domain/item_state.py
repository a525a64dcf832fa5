"""How an item's state changes: by an edit, a verified write, a failure. Pure rules; DESIGN.md has the picture."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..files.tags import Tags, same
from ..storage.item import Item, ItemState

READ_ONLY_ROOT = "READ_ONLY_ROOT"
"""The reason of a hold that the server itself sets and lifts."""
RETRY_FIRST_MS = 5_000
RETRY_LAST_MS = 15 * 60_000


def edited(item: Item, tags: Tags, *, revision: int, due_at: int, to_write: bool) -> Item:
    """The item after a tag edit. `to_write` False: every home holds these values already, so it is synced.

    An item that waits for a person (failed for good, conflicted, held) goes on waiting; a conflict is over when both
    sides say the same.
    """
    after = replace(item, tags=tags, revision=revision)
    if not to_write:
        return synced(after)
    since = revision if item.unsynced_since is None else item.unsynced_since
    return unsynced(replace(after, unsynced_since=since), item.due_at if item.failure else due_at)


def unsynced(item: Item, due_at: int | None) -> Item:
    """The item with something left to write: in the state that keeps it from being written, if there is one, else due.

    A conflict in which both sides have come to say the same is none any more.
    """
    conflicts = [
        each for each in item.conflicts if not same(each["field"], item.tags.get(each["field"]), each["theirs"])
    ]
    item = replace(item, conflicts=conflicts)
    if conflicts:
        return replace(item, state=ItemState.CONFLICTED, due_at=None)
    if item.hold is not None:
        return replace(item, state=ItemState.HELD, due_at=None)
    state = ItemState.PENDING if item.failure is None else ItemState.FAILED
    return replace(item, state=state, due_at=due_at)


def synced(item: Item) -> Item:
    """The item when nothing is left to write. What a person holds stays held, for the next edit."""
    lifted = item.hold is not None and item.hold["reason"] == READ_ONLY_ROOT
    return replace(
        _without_failure(item),
        synced_revision=item.revision,
        unsynced_since=None,
        state=ItemState.SYNCED,
        due_at=None,
        conflicts=[],
        hold=None if lifted else item.hold,
    )


def verified(item: Item, *, written_revision: int, next_edit: int | None, now: int) -> Item:
    """The item after `written_revision` was verified in its homes; `next_edit` came after it and is not written."""
    if next_edit is None:
        return synced(item)
    later = replace(synced(item), synced_revision=written_revision, unsynced_since=next_edit, hold=item.hold)
    return unsynced(later, item.due_at or now)


def failed(item: Item, reason: str, message: str, *, transient: bool, now: int) -> Item:
    """The item after a write that failed: tried again after a growing delay, or waiting for a person."""
    attempts = item.attempts + 1
    # An undo that broke off leaves a synchronized item with a file that nobody has verified.
    since = item.revision if item.unsynced_since is None else item.unsynced_since
    after = replace(item, unsynced_since=since, failure=reason, failure_message=message, attempts=attempts)
    return unsynced(after, now + retry_delay(attempts) if transient else None)


def conflicted(item: Item, conflicts: list[dict[str, Any]], now: int) -> Item:
    """The item when file and catalog disagree and the policy is HOLD; an edit may have ended that meanwhile."""
    return unsynced(replace(_without_failure(item), conflicts=conflicts), now)


def resolved(item: Item, fields: Collection[str], *, revision: int, now: int) -> Item:
    """The item after its conflicts in these fields were decided for the catalog: due when none is left."""
    left = [conflict for conflict in item.conflicts if conflict["field"] not in fields]
    return unsynced(replace(_without_failure(item), conflicts=left, revision=revision), now)


def unverified(item: Item) -> Item:
    """The item when its file may hold something else than was last verified: no edit makes it synced by itself."""
    return replace(item, verified_at=None)


def held(item: Item, hold: dict[str, Any]) -> Item:
    """The item that must not be written until someone or something releases it, synced as it may be now."""
    after = replace(item, hold=hold)
    return unsynced(after, None) if item.unsynced else after


def released(item: Item, now: int) -> Item:
    """The item that nothing holds any more: due at once, as if it had never failed."""
    after = replace(_without_failure(item), hold=None)
    return unsynced(after, now) if item.unsynced else after


def retried(item: Item, now: int) -> Item:
    """A failed item that someone asked to be tried again."""
    return unsynced(_without_failure(item), now)


def retry_delay(attempts: int) -> int:
    """Milliseconds until the next try: doubling, bounded, spread by a fifth so that a share is not stormed."""
    delay = min(RETRY_FIRST_MS * 2 ** min(attempts - 1, 20), RETRY_LAST_MS)
    return int(delay * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, guards nothing


def _without_failure(item: Item) -> Item:
    return replace(item, failure=None, failure_message="", attempts=0)
