"""Undo: which write is taken back, and what is true of its item afterwards (I10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from ..files.tags import Tags, difference, same
from ..storage import catalogs, history, writes
from ..storage.changeset import Changeset
from ..storage.item import Item, ItemState
from ..storage.jobs import Job
from ..storage.leases import Claim
from ..storage.undos import Undo
from ..storage.writes import Write
from . import item_state, policies


@dataclass(frozen=True)
class Undoing:
    """The undo of a write, as it is stored with the intent.

    `fields` are those that the write has written, `changed` those of them that said something else before, and
    `left_alone` those that someone else has changed since. `asked_at` is the catalog's revision when it was asked for.
    """

    job_id: str
    write_id: str
    principal: str
    on_behalf_of: str
    asked_at: int
    fields: list[str]
    changed: list[str]
    left_alone: list[str]

    @classmethod
    def of(cls, job: Job, write: Write, left_alone: Sequence[str] = ()) -> Undoing:
        """The undo of a write that a job wants."""
        changed = [name for name, (old, new) in write.changes.items() if not same(name, old, new)]
        return cls(
            job_id=job.job_id,
            write_id=write.write_id,
            principal=job.principal,
            on_behalf_of=job.on_behalf_of,
            asked_at=job.arguments["asked_at"],
            fields=sorted(write.changes),
            changed=sorted(changed),
            left_alone=sorted(left_alone),
        )


@dataclass(frozen=True)
class PassedOver:
    """A wanted undo for which no file has to be touched. `counted_as` is "" where there is nothing to take back."""

    claim: Claim
    counted_as: str = ""


@dataclass(frozen=True)
class Wanted:
    """A write that is to be taken back, with its plans. `is_last`: no later one of ours is in effect."""

    job: Job
    write: Write
    plans: Sequence[bytes]
    is_last: bool


def wanted(tx: Connection, job: Job, undo: Undo) -> Wanted | None:
    """The write that a job wants to be taken back of an item; None if there is none."""
    found = writes.of_items(tx, job.catalog_id, [undo.item_id])[undo.item_id]
    effective = in_effect(found)
    write = next((each for each in _below(found, undo) if each in effective and _is_meant(each, job)), None)
    if write is None:
        return None
    plans = writes.plans(tx, job.catalog_id, undo.item_id, write.write_id)
    newer = effective[: effective.index(write)]
    return Wanted(job, write, plans, is_last=all(each.undo_of is not None for each in newer))


def in_effect(found: Sequence[Write]) -> list[Write]:
    """Those writes of an item, given the newest first, that were carried out and not taken back since."""
    taken_back: set[str] = set()
    effective = []
    for write in found:
        if write.outcome != writes.VERIFIED or write.write_id in taken_back:
            continue
        effective.append(write)
        if write.undo_of is not None:
            taken_back.add(write.undo_of)
    return effective


def restored(tx: Connection, changeset: Changeset, before: Item, seen: Item, said: Tags, undoing: Undoing) -> Item:
    """The item after an undo: the catalog's tags of the changed fields are what its files say now (I10).

    `seen` is the item with its homes as they were read back, `said` what the item's files say. An edit that came
    after the undo was asked for stands, and waits to be written. Other fields stay as they are in the catalog, and what
    others have written there in the files stays to be found by the next write or rescan.
    """
    kept = history.fields_since(tx, changeset.catalog_id, before.item_id, undoing.asked_at)
    settled = [name for name in undoing.changed if name not in kept]
    tags = _with(before.tags, said, settled)
    differing = difference(before.tags, tags)
    if differing:
        notes = {name: [before.tags.get(name), tags.get(name)] for name in sorted(differing)}
        changeset.note(
            before, notes, principal=undoing.principal, on_behalf_of=undoing.on_behalf_of, source=history.UNDO
        )
    after = replace(seen, tags=tags, revision=changeset.revision if differing else before.revision)
    after = _with_what_we_know(before, after, undoing.fields)
    if (before.unsynced or kept & set(undoing.changed)) and _to_write(tx, after, settled):
        return _pending(before, after, changeset, undoing.fields)
    return item_state.synced(after)


def _below(found: Sequence[Write], undo: Undo) -> Sequence[Write]:
    ids = [write.write_id for write in found]
    return found[ids.index(undo.below) + 1 :] if undo.below in ids else found


def _is_meant(write: Write, job: Job) -> bool:
    if job.arguments.get("write_id"):
        return bool(write.write_id == job.arguments["write_id"])
    if write.undo_of is not None:
        return False
    if job.arguments.get("run_id"):
        return bool(write.run_id == job.arguments["run_id"])
    return write.at <= job.created_at


def _with(tags: Tags, others: Mapping[str, Any], names: Sequence[str]) -> Tags:
    """The tags with the others' values of these fields."""
    rest = {name: value for name, value in tags.items() if name not in names}
    return rest | {name: others[name] for name in names if name in others}


def _with_what_we_know(before: Item, after: Item, fields: Sequence[str]) -> Item:
    """The homes as they were read back in these fields, and in the others as we knew them.

    Where a file says something else there, its identity stays the old one too, so that a rescan looks into it.
    """
    homes = {
        home: _with(before.homes[home], said, fields) if home in before.homes else said
        for home, said in after.homes.items()
    }
    if not any(difference(homes[home], said) for home, said in after.homes.items()):
        return after
    old = replace(after, homes=homes, size=before.size, mtime_ns=before.mtime_ns, inode=before.inode)
    return item_state.unverified(old)


def _to_write(tx: Connection, after: Item, settled: Sequence[str]) -> bool:
    """Whether an edit of another field is left to be written."""
    catalog = catalogs.get(tx, after.catalog_id)
    assert catalog is not None
    others = replace(after, homes={home: _with(said, {}, settled) for home, said in after.homes.items()})
    return policies.to_write(policies.engine_policy(catalog), others, _with(after.tags, {}, settled))


def _pending(before: Item, after: Item, changeset: Changeset, fields: Sequence[str]) -> Item:
    since = changeset.revision if before.unsynced_since is None else before.unsynced_since
    is_due = before.due_at is None and before.state in (ItemState.SYNCED, ItemState.CONFLICTED)
    # An undo decides the fields that it gives back; a conflict in others still waits for a person.
    left = [conflict for conflict in after.conflicts if conflict["field"] not in fields]
    after = replace(after, unsynced_since=since, conflicts=left)
    return item_state.unsynced(after, changeset.now if is_due else before.due_at)
