"""Fixtures for all tests, and the list of what could not be run here."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import Databases

# Hundreds of processes are started: that each compiles all modules anew is half of their start, where that is not kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Tests fork to be killed or held up, some while gRPC is at work in other threads; its own handlers crash such a fork.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Makes fresh databases of either kind; the PostgreSQL server is started on the first demand."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> str:
    """The address of an empty, migrated database: once on each kind."""
    return databases.fresh(request.param, tmp_path)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tool is missing, or fail it where all tools are required."""
    for marker in item.iter_markers("tool"):
        tool = marker.args[0]
        if shutil.which(tool) is None:
            if os.environ.get("INDELIBLE_REQUIRE_TOOLS") == "1":
                pytest.fail(f"needs {tool}, which is not on this machine")
            pytest.skip(f"needs {tool}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly what was measured and counted, which tests were not run, and what they need."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for kind, value in report.user_properties:
            if kind == "figure":
                terminalreporter.write_line(f"measured: {value} ({report.nodeid.rpartition('::')[2]})")
            if kind.startswith("count "):
                counts[kind.removeprefix("count ")] += value
    for what, number in counts.items():
        terminalreporter.write_line(f"counted: {number:,} {what}")
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "needs " in str(report.longrepr)]
    for report in skipped:
        reason = str(report.longrepr[2]).rsplit("needs ", 1)[-1] if isinstance(report.longrepr, tuple) else "?"
        terminalreporter.write_line(f"not run: {report.nodeid} (needs {reason.rstrip(')')})")
