"""Watches that go on: a stream that breaks is opened again where it was.

The first attempt must succeed, else Unreachable is raised as by any call; from then on a server that is gone
is waited for, however long that takes. An answer that will not change by waiting (NOT_FOUND,
PERMISSION_DENIED ...) is raised. Ending the iteration (`close`, or leaving the loop) ends the stream.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import grpc
from indelible.v1 import item_service_pb2, job_pb2, job_service_pb2, sync_pb2, sync_service_pb2

from indelible_client.connection import Client
from indelible_client.errors import Refused, Unreachable
from indelible_client.pages import pages

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0

_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)
_JOB_ENDED = (job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED)
_RUN_ENDED = (sync_pb2.RUN_STATE_COMPLETED, sync_pb2.RUN_STATE_CANCELLED, sync_pb2.RUN_STATE_GAVE_UP)

_Message = TypeVar("_Message")


def watch_sync(client: Client, catalogs: Iterable[str] = ()) -> Iterator[sync_service_pb2.WatchSyncStatusResponse]:
    """Give every message of WatchSyncStatus, also those that say that a catalog was removed; it has no end.

    `catalogs` are ids or names; none means all that the caller may see. After a break each catalog comes
    anew.
    """
    request = sync_service_pb2.WatchSyncStatusRequest(catalogs=list(catalogs))
    return _resumed(lambda: client.sync.WatchSyncStatus(request))


def watch_status(client: Client, catalogs: Iterable[str] = ()) -> Iterator[sync_pb2.SyncStatus]:
    """Give snapshots of the status of catalogs, ids or names; none means all that the caller may see.

    It ends when every catalog that was named has been removed.
    """
    named = list(catalogs)
    left = len(named)
    for response in watch_sync(client, named):
        if not response.removed:
            yield response.status
            continue
        left -= 1
        if left == 0:
            return


def watch_items(client: Client, catalog: str, resume_token: str = "") -> Iterator[item_service_pb2.WatchItemsResponse]:
    """Give every change of a catalog's items after the token, in order, without gaps; it has no end.

    Each message carries the token that continues right after it. A message counts as dealt with when the next
    one is asked for. Without a token the first message is a bookmark of the present. A token that is too old
    raises Relist.
    """
    request = item_service_pb2.WatchItemsRequest(catalog=catalog, resume_token=resume_token)
    for message in _resumed(lambda: client.items.WatchItems(request)):
        yield message
        request.resume_token = message.resume_token


def watch_job(client: Client, job_id: str) -> Iterator[job_pb2.Job]:
    """Give snapshots of a job, the present one first, and end after the one in which it has ended."""
    request = job_service_pb2.WatchJobRequest(job_id=job_id)
    for response in _resumed(lambda: client.jobs.WatchJob(request)):
        yield response.job
        if response.job.state in _JOB_ENDED:
            return


def watch_run(client: Client, catalog: str, run_id: str) -> Iterator[sync_pb2.SyncStatus]:
    """Give snapshots of a catalog whose `run` is this one-time run, and end after the one in which it has
    ended.

    A catalog's status shows only the newest run; one that another has followed is looked up.
    """
    for status in watch_status(client, [catalog]):
        if status.run.id != run_id:
            status.run.CopyFrom(_find_run(client, catalog, run_id))
        yield status
        if status.run.state in _RUN_ENDED:
            return


def _find_run(client: Client, catalog: str, run_id: str) -> sync_pb2.Run:
    request = sync_service_pb2.ListRunsRequest(catalog=catalog)
    for page in pages(client.sync.ListRuns, request, lambda page: page.runs):
        for run in page.runs:
            if run.id == run_id:
                return run
    raise Refused(
        grpc.StatusCode.NOT_FOUND,
        "RUN_NOT_FOUND",
        f"catalog {catalog} has no run {run_id}",
        metadata={"run_id": run_id},
    )


def _resumed(open_stream: Callable[[], Iterator[_Message]]) -> Iterator[_Message]:
    """Chain streams: when one breaks in passing, or ends, the next is opened after a growing pause."""
    pause, connected = FIRST_PAUSE, False
    while True:
        stream = open_stream()
        try:
            for message in stream:
                pause, connected = FIRST_PAUSE, True
                yield message
        except (Unreachable, Refused) as error:
            if not connected or (isinstance(error, Refused) and error.status not in _PASSING):
                raise
        finally:
            stream.cancel()  # type: ignore[attr-defined]  # the stubs' type of a stream is only an iterator
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
