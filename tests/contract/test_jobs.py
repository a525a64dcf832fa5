"""Jobs: one active of a kind in a catalog, by the schema."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from indelible_server.domain import jobs as job_rules
from indelible_server.domain.principal import Principal, Role
from indelible_server.errors import FailedPrecondition, NotFound
from indelible_server.storage import catalogs, hosts, jobs
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.hosts import Host
from indelible_server.storage.ids import new_id
from indelible_server.storage.jobs import Conditions, Job, JobLost
from indelible_server.storage.tables import hosts as host_rows
from sqlalchemy.exc import IntegrityError
from support.samples import make_catalog

ANN = Principal("ann", Role.OPERATOR, on_behalf_of="bob")


def stored(database: Database, catalog: Catalog, kind: str = "IMPORT", **values: object) -> Job:
    """A job that no rule has made."""
    return database.write(jobs.insert, Job(catalog.catalog_id, new_id(), kind, "ann", **values))  # type: ignore[arg-type]


def test_a_catalog_has_one_active_job_of_a_kind_by_the_schema(database: Database, catalog: Catalog) -> None:
    first = stored(database, catalog)
    with pytest.raises(IntegrityError):
        stored(database, catalog)
    stored(database, catalog, "RESCAN")
    stored(database, make_catalog(database, "Other", b"/other"))
    database.write(jobs.update, first, state=jobs.COMPLETED)
    stored(database, catalog)


def test_a_second_start_names_the_job_that_runs(database: Database, catalog: Catalog) -> None:
    job = database.write(job_rules.start_scan, ANN, catalog, "IMPORT", "sub", "")
    assert (job.state, job.principal, job.on_behalf_of) == (jobs.QUEUED, "ann", "bob")
    assert job.arguments == {"path": "sub", "root_id": ""}
    with pytest.raises(FailedPrecondition) as caught:
        database.write(job_rules.start_scan, ANN, catalog, "IMPORT", "sub", "")
    assert caught.value.reason == "JOB_RUNNING"
    assert caught.value.metadata["job_id"] == job.job_id


def test_a_job_for_a_root_that_is_not_there_is_refused(database: Database, catalog: Catalog) -> None:
    with pytest.raises(NotFound):
        database.write(job_rules.start_scan, ANN, catalog, "IMPORT", "", "f" * 32)
    with pytest.raises(NotFound):
        database.write(job_rules.start_scan, ANN, replace(catalog, roots=()), "IMPORT", "", "")


def test_a_job_for_a_root_that_nobody_reaches_is_refused(database: Database, catalog: Catalog) -> None:
    root_id = catalog.roots[0].root_id
    database.write(catalogs.set_root_offline, root_id, True)
    present = database.read(catalogs.get, catalog.catalog_id)
    assert present is not None
    with pytest.raises(FailedPrecondition) as caught:
        database.write(job_rules.start_scan, ANN, present, "IMPORT", "", root_id)
    assert caught.value.reason == "ROOT_OFFLINE"
    assert database.write(job_rules.start_scan, ANN, present, "IMPORT", "", "").state == jobs.QUEUED


def test_a_job_is_stored_and_read_unchanged(database: Database, catalog: Catalog) -> None:
    job = stored(database, catalog, arguments={"a": "é"}, counts={"new": 1}, problems=[{"path": "x"}])
    assert database.read(jobs.get, job.job_id) == job
    assert database.read(jobs.get, "no such job") is None
    assert job.created_at > 0


def test_a_job_that_has_ended_stays_as_it_is(database: Database, catalog: Catalog) -> None:
    job = stored(database, catalog)
    running = database.write(jobs.update, job, state=jobs.RUNNING, total=5)
    assert running.started_at is not None
    ended = database.write(jobs.update, running, state=jobs.FAILED, message="why")
    assert ended.ended_at is not None
    database.write(jobs.update, running, state=jobs.COMPLETED, done=5)
    assert database.read(jobs.get, job.job_id) == ended
    assert database.read(jobs.active) == []


def test_cancelling_asks_the_job_to_end_and_leaves_an_ended_one(database: Database, catalog: Catalog) -> None:
    job = stored(database, catalog)
    assert database.write(job_rules.cancel, ANN, job.job_id).cancel_requested
    ended = database.write(jobs.update, job, state=jobs.CANCELLED)
    assert database.write(job_rules.cancel, ANN, job.job_id) == ended


def test_a_job_of_a_catalog_that_the_caller_may_not_see_does_not_exist(database: Database, catalog: Catalog) -> None:
    job = stored(database, catalog)
    stranger = Principal("eve", Role.ADMIN, frozenset({catalog.catalog_id + 1}))
    with pytest.raises(NotFound):
        database.write(job_rules.cancel, stranger, job.job_id)
    assert not database.read(job_rules.find, ANN, job.job_id).cancel_requested


def test_jobs_are_listed_newest_first_by_what_is_asked_for(database: Database, catalog: Catalog) -> None:
    other = make_catalog(database, "Other", b"/other")
    first = stored(database, catalog)
    database.write(jobs.update, first, state=jobs.COMPLETED)
    second, third = stored(database, catalog, "RESCAN"), stored(database, other)

    def listed(limit: int = 9, before: str = "", **conditions: object) -> list[str]:
        found = database.read(jobs.newest, Conditions(**conditions), limit, before)  # type: ignore[arg-type]
        if not before and limit == 9:
            assert database.read(jobs.count, Conditions(**conditions)) == len(found)  # type: ignore[arg-type]
        return [job.job_id for job in found]

    newest = sorted([first.job_id, second.job_id, third.job_id], reverse=True)
    assert listed() == newest
    assert listed(2) == newest[:2]
    assert listed(before=newest[1]) == newest[2:]
    assert set(listed(catalog_ids=[catalog.catalog_id])) == {first.job_id, second.job_id}
    assert listed(catalog_ids=[]) == []
    assert listed(kinds=["RESCAN"]) == [second.job_id]
    assert set(listed(active=True)) == {second.job_id, third.job_id}
    assert database.read(jobs.active, catalog.catalog_id, "RESCAN") == [second]


def claimed(database: Database, host_id: str, *running: Job) -> list[Job]:
    """What a server is given that asks for jobs."""
    return database.write(jobs.claim, host_id, ["IMPORT"], [job.job_id for job in running], 10)


def begin(database: Database, *host_ids: str) -> None:
    """Hosts that live."""
    for host_id in host_ids:
        database.write(hosts.begin, Host(host_id, "name", "1"))


def die(database: Database, host_id: str) -> None:
    """Nothing was heard of the host for long."""
    query = sa.update(host_rows).where(host_rows.c.host_id == host_id).values(heartbeat_at=1)
    database.write(lambda tx: tx.execute(query))


def test_a_job_is_carried_out_by_one_host_at_a_time(database: Database, catalog: Catalog) -> None:
    begin(database, "one", "two")
    job = stored(database, catalog)
    stored(database, catalog, "UNDO")
    (mine,) = claimed(database, "one")
    assert mine == replace(job, host_id="one")
    assert claimed(database, "two") == []
    assert claimed(database, "one", mine) == []
    assert claimed(database, "one") == [mine]  # its process has died


def test_the_job_of_a_dead_host_is_taken_over_and_then_no_longer_its_own(database: Database, catalog: Catalog) -> None:
    begin(database, "one", "two")
    stored(database, catalog)
    (lost,) = claimed(database, "one")
    die(database, "one")
    (taken,) = claimed(database, "two")
    with pytest.raises(JobLost):
        database.write(jobs.update, lost, state=jobs.FAILED, message="too late")
    assert database.write(jobs.update, taken, state=jobs.RUNNING, total=7).host_id == "two"
    begin(database, "one")
    assert claimed(database, "one") == []


def test_a_host_that_stops_leaves_its_jobs_to_others(database: Database, catalog: Catalog) -> None:
    begin(database, "one", "two")
    (job,) = [stored(database, catalog)]
    claimed(database, "one")
    database.write(jobs.release, "one")
    assert claimed(database, "two") == [replace(job, host_id="two")]
