"""Catalogs, their names, their ids and their roots."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from indelible_server.domain import catalogs as rules
from indelible_server.domain import changes, sync
from indelible_server.domain.catalogs import ApprovedRoot, Deletion
from indelible_server.domain.edits import Edit
from indelible_server.domain.principal import Principal, Role
from indelible_server.errors import AlreadyExists, FailedPrecondition, NotFound
from indelible_server.storage import catalogs, items, jobs, leases, runs
from indelible_server.storage import changes as change_rows
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.database import Database
from indelible_server.storage.ids import new_id
from indelible_server.storage.jobs import Job
from indelible_server.storage.runs import Run
from indelible_server.storage.tables import change_items
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from support.databases import until_someone_waits
from support.edits import answer, claim, edit, request, title
from support.samples import add_items, make_catalog

ANN = Principal("ann", Role.ADMIN)


def approved(path: bytes, root_id: str = "") -> ApprovedRoot:
    """A folder that was looked at."""
    return ApprovedRoot(root_id or new_id(), path, False, "")


def create(database: Database, name: str, *roots: ApprovedRoot) -> Catalog:
    """A new catalog, as an admin makes it."""
    return database.write(rules.create, Catalog(0, name), roots)


def stored(database: Database, catalog: Catalog) -> Catalog:
    """The catalog as it is stored now."""
    found = database.read(catalogs.get, catalog.catalog_id)
    assert found is not None
    return found


def delete(database: Database, catalog: Catalog) -> None:
    """Delete a catalog to the end."""
    database.write(rules.begin_delete, catalog)
    while database.write(rules.delete_part, catalog.catalog_id) is not Deletion.DONE:
        pass


def test_a_new_catalog_is_paused_whatever_was_asked_for(database: Database) -> None:
    created = database.write(rules.create, Catalog(0, "Archive", auto_sync=True), [approved(b"/a"), approved(b"/b")])
    assert not created.auto_sync
    assert [root.path for root in created.roots] == [b"/a", b"/b"]
    assert created.created_at > 0
    counts = database.read(catalogs.counts, created.catalog_id)
    assert (counts.revision, counts.total) == (0, 0)


def test_a_catalog_is_stored_and_read_unchanged(database: Database) -> None:
    wanted = Catalog(0, "Ärchive", "text", policy={"formats": [], "label_map": {"Rot": "red"}}, quiet_ms=7)
    made = make_catalog(database, wanted.name, b"/\xff", description="text", policy=wanted.policy, quiet_ms=7)
    assert (made.name, made.description, made.policy, made.quiet_ms) == ("Ärchive", "text", wanted.policy, 7)
    assert made.roots[0].path == b"/\xff"


def test_a_name_is_of_one_living_catalog_by_the_schema(database: Database) -> None:
    first = make_catalog(database)
    with pytest.raises(IntegrityError):
        database.write(catalogs.insert, first)
    with pytest.raises(AlreadyExists) as caught:
        create(database, "Archive")
    assert caught.value.reason == "NAME_TAKEN"
    database.write(rules.begin_delete, first)
    second = create(database, "Archive")
    assert database.read(catalogs.by_name, "Archive") == second
    assert [each.catalog_id for each in database.read(catalogs.list_all)] == [second.catalog_id]
    assert [each.catalog_id for each in database.read(catalogs.being_deleted)] == [first.catalog_id]


def test_names_that_differ_in_case_are_different(database: Database) -> None:
    create(database, "archive")
    create(database, "Archive")
    assert {each.name for each in database.read(catalogs.list_all)} == {"archive", "Archive"}


def test_an_id_is_never_given_twice(database: Database) -> None:
    first = create(database, "one")
    delete(database, first)
    assert database.read(catalogs.get, first.catalog_id) is None
    assert create(database, "one").catalog_id > first.catalog_id


def test_a_deleted_catalog_is_gone_for_callers_at_once_and_rests_nothing(database: Database) -> None:
    catalog = create(database, "Archive", approved(b"/a"))
    add_items(database, catalog, [str(number) for number in range(rules.REMOVED_AT_ONCE + 1)])
    edited = edit(database, catalog, title("new"))
    run = Run(catalog.catalog_id, new_id(), runs.RUNNING, edited.last_revision, False, 1, "ann", "", 0)
    database.write(runs.insert, run)
    claimed = claim(database, catalog, run=run, limit=1)
    assert database.read(leases.may_begin, claimed[0])
    job = database.write(jobs.insert, Job(catalog.catalog_id, new_id(), "IMPORT", "ann"))
    database.write(rules.begin_delete, catalog)
    with pytest.raises(NotFound):
        database.read(rules.find, ANN, "Archive")
    with pytest.raises(NotFound):
        database.read(rules.find, ANN, str(catalog.catalog_id))
    assert not database.read(leases.may_begin, claimed[0])
    database.write(leases.release, claimed)
    assert database.read(runs.active, catalog.catalog_id) is None
    ended = database.read(jobs.get, job.job_id)
    assert ended is not None
    assert ended.state == jobs.CANCELLED
    parts = 0
    while database.write(rules.delete_part, catalog.catalog_id) is Deletion.MORE:
        parts += 1
    assert parts == 2
    assert database.read(catalogs.get, catalog.catalog_id) is None
    assert database.read(catalogs.all_roots) == []


def test_the_folder_of_a_deleted_catalog_may_be_a_root_again(database: Database) -> None:
    root = approved(b"/a")
    delete(database, create(database, "one", root))
    assert create(database, "two", root).roots[0].root_id == root.root_id


def test_a_deletion_waits_for_a_writer_that_has_a_file_in_hand(database: Database) -> None:
    catalog = make_catalog(database, quiet_ms=0)
    add_items(database, catalog, ["a"])
    edit(database, catalog, title("new"))
    claim(database, catalog)
    database.write(rules.begin_delete, catalog)
    assert database.write(rules.delete_part, catalog.catalog_id) is Deletion.WAITING
    assert database.read(catalogs.counts, catalog.catalog_id).total == 1


def test_a_bulk_edit_ends_with_its_catalog(database: Database) -> None:
    """A crash left it behind, and before the server finishes it the catalog is deleted."""
    catalog = make_catalog(database)
    add_items(database, catalog, [str(number) for number in range(changes.ITEMS_AT_ONCE + 1)])
    wanted = request(catalog, [Edit("set", "title", "new")])
    database.write(changes._begin, wanted, answer)
    delete(database, catalog)
    assert changes.finish_changes(database, answer) == 1
    assert database.read(change_rows.unfinished) == []
    assert database.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(change_items))) == 0
    assert b'"matched": 501' in changes.edit_tags(database, wanted, answer)


@pytest.mark.parametrize("name", ["9" * 30, "0", "no such", "-1"])
def test_what_is_not_there_is_not_found(database: Database, catalog: Catalog, name: str) -> None:
    with pytest.raises(NotFound):
        database.read(rules.find, ANN, name)


def test_a_catalog_is_found_by_name_and_by_id_for_those_who_may_see_it(database: Database, catalog: Catalog) -> None:
    stranger = Principal("eve", Role.ADMIN, frozenset({catalog.catalog_id + 1}))
    friend = Principal("bob", Role.VIEWER, frozenset({catalog.catalog_id}))
    for name in (catalog.name, str(catalog.catalog_id)):
        assert database.read(rules.find, friend, name) == catalog
        with pytest.raises(NotFound):
            database.read(rules.find, stranger, name)
    assert database.read(rules.visible, friend) == [catalog]
    assert database.read(rules.visible, stranger) == []


def test_a_change_raises_the_revision_of_the_settings(database: Database, catalog: Catalog) -> None:
    updated = database.write(rules.update, catalog, replace(catalog, name="New", quiet_ms=1))
    assert (updated.name, updated.quiet_ms, updated.revision) == ("New", 1, catalog.revision + 1)
    assert updated == stored(database, catalog)
    create(database, "Other")
    with pytest.raises(AlreadyExists):
        database.write(rules.update, updated, replace(updated, name="Other"))


def test_of_two_changes_at_once_neither_is_lost(postgresql: Database) -> None:
    """The second began before the first was committed; it is repeated on what the first has left."""
    catalog = make_catalog(postgresql)

    def switch(tx: Connection) -> None:
        sync.set_auto_sync(tx, rules.find(tx, ANN, catalog.name), True)

    switching = threading.Thread(target=postgresql.write, args=(switch,))

    def rename(tx: Connection) -> None:
        present = rules.find(tx, ANN, str(catalog.catalog_id))
        rules.update(tx, present, replace(present, description="new"))
        switching.start()
        until_someone_waits(postgresql)

    postgresql.write(rename)
    switching.join(timeout=20)
    after = stored(postgresql, catalog)
    assert (after.description, after.auto_sync, after.revision) == ("new", True, catalog.revision + 2)


def test_the_switch_is_kept_by_the_store(database: Database, other: Database, catalog: Catalog) -> None:
    switched = database.write(sync.set_auto_sync, catalog, True)
    assert switched == replace(stored(other, catalog), updated_at=catalog.updated_at)
    assert stored(other, catalog).auto_sync
    assert database.write(sync.set_auto_sync, switched, True) == switched
    database.write(sync.pause, switched)
    assert not stored(other, catalog).auto_sync


def test_a_root_that_is_gone_keeps_the_time_when_it_went(database: Database, catalog: Catalog) -> None:
    root_id = catalog.roots[0].root_id
    database.write(catalogs.set_root_offline, root_id, True)
    since = stored(database, catalog).roots[0].offline_since
    assert since is not None
    database.write(catalogs.set_root_offline, root_id, True)
    assert stored(database, catalog).roots[0].offline_since == since
    database.write(catalogs.set_root_offline, root_id, False)
    assert stored(database, catalog).roots[0].offline_since is None


def test_roots_are_added_and_removed_and_keep_their_order(database: Database) -> None:
    catalog = create(database, "Archive", approved(b"/a"), approved(b"/b"))
    updated = database.write(rules.update, catalog, catalog, [approved(b"/c")], [catalog.roots[0].root_id])
    assert [root.path for root in updated.roots] == [b"/b", b"/c"]


def test_a_root_with_items_is_not_removed(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a"])
    with pytest.raises(FailedPrecondition) as caught:
        database.write(rules.update, catalog, catalog, (), [catalog.roots[0].root_id])
    assert caught.value.reason == "ROOT_IN_USE"
    assert stored(database, catalog).roots == catalog.roots


@pytest.mark.parametrize(
    ("path", "overlaps"),
    [
        (b"/photos/2023", True),
        (b"/photos", True),
        (b"/photos/2023/may", True),
        (b"/", True),
        (b"/photos/2023/", True),
        (b"/photos/20", False),
        (b"/photos/2023b", False),
        (b"/photos/2024", False),
        (b"/Photos/2023", False),
    ],
)
def test_roots_never_overlap_over_all_catalogs(database: Database, path: bytes, overlaps: bool) -> None:
    create(database, "one", approved(b"/photos/2023"))
    if not overlaps:
        create(database, "two", approved(path))
        return
    with pytest.raises(AlreadyExists) as caught:
        create(database, "two", approved(path))
    assert (caught.value.reason, caught.value.field) == ("ROOT_OVERLAPS", "roots[0].path")
    assert database.read(catalogs.by_name, "two") is None


def test_the_roots_of_one_catalog_do_not_overlap_either(database: Database) -> None:
    with pytest.raises(AlreadyExists) as caught:
        create(database, "one", approved(b"/a"), approved(b"/a/b"))
    assert caught.value.field == "roots[1].path"


def test_a_copy_of_a_root_with_its_marker_is_noticed(database: Database) -> None:
    root = approved(b"/a")
    create(database, "one", root)
    with pytest.raises(AlreadyExists):
        create(database, "two", replace(root, path=b"/copy of a"))


def test_roots_that_are_added_at_once_do_not_overlap(database: Database) -> None:
    together, refused = threading.Barrier(4), []

    def work(number: int) -> None:
        together.wait()
        try:
            create(database, f"Archive {number}", approved(b"/a" + b"/b" * number))
        except AlreadyExists as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert refused == ["ROOT_OVERLAPS"] * 3
    assert len(database.read(catalogs.all_roots)) == 1


def test_items_are_counted_by_root(database: Database, catalog: Catalog) -> None:
    second = Root("f" * 32, catalog.catalog_id, b"/second", read_only=False)
    database.write(catalogs.insert_root, second)
    add_items(database, catalog, ["a"])
    here = add_items(database, catalog, ["b", "c"], root_id=second.root_id)
    edit(database, catalog, title("new"), items=here)
    assert [root.unsynced for root in stored(database, catalog).roots] == [0, 2]
    assert database.read(items.count, catalog.catalog_id, items.SavedSearch.ALL, "", second.root_id) == 2


def test_the_store_has_an_id_of_its_own(database: Database) -> None:
    store_id = database.read(catalogs.store_id)
    assert len(store_id) == 32
    assert database.write(catalogs.lock_store) == store_id
