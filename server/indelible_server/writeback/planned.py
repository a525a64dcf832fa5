"""A plan with its intents: what a writer is about to do, and what is true of the item once it is done."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..domain.outcomes import Conflicted, Failed, Verified
from ..domain.undo import Undoing
from ..files.merge import base_after
from ..files.plan import FilePlan, Home, Identity, Plan
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import FileProblem, Reason
from ..files.reading import Reading, read, verify
from ..files.tags import Tags, difference
from ..files.undoing import is_made
from ..storage.ids import new_id
from ..storage.intents import Intent
from ..storage.leases import Claim


@dataclass(frozen=True)
class Planned:
    """A claim, what its files are to become, and the intents that say so.

    An undo that gives a file back to the byte says nothing of what it will hold: its bytes are compared instead.
    """

    claim: Claim
    plan: Plan
    intents: tuple[Intent, ...]
    taken_in: dict[str, list[Any]]
    replaced: dict[str, list[Any]]
    changes: dict[str, list[Any]]
    undoing: Undoing | None = None

    @classmethod
    def make(
        cls, claim: Claim, plan: Plan, undoing: Undoing | None = None, changes: dict[str, list[Any]] | None = None
    ) -> Planned:
        """Intents for a plan, not stored yet. The temp files are named after them.

        `changes` are given for an undo to the byte, whose plan does not say which fields it changes.
        """
        item, ours = claim.item, claim.item.tags
        # What an undo finds in other fields is not its business.
        taken_in = {name: [ours.get(name), plan.tags.get(name)] for name in sorted(plan.taken_in) if not undoing}
        overruled = () if plan.held else plan.conflicts
        replaced = {each.field: [each.theirs, each.ours] for each in overruled if each.field not in plan.taken_in}
        changes = changes_of(plan) if changes is None else changes
        expected = _to_json(plan, taken_in, replaced, changes, undoing)
        ids = [new_id() for _ in plan.files]
        files = tuple(replace(file, temp=temp_name(intent_id)) for file, intent_id in zip(plan.files, ids, strict=True))
        intents = tuple(
            Intent(
                intent_id=intent_id,
                catalog_id=item.catalog_id,
                item_id=item.item_id,
                root_id=item.root_id,
                target=fold(file.target),
                revision=item.revision,
                run_id=claim.run_id,
                plan=file.to_bytes(),
                expected=expected,
            )
            for file, intent_id in zip(files, ids, strict=True)
        )
        return cls(claim, replace(plan, files=files), intents, taken_in, replaced, changes, undoing)

    @classmethod
    def of_stored(cls, claim: Claim, intents: Sequence[Intent]) -> Planned:
        """The plan behind intents that outlived their writer; the claim is for the edit that they were to write."""
        files = tuple(FilePlan.from_bytes(intent.plan) for intent in intents)
        written = replace(claim.item, revision=intents[0].revision)
        values = json.loads(intents[0].expected)
        plan = _from_json(claim.item.key, values, files)
        of_then = replace(claim, item=written, run_id=intents[0].run_id)
        # An older server may have stored it.
        undoing = Undoing(**values["undoing"]) if values.get("undoing") else None
        changes = values.get("changes", {})
        return cls(of_then, plan, tuple(intents), values["taken_in"], values["replaced"], changes, undoing)

    def read_back(self, root: Root, policy: Policy) -> Reading:
        """What the files hold; raises `FileProblem` (VERIFY_FAILED) if that is not what was planned."""
        if self.undoing is not None and not self.plan.wanted:
            for file in self.plan.files:
                if not is_made(root, file):
                    raise FileProblem(Reason.VERIFY_FAILED, f"{file.home}: read back differently")
        return verify(root, self.plan, policy)

    def verified(self, reading: Reading, bytes_written: int) -> Verified:
        """The outcome when the files were read back and hold what was planned."""
        return Verified(
            claim=self.claim,
            homes={str(home): tags for home, tags in reading.homes.items()},
            stale={str(home): sorted(fields) for home, fields in reading.stale.items()},
            dates={str(home): date for home, date in reading.dates.items()},
            identity=reading.identity,
            taken_in=self.taken_in,
            replaced=self.replaced,
            sidecar=reading.sidecar,
            note=self.plan.note,
            settled=self.intents,
            bytes_written=bytes_written,
            method=_method(self.plan.files),
            said=reading.tags,
            changes=self.changes,
            undoing=self.undoing,
        )

    def started_from(self, root: Root, policy: Policy) -> dict[str, Tags]:
        """What those who wrote to the item's files instead of us, or after us, have started from, per home."""
        homes = dict(self.claim.item.homes)
        try:
            found = read(root, self.plan.target, policy, sidecar=self.plan.sidecar).homes
        except FileProblem:
            return homes  # nobody can tell, and nothing is merged before it can be read
        for home, wanted in self.plan.wanted.items():
            written = self.plan.written.get(home, frozenset())
            base = base_after(homes.get(home, {}), wanted, written, found.get(home, {}))
            if home in homes or base:
                homes[str(home)] = base
        return homes

    def conflicted(self, reading: Reading) -> Conflicted | Failed:
        """The outcome when people have to decide first. Of two homes in conflict, the first one's value is shown."""
        for home, found in self.plan.found.items():
            if difference(found, reading.homes.get(home, {})) - reading.stale.get(home, frozenset()):
                return Failed(self.claim, "CONFLICT", "Another program is changing the file.", transient=True)
        first = {each.field: each for each in reversed(self.plan.conflicts)}
        conflicts = [{"field": name, "base": first[name].base, "theirs": first[name].theirs} for name in sorted(first)]
        return Conflicted(self.verified(reading, 0), conflicts)


