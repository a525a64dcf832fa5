"""The roots that a process reaches, opened when they are needed and known by their marker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from .files.marker import is_present
from .files.port import Root
from .files.problems import FileProblem, Reason
from .storage import catalogs
from .storage.database import Database


class Roots:
    """Finds the folder of a root on this host. `local` has the paths that differ from the approved ones."""

    def __init__(self, local: Mapping[str, bytes] | None = None) -> None:
        self._local = local or {}

    @contextlib.contextmanager
    def open(self, root: catalogs.Root) -> Iterator[Root]:
        """The open root; raises `FileProblem` (STORAGE_OFFLINE) if what is there is not it."""
        path = self._local.get(root.root_id, root.path)
        if not is_present(path, root.root_id, root.identity):
            where = path.decode("utf-8", "backslashreplace")
            raise FileProblem(Reason.STORAGE_OFFLINE, f"{where} is not there, or is another folder than was approved")
        with Root(path) as opened:
            yield opened

    def probe(self, database: Database) -> None:
        """Note which roots that were offline are back."""
        for root in database.read(catalogs.all_roots):
            path = self._local.get(root.root_id, root.path)
            if root.offline_since is not None and is_present(path, root.root_id, root.identity):
                database.write(catalogs.set_root_offline, root.root_id, False)
