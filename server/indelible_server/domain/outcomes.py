"""What writers report, put on record: the only place where an item becomes synced, failed or conflicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from ..files.plan import Identity
from ..files.tags import Tags
from ..storage import catalogs, history, intents, items, leases, runs
from ..storage.changeset import Changeset
from ..storage.intents import Intent
from ..storage.item import Item
from ..storage.leases import Claim
from ..storage.runs import Run
from . import item_state
from .runs import TRIES_IN_A_RUN, finish_if_done, members_among


@dataclass(frozen=True)
class Verified:
    """The file was read back and holds these values; also when nothing had to be written.

    `taken_in` are fields whose value came from the file (field -> [ours, file's]), `replaced` the file's values that
    the catalog's replaced in a conflict.
    """

    claim: Claim
    homes: dict[str, Tags]
    tags: Tags
    identity: Identity
    taken_in: dict[str, list[Any]] = field(default_factory=dict)
    replaced: dict[str, list[Any]] = field(default_factory=dict)
    sidecar: bytes | None = None
    note: str = ""
    settled: tuple[Intent, ...] = ()
    bytes_written: int = 0


@dataclass(frozen=True)
class Failed:
    """The file could not be written. Intents that are named neither here nor there are left to be settled."""

    claim: Claim
    reason: str
    message: str
    transient: bool
    not_carried_out: tuple[Intent, ...] = ()
    foreign: tuple[Intent, ...] = ()


@dataclass(frozen=True)
class Conflicted:
    """File and catalog changed the same fields, and the policy is HOLD."""

    claim: Claim
    conflicts: list[dict[str, Any]]


@dataclass(frozen=True)
class GivenBack:
    """Not written. `not_carried_out` are intents that never touched a file, `foreign` those that met other content."""

    claim: Claim
    not_carried_out: tuple[Intent, ...] = ()
    foreign: tuple[Intent, ...] = ()


Outcome = Verified | Failed | Conflicted | GivenBack


def acknowledge(tx: Connection, catalog_id: int, outcomes: Sequence[Outcome]) -> int:
    """Put outcomes of one catalog on record and end their leases; returns how many were accepted.

    One whose lease no longer stands is not accepted: its intent stays, and whoever claims the item next settles it.
    """
    # First, as it may be waited for: a lease that ends in that time is not valid.
    catalogs.lock(tx, catalog_id)
    valid = leases.valid(tx, [outcome.claim for outcome in outcomes])
    accepted = [outcome for outcome in outcomes if outcome.claim.token in valid]
    results = [outcome for outcome in accepted if not isinstance(outcome, GivenBack)]
    if results:
        _record(tx, catalog_id, results)
    for outcome in accepted:
        _settle(tx, outcome)
    leases.release(tx, [outcome.claim for outcome in accepted])
    return len(accepted)


def _record(tx: Connection, catalog_id: int, results: Sequence[Verified | Failed | Conflicted]) -> None:
    changeset = Changeset(tx, catalog_id)
    ids = sorted(result.claim.item.item_id for result in results)
    present = {item.item_id: item for item in items.get_many(tx, catalog_id, ids)}
    run = runs.active(tx, catalog_id)
    frozen = runs.frozen_among(tx, run, ids) if run is not None and run.selected else set()
    members = members_among(run, list(present.values()), frozen)
    tally: Counter[str] = Counter()
    for result in results:
        before = present.get(result.claim.item.item_id)
        if before is None:
            continue
        after, counted_as = _after(tx, changeset, before, result)
        if run is not None and before.item_id in members and counted_as:
            after = replace(after, counted_run=run.run_id)
            tally[counted_as] += 1
            tally["bytes_written"] += result.bytes_written if isinstance(result, Verified) else 0
        changeset.update(before, after)
    changeset.save()
    if run is not None:
        _count(tx, run, tally)


def _after(
    tx: Connection, changeset: Changeset, before: Item, result: Verified | Failed | Conflicted
) -> tuple[Item, str]:
    """The item after the result, and what a run counts it as: "" for not yet."""
    if isinstance(result, Conflicted):
        return item_state.conflicted(before, result.conflicts), "conflicted"
    if isinstance(result, Failed):
        after = item_state.failed(before, result.reason, result.message, transient=result.transient, now=changeset.now)
        tried_enough = not result.transient or after.attempts >= TRIES_IN_A_RUN
        return after, "failed" if tried_enough else ""
    return _verified(tx, changeset, before, result), "done"


def _verified(tx: Connection, changeset: Changeset, before: Item, result: Verified) -> Item:
    written = result.claim.item
    edits = history.first_edit_after(tx, changeset.catalog_id, [(before.item_id, written.revision)])
    # What the file brought in stands, unless an edit has come in between: then that edit is merged next time.
    taken_in = {name: change for name, change in result.taken_in.items() if before.tags.get(name) == change[0]}
    tags = {name: value for name, value in before.tags.items() if name not in taken_in}
    tags |= {name: result.tags[name] for name in taken_in if name in result.tags}
    notes = taken_in | result.replaced
    if notes:
        changeset.note(before, notes, principal="writer", source="RESCAN", run_id=result.claim.run_id)
    after = replace(
        before,
        # An entry of the history is an edit: the item's revision must not lie behind it.
        revision=changeset.revision if notes else before.revision,
        tags=tags,
        homes=result.homes,
        size=result.identity.size,
        mtime_ns=result.identity.mtime_ns,
        inode=result.identity.inode,
        sidecar=result.sidecar,
        note=result.note,
        verified_at=changeset.now,
        failure=None,
        failure_message="",
        attempts=0,
    )
    return item_state.verified(
        after, written_revision=written.revision, next_edit=edits.get(before.item_id), now=changeset.now
    )


def _count(tx: Connection, run: Run, tally: Counter[str]) -> None:
    if any(tally.values()):
        run = runs.add(tx, run, **tally)
    finish_if_done(tx, run)


def _settle(tx: Connection, outcome: Outcome) -> None:
    if isinstance(outcome, Verified):
        intents.settle(tx, outcome.settled, intents.VERIFIED, outcome.bytes_written)
    elif isinstance(outcome, Failed | GivenBack):
        intents.drop(tx, [intent.intent_id for intent in outcome.not_carried_out])
        intents.settle(tx, outcome.foreign, intents.FOREIGN, 0)
