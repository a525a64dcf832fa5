"""Reading what an item's files hold, by the one reading rule of import, merge and verification."""

from __future__ import annotations

from dataclasses import dataclass, field

from .plan import Home, Identity, Plan
from .policy import Policy
from .port import Root
from .tags import Tags


@dataclass(frozen=True)
class Reading:
    """What an item's files hold.

    `homes` is what each existing home says, `tags` what the item says by the reading rule (the sidecar first).
    `stale` are the fields, per home, of which some form says something else than the home's reading.
    `note` says why the file itself cannot be written, if so.
    """

    format: str
    homes: dict[Home, Tags]
    tags: Tags
    identity: Identity
    width: int | None = None
    height: int | None = None
    sidecar: bytes | None = None
    stale: dict[Home, frozenset[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    note: str = ""
    bytes_read: int = 0


def read(root: Root, target: bytes, policy: Policy, *, sidecar: bytes | None = None) -> Reading:
    """Read a file and its sidecar. `sidecar` is the path of the one known to belong to it, if any.

    Raises `FileProblem` if the file itself cannot be read; what is damaged inside it is a warning.
    """
    raise NotImplementedError


def verify(root: Root, plan: Plan, policy: Policy) -> Reading:
    """Read back, and return what was read; raises `FileProblem` (VERIFY_FAILED) if a home is not what the plan wants.

    Every field is compared, not only the changed ones, and of the written fields every form.
    """
    raise NotImplementedError