def temp_name(intent_id: str) -> bytes:
    """The temp file of an intent: hidden, short, and of no other intent."""
    return b".indelible-" + intent_id.encode()


def fold(target: bytes) -> bytes:
    """The target as the schema compares it: two names that a file system may take for one are one."""
    try:
        return unicodedata.normalize("NFC", target.decode()).casefold().encode()
    except UnicodeDecodeError:
        return target


def changes_of(plan: Plan) -> dict[str, list[Any]]:
    """The fields that are written, with what the item's files say before and after; the sidecar's values come first."""
    before: Tags = {}
    for held in reversed(plan.found.values()):
        before |= held
    written = {name for names in plan.written.values() for name in names}
    return {name: [before.get(name), plan.tags.get(name)] for name in sorted(written)}


def _method(files: Sequence[FilePlan]) -> str:
    """How the files are written, as the contract calls it; of several, the first."""
    if not files:
        return "UNCHANGED"
    return "SIDECAR" if files[0].home is Home.SIDECAR else files[0].mode.name


def _to_json(
    plan: Plan,
    taken_in: dict[str, list[Any]],
    replaced: dict[str, list[Any]],
    changes: dict[str, list[Any]],
    undoing: Undoing | None,
) -> str:
    values: dict[str, Any] = {
        "format": plan.format,
        "tags": plan.tags,
        "wanted": plan.wanted,
        "written": {home: sorted(fields) for home, fields in plan.written.items()},
        "taken_in": taken_in,
        "replaced": replaced,
        "sidecar": None if plan.sidecar is None else plan.sidecar.hex(),
        "note": plan.note,
        "method": _method(plan.files),
        "changes": changes,
        "undoing": undoing and asdict(undoing),
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _from_json(target: bytes, values: dict[str, Any], files: tuple[FilePlan, ...]) -> Plan:
    return Plan(
        target=target,
        format=values["format"],
        tags=values["tags"],
        found={},
        wanted={Home(home): tags for home, tags in values["wanted"].items()},
        identity=Identity(0, 0, 0),
        written={Home(home): frozenset(fields) for home, fields in values["written"].items()},
        files=files,
        sidecar=None if values["sidecar"] is None else bytes.fromhex(values["sidecar"]),
        note=values["note"],
    )
