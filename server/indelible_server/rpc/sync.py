"""SyncService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from indelible.v1 import item_pb2, sync_pb2, sync_service_pb2, sync_service_pb2_grpc
from sqlalchemy import Connection

from ..domain import catalogs, conflicts, holds, runs, sync, undo_jobs
from ..domain import items as item_rules
from ..domain.bulk import Bulk
from ..domain.conflicts import Side
from ..domain.principal import Principal
from ..errors import invalid
from ..storage import catalogs as catalog_store
from ..storage import items
from ..storage import runs as run_store
from ..storage.catalogs import Catalog
from ..storage.items import Page, SavedSearch
from . import paging
from .app import App, Begin, Work
from .convert import failure_counts, failure_message, job_message, run_message, status_message
from .previews import preview_write, summarize_write
from .selections import selection
from .status_watch import watch_statuses
from .wrapper import Context, caller

GIVE_UP_LIMIT_MS = 30 * 24 * 3600 * 1000
SIDES = {
    sync_pb2.CONFLICT_RESOLUTION_CATALOG: Side.CATALOG,
    sync_pb2.CONFLICT_RESOLUTION_FILE: Side.FILE,
}
# READ_ONLY_ROOT is the server's own.
HOLD_REASONS = {
    item_pb2.HOLD_REASON_CHECKED_OUT: "CHECKED_OUT",
    item_pb2.HOLD_REASON_AWAITING_APPROVAL: "AWAITING_APPROVAL",
    item_pb2.HOLD_REASON_OTHER: "OTHER",
}


class SyncService(sync_service_pb2_grpc.SyncServiceServicer):
    """The switch, runs, failures, and their streams."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def GetSyncStatus(
        self, request: sync_service_pb2.GetSyncStatusRequest, context: Context
    ) -> sync_service_pb2.GetSyncStatusResponse:
        return await self._app.read(_status, caller(), request)

    async def WatchSyncStatus(
        self, request: sync_service_pb2.WatchSyncStatusRequest, context: Context
    ) -> AsyncIterator[sync_service_pb2.WatchSyncStatusResponse]:
        async for message in watch_statuses(self._app, request.catalogs):
            yield message

    async def SetAutoSync(
        self, request: sync_service_pb2.SetAutoSyncRequest, context: Context
    ) -> sync_service_pb2.SetAutoSyncResponse:
        return await self._app.mutate(request, sync_service_pb2.SetAutoSyncResponse, _switcher(request))

    async def StartSync(
        self, request: sync_service_pb2.StartSyncRequest, context: Context
    ) -> sync_service_pb2.StartSyncResponse:
        return await self._app.mutate(request, sync_service_pb2.StartSyncResponse, _starter(request))

    async def PauseSync(
        self, request: sync_service_pb2.PauseSyncRequest, context: Context
    ) -> sync_service_pb2.PauseSyncResponse:
        return await self._app.mutate(request, sync_service_pb2.PauseSyncResponse, _pauser(request))

    async def CancelRun(
        self, request: sync_service_pb2.CancelRunRequest, context: Context
    ) -> sync_service_pb2.CancelRunResponse:
        return await self._app.mutate(request, sync_service_pb2.CancelRunResponse, _canceller(request))

    async def ListRuns(
        self, request: sync_service_pb2.ListRunsRequest, context: Context
    ) -> sync_service_pb2.ListRunsResponse:
        return await self._app.read(_runs, caller(), request)

    async def PreviewWrite(
        self, request: sync_service_pb2.PreviewWriteRequest, context: Context
    ) -> sync_service_pb2.PreviewWriteResponse:
        return await preview_write(self._app, request)

    async def SummarizeWrite(
        self, request: sync_service_pb2.SummarizeWriteRequest, context: Context
    ) -> AsyncIterator[sync_service_pb2.SummarizeWriteResponse]:
        async for message in summarize_write(self._app, request):
            yield message

    async def UndoRun(
        self, request: sync_service_pb2.UndoRunRequest, context: Context
    ) -> sync_service_pb2.UndoRunResponse:
        return await self._app.mutate(request, sync_service_pb2.UndoRunResponse, _undoer(request))

    async def ListFailures(
        self, request: sync_service_pb2.ListFailuresRequest, context: Context
    ) -> sync_service_pb2.ListFailuresResponse:
        return await self._app.read(_failures, caller(), request)

    async def RetryFailures(
        self, request: sync_service_pb2.RetryFailuresRequest, context: Context
    ) -> sync_service_pb2.RetryFailuresResponse:
        return await self._app.mutate_many(request, sync_service_pb2.RetryFailuresResponse, _retrier(request), _retried)

    async def ResolveConflicts(
        self, request: sync_service_pb2.ResolveConflictsRequest, context: Context
    ) -> sync_service_pb2.ResolveConflictsResponse:
        return await self._app.mutate_many(
            request, sync_service_pb2.ResolveConflictsResponse, _resolver(request), _resolved
        )

    async def HoldItems(
        self, request: sync_service_pb2.HoldItemsRequest, context: Context
    ) -> sync_service_pb2.HoldItemsResponse:
        return await self._app.mutate_many(request, sync_service_pb2.HoldItemsResponse, _holder(request), _held)

    async def ReleaseItems(
        self, request: sync_service_pb2.ReleaseItemsRequest, context: Context
    ) -> sync_service_pb2.ReleaseItemsResponse:
        return await self._app.mutate_many(
            request, sync_service_pb2.ReleaseItemsResponse, _releaser(request), _released
        )


