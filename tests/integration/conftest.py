"""A server for the tests of a module, on either database; none of them may make it say "internal error"."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.client import Client, Library, globs, set_tags
from support.databases import Databases
from support.photos import make_photos
from support.server import RunningServer
from support.world import World

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A running server, once on each database. A test may stop and start it; it goes on with the next one."""
    data = tmp_path_factory.mktemp("data")
    yield from _running(RunningServer(data, databases.fresh(request.param, data)))


@pytest.fixture(scope="module")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A running server with its own SQLite file."""
    yield from _running(RunningServer(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def world(sqlite_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once: no test of this module may change it."""
    folder = tmp_path_factory.mktemp("world")
    client = Client(sqlite_server.stubs())
    make_photos(folder / "photos", 3)
    (folder / "photos" / "sub").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "file.txt").write_text("no folder")
    (folder / "link").symlink_to(folder / "photos")
    (folder / "link in").symlink_to(folder / "photos" / "sub")
    custom = [{"name": "usage_terms"}]
    catalog = client.create("Archive", folder / "photos", custom_fields=custom)
    client.import_files("Archive")
    client.edit("Archive", set_tags(title="First"), selection=globs("p0000.jpg"), request_id="used")
    return World(sqlite_server, client, folder, catalog)


@pytest.fixture
def client(server: RunningServer) -> Client:
    """A fresh client of the server."""
    return Client(server.stubs())


@pytest.fixture
def name() -> str:
    """A catalog name that no other test uses."""
    return f"Archive {next(_numbers)}"


@pytest.fixture
def library(client: Client, name: str, tmp_path: Path) -> Library:
    """Makes a folder of photos and an imported catalog of them."""

    def make(number: int, *, name: str = name, folder: str = "photos", **settings: Any) -> tuple[str, list[Path]]:
        paths = make_photos(tmp_path / folder, number)
        client.create(name, tmp_path / folder, **settings)
        job = client.import_files(name)
        assert job.import_counts.added_items == number
        return name, paths

    return make


def _running(server: RunningServer) -> Iterator[RunningServer]:
    with server:
        yield server
    assert not [line for line in server.log if "[error" in line], "".join(server.log)
