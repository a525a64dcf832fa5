"""A process that applies a plan, to be killed or refused at any of its system calls by strace.

python -m support.applying FOLDER GO

It forks a child for each line of its input (the name of a file with a plan, and what the file system lacks). The
child waits for a byte from the descriptor GO, by when strace has it, and applies the plan.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from indelible_server.files import port
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan
from indelible_server.files.port import Root
from indelible_server.files.problems import FileProblem

from support.dialogue import Dialogue

_PR_SET_PTRACER, _ANYONE = 0x59616D61, -1
_CALL = re.compile(r"^((\w+)\(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Point:
    """A system call: its name, which of the calls of this name it is, from 1 on, and how strace shows it."""

    call: str
    number: int
    shown: str


@dataclass(frozen=True)
class Ending:
    """How an application ended: killed, or with nothing said (applied), or with what was raised."""

    killed: bool
    raised: str = ""
    reason: str = ""
    transient: bool = False


class Applier:
    """Applies plans to files of a folder in processes of their own, under strace."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self._log, self._plan = scratch / "strace", scratch / "plan"
        go, self._go = os.pipe()
        self._process = Dialogue("support.applying", os.fspath(self.folder), str(go), pass_fds=[go])
        os.close(go)

    def __enter__(self) -> Applier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        os.close(self._go)

    def points(self, plan: FilePlan, lacks: str = "") -> list[Point]:
        """Apply a plan undisturbed; gives all its system calls."""
        assert self.apply(plan, lacks=lacks) == Ending(killed=False)
        counts: Counter[str] = Counter()
        found = []
        for shown, call in _CALL.findall(self._log.read_text()):
            counts[call] += 1
            found.append(Point(call, counts[call], shown))
        # The first is the one that waited for strace, the last two say how it went.
        return [point for point in found if point.call not in ("read", "write", "exit_group")]

    def apply(self, plan: FilePlan, fault: str = "", point: Point | None = None, lacks: str = "") -> Ending:
        """Apply a plan with a fault (in strace's words) at a system call, or undisturbed."""
        self._plan.write_bytes(plan.to_bytes())
        self._process.say(f"{self._plan}\t{lacks}")
        child = self._process.heard()
        command = ["strace", "-y", "-p", child, "-o", os.fspath(self._log)]
        if point is not None:
            command += ["-e", f"inject={point.call}:{fault}:when={point.number}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            assert "attached" in said, said
            os.write(self._go, b"!")
            raised = self._process.heard()
            strace.communicate()
        return Ending(**json.loads(raised))


def _serve(folder: str, go: int) -> None:
    for line in sys.stdin:
        plan, lacks = line.rstrip("\n").split("\t")
        heard, said = os.pipe()
        child = os.fork()
        if child == 0:
            _child(folder, go, said, Path(plan), lacks)
        os.close(said)
        with os.fdopen(heard) as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or text, f"ended with {status}"
        print(text or json.dumps({"killed": True}), flush=True)


def _child(folder: str, go: int, said: int, plan_file: Path, lacks: str) -> None:
    port._LIBC.prctl(_PR_SET_PTRACER, _ANYONE, 0, 0, 0)
    plan = FilePlan.from_bytes(plan_file.read_bytes())
    if lacks:
        port._LIBC = object()  # type: ignore[assignment]  # no renameat2
    if "links" in lacks:
        os.link = _no_links
    os.write(1, f"{os.getpid()}\n".encode())
    os.read(go, 1)
    ending = _ending(folder, plan)
    os.write(said, json.dumps(ending).encode())
    os._exit(0)


def _ending(folder: str, plan: FilePlan) -> dict[str, Any]:
    try:
        with Root(folder) as root:
            apply(root, plan, still_ours=lambda: True)
    except FileProblem as problem:
        return {"killed": False, "raised": "FileProblem", "reason": problem.reason, "transient": problem.transient}
    except BaseException as error:
        return {"killed": False, "raised": type(error).__name__, "reason": str(error)}
    return {"killed": False}


def _no_links(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.EPERM, "no links here")


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
