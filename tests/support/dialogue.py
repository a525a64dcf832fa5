"""A module of the tests' own that runs as a process: it is told lines, and answers with lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent.parent


class Dialogue:
    """`python -m MODULE ARGUMENTS …`, to be closed by its owner."""

    def __init__(self, module: str, *arguments: str, pass_fds: Sequence[int] = ()) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
        )

    def say(self, line: str) -> None:
        """Tell it a line."""
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def heard(self) -> str:
        """The next line of its answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._module} has ended"
        return line.strip()

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.communicate()
