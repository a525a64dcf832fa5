"""From a claim to an acknowledgement: plan, intend, apply, verify. No transaction is open while a file is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict

import structlog
from sqlalchemy import Connection

from ..domain import policies, sync
from ..domain.outcomes import Conflicted, Failed, GivenBack, Outcome, acknowledge
from ..files import apply as files_apply
from ..files.planning import plan as make_plan
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem, Reason
from ..files.reading import verify
from ..files.settle import Outcome as Settled
from ..files.settle import settle
from ..roots import Roots
from ..storage import catalogs, intents, leases
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.intents import Intent
from ..storage.leases import Claim
from .planned import Planned

log = structlog.get_logger("writeback")

Begin = Callable[[Claim], None]


class Pipeline:
    """Brings claimed items of a catalog into their files, a batch at a time. For one thread of one process.

    `begin` is told of each item before its files are touched, so that a crash can be laid at the right door.
    """

    def __init__(self, database: Database, roots: Roots, begin: Begin) -> None:
        self._database = database
        self._roots = roots
        self._begin = begin

    def write(self, catalog: Catalog, claims: Sequence[Claim]) -> None:
        """Write claimed items and put on record what came of each."""
        self._by_root(catalog, claims, self._write)

    def settle(self, catalog: Catalog, claims: Sequence[Claim]) -> None:
        """Find out what became of intents that outlived their writer, complete what was torn, put it on record."""
        self._by_root(catalog, claims, self._settle)

    def _by_root(
        self,
        catalog: Catalog,
        claims: Sequence[Claim],
        work: Callable[[Catalog, Root, Sequence[Claim]], list[Outcome]],
    ) -> None:
        for its_root in catalog.roots:
            mine = [claim for claim in claims if claim.item.root_id == its_root.root_id]
            if not mine:
                continue
            try:
                with self._roots.open(its_root) as root:
                    outcomes = work(catalog, root, mine)
            except FileProblem as problem:
                # The share is gone: its items wait for it, they have not failed.
                log.warning("root is offline", root=its_root.root_id, message=problem.message)
                self._database.write(catalogs.set_root_offline, its_root.root_id, True)
                outcomes = [GivenBack(claim) for claim in mine]
            self._database.write(acknowledge, catalog.catalog_id, outcomes)

    def _write(self, catalog: Catalog, root: Root, claims: Sequence[Claim]) -> list[Outcome]:
        policy = policies.engine_policy(catalog)
        made = [self._plan(root, claim, policy) for claim in claims]
        planned = [each for each in made if isinstance(each, Planned)]
        taken = self._database.write(_intend, planned)
        outcomes: list[Outcome] = [each for each in made if not isinstance(each, Planned)]
        for each in planned:
            outcomes.append(self._carry_out(root, each, policy) if _all_taken(each, taken) else _locked(each, taken))
        return outcomes

    def _plan(self, root: Root, claim: Claim, policy: Policy) -> Planned | Outcome:
        self._begin(claim)
        item = claim.item
        try:
            plan = make_plan(root, item.key, base=item.homes, ours=item.tags, policy=policy, sidecar=item.sidecar)
            if plan.held:
                return Conflicted(claim, [asdict(conflict) for conflict in plan.conflicts])
            planned = Planned.make(claim, plan)
            return planned if planned.intents else planned.verified(verify(root, plan, policy), 0)
        except FileProblem as problem:
            return _failed(claim, problem)

    def _carry_out(self, root: Root, planned: Planned, policy: Policy) -> Outcome:
        claim = planned.claim
        if not self._database.read(_may_begin, claim):
            return GivenBack(claim, not_carried_out=planned.intents)
        self._begin(claim)
        try:
            written = 0
            for file in planned.plan.files:
                applied = files_apply.apply(root, file, still_ours=lambda: self._database.read(_still_ours, claim))
                written += applied.bytes_written
            return planned.verified(verify(root, planned.plan, policy), written)
        except (FileProblem, Changed, files_apply.LeaseLost) as problem:
            return self._find_out(root, planned, problem)

    def _find_out(self, root: Root, planned: Planned, problem: Exception) -> Outcome:
        """What came of a write that did not end as planned: the files' content says."""
        log.info("write did not end as planned", item=planned.claim.item.path, message=str(problem))
        try:
            untouched, changed, _complete = _judge(root, planned)
        except FileProblem as worse:
            return _failed(planned.claim, worse)  # the intents stay, to be settled when the storage is well
        if isinstance(problem, FileProblem):
            return _failed(planned.claim, problem, untouched, changed)
        return GivenBack(planned.claim, not_carried_out=untouched, foreign=changed)

    def _settle(self, catalog: Catalog, root: Root, claims: Sequence[Claim]) -> list[Outcome]:
        policy = policies.engine_policy(catalog)
        ids = [claim.item.item_id for claim in claims]
        live = self._database.read(intents.of_items, catalog.catalog_id, ids)
        return [self._settle_one(root, Planned.of_stored(claim, live[claim.item.item_id]), policy) for claim in claims]

    def _settle_one(self, root: Root, planned: Planned, policy: Policy) -> Outcome:
        self._begin(planned.claim)
        try:
            untouched, changed, complete = _judge(root, planned)
        except FileProblem as problem:
            return _failed(planned.claim, problem)
        if complete:
            # Unless it does not verify: then someone has written since.
            with contextlib.suppress(FileProblem):
                return planned.verified(verify(root, planned.plan, policy), 0)
        return GivenBack(planned.claim, not_carried_out=untouched, foreign=changed)


def _judge(root: Root, planned: Planned) -> tuple[tuple[Intent, ...], tuple[Intent, ...], bool]:
    """Settle the files of a plan: the intents that never began, the others, and whether all of them are carried out."""
    found = {intent: settle(root, file) for intent, file in zip(planned.intents, planned.plan.files, strict=True)}
    untouched = tuple(intent for intent, outcome in found.items() if outcome is Settled.OLD)
    changed = tuple(intent for intent in found if intent not in untouched)
    return untouched, changed, all(outcome is Settled.NEW for outcome in found.values())


def _intend(tx: Connection, planned: Sequence[Planned]) -> set[str]:
    """Store the intents of those whose lease still stands; returns the ids of the intents that were taken."""
    valid = leases.valid(tx, [each.claim for each in planned])
    return intents.insert(tx, [intent for each in planned if each.claim.token in valid for intent in each.intents])


def _may_begin(tx: Connection, claim: Claim) -> bool:
    return sync.may_write(tx, claim.item.catalog_id) and _still_ours(tx, claim)


def _still_ours(tx: Connection, claim: Claim) -> bool:
    return bool(leases.valid(tx, [claim]))


def _all_taken(planned: Planned, taken: set[str]) -> bool:
    return all(intent.intent_id in taken for intent in planned.intents)


def _locked(planned: Planned, taken: set[str]) -> Outcome:
    """Another item's write to one of the same files is not settled yet."""
    mine = tuple(intent for intent in planned.intents if intent.intent_id in taken)
    message = "another write to the same file is not settled yet"
    return Failed(planned.claim, Reason.LOCKED, message, transient=True, not_carried_out=mine)


def _failed(
    claim: Claim, problem: FileProblem, untouched: tuple[Intent, ...] = (), foreign: tuple[Intent, ...] = ()
) -> Failed:
    if problem.reason is Reason.STORAGE_OFFLINE:
        raise problem  # it is not the item's fault: the whole root waits
    return Failed(claim, problem.reason, problem.message, problem.transient, untouched, foreign)
