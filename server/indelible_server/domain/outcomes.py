"""What writers report, put on record: the only place where an item becomes synced, failed or conflicted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from ..files.merge import ConflictPolicy, merge
from ..files.plan import Identity
from ..files.tags import Tags, difference
from ..storage import catalogs, history, intents, items, leases, runs, writes
from ..storage.changeset import Changeset
from ..storage.intents import Intent, Settled
from ..storage.item import Item
from ..storage.leases import Claim
from ..storage.runs import Run
from ..storage.writes import Note
from . import item_state, policies, undo, undo_jobs
from .runs import TRIES_IN_A_RUN, finish_if_done, members_among


@dataclass(frozen=True)
class Verified:
    """The file was read back and holds these values; also when nothing had to be written.

    `taken_in` are fields whose value came from the file: field -> [ours when it was planned, the file's]. `replaced`
    are the file's values that the catalog's replaced in a conflict. `stale` are, per home, the fields that not all of
    its forms say alike: those that we have not written. `said` is what the item's files say as a whole, and `changes`
    what the write changed of that. `undoing` is the undo that it was, if it was one.
    """

    claim: Claim
    homes: dict[str, Tags]
    identity: Identity
    stale: dict[str, list[str]] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    taken_in: dict[str, list[Any]] = field(default_factory=dict)
    replaced: dict[str, list[Any]] = field(default_factory=dict)
    sidecar: bytes | None = None
    note: str = ""
    settled: tuple[Intent, ...] = ()
    bytes_written: int = 0
    method: str = "UNCHANGED"
    said: Tags = field(default_factory=dict)
    changes: dict[str, list[Any]] = field(default_factory=dict)
    undoing: undo.Undoing | None = None


@dataclass(frozen=True)
class Failed:
    """The file could not be written. Intents that are named neither here nor there are left to be settled."""

    claim: Claim
    reason: str
    message: str
    transient: bool
    not_carried_out: tuple[Intent, ...] = ()
    foreign: tuple[Intent, ...] = ()
    homes: dict[str, Tags] | None = None


@dataclass(frozen=True)
class Conflicted:
    """File and catalog changed the same fields, and the policy is HOLD: nothing was written.

    `found` is what the file holds. It goes on record all the same, with what others changed in other fields, so that
    what is decided is written over the value that people were shown and over no other.
    """

    found: Verified
    conflicts: list[dict[str, Any]]

    @property
    def claim(self) -> Claim:
        """The claim that it is about."""
        return self.found.claim


@dataclass(frozen=True)
class GivenBack:
    """Not written. `not_carried_out` are intents that never touched a file, `foreign` those that met other content.

    `homes` is what those have started from who wrote that content: the base of the next merge.
    """

    claim: Claim
    not_carried_out: tuple[Intent, ...] = ()
    foreign: tuple[Intent, ...] = ()
    homes: dict[str, Tags] | None = None


Outcome = Verified | Failed | Conflicted | GivenBack | undo.PassedOver


def acknowledge(tx: Connection, catalog_id: int, outcomes: Sequence[Outcome]) -> int:
    """Put outcomes of one catalog on record and end their leases; returns how many were accepted.

    One whose lease no longer stands is not accepted: its intent stays, and whoever claims the item next settles it.
    """
    # First, as it may be waited for: a lease that ends in that time is not valid.
    catalogs.lock(tx, catalog_id)
    valid = leases.valid(tx, [outcome.claim for outcome in outcomes])
    accepted = [outcome for outcome in outcomes if outcome.claim.token in valid]
    results = [outcome for outcome in accepted if _changes_item(tx, outcome)]
    counted = _record(tx, catalog_id, results) if results else {}
    _settle(tx, catalog_id, accepted, counted)
    _tally_undos(tx, catalog_id, accepted)
    # Of all: what was not accepted must be free for others too.
    leases.release(tx, [outcome.claim for outcome in outcomes])
    return len(accepted)


def _changes_item(tx: Connection, outcome: Outcome) -> bool:
    """Nothing changes for an item that is given back, unless its file may hold what nobody has verified."""
    if isinstance(outcome, undo.PassedOver):
        return False
    if isinstance(outcome, GivenBack):
        return bool(outcome.foreign)
    return not _is_failed_undo(tx, outcome)


def _is_failed_undo(tx: Connection, outcome: Outcome) -> bool:
    """Whether an undo failed and left its item's files as they were: that is the job's failure, not the item's."""
    if not isinstance(outcome, Failed) or outcome.claim.job_id is None or outcome.foreign:
        return False
    item = outcome.claim.item
    live = intents.of_items(tx, item.catalog_id, [item.item_id]).get(item.item_id, [])
    return all(intent in outcome.not_carried_out for intent in live)


def _record(tx: Connection, catalog_id: int, results: Sequence[Outcome]) -> dict[int, str]:
    """Change the items; returns which of them a run has counted, whoever had claimed them, with its id."""
    changeset = Changeset(tx, catalog_id)
    ids = sorted(result.claim.item.item_id for result in results)
    present = {item.item_id: item for item in items.get_many(tx, catalog_id, ids)}
    run = runs.active(tx, catalog_id)
    frozen = runs.frozen_among(tx, run, ids) if run is not None and run.selected else set()
    members = members_among(run, list(present.values()), frozen)
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    counted: dict[int, str] = {}
    for result in results:
        before = present.get(result.claim.item.item_id)
        if before is None:
            continue
        after, counted_as = _after(tx, changeset, before, result)
        if run is not None and before.item_id in members and counted_as and not _still_member(run, after, counted_as):
            after = replace(after, counted_run=run.run_id)
            counted[before.item_id] = run.run_id
            tally[counted_as] += 1
            if counted_as == "failed":
                reasons[str(after.failure)] += 1
            tally["bytes_written"] += result.bytes_written if isinstance(result, Verified) else 0
        changeset.update(before, after)
    changeset.save()
    if run is not None:
        run = runs.add(tx, run, reasons, **tally) if any(tally.values()) else run
        finish_if_done(tx, run)
    return counted


def _still_member(run: Run, after: Item, counted_as: str) -> bool:
    """Whether an edit that the run covers came in while an earlier one was being written."""
    return counted_as == "done" and after.unsynced_since is not None and after.unsynced_since <= run.start_revision


def _after(tx: Connection, changeset: Changeset, before: Item, result: Outcome) -> tuple[Item, str]:
    """The item after the result, and what a run counts it as: "" for not yet."""
    if isinstance(result, Failed | GivenBack) and result.foreign:
        homes = before.homes if result.homes is None else result.homes
        before = replace(item_state.unverified(before), homes=homes)
    if isinstance(result, GivenBack):
        return before, ""
    if isinstance(result, Conflicted):
        found = replace(_merged(tx, changeset, before, result.found), note=before.note)
        after = item_state.conflicted(found, result.conflicts, changeset.now)
        return after, "conflicted" if after.conflicts else ""
    if isinstance(result, Failed):
        after = item_state.failed(before, result.reason, result.message, transient=result.transient, now=changeset.now)
        tried_enough = not result.transient or after.attempts >= TRIES_IN_A_RUN
        return after, "failed" if tried_enough else ""
    assert isinstance(result, Verified)
    if result.undoing is not None:
        seen = _seen(before, result, changeset.now)
        return undo.restored(tx, changeset, before, seen, result.said, result.undoing), ""
    return _verified(tx, changeset, before, result), "done"


def _verified(tx: Connection, changeset: Changeset, before: Item, result: Verified) -> Item:
    written = result.claim.item
    is_edited = before.revision > written.revision
    key = (before.item_id, written.revision)
    edits = history.first_edit_after(tx, changeset.catalog_id, [key]) if is_edited else {}
    after = _merged(tx, changeset, before, result)
    return item_state.verified(
        after, written_revision=written.revision, next_edit=edits.get(before.item_id), now=changeset.now
    )


def _merged(tx: Connection, changeset: Changeset, before: Item, result: Verified) -> Item:
    """The item with what was found in its files, and with the tags that others had written into them."""
    tags = _taken_in(tx, before, result) if result.taken_in else before.tags
    came_in = {name: [before.tags.get(name), tags.get(name)] for name in sorted(difference(before.tags, tags))}
    notes = came_in | result.replaced
    if notes:
        changeset.note(before, notes, principal="writer", source="RESCAN", run_id=result.claim.run_id)
    # An entry of the history is an edit: the item's revision must not lie behind it.
    after = replace(_seen(before, result, changeset.now), tags=tags)
    return replace(after, revision=changeset.revision if notes else before.revision)


def _seen(before: Item, result: Verified, now: int) -> Item:
    """The item with what was found in its files."""
    return replace(
        before,
        homes=result.homes,
        stale=result.stale,
        dates=result.dates,
        size=result.identity.size,
        mtime_ns=result.identity.mtime_ns,
        inode=result.identity.inode,
        sidecar=result.sidecar,
        note=result.note,
        verified_at=now,
    )


def _taken_in(tx: Connection, before: Item, result: Verified) -> Tags:
    """The item's tags with what others had written into its file; an edit that came in meanwhile is merged with it."""
    base = {name: ours for name, (ours, _theirs) in result.taken_in.items() if ours is not None}
    theirs = {name: value for name, (_ours, value) in result.taken_in.items() if value is not None}
    mine = {name: before.tags[name] for name in result.taken_in if name in before.tags}
    others = {name: value for name, value in before.tags.items() if name not in result.taken_in}
    catalog = catalogs.get(tx, before.catalog_id)
    assert catalog is not None
    policy = policies.engine_policy(catalog).conflicts
    # The file is written: under HOLD there is nothing left to hold back, and the later word is the person's.
    return (
        others
        | merge(base, mine, theirs, ConflictPolicy.CATALOG_WINS if policy is ConflictPolicy.HOLD else policy).tags
    )


def _settle(tx: Connection, catalog_id: int, accepted: Sequence[Outcome], counted: Mapping[int, str]) -> None:
    settled: list[Settled] = []
    dropped: list[str] = []
    for outcome in accepted:
        if isinstance(outcome, Verified):
            run_id = counted.get(outcome.claim.item.item_id) or outcome.claim.run_id
            note = _note(tx, outcome, run_id)
            settled.append(Settled(outcome.settled, writes.VERIFIED, outcome.bytes_written, note))
        elif isinstance(outcome, Failed | GivenBack):
            dropped += [intent.intent_id for intent in outcome.not_carried_out]
            if outcome.foreign:
                first = outcome.foreign[0]
                note = Note(first.revision, json.loads(first.expected).get("method", "REPLACE"), run_id=first.run_id)
                settled.append(Settled(outcome.foreign, writes.FOREIGN, 0, note))
    intents.settle(tx, catalog_id, settled)
    if dropped:
        intents.drop(tx, dropped)


def _note(tx: Connection, outcome: Verified, run_id: str | None) -> Note:
    undoing = outcome.undoing
    if undoing is None:
        return Note(outcome.claim.item.revision, outcome.method, outcome.changes, run_id)
    return Note(
        revision=catalogs.counts(tx, outcome.claim.item.catalog_id).revision,
        method=outcome.method,
        changes=outcome.changes,
        undo_of=undoing.write_id,
        principal=undoing.principal,
        on_behalf_of=undoing.on_behalf_of,
    )


def _tally_undos(tx: Connection, catalog_id: int, accepted: Sequence[Outcome]) -> None:
    about = [outcome for outcome in accepted if _is_about_undo(outcome)]
    if not about:
        return
    tally = undo_jobs.Tally(tx, catalog_id, [outcome.claim.item.item_id for outcome in about])
    for outcome in about:
        item = outcome.claim.item
        if isinstance(outcome, Verified) and outcome.undoing is not None:
            tally.restored(item.item_id, outcome.undoing)
        elif isinstance(outcome, undo.PassedOver):
            tally.passed_over(item.item_id, outcome.counted_as)
        elif isinstance(outcome, Failed):
            tally.failed(item.item_id, item.path, outcome.reason, outcome.message, transient=outcome.transient)
    tally.save()


def _is_about_undo(outcome: Outcome) -> bool:
    if isinstance(outcome, Failed):
        # A file that ends or holds up its writer does so in an undo too.
        return outcome.claim.job_id is not None or outcome.reason in ("CRASHED", "TIMEOUT")
    return isinstance(outcome, undo.PassedOver) or (isinstance(outcome, Verified) and outcome.undoing is not None)
