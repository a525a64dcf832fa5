"""The domain's objects as messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2
from indelible.v1 import admin_pb2, catalog_pb2, item_pb2, job_pb2, library_pb2, sync_pb2, tags_pb2

from ..domain.activity import Activity
from ..domain.advice import with_advice
from ..domain.sync import SyncStatus
from ..files.plan import Home
from ..files.probing import RootAbility
from ..files.tags import same
from ..storage.catalogs import Catalog, Root
from ..storage.history import Entry
from ..storage.item import Item, ItemState
from ..storage.jobs import Job
from ..storage.runs import Run
from ..storage.writers import Writer
from ..storage.writes import Write
from .convert_limits import budget_message, schedule_message
from .convert_policy import custom_field_messages, policy_message
from .convert_tags import diff_message, tags_message

STATES = {
    ItemState.SYNCED: item_pb2.ITEM_STATE_SYNCED,
    ItemState.PENDING: item_pb2.ITEM_STATE_UNSYNCED,
    ItemState.FAILED: item_pb2.ITEM_STATE_FAILED,
    ItemState.CONFLICTED: item_pb2.ITEM_STATE_CONFLICTED,
    ItemState.HELD: item_pb2.ITEM_STATE_HELD,
}


def when(milliseconds: int | None) -> timestamp_pb2.Timestamp | None:
    """A time of the store."""
    if milliseconds is None:
        return None
    time = timestamp_pb2.Timestamp()
    time.FromMilliseconds(milliseconds)
    return time


def how_long(milliseconds: int) -> duration_pb2.Duration:
    """A duration of the store."""
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(milliseconds)
    return duration


def shown(path: bytes) -> str:
    """A file name as text; bytes that are no UTF-8 are escaped."""
    return path.decode("utf-8", "backslashreplace")


def value_of(enum: Any, prefix: str, name: str) -> Any:
    """The enum value that the store calls `name`."""
    return enum.Value(f"{prefix}_{name}")


def catalog_message(catalog: Catalog) -> catalog_pb2.Catalog:
    """A catalog with its roots."""
    return catalog_pb2.Catalog(
        id=str(catalog.catalog_id),
        name=catalog.name,
        description=catalog.description,
        roots=[root_message(root) for root in catalog.roots],
        policy=policy_message(catalog.policy),
        custom_fields=custom_field_messages(catalog.policy),
        quiet_period=how_long(catalog.quiet_ms),
        schedule=schedule_message(catalog.schedule),
        budget=budget_message(catalog.budget),
        auto_sync=sync_pb2.AUTO_SYNC_ON if catalog.auto_sync else sync_pb2.AUTO_SYNC_PAUSED,
        revision=catalog.revision,
        create_time=when(catalog.created_at),
        update_time=when(catalog.updated_at),
    )


def root_message(root: Root) -> catalog_pb2.Root:
    """A root."""
    return catalog_pb2.Root(
        id=root.root_id,
        path=shown(root.path),
        read_only=root.read_only,
        online=root.offline_since is None,
        offline_since=when(root.offline_since),
        unsynced_items=root.unsynced,
        capabilities=None if root.abilities is None else capabilities_message(root),
        budget=budget_message(root.budget),
    )


def capabilities_message(root: Root) -> library_pb2.RootCapabilities:
    """What the storage of a root can do, as far as it is known; how many writers reach it is not."""
    can = RootAbility.from_json(root.abilities or {})
    step = duration_pb2.Duration()
    step.FromNanoseconds(can.time_step_ns)
    return library_pb2.RootCapabilities(
        root_id=root.root_id,
        path=shown(root.path),
        online=root.offline_since is None,
        writable=can.writable,
        replace=can.replaces,
        kernel_copy=can.kernel_copy,
        write_lease=can.write_lease,
        xattrs=can.xattrs,
        filesystem=can.filesystem,
        exchange=can.exchange,
        hard_links=can.hard_links,
        durable=can.durable,
        owner=can.keeps_owner,
        case_sensitive=can.case_sensitive,
        time_resolution=step if can.time_step_ns else None,
    )


def item_message(item: Item, *, with_homes: bool = False) -> item_pb2.Item:
    """An item; `with_homes` adds what its homes were last seen to hold."""
    mtime = timestamp_pb2.Timestamp()
    mtime.FromNanoseconds(item.mtime_ns)
    message = item_pb2.Item(
        id=str(item.item_id),
        catalog_id=str(item.catalog_id),
        root_id=item.root_id,
        path=item.path,
        raw_path=item.key,
        format=item.format,
        size_bytes=item.size,
        mtime=mtime,
        width=item.width,
        height=item.height,
        tags=tags_message(item.tags),
        state=STATES[item.state],
        missing=item.missing_since is not None,
        revision=item.revision,
        synced_revision=item.synced_revision,
        unsynced_since=item.unsynced_since,
        change_revision=item.change_revision,
        failure=failure_message(item),
        conflicts=[_conflict(item, conflict) for conflict in item.conflicts],
        hold=_hold(item),
        reader_note=item.note,
        verify_time=when(item.verified_at),
    )
    if with_homes:
        message.homes.extend(_home(item, name, tags) for name, tags in item.homes.items())
    return message


def failure_message(item: Item) -> sync_pb2.Failure | None:
    """Why the item's last write failed; None unless that is what it waits for."""
    if item.state is not ItemState.FAILED or item.failure is None:
        return None
    return sync_pb2.Failure(
        reason=value_of(sync_pb2.FailureReason, "FAILURE_REASON", item.failure),
        message=with_advice(item.failure_message, item.failure),
        attempts=item.attempts,
        next_attempt_time=when(item.due_at),
    )


