"""How an item's state changes: by an edit, a verified write, a failure. Pure rules; DESIGN.md has the picture."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from ..files.tags import Tags
from ..storage.item import Item, ItemState

RETRY_FIRST_MS = 5_000
RETRY_LAST_MS = 15 * 60_000


def edited(item: Item, tags: Tags, *, revision: int, due_at: int, to_write: bool) -> Item:
    """The item after a tag edit. `to_write` False: every home holds these values already, so it is synced.

    An item that waits for a person (failed for good, conflicted, held) goes on waiting.
    """
    if not to_write:
        return synced(replace(item, tags=tags, revision=revision))
    state = ItemState.PENDING if item.state is ItemState.SYNCED else item.state
    return replace(
        item,
        tags=tags,
        revision=revision,
        state=state,
        unsynced_since=revision if item.unsynced_since is None else item.unsynced_since,
        due_at=due_at if state is ItemState.PENDING else item.due_at,
    )


def synced(item: Item) -> Item:
    """The item when nothing is left to write."""
    return replace(
        item,
        synced_revision=item.revision,
        unsynced_since=None,
        state=ItemState.SYNCED,
        due_at=None,
        failure=None,
        failure_message="",
        attempts=0,
        conflicts=[],
        hold=None,
    )


def verified(item: Item, *, written_revision: int, next_edit: int | None, now: int) -> Item:
    """The item after `written_revision` was verified in its homes; `next_edit` came after it and is not written."""
    if next_edit is None:
        return synced(item)
    pending = replace(synced(item), synced_revision=written_revision, unsynced_since=next_edit)
    if item.state is ItemState.HELD:
        return replace(pending, state=ItemState.HELD, hold=item.hold)
    return replace(pending, state=ItemState.PENDING, due_at=item.due_at or now)


def failed(item: Item, reason: str, message: str, *, transient: bool, now: int) -> Item:
    """The item after a write that failed: tried again after a growing delay, or waiting for a person."""
    attempts = item.attempts + 1
    return replace(
        item,
        # An undo that broke off leaves a synchronized item with a file that nobody has verified.
        unsynced_since=item.revision if item.unsynced_since is None else item.unsynced_since,
        state=item.state if item.state is ItemState.HELD else ItemState.FAILED,
        failure=reason,
        failure_message=message,
        attempts=attempts,
        due_at=now + retry_delay(attempts) if transient and item.state is not ItemState.HELD else None,
    )


def conflicted(item: Item, conflicts: list[dict[str, Any]]) -> Item:
    """The item when file and catalog disagree and the policy is HOLD."""
    state = item.state if item.state is ItemState.HELD else ItemState.CONFLICTED
    return replace(item, state=state, conflicts=conflicts, due_at=None)


def unverified(item: Item) -> Item:
    """The item when its file may hold something else than was last verified: no edit makes it synced by itself."""
    return replace(item, verified_at=None)


def held(item: Item, reason: str) -> Item:
    """An unsynced item that must not be written until someone or something releases it."""
    return replace(item, state=ItemState.HELD, hold={"reason": reason}, due_at=None)


def retried(item: Item, now: int) -> Item:
    """A failed item that someone asked to be tried again."""
    return replace(item, state=ItemState.PENDING, failure=None, failure_message="", attempts=0, due_at=now)


def retry_delay(attempts: int) -> int:
    """Milliseconds until the next try: doubling, bounded, spread by a fifth so that a share is not stormed."""
    delay = min(RETRY_FIRST_MS * 2 ** min(attempts - 1, 20), RETRY_LAST_MS)
    return int(delay * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, guards nothing