def _status(
    tx: Connection, who: Principal, request: sync_service_pb2.GetSyncStatusRequest
) -> sync_service_pb2.GetSyncStatusResponse:
    found = sync.status(tx, catalogs.find(tx, who, request.catalog))
    return sync_service_pb2.GetSyncStatusResponse(status=status_message(found))


def _present(tx: Connection, catalog: Catalog) -> sync_pb2.SyncStatus:
    return status_message(sync.status(tx, catalog))


def _switcher(request: sync_service_pb2.SetAutoSyncRequest) -> Work[sync_service_pb2.SetAutoSyncResponse]:
    if request.auto_sync not in (sync_pb2.AUTO_SYNC_ON, sync_pb2.AUTO_SYNC_PAUSED):
        raise invalid("auto_sync", "is unset: ON or PAUSED")

    def work(tx: Connection, who: Principal) -> sync_service_pb2.SetAutoSyncResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        switched = sync.set_auto_sync(tx, catalog, request.auto_sync == sync_pb2.AUTO_SYNC_ON)
        return sync_service_pb2.SetAutoSyncResponse(status=_present(tx, switched))

    return work


def _pauser(request: sync_service_pb2.PauseSyncRequest) -> Work[sync_service_pb2.PauseSyncResponse]:
    def work(tx: Connection, who: Principal) -> sync_service_pb2.PauseSyncResponse:
        paused = sync.pause(tx, catalogs.find(tx, who, request.catalog))
        return sync_service_pb2.PauseSyncResponse(status=_present(tx, paused))

    return work


def _starter(request: sync_service_pb2.StartSyncRequest) -> Work[sync_service_pb2.StartSyncResponse]:
    if request.HasField("max_items") and request.max_items < 1:
        raise invalid("max_items", "is below 1")
    give_up_ms = request.give_up_after.ToMilliseconds() if request.HasField("give_up_after") else runs.GIVE_UP_MS
    if not 0 < give_up_ms <= GIVE_UP_LIMIT_MS:
        raise invalid("give_up_after", "is not between 0 and 30 days")
    chosen = selection(request.selection) if request.HasField("selection") else None
    max_items = request.max_items if request.HasField("max_items") else None

    def work(tx: Connection, who: Principal) -> sync_service_pb2.StartSyncResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        catalog_store.lock(tx, catalog.catalog_id)  # of several at the same time, one starts it
        before = run_store.active(tx, catalog.catalog_id)
        run = runs.start(tx, who, catalog, chosen, give_up_ms, max_items, outside_window=request.outside_window)
        resumed = before is not None and before.state != run.state
        return sync_service_pb2.StartSyncResponse(
            run=run_message(run), already_running=before is not None and not resumed, resumed=resumed
        )

    return work


def _canceller(request: sync_service_pb2.CancelRunRequest) -> Work[sync_service_pb2.CancelRunResponse]:
    def work(tx: Connection, who: Principal) -> sync_service_pb2.CancelRunResponse:
        run = runs.cancel(tx, catalogs.find(tx, who, request.catalog), request.run_id)
        return sync_service_pb2.CancelRunResponse(run=run_message(run))

    return work


def _runs(
    tx: Connection, who: Principal, request: sync_service_pb2.ListRunsRequest
) -> sync_service_pb2.ListRunsResponse:
    catalog = catalogs.find(tx, who, request.catalog)
    size, after = paging.page_size(request), paging.position(request)
    found = run_store.newest(tx, catalog.catalog_id, size + 1, *after)
    shown = found[:size]
    return sync_service_pb2.ListRunsResponse(
        runs=[run_message(run) for run in shown],
        next_page_token=paging.next_token(request, [shown[-1].run_id]) if len(found) > size else "",
        total_size=run_store.count(tx, catalog.catalog_id),
    )