def history_message(entry: Entry | Write) -> item_pb2.HistoryEntry:
    """One entry of an item's history: an edit, or a write."""
    if isinstance(entry, Write):
        return _write_entry(entry)
    return item_pb2.HistoryEntry(
        item_id=str(entry.item_id),
        revision=entry.revision,
        time=when(entry.at),
        principal=entry.principal,
        on_behalf_of=entry.on_behalf_of,
        source=entry.source,
        run_id=entry.run_id or "",
        diff=diff_message(entry.changes),
    )


def _write_entry(write: Write) -> item_pb2.HistoryEntry:
    changed = {name: values for name, values in write.changes.items() if not same(name, *values)}
    return item_pb2.HistoryEntry(
        item_id=str(write.item_id),
        revision=write.revision,
        time=when(write.at),
        principal=write.principal,
        on_behalf_of=write.on_behalf_of,
        source="EDIT" if write.undo_of is None else "UNDO",
        run_id=write.run_id or "",
        diff=diff_message(changed),
        write=item_pb2.FileWrite(
            id=write.write_id,
            method=value_of(sync_pb2.WriteMethod, "WRITE_METHOD", write.method),
            outcome=value_of(item_pb2.WriteOutcome, "WRITE_OUTCOME", write.outcome),
            bytes_written=write.bytes_written,
            undoable=write.undoable,
        ),
    )


def status_message(status: SyncStatus) -> sync_pb2.SyncStatus:
    """A snapshot of a catalog's write-back."""
    paths = {root.root_id: shown(root.path) for root in status.catalog.roots}
    counts = status.counts
    return sync_pb2.SyncStatus(
        catalog_id=str(status.catalog.catalog_id),
        catalog_name=status.catalog.name,
        auto_sync=sync_pb2.AUTO_SYNC_ON if status.catalog.auto_sync else sync_pb2.AUTO_SYNC_PAUSED,
        activity=value_of(sync_pb2.Activity, "ACTIVITY", status.activity.value),
        waits=[
            sync_pb2.Wait(
                reason=value_of(sync_pb2.WaitReason, "WAIT_REASON", wait.reason.value),
                root_id=wait.root_id,
                root=paths.get(wait.root_id, ""),
                items=wait.items,
                until=when(wait.until),
            )
            for wait in status.waits
        ],
        total_items=counts.total,
        unsynced_items=counts.unsynced,
        failed_items=counts.failed,
        conflicted_items=counts.conflicted,
        held_items=counts.held,
        missing_items=counts.missing,
        in_flight_items=status.in_flight,
        run=None if status.run is None else run_message(status.run, is_writing=status.activity is Activity.SYNCING),
        revision=counts.revision,
        text=status.text,
        never_written=status.never_written,
    )


