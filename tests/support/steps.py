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
    query = sa.select(leases.c.writer_id).join(intents, _SAME_ITEM).distinct()
    return set(database.read(lambda tx: tx.scalars(query).all()))


_SAME_ITEM = sa.and_(intents.c.catalog_id == leases.c.catalog_id, intents.c.item_id == leases.c.item_id)


def _leased(tx: Connection) -> list[tuple[str, bytes | None]]:
    query = sa.select(leases.c.writer_id, intents.c.plan).select_from(leases.outerjoin(intents, _SAME_ITEM))
    return [(row.writer_id, row.plan) for row in tx.execute(query)]


def _step(files: list[Step]) -> Step:
    """The step of a writer that is so far with the files of its batch."""
    return next((step for step in (Step.APPLYING, Step.APPLIED, Step.INTENDED) if step in files), Step.PLANNED)


def _file_step(root: Path, plan: FilePlan) -> Step:
    """How far the writer has come with this file. One that others have written since counts as not begun."""
    path = root / os.fsdecode(plan.target)
    if path.with_name(os.fsdecode(plan.temp)).exists():
        return Step.APPLYING
    content = path.read_bytes()
    if len(content) == plan.new_size and _holds(content, plan.new_ranges):
        return Step.APPLIED
    if len(content) == plan.old_size and _holds(content, plan.old_ranges):
        return Step.INTENDED
    return Step.APPLYING if plan.in_place and _is_torn(content, plan) else Step.INTENDED


def _holds(content: bytes, ranges: list[tuple[int, bytes]]) -> bool:
    return all(content[offset : offset + len(data)] == data for offset, data in ranges)


def _is_torn(content: bytes, plan: FilePlan) -> bool:
    return all(
        byte in pair
        for patch in plan.fixed
        for byte, pair in zip(content[patch.offset :], zip(patch.old, patch.new, strict=True), strict=False)
    )
