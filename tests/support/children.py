"""Processes for tests to kill: each uses a database in the way that its name says, and prints a line when it is there.

python -m support.children NAME URL [ARGUMENT …]
"""

from __future__ import annotations

import itertools
import signal
import sys
from pathlib import Path
from typing import Any

from indelible_server.domain import changes
from indelible_server.files import media
from indelible_server.roots import Roots
from indelible_server.storage import catalogs, leases, migrate, writers
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database, touch
from indelible_server.writeback import pipeline

from support.edits import answer, edit, request, title
from support.programs import Lines
from support.samples import add_items, make_catalog

TESTS = Path(__file__).parent.parent


def child(name: str, database: Database, *arguments: object) -> Lines:
    """Start one of these on the same database. It is killed (SIGKILL) at the end of the `with`."""
    url = database.url.render_as_string(hide_password=False)
    return Lines([sys.executable, "-m", "support.children", name, url, *map(str, arguments)], TESTS)


def commit_an_edit(database: Database) -> None:
    """Edit an item, say so, and wait to be killed."""
    catalog = make_catalog(database)
    add_items(database, catalog, ["a.jpg"])
    edit(database, catalog, title("kept"))
    _wait_for_the_end("committed")


def die_before_the_commit(database: Database) -> None:
    """Wait to be killed in the middle of a transaction that has changed something."""

    def work(tx: Any) -> None:
        catalogs.insert(tx, Catalog(0, "Never there"))
        _wait_for_the_end("not committed")

    database.write(work)


def edit_in_bulk(database: Database, catalog_id: str) -> None:
    """Edit every item again and again."""
    catalog = _catalog(database, catalog_id)
    for number in itertools.count():
        edit(database, catalog, title(f"bulk {number}"))
        print(number, flush=True)


def die_in_the_second_part(database: Database, catalog_id: str, request_id: str) -> None:
    """Begin a durable change and wait to be killed inside the transaction of its second part."""
    calls, apply = itertools.count(), changes.apply_edits

    def apply_edits(*arguments: Any) -> Any:
        if next(calls) == changes.ITEMS_A_PART + 100:
            _wait_for_the_end("in the second part")
        return apply(*arguments)

    changes.apply_edits = apply_edits
    wanted = request(_catalog(database, catalog_id), [changes.Edit("add", "keywords", ["new"])], request_id=request_id)
    changes.edit_tags(database, wanted, answer)


def finish_changes(database: Database) -> None:
    """What a server does when it starts."""
    print(changes.finish_changes(database, answer), flush=True)


def upgrade(database: Database) -> None:
    """Migrate, as a server does when it starts."""
    migrate.upgrade(database)
    print("upgraded", flush=True)


def listen(database: Database) -> None:
    """Print each catalog that this process is woken for."""
    database.wakeups.subscribe(lambda catalog_id: print(catalog_id, flush=True))
    signal.pause()


def wake(database: Database, catalog_id: str) -> None:
    """Wake those who wait for a catalog, once."""
    database.write(touch, int(catalog_id))
    _wait_for_the_end("committed")


def stall_before_the_write(database: Database, catalog_id: str) -> None:
    """A writer of another host that stops itself when it has asked for its lease for the last time."""
    ask = pipeline.AtRoot._asking

    def ask_and_stall(at_root: Any, claim: Any) -> Any:
        def asked() -> bool:
            is_ours = ask(at_root, claim)()
            _stall()
            return is_ours

        return asked

    pipeline.AtRoot._asking = ask_and_stall  # type: ignore[method-assign] # this process ends with the test
    media.grants_leases = lambda _device: False  # as on a share
    database.write(writers.insert, "late", "another host")
    catalog = _catalog(database, catalog_id)
    claims = database.write(leases.claim_due, catalog.catalog_id, "late", None, 1)
    assert claims
    written = pipeline.Pipeline(database, "another host", Roots(), begin=lambda _claim: None, may_go_on=lambda: True)
    written.write(catalog, claims)


def _stall() -> None:
    print("stalls", flush=True)
    signal.raise_signal(signal.SIGSTOP)


def _catalog(database: Database, catalog_id: str) -> Catalog:
    found = database.read(catalogs.get, int(catalog_id))
    assert found is not None
    return found


def _wait_for_the_end(said: str) -> None:
    print(said, flush=True)
    signal.pause()


if __name__ == "__main__":
    name, url, *arguments = sys.argv[1:]
    globals()[name](Database(url), *arguments)
