"""Writes, undos and their jobs, as short as a test of the store wants to say them."""

from __future__ import annotations

from typing import Any

from indelible_server.domain import undo_jobs
from indelible_server.domain.principal import Principal, Role
from indelible_server.domain.undo import PassedOver, Undoing
from indelible_server.storage import intents, jobs, writes
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item
from indelible_server.storage.items import Selection
from indelible_server.storage.jobs import Job
from indelible_server.storage.leases import Claim
from indelible_server.storage.writes import Write

from support.edits import EVERYTHING, claim, edit, title
from support.intents import make_intent
from support.outcomes import acknowledge, verified

ANN = Principal("ann", Role.OPERATOR, on_behalf_of="bob")


def write_title(database: Database, catalog: Catalog, *items: Item, text: str, run: Any = None) -> None:
    """An edit of these items, or all, that is written."""
    edit(database, catalog, title(text), items=list(items) or None)
    acknowledge(database, catalog, *[reported(database, mine) for mine in claim(database, catalog, run=run)])


def reported(database: Database, mine: Claim) -> Any:
    """What a writer reports that has written the item's title."""
    intent = make_intent(mine.item, run_id=mine.run_id)
    database.write(intents.insert, [intent])
    changes = {"title": [mine.item.homes["embedded"].get("title"), mine.item.tags.get("title")]}
    return verified(mine, settled=(intent,), changes=changes, method="PATCH", said=mine.item.tags, bytes_written=9)


def start(database: Database, catalog: Catalog, selection: Selection = EVERYTHING, write_id: str = "") -> Job:
    """Ask for the last write of these items, or for a named one, to be taken back."""
    return database.write(undo_jobs.start_for_items, ANN, catalog, selection, write_id)


def start_run(database: Database, catalog: Catalog, run_id: str) -> Job:
    """Ask for a run to be taken back."""
    return database.write(undo_jobs.start_for_run, ANN, catalog, run_id)


def claims_of(database: Database, job: Job, limit: int = 100) -> list[Claim]:
    """What a writer is given that asks for work of the job."""
    return database.write(undo_jobs.claim, job.job_id, "writer", limit)


def taken_back(database: Database, mine: Claim, *, left_alone: tuple[str, ...] = ()) -> Any:
    """What a writer reports that has taken the wanted write back; the file says what it said before."""
    found = database.read(undo_jobs.wanted, [mine]).get(mine.item.item_id)
    if found is None:
        return PassedOver(mine)
    said = {name: old for name, (old, _new) in found.write.changes.items() if old is not None}
    intent = make_intent(mine.item)
    database.write(intents.insert, [intent])
    return verified(
        mine,
        tags=said,
        said=said,
        settled=(intent,),
        changes={name: [new, old] for name, (old, new) in found.write.changes.items()},
        method="PATCH",
        undoing=Undoing.of(found.job, found.write, left_alone),
    )


def work_off(database: Database, catalog: Catalog, job: Job) -> Job:
    """Writers take everything back that the job wants."""
    while mine := claims_of(database, job):
        acknowledge(database, catalog, *[taken_back(database, each) for each in mine])
    return present(database, job)


def present(database: Database, job: Job) -> Job:
    """The job as it is stored now."""
    found = database.read(jobs.get, job.job_id)
    assert found is not None
    return found


def last_write(database: Database, item: Item) -> Write:
    """The newest write of the item."""
    return database.read(writes.of_items, item.catalog_id, [item.item_id])[item.item_id][0]