def _undoer(request: sync_service_pb2.UndoRunRequest) -> Work[sync_service_pb2.UndoRunResponse]:
    if not request.run_id:
        raise invalid("run_id", "is empty: say which run")

    def work(tx: Connection, who: Principal) -> sync_service_pb2.UndoRunResponse:
        job = undo_jobs.start_for_run(tx, who, catalogs.find(tx, who, request.catalog), request.run_id)
        return sync_service_pb2.UndoRunResponse(job=job_message(job))

    return work


def _reasons(request: sync_service_pb2.ListFailuresRequest | sync_service_pb2.RetryFailuresRequest) -> set[str]:
    for place, reason in enumerate(request.reasons):
        if reason not in sync_pb2.FailureReason.values() or not reason:
            raise invalid(f"reasons[{place}]", f"{reason} is not a reason")
    return {sync_pb2.FailureReason.Name(reason).removeprefix("FAILURE_REASON_") for reason in request.reasons}


def _failures(
    tx: Connection, who: Principal, request: sync_service_pb2.ListFailuresRequest
) -> sync_service_pb2.ListFailuresResponse:
    catalog, reasons = catalogs.find(tx, who, request.catalog), _reasons(request)
    size, after = paging.page_size(request), Page(*paging.position(request))
    found = items.page(tx, catalog.catalog_id, SavedSearch.FAILED, "", "", after, size + 1, reasons)
    shown = found[:size]
    counts = items.count_failures(tx, catalog.catalog_id)
    wanted = {reason: number for reason, number in counts.items() if not reasons or reason in reasons}
    return sync_service_pb2.ListFailuresResponse(
        failures=[
            sync_pb2.ItemFailure(
                item_id=str(item.item_id), root_id=item.root_id, path=item.path, failure=failure_message(item)
            )
            for item in shown
        ],
        next_page_token=paging.next_token(request, [shown[-1].path, shown[-1].item_id]) if len(found) > size else "",
        total_size=sum(wanted.values()),
        counts=failure_counts(wanted),
    )


def _retrier(request: sync_service_pb2.RetryFailuresRequest) -> Begin:
    chosen = selection(request.selection) if request.HasField("selection") else None
    reasons = _reasons(request)
    return lambda tx, who: item_rules.retrial(tx, catalogs.find(tx, who, request.catalog), chosen, reasons)


def _retried(_matched: int, retried: int) -> sync_service_pb2.RetryFailuresResponse:
    return sync_service_pb2.RetryFailuresResponse(retried=retried)


def _resolver(request: sync_service_pb2.ResolveConflictsRequest) -> Begin:
    if request.resolution not in SIDES:
        raise invalid("resolution", "is unset: CATALOG or FILE")
    chosen, side = selection(request.selection), SIDES[request.resolution]

    def begin(tx: Connection, who: Principal) -> Bulk:
        catalog = catalogs.find(tx, who, request.catalog)
        return conflicts.resolution(tx, who, catalog, chosen, side, list(request.fields))

    return begin


def _resolved(matched: int, resolved: int) -> sync_service_pb2.ResolveConflictsResponse:
    return sync_service_pb2.ResolveConflictsResponse(matched=matched, resolved=resolved)


def _holder(request: sync_service_pb2.HoldItemsRequest) -> Begin:
    if request.reason not in HOLD_REASONS:
        raise invalid("reason", "is none that people hold items for: CHECKED_OUT, AWAITING_APPROVAL or OTHER")
    if request.reason == item_pb2.HOLD_REASON_OTHER and not request.note.strip():
        raise invalid("note", "is empty: with OTHER, say why")
    chosen, reason = selection(request.selection), HOLD_REASONS[request.reason]

    def begin(tx: Connection, who: Principal) -> Bulk:
        catalog = catalogs.find(tx, who, request.catalog)
        return holds.hold(tx, who, catalog, chosen, reason, request.note)

    return begin


def _held(matched: int, held: int) -> sync_service_pb2.HoldItemsResponse:
    return sync_service_pb2.HoldItemsResponse(matched=matched, held=held)


def _releaser(request: sync_service_pb2.ReleaseItemsRequest) -> Begin:
    chosen = selection(request.selection)
    return lambda tx, who: holds.release(tx, catalogs.find(tx, who, request.catalog), chosen)


def _released(matched: int, released: int) -> sync_service_pb2.ReleaseItemsResponse:
    return sync_service_pb2.ReleaseItemsResponse(matched=matched, released=released)
