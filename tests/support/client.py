"""A client as a desktop program would be: plain stubs, waits on streams, every wait with a deadline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import duration_pb2
from indelible.v1 import (
    catalog_service_pb2,
    item_pb2,
    item_service_pb2,
    job_service_pb2,
    library_service_pb2,
    sync_pb2,
    sync_service_pb2,
    tags_pb2,
)

from support.server import Stubs, fresh_id

PATIENCE_S = 600 if os.environ.get("INDELIBLE_LONG") else 45
ALL = item_pb2.Selection(all=True)
Status = Any
Library = Callable[..., tuple[str, list[Path]]]
"""Makes a folder of that many photos and an imported catalog of them; gives its name and their paths."""


class Client:
    """The calls that most tests make, in one line each."""

    def __init__(self, stubs: Stubs) -> None:
        self.stubs = stubs

    def create(self, name: str, *roots: Path, quiet_ms: int = 0, read_only: bool = False, **settings: Any) -> Any:
        """A new catalog over these folders."""
        quiet = duration_pb2.Duration()
        quiet.FromMilliseconds(quiet_ms)
        specs = [{"path": str(root), "read_only": read_only} for root in roots]
        request = catalog_service_pb2.CreateCatalogRequest(name=name, roots=specs, quiet_period=quiet, **settings)
        return self.stubs.catalogs.CreateCatalog(request).catalog

    def import_files(self, catalog: str, path: str = "") -> Any:
        """Import, and the job when it has ended."""
        job = self.start_import(catalog, path)
        return self.job(job.id)

    def start_import(self, catalog: str, path: str = "") -> Any:
        """Begin an import."""
        request = library_service_pb2.StartImportRequest(catalog=catalog, path=path)
        return self.stubs.library.StartImport(request).job

    def job(self, job_id: str) -> Any:
        """The job when it has ended."""
        watching = self.stubs.jobs.WatchJob(job_service_pb2.WatchJobRequest(job_id=job_id), timeout=PATIENCE_S)
        return list(watching)[-1].job

    def edit(self, catalog: str, *edits: Any, selection: Any = ALL, **settings: Any) -> Any:
        """Edit tags."""
        settings.setdefault("request_id", fresh_id())
        request = item_service_pb2.EditTagsRequest(catalog=catalog, selection=selection, edits=edits, **settings)
        return self.stubs.items.EditTags(request)

    def items(self, catalog: str, **conditions: Any) -> list[Any]:
        """All items that match, page by page."""
        found: list[Any] = []
        token = ""
        while True:
            request = item_service_pb2.ListItemsRequest(catalog=catalog, page_token=token, **conditions)
            page = self.stubs.items.ListItems(request)
            found += page.items
            token = page.next_page_token
            if not token:
                return found

    def item(self, catalog: str, path: str) -> Any:
        """One item, with what its file holds."""
        return self.stubs.items.GetItem(item_service_pb2.GetItemRequest(catalog=catalog, path=path)).item

    def remove(self, catalog: str, selection: Any, request_id: str = "") -> int:
        """Take items out of the catalog."""
        request = item_service_pb2.RemoveItemsRequest(catalog=catalog, selection=selection, request_id=request_id)
        return int(self.stubs.items.RemoveItems(request).removed)

    def status(self, catalog: str) -> Status:
        """The present status."""
        return self.stubs.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest(catalog=catalog)).status

    def switch(self, catalog: str, on: bool) -> Status:
        """Turn auto-sync."""
        position = sync_pb2.AUTO_SYNC_ON if on else sync_pb2.AUTO_SYNC_PAUSED
        request = sync_service_pb2.SetAutoSyncRequest(catalog=catalog, auto_sync=position)
        return self.stubs.sync.SetAutoSync(request).status

    def start(self, catalog: str, **settings: Any) -> Any:
        """Start a run."""
        return self.stubs.sync.StartSync(sync_service_pb2.StartSyncRequest(catalog=catalog, **settings))

    def pause(self, catalog: str) -> Status:
        """Stop all writing."""
        return self.stubs.sync.PauseSync(sync_service_pb2.PauseSyncRequest(catalog=catalog)).status

    def cancel(self, catalog: str, run_id: str = "") -> Any:
        """End a run."""
        return self.stubs.sync.CancelRun(sync_service_pb2.CancelRunRequest(catalog=catalog, run_id=run_id)).run

    def resolve(self, catalog: str, side: str, *fields: str, selection: Any = ALL, **settings: Any) -> Any:
        """Decide conflicts for "CATALOG" or "FILE"."""
        resolution = sync_pb2.ConflictResolution.Value(f"CONFLICT_RESOLUTION_{side}")
        request = sync_service_pb2.ResolveConflictsRequest(
            catalog=catalog, selection=selection, resolution=resolution, fields=fields, **settings
        )
        return self.stubs.sync.ResolveConflicts(request)

    def hold(self, catalog: str, selection: Any = ALL, reason: str = "CHECKED_OUT", note: str = "") -> Any:
        """Keep items from being written."""
        number = item_pb2.HoldReason.Value(f"HOLD_REASON_{reason}")
        request = sync_service_pb2.HoldItemsRequest(catalog=catalog, selection=selection, reason=number, note=note)
        return self.stubs.sync.HoldItems(request)

    def release(self, catalog: str, selection: Any = ALL) -> Any:
        """Let held items be written again."""
        return self.stubs.sync.ReleaseItems(sync_service_pb2.ReleaseItemsRequest(catalog=catalog, selection=selection))

    def history(self, catalog: str, path: str) -> Sequence[Any]:
        """What happened to an item, newest first."""
        request = item_service_pb2.ListHistoryRequest(catalog=catalog, path=path)
        return self.stubs.items.ListHistory(request).entries

    def edits(self, catalog: str, path: str) -> Sequence[Any]:
        """The edits among what happened to an item, newest first."""
        return [entry for entry in self.history(catalog, path) if not entry.HasField("write")]

    def runs(self, catalog: str) -> Sequence[Any]:
        """The runs, newest first."""
        return self.stubs.sync.ListRuns(sync_service_pb2.ListRunsRequest(catalog=catalog)).runs

    def statuses(self, *catalogs: str, timeout: float = PATIENCE_S) -> contextlib.AbstractContextManager[Any]:
        """The stream of statuses, cancelled at the end of the block."""
        request = sync_service_pb2.WatchSyncStatusRequest(catalogs=catalogs)
        return streaming(self.stubs.sync.WatchSyncStatus(request, timeout=timeout))

    def changes(
        self, catalog: str, token: str = "", timeout: float = PATIENCE_S
    ) -> contextlib.AbstractContextManager[Any]:
        """The feed of items, cancelled at the end of the block."""
        request = item_service_pb2.WatchItemsRequest(catalog=catalog, resume_token=token)
        return streaming(self.stubs.items.WatchItems(request, timeout=timeout))

    def wait(self, catalog: str, reached: Callable[[Status], bool]) -> Status:
        """The first status for which `reached` holds."""
        last = None
        with self.statuses(catalog) as stream:
            try:
                for message in stream:
                    last = message.status
                    if reached(last):
                        return last
            except grpc.RpcError as error:
                raise AssertionError(f"not reached ({error.code()}); the last status was {last}") from error
        raise AssertionError(f"not reached; the last status was {last}")

    def wait_synced(self, catalog: str) -> Status:
        """The status when nothing is left to write."""
        return self.wait(catalog, lambda status: status.unsynced_items == 0 and status.in_flight_items == 0)

    def wait_run(self, catalog: str) -> Any:
        """The newest run when it has ended."""
        return self.wait(catalog, lambda status: status.run.HasField("end_time")).run

    def sync(self, catalog: str, **settings: Any) -> Any:
        """A run, when it has ended."""
        self.start(catalog, **settings)
        return self.wait_run(catalog)

    def nothing_happens(self, catalog: str, seconds: float) -> None:
        """For this long the catalog's status shows no progress: what must not be written is not."""
        before = self.status(catalog)
        with self.statuses(catalog, timeout=seconds) as stream, contextlib.suppress(grpc.RpcError):
            for message in stream:
                assert message.status.unsynced_items == before.unsynced_items, message.status
                assert message.status.in_flight_items == 0, message.status


