"""Hosts: which roots they reach, and when a root is offline."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from indelible_server.serve import this_host
from indelible_server.storage import catalogs, hosts, intents, leases, writers
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.database import Database
from indelible_server.storage.hosts import Host
from indelible_server.storage.tables import hosts as host_rows
from support.edits import claim, edit, title
from support.intents import make_intent
from support.samples import add_items


@pytest.fixture(autouse=True)
def two_hosts(database: Database) -> None:
    """Two hosts with a writer each."""
    for name in ("near", "far"):
        begin(database, name)
        database.write(writers.insert, f"{name} writer", name)


def begin(database: Database, host_id: str) -> None:
    database.write(hosts.begin, Host(host_id, f"{host_id}.example", "1.0"))


def note(database: Database, host_id: str, root: Root, reached: bool) -> None:
    database.write(hosts.note_reach, host_id, root, reached)


def is_offline(database: Database, root: Root) -> bool:
    (now,) = [each for each in database.read(catalogs.all_roots) if each.root_id == root.root_id]
    return now.offline_since is not None


def test_a_writer_claims_only_items_of_roots_that_its_host_reaches(database: Database, catalog: Catalog) -> None:
    (item, other) = add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    database.write(intents.insert, [make_intent(other)])
    note(database, "far", catalog.roots[0], False)
    assert claim(database, catalog, "far writer") == []
    assert database.write(leases.claim_unsettled, "far writer", 9) == []
    assert [each.item.item_id for each in claim(database, catalog, "near writer")] == [item.item_id]
    note(database, "far", catalog.roots[0], True)
    assert [each.item.item_id for each in database.write(leases.claim_unsettled, "far writer", 9)] == [other.item_id]


def test_a_root_is_offline_when_no_living_host_reaches_it(database: Database, catalog: Catalog) -> None:
    root = catalog.roots[0]
    note(database, "far", root, False)
    assert not is_offline(database, root)
    note(database, "near", root, False)
    assert is_offline(database, root)
    note(database, "far", root, True)
    assert not is_offline(database, root)
    query = sa.update(host_rows).where(host_rows.c.host_id == "far").values(heartbeat_at=1)
    database.write(lambda tx: tx.execute(query))
    note(database, "near", root, False)
    assert is_offline(database, root)


def test_a_root_in_doubt_is_looked_at_again_by_every_host(database: Database, catalog: Catalog) -> None:
    root = catalog.roots[0]
    assert database.read(hosts.in_doubt) == []
    note(database, "far", root, False)
    assert database.read(hosts.in_doubt) == [root]
    note(database, "near", root, False)
    for host_id in ("near", "far"):
        database.write(hosts.end, host_id)
    assert [each.root_id for each in database.read(hosts.in_doubt)] == [root.root_id]


def test_a_host_that_starts_anew_tries_every_root_anew(database: Database, catalog: Catalog) -> None:
    note(database, "far", catalog.roots[0], False)
    begin(database, "far")
    assert database.read(hosts.unreached_by, ["far"]) == set()


def test_living_writers_are_listed_with_what_they_reach_and_have_in_hand(database: Database, catalog: Catalog) -> None:
    root_id = catalog.roots[0].root_id
    add_items(database, catalog, ["a", "b"])
    edit(database, catalog, title("new"))
    claim(database, catalog, "near writer")
    note(database, "far", catalog.roots[0], False)
    database.write(writers.set_pid, "near writer", 7)
    far, near = database.read(writers.alive)
    assert (far.host, far.root_ids, far.in_flight) == ("far.example", (), 0)
    assert (near.host, near.pid, near.version, near.root_ids, near.in_flight) == (
        "near.example", 7, "1.0", (root_id,), 2,
    )  # fmt: skip
    assert database.read(writers.count_for, catalog.catalog_id) == 1


def test_a_copy_of_a_living_hosts_data_folder_is_another_host(database: Database, tmp_path: Path) -> None:
    (tmp_path / "host-id").write_text("far\n")
    assert this_host(database, str(tmp_path)).host_id not in ("", "far")
    given = (tmp_path / "host-id").read_text().strip()
    assert this_host(database, str(tmp_path)).host_id == given
    database.write(hosts.begin, this_host(database, str(tmp_path)))
    assert this_host(database, str(tmp_path)).host_id == given
