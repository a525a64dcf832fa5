"""EditTags: edits over a selection, small ones in one transaction, large ones as a durable change."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection

from ..errors import Aborted
from ..files.tags import Tags, Value, difference
from ..storage import catalogs, changes, items, requests
from ..storage.changes import Change
from ..storage.changeset import Changeset
from ..storage.database import Database
from ..storage.ids import new_id
from ..storage.items import Selection
from ..storage.requests import RequestKey
from . import item_state, policies
from .bulk import ITEMS_A_PART, PAUSE_S
from .edits import Edit, apply_edits
from .items import select
from .requests import first_answer

ITEMS_AT_ONCE = 500


@dataclass(frozen=True)
class Edited:
    """What an EditTags did."""

    first_revision: int
    last_revision: int
    matched: int
    changed: int


Answer = Callable[[Edited], bytes]


@dataclass(frozen=True)
class Attribution:
    """Whose edit it is, for the history."""

    principal: str
    on_behalf_of: str = ""
    source: str = "EDIT"


@dataclass(frozen=True)
class EditRequest:
    """An EditTags whose edits are checked."""

    catalog_id: int
    selection: Selection
    edits: Sequence[Edit]
    by: Attribution
    key: RequestKey
    expected_revision: int | None = None


def edit_tags(database: Database, request: EditRequest, answer: Answer) -> bytes:
    """Carry out an EditTags and give the stored answer; repeated, it gives the same and changes nothing.

    Each matched item is edited exactly once, from the tags that it has at that moment. Up to ITEMS_AT_ONCE items
    it is one transaction; more are a durable change, which the server finishes after a crash.
    """
    done = database.write(_begin, request, answer)
    while done is None:
        done = database.write(_continue, request.catalog_id, request.key, answer)
        time.sleep(PAUSE_S)
    return done


def finish_changes(database: Database, answer: Answer) -> int:
    """Finish the changes that nobody else is finishing; returns how many there were. May be repeated at any time."""
    unfinished = database.read(changes.unfinished)
    for change in unfinished:
        while database.write(_work_off_part, change.catalog_id, change.change_id, answer) is not None:
            time.sleep(PAUSE_S)
    return len(unfinished)


def _begin(tx: Connection, request: EditRequest, answer: Answer) -> bytes | None:
    if not requests.begin(tx, request.key):
        return first_answer(tx, request.key)  # None: it is being worked off, so join it
    catalogs.lock(tx, request.catalog_id)
    ids = select(tx, request.catalog_id, request.selection)
    _check_expected(tx, request, ids)
    if len(ids) <= ITEMS_AT_ONCE:
        stored = answer(_edit_part(tx, request.catalog_id, ids, request.edits, request.by))
        requests.set_answer(tx, request.key, stored)
        return stored
    changes.insert(tx, _change(request, len(ids)), ids)
    return None


def _continue(tx: Connection, catalog_id: int, key: RequestKey, answer: Answer) -> bytes | None:
    known = first_answer(tx, key)
    if known is not None:
        return known
    change = next((each for each in changes.unfinished(tx) if each.request == _request_json(key)), None)
    if change is not None:
        _work_off_part(tx, catalog_id, change.change_id, answer)
    return first_answer(tx, key)


def _work_off_part(tx: Connection, catalog_id: int, change_id: str, answer: Answer) -> Change | None:
    """Edit the next items of a change; None when it is done, with its answer stored."""
    catalogs.lock(tx, catalog_id)
    change = changes.get(tx, catalog_id, change_id)
    if change is None:
        return None
    # A catalog that was deleted meanwhile takes what is left of the change with it.
    ids = changes.take(tx, change, ITEMS_A_PART) if catalogs.get(tx, catalog_id) is not None else []
    if ids:
        by = Attribution(change.principal, change.on_behalf_of, change.source)
        edited = _edit_part(tx, catalog_id, ids, [Edit(**edit) for edit in change.edits], by)
        change = replace(
            change,
            changed=change.changed + edited.changed,
            first_revision=change.first_revision or edited.first_revision,
            last_revision=edited.last_revision or change.last_revision,
        )
        changes.progress(tx, change)
        return change
    edited = Edited(change.first_revision, change.last_revision, change.matched, change.changed)
    requests.set_answer(tx, _request_key(change.request), answer(edited))
    changes.delete(tx, change)
    return None


def _edit_part(tx: Connection, catalog_id: int, ids: Sequence[int], edits: Sequence[Edit], by: Attribution) -> Edited:
    catalog = catalogs.get(tx, catalog_id)
    assert catalog is not None
    policy = policies.engine_policy(catalog)
    changeset = Changeset(tx, catalog_id)
    items.lock(tx, catalog_id, ids)
    in_flight = items.in_flight(tx, catalog_id, ids)
    read_only = {root.root_id for root in catalog.roots if root.read_only}
    changed = 0
    for item in items.get_many(tx, catalog_id, ids):
        tags = apply_edits(item.tags, edits)
        fields = difference(item.tags, tags)
        if not fields:
            continue
        changed += 1
        # What a writer has in hand may be on its way to other values: it stays unsynced until that is known.
        to_write = item.item_id in in_flight or policies.to_write(policy, item, tags)
        due_at = changeset.now + catalog.quiet_ms
        after = item_state.edited(item, tags, revision=changeset.revision, due_at=due_at, to_write=to_write)
        if to_write and item.root_id in read_only and item.hold is None:
            after = item_state.held(after, {"reason": item_state.READ_ONLY_ROOT})
        changeset.update(item, after)
        changeset.note(item, _old_and_new(item.tags, tags, fields), **asdict(by))
    changeset.save()
    revision = changeset.revision if changed else 0
    return Edited(revision, revision, len(ids), changed)


def _old_and_new(old: Tags, new: Tags, fields: set[str]) -> Mapping[str, list[Value | None]]:
    return {name: [old.get(name), new.get(name)] for name in sorted(fields)}


def _check_expected(tx: Connection, request: EditRequest, ids: Sequence[int]) -> None:
    if request.expected_revision is None:
        return
    newest = items.newest_edit(tx, request.catalog_id, ids)
    if newest > request.expected_revision:
        raise Aborted(
            "STALE_REVISION",
            f"An item was edited at revision {newest}, after {request.expected_revision}. Read again, then repeat.",
            field="expected_revision",
            revision=str(newest),
        )


def _change(request: EditRequest, matched: int) -> Change:
    return Change(
        catalog_id=request.catalog_id,
        change_id=new_id(),
        **asdict(request.by),
        edits=[edit.to_json() for edit in request.edits],
        request=_request_json(request.key),
        matched=matched,
    )


def _request_json(key: RequestKey) -> dict[str, str]:
    return {
        "principal": key.principal,
        "call": key.call,
        "request_id": key.request_id,
        "digest": key.digest.hex(),
    }


def _request_key(stored: Mapping[str, str]) -> RequestKey:
    digest = bytes.fromhex(stored["digest"])
    return RequestKey(stored["principal"], stored["call"], stored["request_id"], digest)
