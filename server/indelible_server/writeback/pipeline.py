"""From a claim to an acknowledgement: plan, intend, apply, verify. No transaction is open while a file is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from ..domain import budgets, policies, undo_jobs
from ..domain.outcomes import Failed, GivenBack, Outcome, Verified, acknowledge
from ..files.apply import apply
from ..files.fencing import fence
from ..files.policy import Policy
from ..files.port import Root
from ..files.problems import Changed, FileProblem, LeaseLost, Reason
from ..files.reading import verify
from ..files.settle import Outcome as Settled
from ..files.settle import settle
from ..files.tags import Tags
from ..roots import Roots
from ..storage import catalogs, hosts, intents, items, leases
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.intents import Intent, Late
from ..storage.leases import Claim
from .planned import Planned
from .planner import Planner
from .undoing import plan_undo

log = structlog.get_logger("writeback")

Begin = Callable[[Claim], None]


class Offline(Exception):
    """The root itself is gone: its items wait for it, they have not failed."""


class Pipeline:
    """Brings claimed items of a catalog into their files, a batch at a time. For one thread of one process.

    `begin` is told of each item before its files are touched, so that a crash can be laid at the right door.
    `may_go_on` is asked before each file is changed: whoever ends this process waits for a file, not for a batch.
    """

    def __init__(
        self, database: Database, host_id: str, roots: Roots, begin: Begin, may_go_on: Callable[[], bool]
    ) -> None:
        self.database = database
        self._host_id = host_id
        self.begin = begin
        self.may_go_on = may_go_on
        self._roots = roots

    def write(self, catalog: Catalog, claims: Sequence[Claim]) -> None:
        """Write claimed items and put on record what came of each."""
        self._by_root(catalog, claims, AtRoot.write)

    def undo(self, catalog: Catalog, claims: Sequence[Claim]) -> None:
        """Take back what the items' undo wants, and put on record what came of each."""
        self._by_root(catalog, claims, AtRoot.undo)

    def settle(self, catalog: Catalog, claims: Sequence[Claim]) -> None:
        """Find out what became of intents that outlived their writer, complete what was torn, put it on record."""
        self._by_root(catalog, claims, AtRoot.settle)

    def is_online(self, root: catalogs.Root) -> bool:
        """Whether the root itself is there, now."""
        return self._roots.is_present(root)

    def _by_root(
        self, catalog: Catalog, claims: Sequence[Claim], work: Callable[[AtRoot, Sequence[Claim]], list[Outcome]]
    ) -> None:
        for its_root in catalog.roots:
            mine = [claim for claim in claims if claim.item.root_id == its_root.root_id]
            if not mine:
                continue
            try:
                with self._roots.open(its_root) as root:
                    outcomes = work(AtRoot(self, catalog, its_root, root), mine)
            except (FileProblem, Offline) as problem:
                log.warning("root is out of reach", root=its_root.root_id, message=str(problem))
                self.database.write(hosts.note_reach, self._host_id, its_root, reached=False)
                outcomes = [GivenBack(claim) for claim in mine]
            self.database.write(_put_on_record, catalog, its_root, outcomes)


