"""GetCapabilities: what can be written where, as the code and the storage say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from indelible.v1 import library_service_pb2, policy_pb2, sync_pb2
from indelible_client.cli.main import app
from indelible_server.files.containers import EMBEDDED
from indelible_server.files.formats import FORMATS
from support.client import Client
from support.contract import refused
from support.photos import make_photos
from support.server import RunningServer
from typer.testing import CliRunner


def abilities(client: Client, catalog: str) -> Any:
    """The answer for a catalog."""
    return client.stubs.library.GetCapabilities(library_service_pb2.GetCapabilitiesRequest(catalog=catalog))


def test_every_format_is_listed_with_its_home_and_its_ways(client: Client, name: str, tmp_path: Path) -> None:
    client.create(name, tmp_path)

    formats = {each.format: each for each in abilities(client, name).formats}

    assert set(formats) == {each.name for each in FORMATS}
    embedded = {key for key, each in formats.items() if each.mode == policy_pb2.FORMAT_MODE_EMBED}
    assert embedded == set(EMBEDDED)
    assert sync_pb2.WRITE_METHOD_PATCH in formats["JPEG"].methods
    assert list(formats["CR3"].methods) == [sync_pb2.WRITE_METHOD_SIDECAR]
    assert "jpg" in formats["JPEG"].extensions


def test_the_catalogs_policy_is_heeded(client: Client, name: str, tmp_path: Path) -> None:
    rules = [
        policy_pb2.FormatRule(formats=["jpg"], mode=policy_pb2.FORMAT_MODE_SIDECAR),
        policy_pb2.FormatRule(formats=["*"], mode=policy_pb2.FORMAT_MODE_CATALOG_ONLY),
    ]
    client.create(name, tmp_path, policy=policy_pb2.MetadataPolicy(formats=rules))

    formats = {each.format: each for each in abilities(client, name).formats}

    assert formats["JPEG"].mode == policy_pb2.FORMAT_MODE_SIDECAR
    assert formats["CR3"].mode == policy_pb2.FORMAT_MODE_CATALOG_ONLY
    assert not formats["CR3"].methods


def test_a_root_is_tried_and_left_as_it_was(client: Client, name: str, tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir()
    (tmp_path / "gone").mkdir()
    make_photos(tmp_path / "rw", 1)
    client.create(name, tmp_path / "rw", tmp_path / "gone")
    (tmp_path / "gone").rename(tmp_path / "away")
    before = sorted(os.listdir(tmp_path / "rw"))

    good, gone = abilities(client, name).roots

    assert good.online
    assert good.writable
    assert good.replace
    assert good.filesystem
    assert good.hard_links
    assert good.durable
    assert good.time_resolution.ToNanoseconds() > 0
    assert not gone.online
    assert sorted(os.listdir(tmp_path / "rw")) == before


def test_what_a_root_can_do_is_kept_from_when_it_was_approved(
    server: RunningServer, client: Client, name: str, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", 1)
    (root,) = client.create(name, tmp_path / "photos").roots
    assert sorted(os.listdir(tmp_path / "photos")) == [".indelible-root", "p0000.jpg"]
    assert root.capabilities.writable
    assert root.capabilities.replace
    (tmp_path / "photos").rename(tmp_path / "away")

    (gone,) = abilities(client, name).roots

    assert not gone.online
    gone.online = True
    assert gone == root.capabilities
    common = ["--server", server.address, "--token", server.token]
    shown = CliRunner().invoke(app, ["catalog", "show", name, *common])
    assert gone.filesystem in shown.stdout.splitlines()[-1]


def test_a_read_only_root_is_not_written_to_find_out(client: Client, name: str, tmp_path: Path) -> None:
    make_photos(tmp_path / "ro", 1)
    before = (tmp_path / "ro").stat().st_mtime_ns
    client.create(name, tmp_path / "ro", read_only=True)

    (root,) = abilities(client, name).roots

    assert root.online
    assert root.filesystem
    assert not root.writable
    assert (tmp_path / "ro").stat().st_mtime_ns == before


def test_an_unknown_catalog_is_said(client: Client) -> None:
    with refused("CATALOG_NOT_FOUND"):
        abilities(client, "nowhere")
