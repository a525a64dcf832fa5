"""The program of a writer process: claims items, writes them, says so, sleeps until it is woken.

    python -m indelible_server.writeback.writer WRITER_ID HOST_ID

It is started by a supervisor, with its settings in the environment, is single-threaded, and never imports gRPC: a
hostile file may crash it, and costs nothing but that file.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

import structlog

from ..config import load_settings
from ..domain import claiming, undo_jobs
from ..errors import Unavailable
from ..logs import configure_logging
from ..processes import Parent, be_child, limit_cpu
from ..roots import Roots
from ..storage import catalogs, leases
from ..storage.catalogs import Catalog
from ..storage.database import Database
from ..storage.leases import Claim
from .pipeline import Pipeline

BATCH = 32
LATER_S = 0.5
# For one file, and far more than any good one takes.
CPU_S = 60

log = structlog.get_logger("writer")


class Writer:
    """The loop of a writer process."""

    def __init__(self, database: Database, writer_id: str, host_id: str, parent: Parent, roots: Roots) -> None:
        self._database = database
        self._writer_id = writer_id
        self._parent = parent
        self._pipeline = Pipeline(database, host_id, roots, begin=self._begin, may_go_on=lambda: not parent.wants_end)
        self._left_behind = False

    def run(self) -> None:
        """Work until the supervisor wants an end, or is gone. The file in hand is always finished."""
        while not self._parent.wants_end:
            try:
                self._drop_left_behind()
                if not self._work():
                    self._parent.say("idle")
                    self._parent.wait(self._database.read(claiming.seconds_to_next))
            except Unavailable as error:
                log.info("waiting for the database", message=error.message)
                self._left_behind = True
                self._parent.wait(LATER_S)

    def _drop_left_behind(self) -> None:
        """A batch that the database cut short has left leases; between two batches a writer holds none."""
        if self._left_behind:
            self._database.write(leases.drop, [self._writer_id])
            self._left_behind = False

    def _work(self) -> bool:
        unsettled = self._database.write(leases.claim_unsettled, self._writer_id, BATCH)
        if unsettled:
            return self._do(unsettled, self._pipeline.settle)
        for job in self._database.read(undo_jobs.active):
            claims = self._database.write(undo_jobs.claim, job.job_id, self._writer_id, BATCH)
            if claims:
                return self._do(claims, self._pipeline.undo)
        for catalog_id in self._database.read(claiming.catalogs_with_work, self._writer_id):
            claims = self._database.write(claiming.claim, catalog_id, self._writer_id, BATCH)
            if claims:
                return self._do(claims, self._pipeline.write)
        return False

    def _do(self, claims: Sequence[Claim], work: Callable[[Catalog, Sequence[Claim]], None]) -> bool:
        catalog = self._database.read(catalogs.get, claims[0].item.catalog_id)
        if catalog is not None:
            work(catalog, claims)
        return True

    def _begin(self, claim: Claim) -> None:
        limit_cpu(CPU_S)
        self._parent.say(f"item {claim.item.catalog_id} {claim.item.item_id} {claim.token}")


def main() -> None:
    """Run a writer until its supervisor closes its standard input."""
    parser = argparse.ArgumentParser(description="A writer process; started by a supervisor.")
    parser.add_argument("writer_id")
    parser.add_argument("host_id")
    arguments = parser.parse_args()
    settings = load_settings({}, os.environ)
    configure_logging(settings.log_format)
    parent = be_child(settings.data)
    database = Database(settings.database_url, lock_dir=settings.data, pool_size=2)
    database.wakeups.subscribe(lambda catalog_id: parent.say(f"changed {catalog_id}"))
    Writer(database, arguments.writer_id, arguments.host_id, parent, Roots(settings.local_roots)).run()
    database.close()


if __name__ == "__main__":
    main()
