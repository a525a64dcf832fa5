"""Reading what an item's files hold, by the one reading rule of import, merge and verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fingerprint import fingerprint
from .metadata import changed_at, stale_fields
from .plan import Home, Identity, Plan
from .policy import Policy
from .port import Root
from .problems import FileProblem, Reason, shown
from .sidecar import ALONE, Siblings
from .survey import NO_BASE, Survey, camera_of, survey
from .tags import Tags, difference
from .undoing import is_made


@dataclass(frozen=True)
class Reading:
    """What an item's files hold.

    `homes` is what each existing home says, `tags` what the item says by the reading rule (the sidecar first).
    `stale` are the fields, per home, of which some form says something else than the home's reading.
    `plain` is what the file itself says by the plain reading rule, to those who do not know what it held before.
    `dates` says, per home whose XMP tells, when its metadata was last changed.
    `note` says why the file itself cannot be written, if so. `fingerprint` is of what no change of metadata touches.
    """

    format: str
    homes: dict[Home, Tags]
    tags: Tags
    identity: Identity
    plain: Tags = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    camera: str = ""
    fingerprint: str = ""
    sidecar: bytes | None = None
    stale: dict[Home, frozenset[str]] = field(default_factory=dict)
    dates: dict[Home, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    note: str = ""
    bytes_read: int = 0


def read(
    root: Root,
    target: bytes,
    policy: Policy,
    *,
    base: Mapping[str, Tags] = NO_BASE,
    sidecar: bytes | None = None,
    siblings: Siblings | None = None,
    details: bool = False,
) -> Reading:
    """Read a file and its sidecar.

    `base` is what was last verified, per home, so that it shows what others have changed since; `sidecar` the path of
    the one that is known to belong to the file; `siblings` are the names in its folder, for a caller who reads the
    whole folder; `details` asks for the fingerprint too, which costs more reading. Raises `FileProblem` if the file
    cannot be read or its sidecar is damaged.
    """
    with survey(root, target, policy, base, sidecar, siblings) as found:
        return _reading(found, target, policy, details=details)


def verify(root: Root, plan: Plan, policy: Policy) -> Reading:
    """Read back, and return what was read; raises `FileProblem` (VERIFY_FAILED) if a home is not what the plan wants.

    Every field is compared, not only the changed ones, and of the written fields every form. A sidecar that has come
    into being since the plan was made is for the next reading. If it is someone else's doing that a home is different,
    the problem is a passing one (LOCKED): what they wrote is for the next plan.
    """
    siblings = ALONE if plan.sidecar is None else None
    reading = read(root, plan.target, policy, sidecar=plan.sidecar, siblings=siblings)
    for home, wanted in plan.wanted.items():
        wrong = policy.leaving(difference(reading.homes.get(home, {}), wanted))
        wrong |= reading.stale.get(home, frozenset()) & plan.written.get(home, frozenset())
        if wrong and not _is_ours(root, plan, home, reading):
            raise FileProblem(Reason.LOCKED, f"another program has written {shown(plan.target)} meanwhile")
        if wrong:
            raise FileProblem(Reason.VERIFY_FAILED, f"{home}: read back differently: {', '.join(sorted(wrong))}")
    return reading


def _is_ours(root: Root, plan: Plan, home: Home, reading: Reading) -> bool:
    """Whether a home is as the plan has made or left it, to the byte."""
    written = next((file for file in plan.files if file.home is home), None)
    if written is None:
        return home is Home.EMBEDDED and reading.identity == plan.identity
    return is_made(root, written)


def _reading(found: Survey, target: bytes, policy: Policy, *, details: bool = False) -> Reading:
    homes, container = found.homes, found.container
    stale = {Home.EMBEDDED: stale_fields(found.embedded.metadata, found.told, policy)}
    for sidecar in found.sidecars:
        said = stale_fields(sidecar.metadata, homes[Home.SIDECAR], policy)
        stale[Home.SIDECAR] = stale.get(Home.SIDECAR, frozenset()) | said
    sidecar_date = changed_at(found.sidecar.metadata) if found.sidecar else None
    dates = {Home.EMBEDDED: changed_at(found.embedded.metadata), Home.SIDECAR: sidecar_date}
    return Reading(
        format=found.format,
        homes=homes,
        tags=found.tags,
        identity=found.identity,
        plain=found.embedded_tags if container else {},
        width=container.width if container else None,
        height=container.height if container else None,
        duration_s=container.duration_s if container else None,
        camera=camera_of(found),
        fingerprint=fingerprint(found.media, container.content) if details and container else "",
        sidecar=beside(target, found.sidecar.name) if found.sidecar else None,
        stale={home: fields for home, fields in stale.items() if fields},
        dates={home: date for home, date in dates.items() if date},
        warnings=tuple(found.warnings),
        note=found.refusal.message if found.refusal else "",
        bytes_read=found.bytes_read,
    )


def beside(target: bytes, name: bytes) -> bytes:
    """The path of another file in the folder of `target`."""
    folder, slash, _ = target.rpartition(b"/")
    return folder + slash + name
