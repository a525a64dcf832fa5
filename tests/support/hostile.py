"""A file that does harm to the process that opens it, whatever is in it."""

from __future__ import annotations

import os
from pathlib import Path

WRITER = "indelible_server.writeback.writer"
PREVIEWER = "indelible_server.writeback.previewer"

# Loaded by every Python of the server; in a process of that program, opening the file of this name does harm.
HOSTILE = """
import sys
if "{program}" in sys.orig_argv:
    from indelible_server.files.port import Folder
    def open_hostile(self, name, *, writable=False, open=Folder.open):
        if name == b"p0005.jpg":
            {harm}
        return open(self, name, writable=writable)
    Folder.open = open_hostile
"""


def loaded_first(folder: Path, harm: str, program: str = WRITER) -> str:
    """The PYTHONPATH by which every Python does this harm to itself, if it runs the program."""
    (folder / "hostile").mkdir()
    (folder / "hostile" / "sitecustomize.py").write_text(HOSTILE.format(harm=harm, program=program))
    return os.pathsep.join([str(folder / "hostile"), os.environ.get("PYTHONPATH", "")])
