"""Another program that writes to a file at the very moment when the engine does.

python -m support.racing FOLDER

For each line of its input it makes ready, says so, waits for the gate, and makes one edit in the way of one kind of
program.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from support.dialogue import Dialogue

_MARK = b"edit:"
_NEW = b"edit:000000000000"


@dataclass(frozen=True)
class Edit:
    """What the other program is to do: its kind, the file, a number that no other edit has, and how long it waits."""

    kind: str
    path: str
    number: int
    delay_ns: int

    @property
    def token(self) -> bytes:
        """The bytes that say that the edit is in a file."""
        return b"%s%012d" % (_MARK, self.number)


@dataclass(frozen=True)
class Made:
    """When an edit was made, on the clock of all processes; `missing` says that there was no file to be changed."""

    began: int
    ended: int
    missing: bool


def edited(content: bytes | None, edit: Edit) -> list[bytes]:
    """The content as a program saves it that has read it before, or makes the file if there is none.

    First with the edit at the first of the places where it can be, then with it at the others.
    """
    content = _NEW if content is None else content
    places = [match.start() for match in re.finditer(re.escape(_MARK), content)]
    return [content[:at] + edit.token + content[at + len(edit.token) :] for at in places]


class Racer:
    """The other program."""

    def __init__(self, folder: Path) -> None:
        gate = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115  # closed with the racer
        gate.write(bytes(8))
        gate.flush()
        self._gate = mmap.mmap(gate.fileno(), 8)
        self._file = gate
        self._process = Dialogue("support.racing", gate.name)

    def __enter__(self) -> Racer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        self._gate.close()
        self._file.close()

    def prepare(self, edit: Edit) -> None:
        """Return when the program waits for the gate."""
        self._gate[:8] = bytes(8)
        self._process.say(json.dumps(asdict(edit)))
        assert self._process.heard() == "ready"

    def start(self) -> None:
        """Open the gate."""
        self._gate[:8] = b"open the"

    def finished(self) -> Made:
        """Return when the edit is made."""
        return Made(**json.loads(self._process.heard()))


def _serve(gate_name: str) -> None:
    with open(gate_name, "rb") as file, mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ) as gate:
        for line in sys.stdin:
            edit = Edit(**json.loads(line))
            content = Path(edit.path).read_bytes() if os.path.exists(edit.path) else None
            go = _KINDS[edit.kind](edit, content)
            print("ready", flush=True)
            while gate[0] == 0:
                pass
            until = time.monotonic_ns() + edit.delay_ns
            while time.monotonic_ns() < until:
                pass
            began, missing = time.monotonic_ns(), False
            try:
                _persevere(go)
            except FileNotFoundError:
                missing = True
            print(json.dumps(asdict(Made(began, time.monotonic_ns(), missing))), flush=True)


def _persevere(go: Callable[[], None]) -> None:
    """Do it as soon as it may be done: a share refuses to replace a file that someone has open."""
    while True:
        try:
            return go()
        except PermissionError:
            time.sleep(0.0001)


def _renames(edit: Edit, content: bytes | None) -> Callable[[], None]:
    beside = edit.path + ".other"
    Path(beside).write_bytes(edited(content, edit)[0])
    return lambda: os.rename(beside, edit.path)


def _truncates(edit: Edit, content: bytes | None) -> Callable[[], None]:
    new = edited(content, edit)[0]

    def go() -> None:
        descriptor = os.open(edit.path, os.O_WRONLY | os.O_TRUNC)
        os.write(descriptor, new)
        os.close(descriptor)

    return go


def _patches(edit: Edit, _content: bytes | None) -> Callable[[], None]:
    def go() -> None:
        descriptor = os.open(edit.path, os.O_RDWR)
        os.pwrite(descriptor, edit.token, os.read(descriptor, 1 << 20).index(_MARK))
        os.close(descriptor)

    return go


_KINDS = {"renames": _renames, "truncates": _truncates, "patches": _patches}
KINDS = tuple(_KINDS)

if __name__ == "__main__":
    _serve(sys.argv[1])