class AtRoot:
    """The pipeline's work at one open root. Raises `Offline` when that goes away meanwhile."""

    def __init__(self, pipeline: Pipeline, catalog: Catalog, its_root: catalogs.Root, root: Root) -> None:
        self._pipeline = pipeline
        self._database = pipeline.database
        self._catalog = catalog
        self._its_root = its_root
        self._root = root
        self._policy: Policy = policies.engine_policy(catalog)
        self._planner = Planner(pipeline.database, root, self._policy)

    def write(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Plan all, commit the intents of all together, then write one after the other."""
        return self._carry_out_all([self._guarded(claim, self._plan) for claim in claims])

    def undo(self, claims: Sequence[Claim]) -> list[Outcome]:
        """The same, with plans that take writes back."""
        wanted = self._database.read(undo_jobs.wanted, claims)

        def plan(claim: Claim) -> Planned | Outcome:
            return plan_undo(self._root, claim, wanted.get(claim.item.item_id), self._policy)

        return self._carry_out_all([self._guarded(claim, plan) for claim in claims])

    def _carry_out_all(self, made: Sequence[Planned | Outcome]) -> list[Outcome]:
        planned = [each for each in made if isinstance(each, Planned)]
        taken = self._database.write(_intend, planned)
        outcomes: list[Outcome] = [each for each in made if not isinstance(each, Planned)]
        for each in planned:
            outcomes.append(self._carry_out(each) if _all_taken(each, taken) else _locked(each, taken))
        return outcomes

    def settle(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Judge each item's intents by what its files hold."""
        ids = [claim.item.item_id for claim in claims]
        live = self._database.read(intents.of_items, self._catalog.catalog_id, ids)
        late = self._database.read(intents.late, [intent.intent_id for each in live.values() for intent in each])
        return [self._settle_one(claim, live.get(claim.item.item_id, []), late) for claim in claims]

    def _guarded(self, claim: Claim, plan: Callable[[Claim], Planned | Outcome]) -> Planned | Outcome:
        """What is planned for a claim, or what came of it already because no file has to be written."""
        self._pipeline.begin(claim)
        try:
            planned = plan(claim)
            if not isinstance(planned, Planned) or planned.intents:
                return planned
            return planned.verified(planned.read_back(self._root, self._policy), 0)
        except FileProblem as problem:
            return self._failed(claim, problem)

    def _plan(self, claim: Claim) -> Planned | Outcome:
        plan = self._planner.plan(claim.item)
        planned = Planned.make(claim, plan)
        return planned.conflicted(verify(self._root, plan, self._policy)) if plan.held else planned

    def _carry_out(self, planned: Planned) -> Outcome:
        claim = planned.claim
        if not self._pipeline.may_go_on() or not self._database.read(_may_begin, claim):
            return GivenBack(claim, not_carried_out=planned.intents)
        self._pipeline.begin(claim)
        try:
            written = 0
            for file in planned.plan.files:
                applied = apply(self._root, file, still_ours=self._asking(claim))
                written += applied.bytes_written
            return planned.verified(planned.read_back(self._root, self._policy), written)
        except LeaseLost:
            return GivenBack(claim)  # whoever has the lease now settles the intents
        except (FileProblem, Changed) as problem:
            return self._find_out(planned, problem)

    def _find_out(self, planned: Planned, problem: FileProblem | Changed) -> Outcome:
        """What came of a write that did not end as planned: the files' content says."""
        log.info("write did not end as planned", item=planned.claim.item.path, message=str(problem))
        if isinstance(problem, FileProblem) and problem.reason is Reason.IO_ERROR:
            # After a failed fsync what is read back proves nothing: the intents stay, and are settled when it is due.
            return self._failed(planned.claim, problem)
        try:
            untouched, changed, _complete = self._judge(planned)
        except LeaseLost:
            return GivenBack(planned.claim)
        except FileProblem as worse:
            return self._failed(planned.claim, worse)  # as above
        if isinstance(problem, FileProblem):
            failed = self._failed(planned.claim, problem, untouched, changed)
            return replace(failed, homes=self._started_from(planned, changed))
        return GivenBack(planned.claim, untouched, changed, self._started_from(planned, changed))

    def _settle_one(self, claim: Claim, live: Sequence[Intent], late: Mapping[str, Late]) -> Outcome:
        self._pipeline.begin(claim)
        if not live or not self._database.read(leases.is_valid, claim):
            return GivenBack(claim)
        planned = Planned.of_stored(claim, live)
        try:
            self._shut_out(planned, late)
            untouched, changed, complete = self._judge(planned)
        except LeaseLost:
            return GivenBack(claim)
        except FileProblem as problem:
            return self._failed(planned.claim, problem)
        if complete:
            # Unless it does not verify: then someone has written since.
            with contextlib.suppress(FileProblem):
                return planned.verified(planned.read_back(self._root, self._policy), 0)
        return GivenBack(planned.claim, untouched, changed, self._started_from(planned, changed))

    def _shut_out(self, planned: Planned, late: Mapping[str, Late]) -> None:
        """Before anything is judged: the writers from which it is taken over can do no more to the files."""
        for intent, file in zip(planned.intents, planned.plan.files, strict=True):
            if intent.intent_id in late:
                who = late[intent.intent_id]
                asking = self._asking(planned.claim)
                fence(self._root, file, late=who.number, may_live=who.may_live, still_ours=asking)

    def _judge(self, planned: Planned) -> tuple[tuple[Intent, ...], tuple[Intent, ...], bool]:
        """Settle a plan's files: the intents that never began, the others, and whether all of them are carried out."""
        pairs = zip(planned.intents, planned.plan.files, strict=True)
        asking = self._asking(planned.claim)
        found = {intent: settle(self._root, file, still_ours=asking) for intent, file in pairs}
        if not self._pipeline.is_online(self._its_root):
            # What was not found there proves nothing: a torn file may come back with its root.
            raise Offline("it went away while its files were looked at")
        untouched = tuple(intent for intent, outcome in found.items() if outcome is Settled.OLD)
        changed = tuple(intent for intent in found if intent not in untouched)
        return untouched, changed, all(outcome is Settled.NEW for outcome in found.values())

    def _started_from(self, planned: Planned, foreign: Sequence[Intent]) -> dict[str, Tags] | None:
        return planned.started_from(self._root, self._policy) if foreign else None

    def _asking(self, claim: Claim) -> Callable[[], bool]:
        """The last question before a file is changed."""
        return lambda: self._database.read(leases.is_valid, claim)

    def _failed(
        self,
        claim: Claim,
        problem: FileProblem,
        untouched: tuple[Intent, ...] = (),
        foreign: tuple[Intent, ...] = (),
    ) -> Failed:
        reason, transient = problem.reason, problem.transient
        # Whatever it looks like: a file that is missing from a share that has gone is not missing.
        if not self._pipeline.is_online(self._its_root):
            raise Offline(problem.message)
        if reason is Reason.STORAGE_OFFLINE:
            # The root is there: it is this file's trouble, and must not stop the others.
            reason, transient = Reason.IO_ERROR, True
        return Failed(claim, reason, problem.message, transient, untouched, foreign)


def _put_on_record(tx: Connection, catalog: Catalog, its_root: catalogs.Root, outcomes: Sequence[Outcome]) -> None:
    acknowledge(tx, catalog.catalog_id, outcomes)
    verified = (outcome for outcome in outcomes if isinstance(outcome, Verified) and outcome.claim.job_id is None)
    written = sum(outcome.bytes_written for outcome in verified)
    budgets.spend(tx, catalog, its_root.root_id, items=0, size=written)


def _intend(tx: Connection, planned: Sequence[Planned]) -> set[str]:
    """Store the intents of those whose lease still stands; returns the ids of the intents that were taken."""
    valid = leases.valid(tx, [each.claim for each in planned])
    return intents.insert(tx, [intent for each in planned if each.claim.token in valid for intent in each.intents])


def _may_begin(tx: Connection, claim: Claim) -> bool:
    if claim.job_id is None:
        return leases.may_begin(tx, claim)
    held = items.with_hold(tx, claim.item.catalog_id, [claim.item.item_id])
    return undo_jobs.is_wanted(tx, claim.job_id) and not held and leases.is_valid(tx, claim)


def _all_taken(planned: Planned, taken: set[str]) -> bool:
    return all(intent.intent_id in taken for intent in planned.intents)


def _locked(planned: Planned, taken: set[str]) -> Outcome:
    """Another item's write to one of the same files is not settled yet."""
    mine = tuple(intent for intent in planned.intents if intent.intent_id in taken)
    message = "another write to the same file is not settled yet"
    return Failed(planned.claim, Reason.LOCKED, message, transient=True, not_carried_out=mine)