def run_message(run: Run, *, is_writing: bool = False) -> sync_pb2.Run:
    """A one-time run. It has no speed and no end in sight unless it is known that its items are being written."""
    rate = _rate(run) if is_writing or run.ended_at is not None else 0.0
    left = run.total - run.counted
    return sync_pb2.Run(
        id=run.run_id,
        catalog_id=str(run.catalog_id),
        state=value_of(sync_pb2.RunState, "RUN_STATE", run.state),
        start_revision=run.start_revision,
        selected=run.selected,
        total_items=run.total,
        done_items=run.done,
        failed_items=run.failed,
        conflicted_items=run.conflicted,
        skipped_items=run.skipped,
        bytes_written=run.bytes_written,
        outside_window=run.outside_window,
        give_up_after=how_long(run.give_up_ms),
        started_by=run.principal,
        on_behalf_of=run.on_behalf_of,
        start_time=when(run.started_at),
        end_time=when(run.ended_at),
        items_per_second=round(rate, 3),
        eta=how_long(int(left * 1000 / rate)) if rate and run.ended_at is None else None,
        failures=failure_counts(run.reasons),
    )


def _rate(run: Run) -> float:
    if run.ended_at is not None:
        return run.counted * 1000 / max(run.ended_at - run.started_at, 1)
    return run.rate or 0.0


def failure_counts(counts: Mapping[str, int]) -> list[sync_pb2.FailureCount]:
    """How many items failed for each reason, the commonest first."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [
        sync_pb2.FailureCount(reason=value_of(sync_pb2.FailureReason, "FAILURE_REASON", reason), items=number)
        for reason, number in ordered
    ]


def job_message(job: Job) -> job_pb2.Job:
    """A job and how far it is."""
    message = job_pb2.Job(
        id=job.job_id,
        catalog_id=str(job.catalog_id),
        kind=value_of(job_pb2.JobKind, "JOB_KIND", job.kind),
        state=value_of(job_pb2.JobState, "JOB_STATE", job.state),
        total_items=job.total,
        done_items=job.done,
        failed_items=job.failed,
        message=job.message,
        problems=[
            job_pb2.JobProblem(
                path=problem["path"],
                failure=sync_pb2.Failure(
                    reason=value_of(sync_pb2.FailureReason, "FAILURE_REASON", problem["reason"]),
                    message=problem["message"],
                ),
            )
            for problem in job.problems
        ],
        started_by=job.principal,
        on_behalf_of=job.on_behalf_of,
        create_time=when(job.created_at),
        start_time=when(job.started_at),
        end_time=when(job.ended_at),
    )
    if job.kind == "IMPORT":
        message.import_counts.CopyFrom(job_pb2.ImportCounts(**job.counts))
    if job.kind == "RESCAN":
        counts = {field.name: job.counts.get(field.name, 0) for field in job_pb2.RescanCounts.DESCRIPTOR.fields}
        message.rescan_counts.CopyFrom(job_pb2.RescanCounts(**counts))
    if job.kind == "UNDO":
        message.undo_counts.CopyFrom(job_pb2.UndoCounts(**job.counts))
    return message


def writer_message(writer: Writer) -> admin_pb2.Writer:
    """A writer process."""
    return admin_pb2.Writer(
        id=writer.writer_id,
        host=writer.host,
        pid=writer.pid,
        version=writer.version,
        root_ids=writer.root_ids,
        in_flight_items=writer.in_flight,
        start_time=when(writer.started_at),
        heartbeat_time=when(writer.heartbeat_at),
    )


def _home(item: Item, name: str, tags: Mapping[str, Any]) -> item_pb2.HomeTags:
    path = item.sidecar if name == Home.SIDECAR and item.sidecar is not None else item.key
    return item_pb2.HomeTags(
        home=value_of(tags_pb2.Home, "HOME", name.upper()),
        path=shown(path),
        tags=tags_message(tags),
        verify_time=when(item.verified_at),
    )


def _hold(item: Item) -> item_pb2.Hold | None:
    if item.hold is None:
        return None
    return item_pb2.Hold(
        reason=value_of(item_pb2.HoldReason, "HOLD_REASON", item.hold["reason"]),
        note=item.hold.get("note", ""),
        held_by=item.hold.get("by", ""),
        on_behalf_of=item.hold.get("for", ""),
        hold_time=when(item.hold.get("at")),
    )


def _conflict(item: Item, conflict: Mapping[str, Any]) -> item_pb2.Conflict:
    name = conflict["field"]

    def side(value: Any) -> tags_pb2.Tags:
        return tags_message({} if value is None else {name: value})

    return item_pb2.Conflict(
        field=name, base=side(conflict.get("base")), catalog=side(item.tags.get(name)), file=side(conflict["theirs"])
    )
