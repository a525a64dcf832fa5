"""The roots that a process reaches, opened when they are needed and known by their marker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from .files.marker import is_present
from .files.port import Root
from .files.problems import FileProblem, Reason
from .storage import catalogs, hosts
from .storage.database import Database


class Roots:
    """Finds the folder of a root on this host. `local` has the paths that differ from the approved ones."""

    def __init__(self, local: Mapping[str, bytes] | None = None) -> None:
        self._local = local or {}

    def is_present(self, root: catalogs.Root) -> bool:
        """Whether what is at the root's path on this host is that root, now."""
        return is_present(self._path(root), root.root_id, root.identity)

    @contextlib.contextmanager
    def open(self, root: catalogs.Root) -> Iterator[Root]:
        """The open root; raises `FileProblem` (STORAGE_OFFLINE) if what is there is not it."""
        if not self.is_present(root):
            where = self._path(root).decode("utf-8", "backslashreplace")
            raise FileProblem(Reason.STORAGE_OFFLINE, f"{where} is not there, or is another folder than was approved")
        with Root(self._path(root)) as opened:
            yield opened

    def probe(self, database: Database, host_id: str) -> None:
        """Note which roots in doubt this host reaches. It may take as long as a dead share takes to answer."""
        for root in database.read(hosts.in_doubt):
            database.write(hosts.note_reach, host_id, root, self.is_present(root))

    def _path(self, root: catalogs.Root) -> bytes:
        return self._local.get(root.root_id, root.path)
