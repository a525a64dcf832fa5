"""Programs that share no code with Indelible can use it: `buf curl` by reflection, Node from the protos alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from indelible_server.storage import catalogs
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from support.client import Client
from support.programs import Finished, Lines, alone_in, finished, free_address
from support.samples import add_items
from support.server import RunningServer

BUF = Path(sys.executable).with_name("buf")
NODE = Path(__file__).parent / "node"
INSTALL_PATIENCE_S = 300
UNAUTHENTICATED = 16

# The first test that needs Node's packages installs them; how long that takes is not what is tested.
pytestmark = pytest.mark.timeout(2 * INSTALL_PATIENCE_S)

SERVICES = {"Admin", "Catalog", "Item", "Job", "Library", "Remote", "Sync"}


class BufCurl:
    """`buf curl` in an empty folder: all that it knows of the contract comes from the server's reflection."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._url = f"http://{server.address}"
        self._token = ["--header", f"Authorization: Bearer {server.token}"]
        self._folder = folder

    def services(self) -> list[str]:
        """The services that the server says it has."""
        answer = self._run([*self._command(self._url), "--list-services"])
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.split()

    def call(self, method: str, request: dict[str, Any]) -> Any:
        """One call, and its JSON answer with all fields."""
        answer = self._run(self._calling(method, request))
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def status_without_token(self, method: str) -> int:
        """The gRPC status of a call without a token; reflection needs none."""
        # buf's exit status is the gRPC status, shifted by three bits.
        return self._run(self._command(f"{self._url}/indelible.v1.{method}")).returncode >> 3

    def stream(self, method: str, request: dict[str, Any]) -> Lines:
        """A call that goes on."""
        return Lines(self._calling(method, request), self._folder)

    def _calling(self, method: str, request: dict[str, Any]) -> list[str]:
        url = f"{self._url}/indelible.v1.{method}"
        return [*self._command(url), *self._token, "--emit-defaults", "--data", json.dumps(request)]

    def _command(self, url: str) -> list[str]:
        return [str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", url]

    def _run(self, command: list[str]) -> Finished:
        return finished(command, self._folder)


class NodeClient:
    """`client.mjs`, which knows the protos and nothing else."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._command = ["node", str(NODE / "client.mjs"), server.address, str(server.data / "token")]
        self._folder = folder

    def call(self, *arguments: str) -> list[Any]:
        """One command, and the documents that it prints."""
        answer = finished([*self._command, *arguments], self._folder)
        assert answer.returncode == 0, answer.stderr
        return [json.loads(line) for line in answer.stdout.splitlines()]

    def edit(self, path: str, title: str) -> Any:
        """Give an item a title; the answer of EditTags."""
        return self.call("edit-tags", "Archive", path, json.dumps([{"set": {"tags": {"title": title}}}]))[0]

    def watch(self, *resume_token: str) -> Lines:
        """A watch that goes on."""
        return Lines([*self._command, "watch-items", "Archive", *resume_token], self._folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that comes back at the same address when it is started again."""
    with RunningServer(tmp_path / "data", listen=free_address()) as running:
        yield running
    assert not [line for line in running.log if "[error" in line], "".join(running.log)


@pytest.fixture
def buf_curl(server: RunningServer, tmp_path: Path) -> BufCurl:
    """`buf curl` against the server."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return BufCurl(server, folder)


@pytest.fixture
def store(server: RunningServer) -> Iterator[Database]:
    """The running server's own database, for items that no import made."""
    opened = Database(f"sqlite:///{server.data / 'indelible.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def archive(server: RunningServer, store: Database, tmp_path: Path) -> Catalog:
    """A catalog that the server made, with five items that no import did."""
    folder = tmp_path / "archive"
    folder.mkdir()
    catalog_id = int(Client(server.stubs()).create("Archive", folder).id)
    catalog = store.read(catalogs.get, catalog_id)
    assert catalog is not None
    add_items(store, catalog, ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])
    return catalog


@pytest.fixture
def node(server: RunningServer, tmp_path: Path) -> NodeClient:
    """The Node client against the server, with what it needs installed on first use."""
    install_node_packages()
    return NodeClient(server, tmp_path)


def install_node_packages() -> None:
    """Install what package.json pins into the ignored folder node_modules, again whenever the pins change."""
    pins = (NODE / "package.json").read_text()
    installed = NODE / "node_modules" / ".installed-pins"
    with alone_in(NODE):
        if installed.exists() and installed.read_text() == pins:
            return
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        answer = finished(command, NODE, INSTALL_PATIENCE_S)
        assert answer.returncode == 0, answer.stderr
        installed.write_text(pins)


def next_document(lines: Lines) -> Any:
    """The next JSON document, which may take several lines."""
    text = ""
    while True:
        text += lines.next()
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            continue


def first_document(lines: Lines, wanted: Callable[[Any], bool]) -> Any:
    """The first document for which `wanted` holds."""
    while not wanted(document := next_document(lines)):
        pass
    return document


def changes_up_to(lines: Lines, title: str) -> list[Any]:
    """The changes of items up to the one that gives this title; bookmarks and interruptions are left out."""
    changes: list[Any] = []
    while not changes or changes[-1]["item"].get("title") != title:
        document = next_document(lines)
        if document["event"] not in ("bookmark", "interrupted"):
            changes.append(document)
    return changes


def summaries(changes: list[Any]) -> list[tuple[str, str, str | None]]:
    """What happened, to which item, and its title."""
    return [(change["event"], change["item"]["path"], change["item"].get("title")) for change in changes]


def test_reflection_names_every_service_without_a_token(buf_curl: BufCurl) -> None:
    services = buf_curl.services()

    assert {name for name in services if name.startswith("indelible.")} == {
        f"indelible.v1.{name}Service" for name in SERVICES
    }
    assert "grpc.health.v1.Health" in services
    assert "grpc.reflection.v1alpha.ServerReflection" in services


def test_reflection_opens_no_call_that_needs_a_token(buf_curl: BufCurl) -> None:
    assert buf_curl.status_without_token("CatalogService/ListCatalogs") == UNAUTHENTICATED


def test_buf_curl_reads_a_status_by_reflection(buf_curl: BufCurl, archive: Catalog) -> None:
    status = buf_curl.call("SyncService/GetSyncStatus", {"catalog": "Archive"})["status"]

    assert status["catalogId"] == str(archive.catalog_id)
    assert status["catalogName"] == "Archive"
    assert status["autoSync"] == "AUTO_SYNC_PAUSED"
    assert status["activity"] == "ACTIVITY_IDLE"
    assert (status["totalItems"], status["unsyncedItems"]) == (5, 0)


def test_buf_curl_sees_a_switch_that_another_client_turns(buf_curl: BufCurl) -> None:
    buf_curl.call("CatalogService/CreateCatalog", {"name": "Archive"})
    with buf_curl.stream("SyncService/WatchSyncStatus", {"catalogs": ["Archive"]}) as watch:
        before = next_document(watch)["status"]
        request = {"catalog": "Archive", "autoSync": "AUTO_SYNC_ON"}
        answer = buf_curl.call("SyncService/SetAutoSync", request)["status"]
        after = first_document(watch, lambda seen: seen["status"]["autoSync"] != before["autoSync"])["status"]

    assert before["autoSync"] == "AUTO_SYNC_PAUSED"
    assert answer["autoSync"] == after["autoSync"] == "AUTO_SYNC_ON"
    assert after["catalogId"] == before["catalogId"]


@pytest.mark.tool("node")
@pytest.mark.tool("npm")
def test_a_node_client_lists_catalogs_and_every_page_of_items(node: NodeClient, archive: Catalog) -> None:
    listed = node.call("list-catalogs")
    items = node.call("list-items", "Archive")

    assert listed == [{"id": str(archive.catalog_id), "name": "Archive", "autoSync": "AUTO_SYNC_PAUSED"}]
    assert [item["path"] for item in items] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert {item["state"] for item in items} == {"ITEM_STATE_SYNCED"}
    assert {item["title"] for item in items} == {None}


@pytest.mark.tool("node")
@pytest.mark.tool("npm")
def test_a_node_client_edits_tags(node: NodeClient, archive: Catalog) -> None:
    edits = [{"set": {"tags": {"title": "Grüße"}}}, {"add": {"field": "keywords", "values": ["Animals|Cat", "red"]}}]
    (answer,) = node.call("edit-tags", "Archive", "[ab].jpg", json.dumps(edits))
    items = {item["path"]: item for item in node.call("list-items", "Archive")}

    assert (answer["matched"], answer["changed"]) == (2, 2)
    assert items["a.jpg"]["revision"] == items["b.jpg"]["revision"] == answer["lastRevision"]
    assert items["a.jpg"]["title"] == items["b.jpg"]["title"] == "Grüße"
    assert items["a.jpg"]["keywords"] == ["Animals|Cat", "red"]
    assert items["a.jpg"]["state"] == "ITEM_STATE_UNSYNCED"
    assert items["c.jpg"]["state"] == "ITEM_STATE_SYNCED"


@pytest.mark.tool("node")
@pytest.mark.tool("npm")
@pytest.mark.parametrize("end", [RunningServer.stop, RunningServer.kill], ids=["sigterm", "sigkill"])
def test_a_node_watch_resumed_after_a_restart_gives_exactly_what_it_missed(
    server: RunningServer, store: Database, archive: Catalog, node: NodeClient, end: Callable[[RunningServer], None]
) -> None:
    with node.watch() as watch:
        assert next_document(watch)["event"] == "bookmark"
        node.edit("a.jpg", "seen")
        (seen,) = changes_up_to(watch, "seen")
    node.edit("b.jpg", "missed, then overwritten")
    node.edit("b.jpg", "missed")
    node.call("remove-items", "Archive", "c.jpg")
    end(server)
    add_items(store, archive, ["new.jpg"])
    server.start()

    with node.watch(seen["resumeToken"]) as watch:
        # The edit's answer is not waited for by the watch: what comes before it in the feed is all that was missed.
        node.edit("a.jpg", "live")
        changes = changes_up_to(watch, "live")

    assert summaries(changes) == [
        ("itemChanged", "b.jpg", "missed"),
        ("itemRemoved", "c.jpg", None),
        ("itemChanged", "new.jpg", None),
        ("itemChanged", "a.jpg", "live"),
    ]
    revisions = [int(change["revision"]) for change in [seen, *changes]]
    assert revisions == sorted(set(revisions))
    assert len({change["resumeToken"] for change in changes}) == len(changes)


@pytest.mark.tool("node")
@pytest.mark.tool("npm")
@pytest.mark.parametrize("end", [RunningServer.stop, RunningServer.kill], ids=["sigterm", "sigkill"])
def test_a_running_node_watch_goes_on_after_a_restart_without_a_gap_or_a_repeat(
    server: RunningServer, store: Database, archive: Catalog, node: NodeClient, end: Callable[[RunningServer], None]
) -> None:
    with node.watch() as watch:
        assert next_document(watch)["event"] == "bookmark"
        node.edit("a.jpg", "before")
        before = changes_up_to(watch, "before")
        end(server)
        first_document(watch, lambda document: document["event"] == "interrupted")
        add_items(store, archive, ["new.jpg"])
        server.start()
        node.edit("b.jpg", "after")
        after = changes_up_to(watch, "after")

    assert summaries([*before, *after]) == [
        ("itemChanged", "a.jpg", "before"),
        ("itemChanged", "new.jpg", None),
        ("itemChanged", "b.jpg", "after"),
    ]
