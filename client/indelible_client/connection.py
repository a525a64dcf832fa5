"""Finding the server and its token, and the connection to it."""

import getpass
import ipaddress
import os
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc
from indelible.v1 import (
    admin_service_pb2_grpc,
    catalog_service_pb2_grpc,
    item_service_pb2_grpc,
    job_service_pb2_grpc,
    library_service_pb2_grpc,
    remote_service_pb2_grpc,
    sync_service_pb2_grpc,
)

from indelible_client import calls

DEFAULT_ADDRESS = "127.0.0.1:7447"

_OPTIONS = (
    # A dead peer is noticed within a minute, also by a watch on which nothing happens.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that comes back is found within seconds; gRPC's own default is up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 1),
)


class Client:
    """A connection to a server: the stubs of all services, opened when first used and ended by `close` or
    `with`.

    Every call raises errors.Refused or errors.Unreachable. Calls that read, and calls that change something,
    which all carry a request id, are repeated by themselves while nobody answers. Safe to share between
    threads.
    """

    def __init__(self, address: str, channel: grpc.Channel, token: str = "", on_behalf_of: str = "") -> None:
        self.address = address
        self._channel = channel
        behaved = grpc.intercept_channel(channel, calls.Manners(address, token, on_behalf_of))
        self.catalogs = catalog_service_pb2_grpc.CatalogServiceStub(behaved)
        self.items = item_service_pb2_grpc.ItemServiceStub(behaved)
        self.sync = sync_service_pb2_grpc.SyncServiceStub(behaved)
        self.library = library_service_pb2_grpc.LibraryServiceStub(behaved)
        self.jobs = job_service_pb2_grpc.JobServiceStub(behaved)
        self.remotes = remote_service_pb2_grpc.RemoteServiceStub(behaved)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(behaved)

    def close(self) -> None:
        """End the connection and every call on it; it may be repeated."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Target:
    """Where to connect to, and as whom."""

    address: str
    token: str = field(default="", repr=False)


def connect(
    server: str | None = None,
    token: str | None = None,
    data: str | None = None,
    *,
    tls_ca: str | None = None,
    on_behalf_of: str | None = None,
) -> Client:
    """Give a client of the server that `find` finds; nothing is contacted before the first call.

    TLS is used when `tls_ca` or INDELIBLE_TLS_CA names a file with the certificates to trust. `on_behalf_of`
    is the person for whom calls are made; None means the user of the operating system.
    """
    target = find(server, token, data)
    options = [
        *_OPTIONS,
        ("grpc.enable_http_proxy", 0 if is_local(target.address) else 1),  # no proxy leads to this machine
        ("grpc.service_config", calls.service_config()),
    ]
    authorities = tls_ca or os.environ.get("INDELIBLE_TLS_CA")
    if authorities:
        with open(authorities, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(target.address, credentials, options)
    else:
        channel = grpc.insecure_channel(target.address, options)
    person = _user() if on_behalf_of is None else on_behalf_of
    return Client(target.address, channel, target.token, person)


def find(server: str | None = None, token: str | None = None, data: str | None = None) -> Target:
    """Find the address and the token.

    The address is `server`, else INDELIBLE_SERVER, else what a running server wrote into the data folder's
    file `address`, else 127.0.0.1:7447. The token is `token`, else INDELIBLE_TOKEN, else the data folder's
    file `token`; that file is for the server of that folder, so it is sent nowhere but to this machine or to
    that address. The data folder is `data`, else INDELIBLE_DATA, else the user's.
    """
    folder = data or os.environ.get("INDELIBLE_DATA") or data_folder()
    own_address = _first_line(os.path.join(folder, "address"))
    address = server or os.environ.get("INDELIBLE_SERVER") or own_address or DEFAULT_ADDRESS
    secret = token or os.environ.get("INDELIBLE_TOKEN")
    if not secret and (is_local(address) or address == own_address):
        secret = _first_line(os.path.join(folder, "token"))
    return Target(address, secret or "")


def data_folder() -> str:
    """Give the user's data folder, where a server without other orders keeps its things."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "indelible")


def is_local(address: str) -> bool:
    """Say whether an address `HOST:PORT` is this machine's own."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first_line(path: str) -> str:
    """Read the first line of a small file; empty if there is none that this user may read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""
