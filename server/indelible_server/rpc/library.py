"""LibraryService."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from indelible.v1 import library_pb2, library_service_pb2, library_service_pb2_grpc, policy_pb2, sync_pb2
from sqlalchemy import Connection

from ..domain import catalogs, jobs
from ..domain.policies import engine_policy
from ..domain.principal import Principal
from ..files.capabilities import FormatAbility, format_abilities
from ..files.probing import probe
from ..files.problems import FileProblem
from ..roots import Roots
from ..storage import writers
from ..storage.catalogs import Catalog, Root
from ..storage.writers import Writer
from .app import App, Work
from .convert import capabilities_message, job_message
from .selections import inside
from .wrapper import Context


class LibraryService(library_service_pb2_grpc.LibraryServiceServicer):
    """Work on whole catalogs."""

    def __init__(self, app: App, roots: Roots) -> None:
        self._app = app
        self._roots = roots

    async def StartImport(
        self, request: library_service_pb2.StartImportRequest, context: Context
    ) -> library_service_pb2.StartImportResponse:
        return await self._app.mutate(request, library_service_pb2.StartImportResponse, _importer(request))

    async def StartRescan(
        self, request: library_service_pb2.StartRescanRequest, context: Context
    ) -> library_service_pb2.StartRescanResponse:
        return await self._app.mutate(request, library_service_pb2.StartRescanResponse, _rescanner(request))

    async def GetCapabilities(
        self, request: library_service_pb2.GetCapabilitiesRequest, context: Context
    ) -> library_service_pb2.GetCapabilitiesResponse:
        catalog = await self._app.find_catalog(request.catalog)
        alive = await self._app.read(writers.alive)
        return await self._app.long(_capabilities, catalog, self._roots, alive)


def _capabilities(catalog: Catalog, roots: Roots, alive: list[Writer]) -> library_service_pb2.GetCapabilitiesResponse:
    return library_service_pb2.GetCapabilitiesResponse(
        roots=[_root_message(root, roots, alive) for root in catalog.roots],
        formats=[_format_message(each) for each in format_abilities(engine_policy(catalog))],
    )


def _root_message(root: Root, roots: Roots, alive: list[Writer]) -> library_pb2.RootCapabilities:
    message = capabilities_message(root)
    message.online, message.writers = False, 0
    with contextlib.suppress(FileProblem), roots.open(root) as folder:
        found = replace(root, abilities=probe(folder.path, root.read_only).to_json())
        message = capabilities_message(found)
        message.online, message.writers = True, sum(root.root_id in writer.root_ids for writer in alive)
    return message


def _format_message(can: FormatAbility) -> library_pb2.FormatCapabilities:
    return library_pb2.FormatCapabilities(
        format=can.name,
        extensions=can.extensions,
        mode=policy_pb2.FormatMode.Value(f"FORMAT_MODE_{can.home}"),
        methods=[sync_pb2.WriteMethod.Value(f"WRITE_METHOD_{way.name}") for way in can.ways],
        sidecar_fields=can.beyond,
        note=can.note,
    )


def _importer(request: library_service_pb2.StartImportRequest) -> Work[library_service_pb2.StartImportResponse]:
    path = inside(request.path, "path").strip("/")

    def work(tx: Connection, who: Principal) -> library_service_pb2.StartImportResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        job = jobs.start_scan(tx, who, catalog, jobs.IMPORT, path, request.root_id)
        return library_service_pb2.StartImportResponse(job=job_message(job))

    return work


def _rescanner(request: library_service_pb2.StartRescanRequest) -> Work[library_service_pb2.StartRescanResponse]:
    path = inside(request.path, "path").strip("/")
    how = {"read_all": request.read_all, "accept_missing": request.accept_missing}

    def work(tx: Connection, who: Principal) -> library_service_pb2.StartRescanResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        job = jobs.start_scan(tx, who, catalog, jobs.RESCAN, path, request.root_id, **how)
        return library_service_pb2.StartRescanResponse(job=job_message(job))

    return work
