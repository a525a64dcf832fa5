"""Who gets in, and how far: tokens, roles, catalogs, addresses, settings."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from indelible.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    item_service_pb2,
    job_service_pb2,
    sync_pb2,
    sync_service_pb2,
)
from indelible.v1.admin_service_pb2_grpc import AdminServiceStub
from indelible_server.main import app as program
from indelible_server.rpc import access
from indelible_server.storage import tokens
from indelible_server.storage.database import Database
from indelible_server.storage.ids import new_id
from indelible_server.storage.tokens import Token
from support.client import Client, clear, set_tags
from support.contract import RPCS, Rpc, refusal, refused
from support.photos import make_photos
from support.server import RunningServer
from typer.testing import CliRunner

ROLES = ["viewer", "editor", "operator", "admin"]
NEVER_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")

MakeToken = Callable[..., str]


@pytest.fixture
def make_token(sqlite_server: RunningServer) -> MakeToken:
    """Makes tokens directly in the store: CreateToken comes later."""

    def make(role: str, **limits: Any) -> str:
        database = Database(f"sqlite:///{sqlite_server.data}/indelible.sqlite", lock_dir=str(sqlite_server.data))
        secret = new_id()
        database.write(tokens.insert, Token(new_id(), f"{role} {secret[:8]}", role, **limits), secret)
        database.close()
        return secret

    return make


def info(stubs: Any) -> Any:
    return stubs.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())


# --- tokens ---


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}"])
def test_a_call_without_the_right_token_is_unauthenticated(sqlite_server: RunningServer, header: str | None) -> None:
    channel = sqlite_server.stubs(token="").channel
    metadata = [] if header is None else [("authorization", header.format(token=sqlite_server.token))]
    request = admin_service_pb2.GetServerInfoRequest()
    with refused("UNAUTHENTICATED") as seen:
        AdminServiceStub(channel).GetServerInfo(request, metadata=metadata, timeout=10)
    assert sqlite_server.token not in seen.message


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_every_kind_of_call_is_refused_without_a_token(sqlite_server: RunningServer, rpc: Rpc) -> None:
    with refused("UNAUTHENTICATED"):
        rpc.on(sqlite_server.stubs(token="").channel)(rpc.request())


def watching(stubs: Any, token: str) -> Any:
    """A stream of the status of all catalogs, that has begun."""
    request = sync_service_pb2.WatchSyncStatusRequest()
    stream = stubs.sync.WatchSyncStatus(request, metadata=[("authorization", f"Bearer {token}")], timeout=30)
    next(stream)
    return stream


def test_a_stream_ends_with_its_token_and_others_go_on(
    sqlite_server: RunningServer, make_token: MakeToken, tmp_path: Path
) -> None:
    client = Client(sqlite_server.stubs())
    client.create("Watched")
    stubs = sqlite_server.stubs(token="")
    expiring = watching(stubs, make_token("viewer", expires_at=int(time.time() * 1000) + 500))
    lasting = watching(stubs, make_token("viewer"))

    with refused("UNAUTHENTICATED"):
        for _ in expiring:
            pass

    client.switch("Watched", on=True)
    assert next(lasting).status.auto_sync == sync_pb2.AUTO_SYNC_ON
    lasting.cancel()


@pytest.mark.parametrize("times", [{"expires_at": 1}, {"revoked_at": 1}], ids=["expired", "revoked"])
def test_an_expired_or_revoked_token_is_unauthenticated(
    sqlite_server: RunningServer, make_token: MakeToken, times: dict[str, int]
) -> None:
    with refused("UNAUTHENTICATED"):
        info(sqlite_server.stubs(make_token("admin", **times)))


def test_the_local_token_is_readable_by_its_owner_only_and_kept_over_a_restart(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        first = server.token
        assert stat.S_IMODE((server.data / "token").stat().st_mode) == 0o600
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        assert first.encode() not in (server.data / "indelible.sqlite").read_bytes()
        server.stop()
        server.start()
        assert server.token == first
        assert info(server.stubs()).info.api_version == "v1"
        assert first not in "".join(server.log)


def test_a_lost_token_file_is_replaced_by_one_that_works(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        first = server.token
        server.stop()
        (server.data / "token").unlink()
        server.start()
        assert server.token != first
        assert info(server.stubs()).info.api_version == "v1"


# --- roles ---


def test_every_call_is_in_the_table_with_the_role_that_its_comment_says() -> None:
    table = {path.removeprefix("/indelible.v1."): role.name.lower() for path, role in access.REQUIRED.items()}
    assert table == {rpc.name: rpc.role for rpc in RPCS}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_call_what_is_its_own_or_below_and_nothing_above(
    sqlite_server: RunningServer, make_token: MakeToken, role: str
) -> None:
    channel = sqlite_server.stubs(make_token(role)).channel
    for rpc in RPCS:
        if ROLES.index(rpc.role) > ROLES.index(role):
            with refused("PERMISSION_DENIED") as seen:
                rpc.on(channel)(rpc.request())
            assert seen.metadata is not None
            assert seen.metadata["required_role"] == rpc.role, rpc.name
        else:
            assert answered(rpc, channel) not in NEVER_REFUSED, rpc.name


def answered(rpc: Rpc, channel: Any) -> str:
    """The reason why a call is refused; "" if it is not, or if it only has nothing to say."""
    try:
        rpc.on(channel)(rpc.request(), timeout=1)
    except grpc.RpcError as error:
        return refusal(error).reason
    except StopIteration:
        return ""
    return ""


# --- catalogs ---


def test_a_token_for_some_catalogs_sees_only_those(
    sqlite_server: RunningServer, make_token: MakeToken, tmp_path: Path
) -> None:
    admin = Client(sqlite_server.stubs())
    make_photos(tmp_path / "open", 1)
    make_photos(tmp_path / "secret", 1)
    mine = admin.create("For all", tmp_path / "open")
    other = admin.create("For some", tmp_path / "secret")
    mine_job, other_job = admin.import_files(mine.id), admin.import_files(other.id)
    limited = Client(sqlite_server.stubs(make_token("admin", catalogs=(int(mine.id),))))
    stubs = limited.stubs

    assert [item.path for item in limited.items(mine.name)] == ["p0000.jpg"]
    listed = stubs.catalogs.ListCatalogs(catalog_service_pb2.ListCatalogsRequest())
    assert ([catalog.name for catalog in listed.catalogs], listed.total_size) == (["For all"], 1)
    jobs = stubs.jobs.ListJobs(job_service_pb2.ListJobsRequest())
    assert ([job.id for job in jobs.jobs], jobs.total_size) == ([mine_job.id], 1)

    for name in (other.id, other.name):
        for call in (
            lambda name=name: stubs.catalogs.GetCatalog(catalog_service_pb2.GetCatalogRequest(catalog=name)),
            lambda name=name: stubs.catalogs.DeleteCatalog(catalog_service_pb2.DeleteCatalogRequest(catalog=name)),
            lambda name=name: stubs.catalogs.UpdateCatalog(
                catalog_service_pb2.UpdateCatalogRequest(
                    catalog={"id": name, "description": "x"}, update_mask={"paths": ["description"]}
                )
            ),
            lambda name=name: limited.items(name),
            lambda name=name: limited.item(name, "p0000.jpg"),
            lambda name=name: limited.edit(name, clear("title")),
            lambda name=name: limited.switch(name, True),
            lambda name=name: limited.start(name),
            lambda name=name: limited.import_files(name),
            lambda name=name: stubs.jobs.ListJobs(job_service_pb2.ListJobsRequest(catalog=name)),
            lambda name=name: next(
                stubs.sync.WatchSyncStatus(sync_service_pb2.WatchSyncStatusRequest(catalogs=[name]), timeout=10)
            ),
            lambda name=name: next(
                stubs.items.WatchItems(item_service_pb2.WatchItemsRequest(catalog=name), timeout=10)
            ),
        ):
            with refused("CATALOG_NOT_FOUND"):
                call()
    for call in (
        lambda: stubs.jobs.GetJob(job_service_pb2.GetJobRequest(job_id=other_job.id)),
        lambda: stubs.jobs.CancelJob(job_service_pb2.CancelJobRequest(job_id=other_job.id)),
        lambda: next(stubs.jobs.WatchJob(job_service_pb2.WatchJobRequest(job_id=other_job.id), timeout=10)),
    ):
        with refused("JOB_NOT_FOUND"):
            call()
    with limited.statuses(timeout=10) as stream:
        assert next(stream).status.catalog_name == "For all"
    assert admin.status(other.id).auto_sync != admin.switch(other.id, True).auto_sync


def test_the_history_says_who_edited_and_for_whom(
    sqlite_server: RunningServer, make_token: MakeToken, tmp_path: Path
) -> None:
    admin = Client(sqlite_server.stubs())
    make_photos(tmp_path / "photos", 1)
    catalog = admin.create("Attributed", tmp_path / "photos")
    admin.import_files(catalog.name)
    editor = Client(sqlite_server.stubs(make_token("editor")))
    editor.edit(catalog.name, set_tags(title="New"), on_behalf_of="Ada")
    request = item_service_pb2.ListHistoryRequest(catalog=catalog.name, path="p0000.jpg")
    entry = editor.stubs.items.ListHistory(request).entries[0]
    assert entry.principal.startswith("editor ")
    assert (entry.on_behalf_of, entry.source, list(entry.diff.fields)) == ("Ada", "EDIT", ["title"])
    assert (entry.diff.before.HasField("title"), entry.diff.after.title) == (False, "New")


# --- addresses ---


def indelibled(*arguments: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `indelibled` to its end."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("INDELIBLE_")}
    command = [sys.executable, "-P", "-m", "indelible_server.main", *arguments]
    return subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=timeout, env=plain | environment
    )


def refused_start(*arguments: str, status: int = 2, **environment: str) -> str:
    """What `indelibled` says when it does not start: one line, and no traceback."""
    ended = indelibled(*arguments, **environment)
    assert (ended.returncode, ended.stdout) == (status, ""), ended
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_other_machines_reach_it_only_with_tls_or_when_told_so(tmp_path: Path, address: str) -> None:
    said = refused_start("serve", "--data", str(tmp_path / "data"), "--listen", address)
    assert "--tls-cert" in said
    assert "--insecure" in said


def test_insecure_is_allowed_when_it_is_said(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", listen="0.0.0.0:0", arguments=["--insecure"]) as server:
        assert info(server.stubs()).info.api_version == "v1"


@pytest.mark.tool("openssl")
def test_tls_works_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    arguments = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with RunningServer(tmp_path / "data", listen="0.0.0.0:0", arguments=arguments) as server:
        address = f"localhost:{server.address.rpartition(':')[2]}"
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        header = [("authorization", f"Bearer {server.token}")]
        with grpc.secure_channel(address, credentials) as channel:
            request = admin_service_pb2.GetServerInfoRequest()
            assert AdminServiceStub(channel).GetServerInfo(request, metadata=header, timeout=10).info.version
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
            AdminServiceStub(channel).GetServerInfo(request, metadata=header, timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.tool("openssl")
def test_with_a_client_ca_only_its_certificates_get_in(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    arguments = ["--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(certificate)]
    with RunningServer(tmp_path / "data", listen="127.0.0.1:0", arguments=arguments) as server:
        address = f"localhost:{server.address.rpartition(':')[2]}"
        header = [("authorization", f"Bearer {server.token}")]
        request = admin_service_pb2.GetServerInfoRequest()
        trusted = grpc.ssl_channel_credentials(certificate.read_bytes(), key.read_bytes(), certificate.read_bytes())
        with grpc.secure_channel(address, trusted) as channel:
            assert AdminServiceStub(channel).GetServerInfo(request, metadata=header, timeout=10).info.version
        anonymous = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(address, anonymous) as channel, pytest.raises(grpc.RpcError) as caught:
            AdminServiceStub(channel).GetServerInfo(request, metadata=header, timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def make_certificate(certificate: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)


def test_a_second_server_on_the_same_data_folder_is_refused(sqlite_server: RunningServer) -> None:
    said = refused_start("serve", "--data", str(sqlite_server.data), "--listen", "127.0.0.1:0")
    assert f"another server is running on the data folder {sqlite_server.data}" in said


def test_a_second_server_on_the_same_port_is_refused(sqlite_server: RunningServer, tmp_path: Path) -> None:
    said = refused_start("serve", "--data", str(tmp_path / "other"), "--listen", sqlite_server.address)
    assert f"{sqlite_server.address} can't be used; is another server running there?" in said


# --- settings ---


@pytest.mark.parametrize(
    ("arguments", "environment", "file", "named"),
    [
        (["--listen", "nowhere"], {}, "", "listen"),
        (["--listen", "127.0.0.1:99999"], {}, "", "listen"),
        (["--listen", "256.256.256.256:1", "--insecure"], {}, "", "listen"),
        (["--writers", "-1"], {}, "", "writers"),
        (["--writers", "many"], {}, "", "writers"),
        (["--log-format", "xml"], {}, "", "log_format"),
        (["--root", "no equals sign"], {}, "", "root"),
        (["--database", "nonsense"], {}, "", "database"),
        (["--database", "mysql://host/db"], {}, "", "database"),
        (["--config", "/nowhere/indelible.toml"], {}, "", "/nowhere/indelible.toml"),
        ([], {"INDELIBLE_CONFIG": "/nowhere/indelible.toml"}, "", "/nowhere/indelible.toml"),
        (["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"], {}, "", "tls_key"),
        (["--tls-cert", "{data}/indelible.toml", "--tls-key", "{data}/indelible.toml"], {}, "#", "tls_cert"),
        (["--tls-cert", "{data}/indelible.toml"], {}, "#", "tls_key"),
        (["--tls-client-ca", "{data}/indelible.toml"], {}, "#", "tls_key"),
        ([], {"INDELIBLE_WRITERS": "many"}, "", "writers"),
        ([], {"INDELIBLE_INSECURE": "perhaps"}, "", "insecure"),
        ([], {"INDELIBLE_LISTEN": "nowhere"}, "", "listen"),
        ([], {}, "writers = 'many'", "writers"),
        ([], {}, "writers = 1.5", "writers"),
        ([], {}, "writers = true", "writers"),
        ([], {}, "listen = 5", "listen"),
        ([], {}, "root = 'ID=/path'", "root"),
        ([], {}, "colour = 'blue'", "colour"),
        ([], {}, "this is no TOML", "indelible.toml"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_starts(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], file: str, named: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if file:
        (data / "indelible.toml").write_text(file)
    given = [argument.format(data=data) for argument in arguments]
    if "listen" not in named:
        given += ["--listen", "127.0.0.1:0"]
    # In this process: the rest of the program is the same, and much quicker at hand.
    result = CliRunner().invoke(program, ["serve", "--data", str(data), *given], env=environment)
    structlog.reset_defaults()  # the program logs to the runner's standard error, which is closed now
    assert (result.exit_code, result.stdout) == (2, "")
    assert named.replace("_", "-") in result.stderr or named in result.stderr


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    said = refused_start("serve", "--data", str(tmp_path / "file"), "--listen", "127.0.0.1:0")
    assert str(tmp_path / "file") in said


def test_a_database_that_does_not_answer_is_not_wrong_use_but_not_reachable(tmp_path: Path) -> None:
    said = refused_start("serve", "--data", str(tmp_path), "--database", "postgresql://127.0.0.1:1/x", status=3)
    assert "database" in said


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "indelible.toml").write_text("listen = 'nowhere'\nlog_format = 'json'\nwriters = 2\n")
    environment = {"INDELIBLE_LOG_FORMAT": "text", "INDELIBLE_LISTEN": "nowhere either", "INDELIBLE_WRITERS": "3"}
    with RunningServer(tmp_path, writers=0, environment=environment) as server:
        assert info(server.stubs()).info.api_version == "v1"
        assert not server.stubs().admin.ListWriters(admin_service_pb2.ListWritersRequest()).writers
        server.stop()
    assert server.log
    assert not [line for line in server.log if line.startswith("{")]
