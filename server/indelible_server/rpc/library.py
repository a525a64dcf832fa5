"""LibraryService."""

from __future__ import annotations

from indelible.v1 import library_service_pb2, library_service_pb2_grpc
from sqlalchemy import Connection

from ..domain import catalogs, jobs
from ..domain.principal import Principal
from .app import App, Work
from .convert import job_message
from .selections import inside
from .wrapper import Context


class LibraryService(library_service_pb2_grpc.LibraryServiceServicer):
    """Work on whole catalogs."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def StartImport(
        self, request: library_service_pb2.StartImportRequest, context: Context
    ) -> library_service_pb2.StartImportResponse:
        return await self._app.mutate(request, library_service_pb2.StartImportResponse, _importer(request))


def _importer(request: library_service_pb2.StartImportRequest) -> Work[library_service_pb2.StartImportResponse]:
    path = inside(request.path, "path").strip("/")

    def work(tx: Connection, who: Principal) -> library_service_pb2.StartImportResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        job = jobs.start_import(tx, who, catalog, path, request.root_id)
        return library_service_pb2.StartImportResponse(job=job_message(job))

    return work
