"""Planning an undo: to the byte where the file is as our write left it, else field by field."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..domain.outcomes import Outcome
from ..domain.undo import PassedOver, Undoing, Wanted
from ..domain.undo_jobs import EXPIRED
from ..files.merge import ConflictPolicy, merge
from ..files.plan import FilePlan, Home, Mode, Plan
from ..files.planning import plan_edit
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem, Reason
from ..files.reading import read
from ..files.tags import Tags, same
from ..files.undoing import undo_of
from ..storage.leases import Claim
from ..storage.writes import Write
from .planned import Planned


def plan_undo(root: Root, claim: Claim, wanted: Wanted | None, policy: Policy) -> Planned | Outcome:
    """What has to be done so that a write is taken back. Nothing is touched; raises `FileProblem`."""
    if wanted is None:
        return PassedOver(claim)
    if claim.item.hold is not None:
        raise FileProblem(Reason.PERMISSION_DENIED, "the item is held: release it, then undo again")
    if not wanted.plans:
        return PassedOver(claim, EXPIRED)
    try:
        if not wanted.is_last:
            raise Changed("a later write of ours is in the file")
        return _to_the_byte(root, claim, wanted, policy)
    except Changed:
        return _by_field(root, claim, wanted, policy)


def _to_the_byte(root: Root, claim: Claim, wanted: Wanted, policy: Policy) -> Planned:
    """Raises `Changed` if a file is not as the write left it."""
    done = [FilePlan.from_bytes(plan) for plan in wanted.plans]
    files = tuple(undo_of(root, each) for each in reversed(done))
    removed = any(file.mode is Mode.REMOVE and file.home is Home.SIDECAR for file in files)
    now = read(root, claim.item.key, policy, sidecar=claim.item.sidecar)
    plan = Plan(
        target=claim.item.key,
        format=now.format,
        tags={},
        found=now.homes,
        wanted={},
        identity=now.identity,
        files=files,
        sidecar=None if removed else claim.item.sidecar,
        note=now.note if removed else claim.item.note,
    )
    changes = {name: [new, old] for name, (old, new) in wanted.write.changes.items()}
    return Planned.make(claim, plan, Undoing.of(wanted.job, wanted.write), changes)


def _by_field(root: Root, claim: Claim, wanted: Wanted, policy: Policy) -> Planned:
    """An ordinary change that gives the fields back their values, unless someone else has changed them since."""
    back = _Back(wanted.write)
    plan = plan_edit(root, claim.item.key, back, policy, sidecar=claim.item.sidecar)
    if back.to_write and not plan.files:
        raise FileProblem(Reason.UNSUPPORTED, "by the catalog's policy nothing is written for this file any more")
    return Planned.make(claim, plan, Undoing.of(wanted.job, wanted.write, back.left_alone))


@dataclass
class _Back:
    """The tags of a file, as they are to be after a write was taken back. Lists are given back by element."""

    write: Write
    left_alone: list[str] = field(default_factory=list)
    to_write: bool = False

    def __call__(self, found: Tags) -> Tags:
        before = {name: old for name, (old, _new) in self.write.changes.items() if old is not None}
        written = {name: new for name, (_old, new) in self.write.changes.items() if new is not None}
        present = {name: found[name] for name in self.write.changes if name in found}
        merged = merge(written, before, present, ConflictPolicy.FILE_WINS)
        self.left_alone = [conflict.field for conflict in merged.conflicts]
        self.to_write = any(not same(name, merged.tags.get(name), found.get(name)) for name in self.write.changes)
        return {name: value for name, value in found.items() if name not in self.write.changes} | merged.tags
