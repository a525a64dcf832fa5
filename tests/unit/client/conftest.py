"""A fake server, and the command line in front of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from indelible_client import Client, connect
from indelible_client.cli.main import app
from typer.testing import CliRunner
from unit.client.fake_server import FakeServer


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("INDELIBLE_SERVER", "INDELIBLE_TOKEN", "INDELIBLE_TLS_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INDELIBLE_DATA", str(tmp_path / "data"))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer().start()
    yield fake
    fake.stop()


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with connect(server.address, on_behalf_of="anna") as made:
        yield made


@dataclass
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What --json printed."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """What --json printed of the error."""
        return json.loads(self.stderr)["error"]


Indelible = Callable[..., Ended]


@pytest.fixture
def indelible(server: FakeServer) -> Indelible:
    def run(*arguments: str) -> Ended:
        result = CliRunner().invoke(app, [*arguments, "--server", server.address])
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


def run_program(*arguments: str) -> "subprocess.Popen[str]":
    """The real program, as a process of its own."""
    program = os.path.join(os.path.dirname(sys.executable), "indelible")
    return subprocess.Popen(
        # A runner in the background ignores Ctrl-C, and its children would inherit that.
        ["env", "--default-signal=INT", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