@contextlib.contextmanager
def streaming(call: Any) -> Iterator[Any]:
    """A stream that is cancelled at the end of the block."""
    try:
        yield call
    finally:
        call.cancel()


def ids(*items: Any) -> Any:
    """These items."""
    return item_pb2.Selection(item_ids=item_pb2.ItemIds(ids=[getattr(item, "id", item) for item in items]))


def globs(*patterns: str) -> Any:
    """The items whose paths match."""
    return item_pb2.Selection(path_globs=item_pb2.PathGlobs(globs=patterns))


def set_tags(**tags: Any) -> Any:
    """Set these fields."""
    return tags_pb2.Edit(set=tags_pb2.SetTags(tags=tags_pb2.Tags(**tags)))


def clear(*fields: str) -> Any:
    """Clear these fields."""
    return tags_pb2.Edit(clear=tags_pb2.ClearFields(fields=fields))


def add(field: str, *values: str) -> Any:
    """Add to a list."""
    return tags_pb2.Edit(add=tags_pb2.AddValues(field=field, values=values))


def remove(field: str, *values: str) -> Any:
    """Remove from a list."""
    return tags_pb2.Edit(remove=tags_pb2.RemoveValues(field=field, values=values))


def now_ns() -> int:
    """The clock that file times are of; they may lag behind it by a tick of the kernel."""
    return time.time_ns()
