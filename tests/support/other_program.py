"""Another program at work on the same files: it edits other fields than our clients, and saves by a rename."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from support.photos import edited_outside, save_outside
from support.repeating import Repeating


class OtherProgram(Repeating):
    """Changes the credit of one file after another until the end of the `with`.

    It opens a file as nobody else may while it works on it, so that it never saves over what it has not read:
    otherwise a lost edit of ours could be its doing. Whatever is in the file by then it keeps.
    """

    def __init__(self, paths: Sequence[Path], seed: int, pause_s: float) -> None:
        super().__init__(pause_s)
        self._paths = paths
        self._dice = random.Random(seed)
        self.credits: dict[Path, str] = {}
        self.edits: Counter[Path] = Counter()

    def work(self) -> None:
        """Edit one file."""
        path = self._dice.choice(self._paths)
        credit = f"outside {self.edits.total() + 1}"
        # One that is in use is left alone, and so is one that a killed writer has left half written.
        with contextlib.suppress(BlockingIOError, ET.ParseError), alone_with(path) as file:
            save_outside(path, edited_outside(file.read(), credit=credit))
            self.credits[path] = credit
            self.edits[path] += 1


@contextlib.contextmanager
def alone_with(path: Path) -> Iterator[BinaryIO]:
    """The open file, which nobody else can open; `BlockingIOError` if someone has it open or has replaced it."""
    with path.open("rb") as file:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # ignored: the default would end this process
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            raise BlockingIOError(f"{path} was replaced")
        yield file
