import grpc
import pytest
from indelible.v1 import item_service_pb2, job_pb2, job_service_pb2, sync_pb2, sync_service_pb2
from indelible_client import (
    Client,
    Refused,
    Relist,
    Unreachable,
    watch_items,
    watch_job,
    watch_run,
    watch_status,
)
from unit.client.fake_server import FakeServer, Feed, abort


def snapshot(unsynced: int, **fields: object) -> sync_service_pb2.WatchSyncStatusResponse:
    status = sync_pb2.SyncStatus(catalog_id="3", unsynced_items=unsynced, **fields)
    return sync_service_pb2.WatchSyncStatusResponse(status=status)


def step(number: int) -> item_service_pb2.WatchItemsResponse:
    return item_service_pb2.WatchItemsResponse(resume_token=f"t{number}", revision=number)


def job(state: "job_pb2.JobState.ValueType") -> job_service_pb2.WatchJobResponse:
    return job_service_pb2.WatchJobResponse(job=job_pb2.Job(id="j", state=state))


def test_a_watch_goes_on_when_the_server_is_restarted(server: FakeServer, client: Client) -> None:
    server.answers["WatchSyncStatus"] = Feed(snapshot(2))
    watch = watch_status(client)
    assert next(watch).unsynced_items == 2

    server.stop()
    restarted = FakeServer(server.address, {"WatchSyncStatus": Feed(snapshot(1))}).start()
    try:
        assert next(watch).unsynced_items == 1
    finally:
        watch.close()
        restarted.stop()


def test_changes_go_on_after_the_last_token_that_was_dealt_with(server: FakeServer, client: Client) -> None:
    server.answers["WatchItems"] = Feed(step(1), step(2))
    watch = watch_items(client, "Archive", "t0")
    assert [next(watch).resume_token for _ in range(2)] == ["t1", "t2"]

    server.stop()
    restarted = FakeServer(server.address, {"WatchItems": Feed(step(3))}).start()
    try:
        assert next(watch).resume_token == "t3"
    finally:
        watch.close()
        restarted.stop()

    assert [request.resume_token for request in server.named("WatchItems")] == ["t0"]
    assert [request.resume_token for request in restarted.named("WatchItems")] == ["t2"]


def test_a_token_that_is_too_old_asks_for_a_new_list(server: FakeServer, client: Client) -> None:
    server.answers["WatchItems"] = lambda request, context: abort(
        context, grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED", "list again", oldest_revision="7"
    )

    with pytest.raises(Relist) as caught:
        next(watch_items(client, "Archive", "old"))

    assert caught.value.metadata == {"oldest_revision": "7"}


def test_a_watch_of_a_server_that_was_never_there_says_so(server: FakeServer, client: Client) -> None:
    server.stop()

    with pytest.raises(Unreachable):
        next(watch_status(client))


def test_what_waiting_does_not_mend_ends_a_watch(server: FakeServer, client: Client) -> None:
    server.answers["WatchSyncStatus"] = lambda request, context: abort(
        context, grpc.StatusCode.NOT_FOUND, "CATALOG_NOT_FOUND", "no such catalog"
    )

    with pytest.raises(Refused, match="no such catalog"):
        next(watch_status(client, ["Nothing"]))


def test_the_watch_of_named_catalogs_ends_when_all_are_removed(server: FakeServer, client: Client) -> None:
    gone = snapshot(0)
    gone.removed = True
    server.answers["WatchSyncStatus"] = Feed(snapshot(1), gone)

    assert [status.unsynced_items for status in watch_status(client, ["3"])] == [1]


def test_the_watch_of_a_job_survives_a_break_and_ends_with_the_job(server: FakeServer, client: Client) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> object:
        if len(server.calls) == 1:
            yield job(job_pb2.JOB_STATE_RUNNING)
            context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
        yield job(job_pb2.JOB_STATE_COMPLETED)

    server.answers["WatchJob"] = answer

    assert [each.state for each in watch_job(client, "j")] == [
        job_pb2.JOB_STATE_RUNNING,
        job_pb2.JOB_STATE_COMPLETED,
    ]


def test_a_run_that_another_has_followed_is_looked_up(server: FakeServer, client: Client) -> None:
    later = sync_pb2.Run(id="later", state=sync_pb2.RUN_STATE_RUNNING)
    ended = sync_pb2.Run(id="ours", state=sync_pb2.RUN_STATE_COMPLETED, done_items=3)
    server.answers["WatchSyncStatus"] = Feed(snapshot(5, run=later))
    server.gives(ListRuns=sync_service_pb2.ListRunsResponse(runs=[later, ended]))

    assert [status.run for status in watch_run(client, "3", "ours")] == [ended]
