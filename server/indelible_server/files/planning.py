"""Planning: read an item's files, merge, and find the way of writing that touches the least."""

from __future__ import annotations

from collections.abc import Mapping

from .plan import Plan
from .policy import Policy
from .port import Root
from .tags import Tags


def plan(
    root: Root,
    target: bytes,
    *,
    base: Mapping[str, Tags],
    ours: Tags,
    policy: Policy,
    sidecar: bytes | None = None,
    replace: bool = False,
) -> Plan:
    """What has to be done so that the item's homes hold `ours`, merged with what others have written meanwhile.

    `base` is what was last verified, per home; `sidecar` the path of the sidecar that is known to belong to the item;
    `replace` forbids patching in place (taking over from a writer that may still be alive). Nothing is touched.
    Raises `FileProblem` if the item cannot be read or written at all.
    """
    raise NotImplementedError
