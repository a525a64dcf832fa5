"""The gRPC server: all services behind the one wrapper, on one port."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Sequence

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from indelible.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    item_service_pb2,
    job_service_pb2,
    library_service_pb2,
    remote_service_pb2,
    sync_service_pb2,
)
from indelible.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from indelible.v1.catalog_service_pb2_grpc import add_CatalogServiceServicer_to_server
from indelible.v1.item_service_pb2_grpc import add_ItemServiceServicer_to_server
from indelible.v1.job_service_pb2_grpc import add_JobServiceServicer_to_server
from indelible.v1.library_service_pb2_grpc import add_LibraryServiceServicer_to_server
from indelible.v1.remote_service_pb2_grpc import add_RemoteServiceServicer_to_server
from indelible.v1.sync_service_pb2_grpc import add_SyncServiceServicer_to_server

from ..config import Settings, WrongSetting
from ..roots import Roots
from .admin import AdminService
from .app import App
from .catalogs import CatalogService
from .items import ItemService
from .jobs import JobService
from .library import LibraryService
from .remotes import RemoteService
from .sync import SyncService
from .wrapper import Wrapper

SERVICES = [
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (admin_service_pb2, "AdminService"),
        (catalog_service_pb2, "CatalogService"),
        (item_service_pb2, "ItemService"),
        (job_service_pb2, "JobService"),
        (library_service_pb2, "LibraryService"),
        (remote_service_pb2, "RemoteService"),
        (sync_service_pb2, "SyncService"),
    )
]

CHANNELZ = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.so_reuseport", 0),  # a second server must fail, not silently share the port
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
)


class Server:
    """Listens, and ends gracefully."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        wrapper = Wrapper(app.authenticate)
        self._streams = wrapper.streams
        self._watching: asyncio.Task[None] | None = None
        self._server = grpc.aio.server(interceptors=[wrapper], options=OPTIONS)
        self._health = health.aio.HealthServicer()
        add_AdminServiceServicer_to_server(AdminService(app), self._server)
        add_CatalogServiceServicer_to_server(CatalogService(app), self._server)
        add_ItemServiceServicer_to_server(ItemService(app), self._server)
        add_JobServiceServicer_to_server(JobService(app), self._server)
        add_LibraryServiceServicer_to_server(LibraryService(app, Roots(settings.local_roots)), self._server)
        add_RemoteServiceServicer_to_server(RemoteService(), self._server)
        add_SyncServiceServicer_to_server(SyncService(app), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        standard = [health.SERVICE_NAME, reflection.SERVICE_NAME, CHANNELZ]
        reflection.enable_server_reflection([*SERVICES, *standard], self._server)
        self.address = _bind(self._server, settings)

    async def start(self) -> None:
        """Begin to answer."""
        await self._server.start()
        self._watching = asyncio.create_task(self._streams.end_those_without_a_token())
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Say that we stop, end streams so that clients resume elsewhere, let running calls end."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._app.hub.stop()
        if self._watching is not None:
            self._watching.cancel()
        await self._server.stop(grace)

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for service in ("", *SERVICES):
            await self._health.set(service, status)


def _bind(server: grpc.aio.Server, settings: Settings) -> str:
    """Bind the port; the address that clients use. Beyond loopback only with TLS, or when told so."""
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise WrongSetting(f"listen: {settings.listen!r} is not HOST:PORT")
    credentials = _credentials(settings)
    if credentials is None and not _is_loopback(host) and not settings.insecure:
        raise WrongSetting(
            f"listen: {host} is reachable from other machines, where tags and tokens would travel in clear. "
            "Give --tls-cert and --tls-key, or --insecure if something else protects them."
        )
    try:
        bound = (
            server.add_insecure_port(settings.listen)
            if credentials is None
            else server.add_secure_port(settings.listen, credentials)
        )
    except RuntimeError as error:
        raise WrongSetting(f"listen: {settings.listen} can't be used; is another server running there?") from error
    return f"{host}:{bound}"


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if not (settings.tls_cert or settings.tls_key or settings.tls_client_ca):
        return None
    key, certificate = _content(settings.tls_key, "tls_key"), _content(settings.tls_cert, "tls_cert")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as error:
        raise WrongSetting(f"tls_cert, tls_key: are no certificate with its key ({error.reason})") from error
    authority = _content(settings.tls_client_ca, "tls_client_ca") if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=authority is not None)


def _content(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise WrongSetting(f"{name}: {path!r} can't be read ({error.strerror})") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
