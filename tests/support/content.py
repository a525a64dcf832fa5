"""What is in a file besides its metadata, as the engine sees it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from indelible_server.files.containers import identify
from indelible_server.files.formats import format_of
from indelible_server.files.port import Root


def content(path: Path) -> str:
    """A hash of all that no change of metadata touches; empty where the engine cannot tell."""
    with Root(str(path.parent)) as root, root.open(os.fsencode(path.name)) as media:
        container = identify(media, format_of(os.fsencode(path.name), media.read(0, 64)))
        ranges = container.content if container and not container.refusal else ()
        data = b"".join(media.read(offset, length) for offset, length in ranges)
    return hashlib.blake2b(data).hexdigest() if data else ""
