"""Reading what an item's files hold, by the one reading rule of import, merge and verification."""

from __future__ import annotations

from dataclasses import dataclass, field

from .metadata import stale_fields
from .plan import Home, Identity, Plan
from .policy import Policy
from .port import Root
from .problems import FileProblem, Reason
from .sidecar import Siblings
from .survey import Survey, survey
from .tags import Tags, difference


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


def read(
    root: Root, target: bytes, policy: Policy, *, sidecar: bytes | None = None, siblings: Siblings | None = None
) -> Reading:
    """Read a file and its sidecar.

    `sidecar` is the path of the one that is known to belong to the file; `siblings` are the names in its folder, for
    a caller who reads the whole folder. Raises `FileProblem` if the file cannot be read or its sidecar is damaged.
    """
    with survey(root, target, policy, sidecar, siblings) as found:
        return _reading(found, target, policy)


def verify(root: Root, plan: Plan, policy: Policy) -> Reading:
    """Read back, and return what was read; raises `FileProblem` (VERIFY_FAILED) if a home is not what the plan wants.

    Every field is compared, not only the changed ones, and of the written fields every form.
    """
    reading = read(root, plan.target, policy, sidecar=plan.sidecar)
    for home, wanted in plan.wanted.items():
        wrong = policy.leaving(difference(reading.homes.get(home, {}), wanted))
        wrong |= reading.stale.get(home, frozenset()) & plan.written.get(home, frozenset())
        if wrong:
            raise FileProblem(Reason.VERIFY_FAILED, f"{home}: read back differently: {', '.join(sorted(wrong))}")
    return reading


def _reading(found: Survey, target: bytes, policy: Policy) -> Reading:
    homes = found.homes
    tags: Tags = {}
    for held in reversed(homes.values()):
        tags |= held
    stale = {Home.EMBEDDED: stale_fields(found.embedded.metadata, found.embedded_tags, policy)}
    for sidecar in found.sidecars:
        said = stale_fields(sidecar.metadata, homes[Home.SIDECAR], policy)
        stale[Home.SIDECAR] = stale.get(Home.SIDECAR, frozenset()) | said
    return Reading(
        format=found.format,
        homes=homes,
        tags=tags,
        identity=found.identity,
        width=found.container.width if found.container else None,
        height=found.container.height if found.container else None,
        sidecar=beside(target, found.sidecar.name) if found.sidecar else None,
        stale={home: fields for home, fields in stale.items() if fields},
        warnings=tuple(found.warnings),
        note=found.refusal.message if found.refusal else "",
        bytes_read=found.bytes_read,
    )


def beside(target: bytes, name: bytes) -> bytes:
    """The path of another file in the folder of `target`."""
    folder, slash, _ = target.rpartition(b"/")
    return folder + slash + name
