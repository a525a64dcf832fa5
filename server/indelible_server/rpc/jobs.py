"""JobService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from indelible.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc
from sqlalchemy import Connection

from ..domain import catalogs, jobs
from ..domain.principal import Principal
from ..errors import invalid
from ..storage import jobs as job_store
from . import paging
from .app import App, Work
from .convert import job_message
from .wrapper import Context, caller


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Jobs."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def GetJob(self, request: job_service_pb2.GetJobRequest, context: Context) -> job_service_pb2.GetJobResponse:
        job = await self._app.read(jobs.find, caller(), request.job_id)
        return job_service_pb2.GetJobResponse(job=job_message(job))

    async def ListJobs(
        self, request: job_service_pb2.ListJobsRequest, context: Context
    ) -> job_service_pb2.ListJobsResponse:
        return await self._app.read(_list, caller(), request)

    async def CancelJob(
        self, request: job_service_pb2.CancelJobRequest, context: Context
    ) -> job_service_pb2.CancelJobResponse:
        return await self._app.mutate(request, job_service_pb2.CancelJobResponse, _canceller(request))

    async def WatchJob(
        self, request: job_service_pb2.WatchJobRequest, context: Context
    ) -> AsyncIterator[job_service_pb2.WatchJobResponse]:
        async for message in _watch(self._app, request.job_id):
            yield message


def _list(tx: Connection, who: Principal, request: job_service_pb2.ListJobsRequest) -> job_service_pb2.ListJobsResponse:
    catalog_ids = None if who.catalogs is None else sorted(who.catalogs)
    if request.catalog:
        catalog_ids = [catalogs.find(tx, who, request.catalog).catalog_id]
    for place, kind in enumerate(request.kinds):
        if kind not in job_pb2.JobKind.values() or not kind:
            raise invalid(f"kinds[{place}]", f"{kind} is not a kind")
    kinds = [job_pb2.JobKind.Name(kind).removeprefix("JOB_KIND_") for kind in request.kinds]
    size, after = paging.page_size(request), paging.position(request)
    conditions = job_store.Conditions(catalog_ids, kinds, request.active)
    found = job_store.newest(tx, conditions, size + 1, *after)
    shown = found[:size]
    return job_service_pb2.ListJobsResponse(
        jobs=[job_message(job) for job in shown],
        next_page_token=paging.next_token(request, [shown[-1].job_id]) if len(found) > size else "",
        total_size=job_store.count(tx, conditions),
    )


def _canceller(request: job_service_pb2.CancelJobRequest) -> Work[job_service_pb2.CancelJobResponse]:
    def work(tx: Connection, who: Principal) -> job_service_pb2.CancelJobResponse:
        return job_service_pb2.CancelJobResponse(job=job_message(jobs.cancel(tx, who, request.job_id)))

    return work


async def _watch(app: App, job_id: str) -> AsyncIterator[job_service_pb2.WatchJobResponse]:
    """The job now and whenever it is further, until it has ended."""
    who, seen, shown = caller(), 0, None
    while True:
        number = seen
        job = await app.read(jobs.find, who, job_id)
        if job != shown:
            shown = job
            yield job_service_pb2.WatchJobResponse(job=job_message(job))
        if job.ended_at is not None:
            return
        seen = await app.hub.changed(job.catalog_id, number)
