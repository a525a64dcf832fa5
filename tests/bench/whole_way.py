"""The whole way, measured: gRPC edit to last item verified, durable. Prints figures and the machine; it is no test.

make bench [ARGS="--items 1000 --database postgresql://…"]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from indelible.v1 import (
    catalog_pb2,
    catalog_service_pb2,
    item_pb2,
    item_service_pb2,
    job_service_pb2,
    library_service_pb2,
    sync_pb2,
    sync_service_pb2,
    tags_pb2,
)
from PIL import Image
from support.server import RunningServer, Stubs, fresh_id

CATALOG = "Bench"
ROUNDS = 5
SINGLE_EDITS = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures the whole way from an edit to a verified file.")
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--database", default="", help="default: SQLite in the data folder")
    parser.add_argument("--folder", default=".", help="where the sample files are made; never a tmpfs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder)).resolve()
    try:
        size = draw(folder / "photos", given.items)
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        print(f"machine     {os.cpu_count()} cores, {system}")
        print(f"storage     fdatasync of 4 KiB: {sync_latency_ms(folder):.2f} ms (median)")
        print(f"library     {given.items} JPEGs of {size / 1e6:.2f} MB")
        with RunningServer(folder / "data", given.database, writers=2) as server:
            measure(server.stubs(), folder / "photos", given.items)
    finally:
        shutil.rmtree(folder)


def measure(client: Stubs, photos: Path, items: int) -> None:
    """Import, first write, re-edits, single edits."""
    client.catalogs.CreateCatalog(
        catalog_service_pb2.CreateCatalogRequest(
            name=CATALOG, roots=[catalog_pb2.RootSpec(path=str(photos))], quiet_period=Duration()
        )
    )
    print(f"import      {items / timed(lambda: import_all(client)):8.0f} files/s")
    seconds, written = edit_and_sync(client, "first")
    print(f"first write {items / seconds:8.0f} files/s, {written / items / 1024:.1f} KiB a file")
    rounds = [edit_and_sync(client, f"round {number}") for number in range(ROUNDS)]
    median = statistics.median(seconds for seconds, _ in rounds)
    print(
        f"re-edit     {items / median:8.0f} files/s (median of {ROUNDS}), {rounds[-1][1] / items / 1024:.1f} KiB a file"
    )
    delays = sorted(single_edits(client))
    print(f"one edit to verified: p50 {delays[len(delays) // 2]:.0f} ms, p99 {delays[int(len(delays) * 0.99)]:.0f} ms")


def import_all(client: Stubs) -> None:
    """Import everything and wait for the end."""
    job = client.library.StartImport(library_service_pb2.StartImportRequest(catalog=CATALOG)).job
    for _ in client.jobs.WatchJob(job_service_pb2.WatchJobRequest(job_id=job.id)):
        pass


def edit_and_sync(client: Stubs, title: str) -> tuple[float, int]:
    """Edit every item and write it: seconds, and bytes written."""
    started = time.monotonic()
    edit(client, item_pb2.Selection(all=True), title)
    run = client.sync.StartSync(sync_service_pb2.StartSyncRequest(catalog=CATALOG)).run
    for message in client.sync.WatchSyncStatus(sync_service_pb2.WatchSyncStatusRequest(catalogs=[CATALOG])):
        run = message.status.run
        if run.state == sync_pb2.RUN_STATE_COMPLETED:
            break
    assert run.done_items == run.total_items, f"{run.failed_items} items failed"
    return time.monotonic() - started, run.bytes_written


def single_edits(client: Stubs) -> Iterator[float]:
    """Milliseconds from an edit's call to its verification being seen in the feed, with auto-sync on."""
    client.sync.SetAutoSync(sync_service_pb2.SetAutoSyncRequest(catalog=CATALOG, auto_sync=sync_pb2.AUTO_SYNC_ON))
    feed = iter(client.items.WatchItems(item_service_pb2.WatchItemsRequest(catalog=CATALOG)))
    next(feed)
    for number in range(SINGLE_EDITS):
        started = time.monotonic()
        one = item_pb2.Selection(item_ids=item_pb2.ItemIds(ids=[str(number + 1)]))
        revision = edit(client, one, f"single {number}")
        while next(feed).item_changed.item.synced_revision < revision:
            pass
        yield (time.monotonic() - started) * 1000


def edit(client: Stubs, selection: item_pb2.Selection, title: str) -> int:
    """Give items a title and keywords; the revision of the edit."""
    tags = tags_pb2.Tags(title=title, keywords=["Places|Lisbon", "bench", title], rating=4)
    request = item_service_pb2.EditTagsRequest(
        catalog=CATALOG,
        selection=selection,
        edits=[tags_pb2.Edit(set=tags_pb2.SetTags(tags=tags))],
        request_id=fresh_id(),
    )
    return int(client.items.EditTags(request).last_revision)


def draw(folder: Path, items: int, scale: float = 1.0) -> int:
    """Sample files; the size of one."""
    folder.mkdir()
    first = folder / "000000.jpg"
    Image.effect_noise((int(1200 * scale), int(1000 * scale)), 60).convert("RGB").save(first, quality=90)
    for number in range(1, items):
        shutil.copyfile(first, folder / f"{number:06}.jpg")
    return first.stat().st_size


def sync_latency_ms(folder: Path) -> float:
    """The median latency of a 4 KiB fdatasync."""
    handle = os.open(folder / "latency", os.O_CREAT | os.O_WRONLY)

    def once(number: int) -> float:
        os.pwrite(handle, b"x" * 4096, number * 4096)
        return timed(lambda: os.fdatasync(handle))

    return statistics.median(once(number) for number in range(50)) * 1000


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work()` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
