"""What a rescan finds in files, put on record: outside edits come in, and what people want of the files stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from ..files.merge import Conflict, ConflictPolicy, Merged
from ..files.plan import Home
from ..files.planning import merge_found
from ..files.policy import Policy
from ..files.reading import Reading
from ..storage import items, undos
from ..storage.catalogs import Catalog
from ..storage.changeset import Changeset
from ..storage.item import Item
from ..storage.jobs import Job
from ..storage.writes import Write
from . import item_state, old_copies, policies

CHANGED, UNCHANGED, CONFLICTED, FOUND, MISSING = (
    "changed_items",
    "unchanged_items",
    "conflicted_items",
    "found_items",
    "missing_items",
)


@dataclass(frozen=True)
class Found:
    """An item as it was known when its files were read, what they hold, and the merge of both.

    `old_copies` are the fields of which a file says again what it said before we wrote it, because a program has saved
    what it had read before: field -> that value.
    """

    item: Item
    reading: Reading
    merged: Merged
    old_copies: Mapping[str, Any]

    @property
    def is_news(self) -> bool:
        """Whether anything is as it was not known."""
        merged = self.merged
        came = merged.taken_in or merged.conflicts or self.old_copies or self.item.missing_since is not None
        return bool(came) or any(getattr(self.item, name) != value for name, value in self.remembered().items())

    def remembered(self) -> dict[str, Any]:
        """What the item remembers of this reading: the base of the next merge.

        While something is still to be written a damaged file and a sidecar that has gone keep their base: nobody has
        cleared what they said, and they may be whole again. Of a form that was changed alone the others are the base.
        """
        before, values = self.item, values_of(self.reading)
        homes, dates = values["homes"], values["dates"]
        if self.reading.note and Home.EMBEDDED in before.homes:
            homes[Home.EMBEDDED.value] = before.homes[Home.EMBEDDED] | homes.get(Home.EMBEDDED, {})
            dates = {home: date for home, date in (before.dates or {}).items() if home == Home.EMBEDDED} | dates
        elif not self.reading.note and Home.EMBEDDED in homes:
            homes[Home.EMBEDDED.value] = self.reading.plain
        if before.unsynced and Home.SIDECAR in before.homes and Home.SIDECAR not in homes:
            homes = {Home.SIDECAR.value: before.homes[Home.SIDECAR]} | homes
            values["sidecar"] = before.sidecar
        return values | {"homes": homes, "dates": dates}


def compare(item: Item, reading: Reading, written: Sequence[Write], policy: Policy) -> Found:
    """Merge what the files hold into what the catalog says of them; `written` are our last writes, the newest first."""
    base, again = old_copies.set_aside(item, reading, written)
    merged = merge_found(base, item.tags, reading.homes, policy, damaged=bool(reading.note))
    return Found(item, reading, merged, again)


def take_in(tx: Connection, catalog: Catalog, job: Job, found: Sequence[Found]) -> tuple[Counter[str], list[int]]:
    """Put on record what was found; returns what came of it, and the items for which it does not count any more.

    Those have been edited or written since their files were read, or a writer has them in hand: its own merge sees
    what others have changed.
    """
    ids = sorted(each.item.item_id for each in found)
    items.lock(tx, catalog.catalog_id, ids)
    in_flight = _in_hand(tx, catalog.catalog_id, ids)
    present = {item.item_id: item.change_revision for item in items.get_many(tx, catalog.catalog_id, ids)}
    as_known = {each.item.item_id for each in found if present.get(each.item.item_id) == each.item.change_revision}
    overtaken = sorted(present.keys() - (as_known - in_flight))
    valid = [each for each in found if each.item.item_id in as_known - in_flight]
    news = [each for each in valid if each.is_news]
    counts = Counter({UNCHANGED: len(valid) - len(news)})
    if news:
        changeset = Changeset(tx, catalog.catalog_id)
        for each in news:
            after, came_of_it = _after(changeset, catalog, job, each)
            counts.update(came_of_it)
            changeset.update(each.item, after)
        changeset.save()
    return counts, overtaken


def mark_missing(tx: Connection, catalog_id: int, ids: Sequence[int]) -> int:
    """Note that these items have no file any more; returns how many did not know it. Nothing else of them changes."""
    items.lock(tx, catalog_id, ids)
    in_flight = _in_hand(tx, catalog_id, ids)
    present = [
        item
        for item in items.get_many(tx, catalog_id, ids)
        if item.missing_since is None and item.item_id not in in_flight
    ]
    if present:
        changeset = Changeset(tx, catalog_id)
        for item in present:
            changeset.update(item, replace(item, missing_since=changeset.now))
        changeset.save()
    return len(present)


def _in_hand(tx: Connection, catalog_id: int, ids: Sequence[int]) -> set[int]:
    """Those of these items that a writer has in hand, or that an undo wants as they were when it was asked for."""
    return items.in_flight(tx, catalog_id, ids) | undos.of_items(tx, catalog_id, ids).keys()


def values_of(reading: Reading) -> dict[str, Any]:
    """What an item remembers of a reading of its files."""
    return {
        "format": reading.format,
        "size": reading.identity.size,
        "mtime_ns": reading.identity.mtime_ns,
        "inode": reading.identity.inode,
        "width": reading.width,
        "height": reading.height,
        "homes": {str(home): tags for home, tags in reading.homes.items()},
        "stale": {str(home): sorted(fields) for home, fields in reading.stale.items()},
        "dates": {str(home): date for home, date in reading.dates.items()},
        "sidecar": reading.sidecar,
    }


def _after(changeset: Changeset, catalog: Catalog, job: Job, found: Found) -> tuple[Item, list[str]]:
    """The item after a rescan, and what it is counted as."""
    before, merged, policy = found.item, found.merged, policies.engine_policy(catalog)
    is_held = policy.conflicts is ConflictPolicy.HOLD
    # Of two homes in conflict, the first one's value is shown.
    held = {each.field: each for each in reversed(merged.conflicts)} if is_held else {}
    # A conflict that is held is not decided: the catalog goes on saying what it says.
    tags = {name: value for name, value in merged.tags.items() if name not in held}
    tags |= {name: before.tags[name] for name in held if name in before.tags}
    came_in = {name: [before.tags.get(name), tags.get(name)] for name in sorted(merged.taken_in)}
    overruled = {
        each.field: [each.theirs, each.ours]
        for each in merged.conflicts
        if each.field not in held and each.field not in merged.taken_in
    }
    put_back = {name: [value, tags.get(name)] for name, value in found.old_copies.items() if name not in came_in}
    notes = came_in | overruled | put_back
    if notes:
        changeset.note(before, notes, principal=job.principal, on_behalf_of=job.on_behalf_of, source="RESCAN")
    after = replace(
        before,
        **found.remembered(),
        tags=tags,
        note=found.reading.note or before.note,
        revision=changeset.revision if notes else before.revision,
        missing_since=None,
        verified_at=changeset.now,
    )
    after = _with_state(changeset, catalog, policy, found, after, list(held.values()))
    came_of_it = CONFLICTED if held else CHANGED if came_in else UNCHANGED
    return after, [came_of_it] if before.missing_since is None else [came_of_it, FOUND]


def _with_state(
    changeset: Changeset, catalog: Catalog, policy: Policy, found: Found, after: Item, held: Sequence[Conflict]
) -> Item:
    before, said = found.item, found.reading.tags
    new = [{"field": each.field, "base": each.base, "theirs": each.theirs} for each in held]
    # What waits for a decision is shown as the file says it now.
    older = [
        each if found.reading.note else each | {"theirs": said.get(each["field"])}
        for each in before.conflicts
        if each["field"] not in {conflict["field"] for conflict in new}
    ]
    if new or older:
        if not before.unsynced:
            after = replace(after, unsynced_since=changeset.revision, revision=changeset.revision)
        return item_state.conflicted(after, older + new, changeset.now)
    if before.unsynced:
        # Pending edits stay pending. What could not be written may be another file by now.
        is_another = (before.size, before.mtime_ns, before.inode) != (after.size, after.mtime_ns, after.inode)
        if before.failure and (is_another or before.missing_since is not None):
            return item_state.retried(after, changeset.now)
        return item_state.unsynced(after, before.due_at)
    if not policies.to_write(policy, after, after.tags):
        return item_state.synced(after)
    # Its homes do not say the same any more, or one says again what it said before our last write.
    due_at = changeset.now + catalog.quiet_ms
    after = item_state.edited(after, after.tags, revision=changeset.revision, due_at=due_at, to_write=True)
    read_only = {root.root_id for root in catalog.roots if root.read_only}
    if after.root_id in read_only and after.hold is None:
        after = item_state.held(after, {"reason": item_state.READ_ONLY_ROOT})
    return after
