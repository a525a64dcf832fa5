"""The demo's story, told to whoever runs it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence

from indelible.v1 import (
    catalog_pb2,
    catalog_service_pb2,
    item_pb2,
    item_service_pb2,
    library_service_pb2,
    sync_pb2,
    sync_service_pb2,
    tags_pb2,
)
from indelible_client import Client, connect, watch_job, watch_run, watch_status
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import proof
from .pictures import draw_library
from .proof import Seen

CATALOG = "Demo"
EDITED = 160
PLACES = ("Lisbon", "Kyōto", "Tromsø", "Oaxaca", "Θεσσαλονίκη", "Dakar")
READY = "indelibled ready on "

console = Console(highlight=False)


def run_demo(number: int, *, stay: bool) -> int:
    """Run the demo; 0 if every proof held. With `stay` it stays up until Ctrl-C."""
    folder = tempfile.mkdtemp(prefix="indelible-demo-")
    try:
        return Demo(folder, number).run(stay)
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Demo:
    """A sample library with a server of its own, below one folder that is removed at the end."""

    def __init__(self, folder: str, number: int) -> None:
        self.photos = os.path.join(folder, "photos")
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "server.log")
        self._number = number
        self._failed = 0

    def run(self, stay: bool) -> int:
        """Tell the story; 0 if every proof held."""
        started = time.monotonic()
        names = list(self._shown("drawing pictures", self._number, draw_library(self.photos, self._number)))
        chosen = sorted(random.Random(7).sample(names, min(EDITED, self._number // 2)))  # noqa: S311 - a sample
        before = {name: proof.content(self._path(name)) for name in names}
        pixels = {name: proof.pixels(self._path(name)) for name in chosen}
        server = self._start_server()
        try:
            with connect(data=self.data) as client:
                self._import(client)
                wanted = self._edit(client, chosen)
                self._sync(client)
                self._prove_edits(wanted)
                self._prove_untouched(before, pixels, chosen)
                self._prove_auto_sync(client, next(name for name in names if name not in wanted))
            console.print(f"\nDone in {time.monotonic() - started:.1f} s: {self._verdict()}")
            if stay:
                self._invite()
                server.wait()
        except KeyboardInterrupt:
            console.print("\nStopping.")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        return 1 if self._failed else 0

    def _start_server(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "indelible_server.main", "serve"]
        command += ["--data", self.data, "--listen", "127.0.0.1:0"]
        with open(self.log, "w", encoding="utf-8") as log:
            server = subprocess.Popen(  # noqa: S603 - ourselves
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith(READY):
            with open(self.log, encoding="utf-8") as log:
                raise SystemExit(f"indelibled: the demo's server did not start\n{log.read()}")
        console.print(f"server      {line.removeprefix(READY).split()[0]}, embedded SQLite, paused by default")
        return server

    def _import(self, client: Client) -> None:
        roots = [catalog_pb2.RootSpec(path=self.photos)]
        client.catalogs.CreateCatalog(catalog_service_pb2.CreateCatalogRequest(name=CATALOG, roots=roots))
        started = client.library.StartImport(library_service_pb2.StartImportRequest(catalog=CATALOG)).job
        with _bar("importing") as progress:
            task = progress.add_task("importing", total=None)
            for job in watch_job(client, started.id):
                progress.update(task, completed=job.done_items, total=job.total_items or None)
        self._check("every picture is in the catalog", job.import_counts.added_items == self._number)

    def _edit(self, client: Client, names: Sequence[str]) -> dict[str, Seen]:
        """Give each picture a title, keywords and a rating of its own; what a reader should find afterwards."""
        wanted = {}
        for index, name in enumerate(names):
            place = PLACES[index % len(PLACES)]
            tags = tags_pb2.Tags(
                title=f"{place}, picture {index + 1}", keywords=[f"Places|{place}", "demo"], rating=index % 5 + 1
            )
            self._edit_one(client, name, tags)
            wanted[name] = Seen(tags.title, (place, "demo"), tags.rating)
        status = client.sync.GetSyncStatus(sync_service_pb2.GetSyncStatusRequest(catalog=CATALOG)).status
        console.print(f"edited      {len(names)} of them; the status bar says: [bold]{status.text}[/bold]")
        self._check("the edits wait, nothing is written yet", status.unsynced_items == len(names))
        return wanted

    def _edit_one(self, client: Client, name: str, tags: tags_pb2.Tags) -> int:
        """Edit one picture; the revision of the edit."""
        selection = item_pb2.Selection(path_globs=item_pb2.PathGlobs(globs=[name]))
        edits = [tags_pb2.Edit(set=tags_pb2.SetTags(tags=tags))]
        request = item_service_pb2.EditTagsRequest(catalog=CATALOG, selection=selection, edits=edits)
        return client.items.EditTags(request).last_revision

    def _sync(self, client: Client) -> None:
        run = client.sync.StartSync(sync_service_pb2.StartSyncRequest(catalog=CATALOG)).run
        with _bar("synchronizing") as progress:
            task = progress.add_task("synchronizing", total=run.total_items)
            for status in watch_run(client, CATALOG, run.id):
                run = status.run
                progress.update(task, completed=run.done_items + run.failed_items + run.skipped_items)
        self._check("the run ended by itself", run.state == sync_pb2.RUN_STATE_COMPLETED)
        self._check("every edit is verified", run.done_items == run.total_items)

    def _prove_edits(self, wanted: dict[str, Seen]) -> None:
        right = sum(_as_a_set(proof.see(self._path(name))) == _as_a_set(seen) for name, seen in wanted.items())
        console.print(f"proof       Pillow and the standard library read {right} of {len(wanted)} as edited")
        self._check("a foreign reader finds every edit", right == len(wanted))

    def _prove_untouched(self, before: dict[str, str], pixels: dict[str, str], chosen: Sequence[str]) -> None:
        others = [name for name in before if name not in set(chosen)]
        self._check(
            f"the other {len(others):,} files are the same to the byte",
            all(proof.content(self._path(name)) == before[name] for name in others),
        )
        self._check(
            "not a pixel of the edited ones changed",
            all(proof.pixels(self._path(name)) == pixels[name] for name in chosen),
        )

    def _prove_auto_sync(self, client: Client, name: str) -> None:
        client.sync.SetAutoSync(sync_service_pb2.SetAutoSyncRequest(catalog=CATALOG, auto_sync=sync_pb2.AUTO_SYNC_ON))
        revision = self._edit_one(client, name, tags_pb2.Tags(title="Landed by itself"))
        for status in watch_status(client, [CATALOG]):
            if status.revision >= revision and status.unsynced_items == 0:
                break
        self._check(
            "with auto-sync on, one more edit lands by itself", proof.see(self._path(name)).title == "Landed by itself"
        )

    def _path(self, name: str) -> str:
        return os.path.join(self.photos, name)

    def _check(self, what: str, holds: bool) -> None:
        self._failed += not holds
        console.print(f"            {'[green]✓[/green]' if holds else '[red]✗[/red]'} {what}")

    def _verdict(self) -> str:
        return f"[red]{self._failed} proofs failed[/red]" if self._failed else "[green]every proof held[/green]"

    def _shown(self, what: str, total: int, steps: Iterable[str]) -> Iterator[str]:
        with _bar(what) as progress:
            yield from progress.track(steps, total=total, description=what)

    def _invite(self) -> None:
        console.print(
            f"\nThe server stays up. Try, in another terminal:\n\n"
            f"  export INDELIBLE_DATA={self.data}\n"
            f"  indelible status {CATALOG}\n"
            f"  indelible items {CATALOG} --limit 5\n"
            f"  indelible tag {CATALOG} '2024/**' --add keywords='Trips|2024' --set rating=5\n"
            f"  indelible status {CATALOG} --watch\n\n"
            f"The pictures are in {self.photos}, the server's log is {self.log}. Ctrl-C ends the demo and removes them."
        )


def _as_a_set(seen: Seen) -> tuple[str, frozenset[str], int | None]:
    return seen.title, frozenset(seen.keywords), seen.rating


def _bar(what: str) -> Progress:
    columns = (TextColumn(f"{what:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)
