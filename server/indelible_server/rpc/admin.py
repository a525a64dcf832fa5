"""AdminService."""

from __future__ import annotations

import time
from importlib.metadata import version

from indelible.v1 import admin_pb2, admin_service_pb2, admin_service_pb2_grpc
from sqlalchemy import Connection

from ..domain.edits import EDITS_A_CALL
from ..storage import catalogs, migrate, requests, tombstones, writers, writes
from ..storage.writers import Writer
from . import paging
from .app import App
from .convert import how_long, when, writer_message
from .selections import IDS_LIMIT
from .streams import STREAMS_A_PRINCIPAL
from .wrapper import Context

MESSAGE_BYTES = 4 * 1024 * 1024


class AdminService(admin_service_pb2_grpc.AdminServiceServicer):
    """The server itself."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._started_at = time.time_ns() // 1_000_000

    async def GetServerInfo(
        self, request: admin_service_pb2.GetServerInfoRequest, context: Context
    ) -> admin_service_pb2.GetServerInfoResponse:
        info = await self._app.read(_info, self._app.database.is_sqlite, self._started_at)
        return admin_service_pb2.GetServerInfoResponse(info=info)

    async def ListWriters(
        self, request: admin_service_pb2.ListWritersRequest, context: Context
    ) -> admin_service_pb2.ListWritersResponse:
        return _writers(request, await self._app.read(writers.alive))


def _writers(
    request: admin_service_pb2.ListWritersRequest, alive: list[Writer]
) -> admin_service_pb2.ListWritersResponse:
    size, after = paging.page_size(request), paging.position(request)
    rest = [each for each in sorted(alive, key=_place) if _place(each) > after]
    return admin_service_pb2.ListWritersResponse(
        writers=[writer_message(each) for each in rest[:size]],
        next_page_token=paging.next_token(request, _place(rest[size - 1])) if len(rest) > size else "",
        total_size=len(alive),
    )


def _place(writer: Writer) -> list[str]:
    return [writer.host, writer.writer_id]


def _info(tx: Connection, is_sqlite: bool, started_at: int) -> admin_pb2.ServerInfo:
    return admin_pb2.ServerInfo(
        version=version("indelible"),
        api_version="v1",
        schema_version=migrate.current(tx) or "",
        store_kind=admin_pb2.STORE_KIND_SQLITE if is_sqlite else admin_pb2.STORE_KIND_POSTGRESQL,
        store_id=catalogs.store_id(tx),
        start_time=when(started_at),
        limits=admin_pb2.ServerLimits(
            max_message_bytes=MESSAGE_BYTES,
            max_page_size=paging.PAGE_LIMIT,
            max_selection_ids=IDS_LIMIT,
            max_edits=EDITS_A_CALL,
            max_streams=STREAMS_A_PRINCIPAL,
        ),
        retention=admin_pb2.Retention(
            history_writes=writes.WRITES_KEPT,
            history=how_long(writes.KEPT_MS),
            removed_items=how_long(tombstones.KEPT_MS),
            request_ids=how_long(requests.KEPT_MS),
        ),
    )
