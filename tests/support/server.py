"""A real server process for tests: started, killed and started again like the real thing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from indelible.v1.admin_service_pb2_grpc import AdminServiceStub
from indelible.v1.catalog_service_pb2_grpc import CatalogServiceStub
from indelible.v1.item_service_pb2_grpc import ItemServiceStub
from indelible.v1.job_service_pb2_grpc import JobServiceStub
from indelible.v1.library_service_pb2_grpc import LibraryServiceStub
from indelible.v1.remote_service_pb2_grpc import RemoteServiceStub
from indelible.v1.sync_service_pb2_grpc import SyncServiceStub

from support.programs import Lines

READY = "indelibled ready on "


class Stubs:
    """Plain stubs of all services, as a client of any language has them."""

    def __init__(self, address: str, token: str) -> None:
        self._plain = grpc.insecure_channel(address)
        self.channel = grpc.intercept_channel(self._plain, _Bearer(token)) if token else self._plain
        self.admin: Any = AdminServiceStub(self.channel)
        self.catalogs: Any = CatalogServiceStub(self.channel)
        self.items: Any = ItemServiceStub(self.channel)
        self.jobs: Any = JobServiceStub(self.channel)
        self.library: Any = LibraryServiceStub(self.channel)
        self.remotes: Any = RemoteServiceStub(self.channel)
        self.sync: Any = SyncServiceStub(self.channel)

    def close(self) -> None:
        """Close the channel."""
        self._plain.close()


class RunningServer:
    """`indelibled serve` on a free port of loopback. `kill` is SIGKILL, `stop` is SIGTERM."""

    def __init__(
        self,
        data: Path,
        database_url: str = "",
        *,
        writers: int = 1,
        listen: str = "127.0.0.1:0",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.database_url = database_url
        self.listen = listen
        self._arguments = arguments
        self._environment_too = environment or {}
        self.writers = writers
        self._process: subprocess.Popen[str] | None = None
        self._stubs: list[Stubs] = []
        self.log: list[str] = []
        self.address = ""
        # For other threads: not set from the moment on at which this one ends the server, until it is ready again.
        self.running = threading.Event()

    def __enter__(self) -> RunningServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def token(self) -> str:
        """The local admin token."""
        return (self.data / "token").read_text().strip()

    def start(self) -> RunningServer:
        """Start and wait until it says that it is ready."""
        command = [sys.executable, "-P", "-m", "indelible_server.main", "serve", "--data", str(self.data)]
        command += ["--listen", self.listen, "--writers", str(self.writers), *self._arguments]
        if self.database_url:
            command += ["--database", self.database_url]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment() | self._environment_too,
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()
        line = self._process.stdout.readline()
        assert line.startswith(READY), f"{line}{''.join(self.log)}"
        self.address = line.removeprefix(READY).split()[0]
        self.running.set()
        return self

    def stop(self) -> int:
        """SIGTERM, then wait; the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, then wait."""
        self._end(signal.SIGKILL)

    def stubs(self, token: str | None = None) -> Stubs:
        """A fresh client."""
        made = Stubs(self.address, self.token if token is None else token)
        self._stubs.append(made)
        return made

    def _end(self, number: int) -> int:
        assert self._process is not None
        self.running.clear()
        for made in self._stubs:
            made.close()
        self._stubs.clear()
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.log.extend(process.stderr)


def writer_host(data: Path, database_url: str, *roots: str, writers: int = 1) -> Lines:
    """`indelibled writer`, with roots elsewhere (ID=PATH). It is killed at the end of the `with`."""
    command = [sys.executable, "-P", "-m", "indelible_server.main", "writer", "--data", data]
    command += ["--database", database_url, "--writers", str(writers)]
    command += [word for root in roots for word in ("--root", root)]
    return Lines(command, data.parent)


def fresh_id() -> str:
    """A request id."""
    return uuid.uuid4().hex


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("INDELIBLE_")}


class _Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):  # type: ignore[misc]
    """Puts the token into every call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _with_header(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._header])

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_header(details), request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
