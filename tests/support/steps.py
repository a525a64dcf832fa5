"""At which step of the pipeline writers are, or were when they were killed, by the store and the files' content."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from indelible_server.files.plan import FilePlan
from indelible_server.storage.database import Database
from indelible_server.storage.tables import intents, leases
from sqlalchemy import Connection


class Step(StrEnum):
    """The steps, in order. The last three lie between intend and acknowledge."""

    IDLE = "nothing in hand"
    PLANNED = "claimed, being planned"
    INTENDED = "intended, no file begun"
    APPLYING = "a file in the making, or torn"
    APPLIED = "a file written, not acknowledged"

    @property
    def is_between(self) -> bool:
        """Whether a kill at this step leaves an intent behind."""
        return self not in (Step.IDLE, Step.PLANNED)


@dataclass
class InHand:
    """What a writer has leased: the plans that it has intended of it, and the step that these show."""

    step: Step = Step.PLANNED
    plans: list[FilePlan] = field(default_factory=list)


def in_hand(database: Database, root: Path) -> dict[str, InHand]:
    """What each writer has in hand, by its id; those that have nothing are left out. All files are below one root."""
    found: dict[str, InHand] = defaultdict(InHand)
    for writer_id, plan in database.read(_leased):
        held = found[writer_id]
        if plan is not None:
            held.plans.append(FilePlan.from_bytes(plan))
    for held in found.values():
        held.step = _step([_file_step(root, plan) for plan in held.plans])
    return found


def with_intents(database: Database) -> set[str]:
    """The ids of the writers that have leased something for which there is an intent."""
    return {writer_id for writer_id, plan in database.read(_leased) if plan is not None}


def _leased(tx: Connection) -> list[tuple[str, bytes | None]]:
    same = sa.and_(intents.c.catalog_id == leases.c.catalog_id, intents.c.item_id == leases.c.item_id)
    query = sa.select(leases.c.writer_id, intents.c.plan).select_from(leases.outerjoin(intents, same))
    return [(row.writer_id, row.plan) for row in tx.execute(query)]


def _step(files: list[Step]) -> Step:
    if not files:
        return Step.PLANNED
    for step in (Step.APPLYING, Step.APPLIED):
        if step in files:
            return step
    return Step.INTENDED


def _file_step(root: Path, plan: FilePlan) -> Step:
    """How far the writer has come with this file; with foreign content in it, it counts as torn."""
    path = root / os.fsdecode(plan.target)
    if path.with_name(os.fsdecode(plan.temp)).exists():
        return Step.APPLYING
    content = path.read_bytes()
    for step, size, ranges in (
        (Step.INTENDED, plan.old_size, plan.old_ranges),
        (Step.APPLIED, plan.new_size, plan.new_ranges),
    ):
        if len(content) == size and all(content[offset : offset + len(data)] == data for offset, data in ranges):
            return step
    return Step.APPLYING
