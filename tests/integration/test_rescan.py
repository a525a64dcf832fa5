"""A rescan over the API: started by one client, seen by all, and it writes into no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from indelible.v1 import item_pb2, job_pb2, library_service_pb2
from indelible_client.cli.main import app
from support.client import Client, Library, set_tags
from support.contract import refused
from support.photos import edit_outside, make_photos, seen, times
from support.server import RunningServer
from typer.testing import CliRunner


def rescan(client: Client, catalog: str, **how: object) -> job_pb2.Job:
    """A rescan, when it has ended."""
    request = library_service_pb2.StartRescanRequest(catalog=catalog, **how)
    job: job_pb2.Job = client.job(client.stubs.library.StartRescan(request).job.id)
    return job


def test_what_others_changed_is_in_the_catalog_and_nothing_is_written_for_it(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    client.switch(catalog, True)
    edit_outside(paths[0], title="Theirs")
    make_photos(paths[0].parent / "new", 2)
    paths[1].rename(paths[1].with_name(".away"))
    before = times([paths[0], paths[2]])
    job = rescan(client, catalog)
    assert (job.kind, job.state) == (job_pb2.JOB_KIND_RESCAN, job_pb2.JOB_STATE_COMPLETED)
    expected = job_pb2.RescanCounts(added_items=2, changed_items=1, unchanged_items=1, missing_items=1)
    assert job.rescan_counts == expected
    status = client.nothing_happens(catalog, 1)
    assert times([paths[0], paths[2]]) == before
    assert client.item(catalog, "p0000.jpg").tags.title == "Theirs"
    (missing,) = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_MISSING)
    assert (missing.path, missing.tags.title) == ("p0001.jpg", "Base")
    status = client.status(catalog)
    assert (status.total_items, status.unsynced_items, status.missing_items) == (5, 0, 1)


def test_a_pending_edit_is_written_over_what_a_rescan_found(client: Client, library: Library) -> None:
    catalog, (path,) = library(1)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    client.edit(catalog, set_tags(title="Ours"))
    edit_outside(path, title="Theirs", credit="Theirs")
    rescan(client, catalog)
    client.sync(catalog)
    assert (seen(path).title, seen(path).credit) == ("Ours", "Theirs")
    assert rescan(client, catalog).rescan_counts == job_pb2.RescanCounts(unchanged_items=1)


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # the same on both
def test_the_command_line_asks_before_most_files_are_missing(
    server: RunningServer, client: Client, library: Library
) -> None:
    catalog, paths = library(2)
    for path in paths:
        path.unlink()
    common = ["--server", server.address, "--token", server.token, "rescan", catalog]
    asked = CliRunner().invoke(app, common)
    assert asked.exit_code == 1
    assert "2 of 2 files are gone" in asked.output
    assert "--accept-missing" in asked.output
    assert not client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_MISSING)
    accepted = CliRunner().invoke(app, [*common, "--accept-missing"])
    assert accepted.exit_code == 0
    assert "2 missing" in accepted.output


def test_a_folder_outside_is_refused(client: Client, library: Library, tmp_path: Path) -> None:
    catalog, _ = library(1)
    for path in ("..", "../photos", str(tmp_path / "elsewhere" / "..")):
        with refused("PATH_OUTSIDE_ROOT"):
            rescan(client, catalog, path=path)
