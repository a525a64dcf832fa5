"""A running server: the data folder, the store, the writers, the jobs and the API, started and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import structlog

from .config import Settings, WrongSetting
from .domain.changes import finish_changes
from .domain.conflicts import follow_policies
from .domain.retention import Retention
from .errors import Unavailable
from .library.runner import JobRunner
from .processes import wait_for_orphans
from .roots import Roots
from .rpc.app import App
from .rpc.items import edit_answer
from .rpc.server import Server
from .storage import catalogs, hosts, migrate, tokens
from .storage.database import Database
from .storage.hosts import Host
from .storage.ids import new_id
from .storage.tokens import Token
from .writeback.previews import PreviewProcess
from .writeback.supervisor import Supervisor

GRACE_S = 5.0
HOUSEKEEPING_S = 5.0

log = structlog.get_logger("server")


async def serve(settings: Settings) -> None:
    """Run a server until SIGTERM or SIGINT. Prints one line on standard output when it is ready."""
    with data_folder(settings.data):
        await wait_for_orphans(settings.data)
        database = open_database(settings)
        make_local_token(database, settings.data)
        previews = PreviewProcess(settings.as_environment())
        app = App(database, settings.data, previews)
        server = Server(app, settings)
        host = this_host(database, settings.data)
        supervisor = Supervisor(database, settings, Roots(settings.local_roots), host)
        job_runner = JobRunner(database, settings, host)
        stopped = _stop_signals()
        await supervisor.start()
        job_runner.start()
        await server.start()
        housekeeping = asyncio.create_task(_keep_house(app))
        with _address_file(settings.data, server.address):
            print(f"indelibled ready on {server.address} data={settings.data}", flush=True)  # noqa: T201 - for whoever started us
            await stopped.wait()
            log.info("stopping")
        housekeeping.cancel()
        await server.stop(GRACE_S)
        await job_runner.stop()
        await supervisor.stop()
        await previews.close()
        app.close()
        database.close()


async def run_writers(settings: Settings) -> None:
    """Run a write-back host without an API until SIGTERM or SIGINT."""
    with data_folder(settings.data):
        await wait_for_orphans(settings.data)
        database = open_database(settings)
        supervisor = Supervisor(database, settings, Roots(settings.local_roots), this_host(database, settings.data))
        stopped = _stop_signals()
        await supervisor.start()
        print(f"indelibled writer ready with {settings.writers} writers", flush=True)  # noqa: T201 - for whoever started us
        await stopped.wait()
        await supervisor.stop()
        database.close()


def open_database(settings: Settings) -> Database:
    """The migrated database of these settings; refused if it can't promise durability."""
    database = Database(settings.database_url, lock_dir=settings.data)
    database.check()
    migrate.upgrade(database)
    return database


@contextlib.contextmanager
def data_folder(path: str) -> Iterator[None]:
    """The data folder, ours alone: one server a folder."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(path, "server.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WrongSetting(f"data: {path} can't be the data folder ({error.strerror})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise WrongSetting(
            f"another server is running on the data folder {path}; stop it, or give --data another"
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def this_host(database: Database, data_dir: str) -> Host:
    """This host, known by the id in its data folder: whoever has that to itself knows that earlier writers are dead."""
    path = os.path.join(data_dir, "host-id")
    host = Host("", socket.gethostname(), version("indelible"))
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        host = replace(host, host_id=file.read().strip())
    if not host.host_id or database.read(hosts.lives_elsewhere, host):
        host = replace(host, host_id=new_id())
        _store_privately(path, host.host_id)
    return host


def make_local_token(database: Database, data_dir: str) -> None:
    """Make the token by which the client of the same user gets in; kept if it is there and valid."""
    path = os.path.join(data_dir, "token")
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        if database.read(tokens.find, file.read().strip()) is not None:
            return
    secret = secrets.token_urlsafe(32)
    database.write(tokens.insert, Token(new_id(), "local", "admin"), secret)
    _store_privately(path, secret)


def _store_privately(path: str, text: str) -> None:
    temp = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temp)
    handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temp, path)


async def _keep_house(app: App) -> None:
    """Carry on what a crash, or a database that went away, interrupted: edits, deletions, decisions; tidy up."""
    retention = Retention(app.database)
    while True:
        try:
            await app.long(retention.step)
            await app.long(finish_changes, app.database, edit_answer)
            await app.long(follow_policies, app.database)
            for catalog in await app.read(catalogs.being_deleted):
                await app.finish_deletion(catalog.catalog_id)
        except Unavailable as error:
            log.info("the housekeeping waits for the database", message=error.message)
        except Exception:
            # One change that can't be finished must not keep the others from it.
            log.exception("the housekeeping failed; it is tried again")
        await asyncio.sleep(HOUSEKEEPING_S)


def _stop_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


@contextlib.contextmanager
def _address_file(data_dir: str, address: str) -> Iterator[None]:
    """The address in the data folder while the server runs, for clients of the same user."""
    path = os.path.join(data_dir, "address")
    with open(path, "w", encoding="ascii") as file:
        file.write(address + "\n")
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
