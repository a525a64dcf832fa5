"""Streams: what one client does the others see, nothing is lost over a restart, and all end cleanly."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from indelible.v1 import catalog_service_pb2, sync_pb2
from indelible_server.rpc.server import SERVICES
from indelible_server.storage import tables
from indelible_server.storage.database import Database
from support.client import Client, globs, ids, set_tags
from support.contract import refusal, refused
from support.databases import Databases
from support.photos import make_photos, pixels, seen, stray_files
from support.server import RunningServer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Received:
    """Messages of a stream as they arrive, with the time of each; the error that ended it comes last."""

    def __init__(self, stream: Iterable[Any]) -> None:
        self._queue: queue.Queue[tuple[float, Any]] = queue.Queue()
        threading.Thread(target=self._collect, args=(stream,), daemon=True).start()

    def next(self, timeout: float = 20) -> tuple[float, Any]:
        """The next message."""
        return self._queue.get(timeout=timeout)

    def end(self) -> Any:
        """The error that ended the stream."""
        while True:
            _, message = self.next()
            if isinstance(message, Exception):
                return message

    def _collect(self, stream: Iterable[Any]) -> None:
        try:
            for message in stream:
                self._queue.put((time.monotonic(), message))
        except grpc.RpcError as error:
            self._queue.put((time.monotonic(), error))


def imported(client: Client, name: str, folder: Path, number: int, **settings: Any) -> list[Path]:
    paths = make_photos(folder, number)
    client.create(name, folder, **settings)
    client.import_files(name)
    return paths


# --- status ---


def test_a_switch_by_one_client_is_seen_by_another_within_a_quarter_of_a_second(
    server: RunningServer, name: str, record_property: Any
) -> None:
    one, other = Client(server.stubs()), Client(server.stubs())
    one.create(name)
    delays = []
    with other.statuses(name) as stream:
        received = Received(stream)
        received.next()
        for on in [True, False] * 10:
            position = one.switch(name, on).auto_sync
            acknowledged = time.monotonic()
            arrived, message = received.next()
            while message.status.auto_sync != position:
                arrived, message = received.next()
            delays.append(arrived - acknowledged)
    figure = (
        f"a switch reaches another client in {sorted(delays)[10] * 1000:.1f} ms, {max(delays) * 1000:.1f} ms at most"
    )
    record_property("figure", figure)
    assert max(delays) < 0.25


def test_the_first_message_is_a_full_snapshot_of_every_catalog(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    imported(client, name, tmp_path / "photos", 3)
    client.edit(name, set_tags(title="x"), selection=globs("p0000.jpg"))
    client.create(f"{name} other")
    with client.statuses(name) as stream:
        status = next(stream).status
    assert status == client.status(name)
    assert (status.total_items, status.unsynced_items, status.catalog_name) == (3, 1, name)
    known = client.stubs.catalogs.ListCatalogs(catalog_service_pb2.ListCatalogsRequest(page_size=1000)).catalogs
    with client.statuses() as stream:
        first = {next(stream).status.catalog_name for _ in known}
    assert first == {catalog.name for catalog in known}


def test_a_stream_of_all_catalogs_shows_new_ones_and_says_when_one_is_removed(server: RunningServer, name: str) -> None:
    client = Client(server.stubs())
    with client.statuses() as all_catalogs:
        received = Received(all_catalogs)
        created = client.create(name)
        wait_for(received, lambda message: message.status.catalog_name == name)
        with client.statuses(name) as stream:
            assert not next(stream).removed
            client.stubs.catalogs.DeleteCatalog(catalog_service_pb2.DeleteCatalogRequest(catalog=name))
            last = next(message for message in stream if message.removed)
            assert (last.status.catalog_id, last.status.catalog_name) == (created.id, name)
        gone = wait_for(received, lambda message: message.removed)
        assert gone.status.catalog_id == created.id
    with refused("CATALOG_NOT_FOUND"):
        client.status(name)


def test_counters_come_at_most_four_times_a_second_and_the_newest_always(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    paths = imported(client, name, tmp_path / "photos", 20)
    with client.statuses(name) as stream:
        received = Received(stream)
        before, _ = received.next()
        for path in paths:
            client.edit(name, set_tags(title="x"), selection=globs(path.name))
        messages = [received.next()]
        while messages[-1][1].status.unsynced_items < len(paths):
            messages.append(received.next())
    assert messages[-1][1].status.unsynced_items == len(paths)
    assert len(messages) <= 2 + (messages[-1][0] - before) / 0.2, "more than four a second"
    counts = [message.status.unsynced_items for _, message in messages]
    assert counts == sorted(counts)


def test_a_token_that_is_revoked_or_not_there_opens_no_stream(server: RunningServer, name: str) -> None:
    Client(server.stubs()).create(name)
    stranger = Client(server.stubs("wrong"))
    for stream in (stranger.statuses(name), stranger.changes(name)):
        with refused("UNAUTHENTICATED"), stream as opened:
            next(opened)


def wait_for(received: Received, wanted: Any) -> Any:
    while True:
        _, message = received.next()
        assert not isinstance(message, Exception), message
        if wanted(message):
            return message


# --- the feed of items ---


def test_the_feed_begins_with_a_bookmark_and_then_tells_every_change(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    imported(client, name, tmp_path / "photos", 3)
    with client.changes(name) as stream:
        first = next(stream)
        assert first.WhichOneof("event") == "bookmark"
        edited = client.edit(name, set_tags(title="Edited"), selection=globs("p0001.jpg"))
        changed = next(stream)
        assert changed.revision == edited.first_revision
        assert (changed.item_changed.item.path, changed.item_changed.item.tags.title) == ("p0001.jpg", "Edited")
        assert changed.item_changed.item.change_revision == changed.revision
        item = client.item(name, "p0002.jpg")
        client.remove(name, ids(item))
        removed = next(stream)
        assert (removed.item_removed.item_id, removed.item_removed.path) == (item.id, "p0002.jpg")
        assert removed.revision > changed.revision
        (tmp_path / "photos" / "new.jpg").write_bytes((tmp_path / "photos" / "p0000.jpg").read_bytes())
        client.import_files(name)
        assert {next(stream).item_changed.item.path for _ in range(2)} == {"new.jpg", "p0002.jpg"}
        client.sync(name)
        synced = next(message for message in stream if message.item_changed.item.path == "p0001.jpg")
        assert synced.item_changed.item.synced_revision == edited.first_revision


def test_a_resumed_feed_goes_on_after_a_restart_and_nothing_is_lost_or_told_twice(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    number = 30
    imported(client, name, tmp_path / "photos", number)
    with client.changes(name) as stream:
        token = next(stream).resume_token
    for round_ in range(2):
        client.edit(name, set_tags(title=f"{round_}"), selection=globs("p000*.jpg"))
        client.edit(name, set_tags(rating=round_ + 1), selection=globs("p002*.jpg"))
        with client.changes(name, token) as stream:
            told, token = read(stream, 7)  # in the middle of a revision
        (server.kill if round_ % 2 else server.stop)()
        server.start()
        client = Client(server.stubs())
        removed = client.item(name, f"p001{round_}.jpg")
        client.remove(name, ids(removed))
        with client.changes(name, token) as stream:
            more, token = read(stream, 13 + 1)
        told += more
        places = [(message.revision, number_of(message)) for message in told]
        assert places == sorted(set(places)), "out of order, or told twice"
        shown = [message.item_changed.item for message in told if message.HasField("item_changed")]
        assert {item.path for item in shown if item.tags.title == f"{round_}"} == {f"p000{n}.jpg" for n in range(10)}
        assert {item.path for item in shown if item.tags.rating == round_ + 1} >= {f"p002{n}.jpg" for n in range(10)}
        assert [message.item_removed.path for message in told if message.HasField("item_removed")] == [removed.path]


def read(stream: Iterator[Any], number: int) -> tuple[list[Any], str]:
    messages = [next(stream) for _ in range(number)]
    return messages, messages[-1].resume_token


def number_of(message: Any) -> int:
    return int(message.item_removed.item_id or message.item_changed.item.id)


def test_a_follower_of_the_feed_ends_with_the_state_of_the_catalog(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    """A mirror that applies every message, cut off again and again while edits and writes go on."""
    client = Client(server.stubs())
    imported(client, name, tmp_path / "photos", 40)
    with client.changes(name) as stream:
        token = next(stream).resume_token
    mirror = {item.id: item for item in client.items(name)}
    client.switch(name, True)
    edits = threading.Thread(target=edit_much, args=(Client(server.stubs()), name))
    edits.start()
    while edits.is_alive():
        with client.changes(name, token, timeout=0.3) as stream:
            token = follow(stream, mirror, token)
    edits.join()
    client.wait_synced(name)
    with client.changes(name, token, timeout=1.5) as stream:
        follow(stream, mirror, token)
    assert mirror == {item.id: item for item in client.items(name)}


def edit_much(client: Client, name: str) -> None:
    for number in range(40):
        client.edit(name, set_tags(title=f"{number}"), selection=globs(f"p00{number % 4}*.jpg"))


def follow(stream: Any, mirror: dict[str, Any], token: str) -> str:
    ended = None
    try:
        for message in stream:
            token = message.resume_token
            if message.HasField("item_changed"):
                mirror[message.item_changed.item.id] = message.item_changed.item
            if message.HasField("item_removed"):
                del mirror[message.item_removed.item_id]
    except grpc.RpcError as error:
        ended = error
    assert ended is not None
    assert ended.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return token


def test_a_token_of_another_store_or_a_later_time_means_list_again(
    server: RunningServer, name: str, tmp_path: Path, databases: Databases
) -> None:
    client = Client(server.stubs())
    catalog = client.create(name)
    with client.changes(name) as stream:
        token = next(stream).resume_token
    with RunningServer(tmp_path / "other") as other:
        elsewhere = Client(other.stubs())
        for number in range(int(catalog.id)):
            elsewhere.create(f"Catalog {number}")
        with refused("REVISION_COMPACTED"), elsewhere.changes(catalog.id, token) as stream:
            next(stream)


def test_a_token_from_before_the_kept_removals_means_list_again(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    imported(client, name, tmp_path / "photos", 1)
    with client.changes(name) as stream:
        token = next(stream).resume_token
    client.edit(name, set_tags(title="x"))
    compact(server, name, client.status(name).revision)
    with refused("REVISION_COMPACTED") as found, client.changes(name, token) as stream:
        next(stream)
    assert found.metadata is not None
    assert found.metadata["oldest_revision"] == str(client.status(name).revision)
    with client.changes(name) as stream:
        assert next(stream).WhichOneof("event") == "bookmark"


def compact(server: RunningServer, name: str, revision: int) -> None:
    """Forget what was before: the retention that will do it comes later."""
    url = server.database_url
    database = Database(url, lock_dir=str(server.data))
    catalog_id = int(Client(server.stubs()).status(name).catalog_id)
    counters = tables.counters
    statement = sa.update(counters).where(counters.c.catalog_id == catalog_id).values(compacted_revision=revision)
    database.write(lambda tx: tx.execute(statement).rowcount)
    database.close()


def test_a_token_of_another_catalog_is_invalid(server: RunningServer, name: str) -> None:
    client = Client(server.stubs())
    client.create(name)
    client.create(f"{name} other")
    with client.changes(name) as stream:
        token = next(stream).resume_token
    with refused("RESUME_TOKEN_INVALID", "resume_token"), client.changes(f"{name} other", token) as stream:
        next(stream)


def test_the_feed_of_a_removed_catalog_ends(server: RunningServer, name: str) -> None:
    client = Client(server.stubs())
    client.create(name)
    with client.changes(name) as stream:
        next(stream)
        client.stubs.catalogs.DeleteCatalog(catalog_service_pb2.DeleteCatalogRequest(catalog=name))
        with refused("CATALOG_NOT_FOUND"):
            next(stream)


# --- the end of a server ---


def test_a_stopping_server_ends_streams_says_so_and_finishes_what_writers_hold(
    server: RunningServer, name: str, tmp_path: Path
) -> None:
    client = Client(server.stubs())
    paths = imported(client, name, tmp_path / "photos", 200)
    pictures = [pixels(path) for path in paths]
    client.edit(name, set_tags(title="Stopped"))
    stubs = server.stubs()
    health = health_pb2_grpc.HealthStub(stubs.channel)
    watched = Received(health.Watch(health_pb2.HealthCheckRequest()))
    assert watched.next()[1].status == SERVING
    with client.statuses(name) as statuses, client.statuses() as all_statuses, client.changes(name) as changes:
        streams = [Received(statuses), Received(all_statuses), Received(changes)]
        for stream in streams:
            stream.next()
        client.switch(name, True)
        client.wait(name, lambda status: status.unsynced_items < len(paths))
        os.kill(server.pid, signal.SIGTERM)
        for stream in streams:
            ended = refusal(stream.end())
            assert (ended.code, ended.reason, ended.retry) == ("UNAVAILABLE", "SERVER_STOPPING", True)
        _, last = watched.next()
        assert isinstance(last, grpc.RpcError) or last.status == NOT_SERVING
    assert server.stop() == 0

    server.start()
    client = Client(server.stubs())
    assert client.status(name).auto_sync == sync_pb2.AUTO_SYNC_ON
    client.wait_synced(name)
    assert {seen(path).title for path in paths} == {"Stopped"}
    assert [pixels(path) for path in paths] == pictures
    assert stray_files(tmp_path) == []


def test_after_a_stop_nothing_is_in_a_writers_hand(server: RunningServer, name: str, tmp_path: Path) -> None:
    client = Client(server.stubs())
    paths = imported(client, name, tmp_path / "photos", 200)
    client.edit(name, set_tags(title="Stopped"))
    catalog_id = client.start(name).run.catalog_id
    client.wait(name, lambda status: status.unsynced_items < len(paths))
    assert server.stop() == 0
    database = Database(server.database_url, lock_dir=str(server.data))
    for table in (tables.leases, tables.intents, tables.writers, tables.hosts):
        assert database.read(lambda tx, table=table: tx.execute(sa.select(table)).all()) == [], table.name
    mine = tables.items.c.catalog_id == int(catalog_id)
    unsynced = sa.select(tables.items.c.path).where(mine, tables.items.c.unsynced_since.is_not(None))
    waiting = {row.path for row in database.read(lambda tx: tx.execute(unsynced).all())}
    database.close()
    assert waiting == {path.name for path in paths if seen(path).title is None}
    assert stray_files(tmp_path) == []
    server.start()


# --- the standard services ---


def test_health_needs_no_token_and_knows_every_service(server: RunningServer) -> None:
    health = health_pb2_grpc.HealthStub(server.stubs(token="").channel)
    for service in ("", *SERVICES):
        assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="no such service"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_needs_no_token_and_shows_every_service(server: RunningServer) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.stubs(token="").channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        *(reflection_pb2.ServerReflectionRequest(file_containing_symbol=service) for service in SERVICES),
    ]
    listed, *files = stub.ServerReflectionInfo(iter(requests), timeout=10)
    assert {service.name for service in listed.list_services_response.service} >= set(SERVICES)
    assert all(file.file_descriptor_response.file_descriptor_proto for file in files)
    assert len(files) == len(SERVICES)


def test_channelz_is_for_admins(server: RunningServer) -> None:
    with refused("UNAUTHENTICATED"):
        channelz_pb2_grpc.ChannelzStub(server.stubs(token="").channel).GetServers(channelz_pb2.GetServersRequest())
    stub = channelz_pb2_grpc.ChannelzStub(server.stubs().channel)
    assert stub.GetServers(channelz_pb2.GetServersRequest(), timeout=10).server


def test_a_call_that_does_not_exist_is_unimplemented(server: RunningServer) -> None:
    call = server.stubs().channel.unary_unary("/indelible.v1.CatalogService/BurnCatalog")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
