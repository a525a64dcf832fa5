"""The program that carries out one job, started by `JobRunner` and never importing gRPC.

python -m indelible_server.library.worker JOB_ID HOST_ID
"""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import replace

from ..config import load_settings
from ..domain.jobs import IMPORT, RESCAN
from ..logs import configure_logging
from ..processes import be_child
from ..roots import Roots
from ..storage import jobs
from ..storage.database import Database
from ..storage.jobs import JobLost
from .importing import run_import
from .rescanning import run_rescan

KINDS = {IMPORT: run_import, RESCAN: run_rescan}


def main() -> None:
    """Run the job of the id on the command line to its end."""
    parser = argparse.ArgumentParser(description="Carries out one job; started by the server.")
    parser.add_argument("job_id")
    parser.add_argument("host_id")
    arguments = parser.parse_args()
    settings = load_settings({}, os.environ)
    configure_logging(settings.log_format)
    parent = be_child(settings.data)
    database = Database(settings.database_url, lock_dir=settings.data, pool_size=2)
    database.wakeups.subscribe(lambda catalog_id: parent.say(f"changed {catalog_id}"))
    job = database.read(jobs.get, arguments.job_id)
    # Lost: this server was taken for dead, and another one goes on.
    with contextlib.suppress(JobLost):
        if job is not None:
            KINDS[job.kind](database, Roots(settings.local_roots), replace(job, host_id=arguments.host_id))
    database.close()


if __name__ == "__main__":
    main()
