"""Planning: read an item's files, merge, and find the way of writing that touches the least."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed_to
from types import MappingProxyType

from . import sidecar as sidecars
from .containers.container import Container
from .embedded import Embedded, open_blocks
from .forms import Metadata
from .merge import ConflictPolicy, Merged, merge_homes
from .metadata import followed, held_of, in_step, write_tags
from .namespaces import name as xmp_name
from .patching import guards, levelled, trimmed, way
from .plan import FilePlan, Home, Identity, Mode, Patch, Plan
from .policy import HomeChoice, Policy, WriteMode
from .port import TEMP_PREFIX, Root
from .problems import FileProblem, Reason
from .reading import beside
from .sidecar import Siblings
from .survey import SidecarFile, Survey, alike, survey
from .tags import Tags, difference
from .xmp import Packet

# These say that a file cannot carry the tags, not that it cannot be reached.
_TO_SIDECAR = frozenset({Reason.UNSUPPORTED, Reason.TOO_LARGE, Reason.SIGNED, Reason.CORRUPT})
NOT_STALE: Mapping[str, Collection[str]] = MappingProxyType({})
_PROVENANCE = xmp_name("dcterms:provenance")


def plan(
    root: Root,
    target: bytes,
    *,
    base: Mapping[str, Tags],
    ours: Tags,
    policy: Policy,
    stale: Mapping[str, Collection[str]] = NOT_STALE,
    sidecar: bytes | None = None,
) -> Plan:
    """What has to be done so that the item's homes hold `ours`, merged with what others have written meanwhile.

    `base` is what was last verified, per home, and `stale` the fields of which not all forms said that then, so that a
    form that differs proves nothing; `sidecar` the path of the sidecar that is known to belong to the item.
    Nothing is touched. Raises `FileProblem` if the item cannot be read or written at all.
    """
    with survey(root, target, policy, alike(base, stale), sidecar) as found:
        return _planned(found, target, base, ours, policy, sidecar)


def plan_edit(
    root: Root, target: bytes, change: Callable[[Tags], Tags], policy: Policy, *, sidecar: bytes | None = None
) -> Plan:
    """Like `plan`, whatever a catalog knows of the file: `change` makes the wanted tags of those that are there."""
    with survey(root, target, policy, known=sidecar) as found:
        base = {home.value: tags for home, tags in found.homes.items()}
        return _planned(found, target, base, change(found.tags), policy, sidecar=sidecar)


def _planned(
    found: Survey,
    target: bytes,
    base: Mapping[str, Tags],
    ours: Tags,
    policy: Policy,
    sidecar: bytes | None = None,
) -> Plan:
    merged = merge_found(base, ours, found.homes, policy, damaged=found.refusal is not None)
    held = bool(merged.conflicts) and policy.conflicts is ConflictPolicy.HOLD
    choice = policy.home_of(found.name.decode("utf-8", "replace"), found.format)
    if held:
        choice = HomeChoice.CATALOG_ONLY
    steps, note = _Steps(found, target, merged.tags, policy, sidecar).take(choice)
    files = tuple(file for step in steps for file in step.files)
    new_sidecar = next((file.target for file in files if file.home is Home.SIDECAR), None)
    return Plan(
        target=target,
        format=found.format,
        tags=merged.tags,
        found=found.homes,
        wanted={step.home: step.wanted for step in steps},
        written={step.home: step.changed for step in steps},
        identity=found.identity,
        conflicts=merged.conflicts,
        taken_in=merged.taken_in,
        held=held,
        files=files,
        sidecar=beside(target, found.sidecar.name) if found.sidecar else new_sidecar,
        note=note,
        bytes_read=found.bytes_read,
    )


def merge_found(
    base: Mapping[str, Tags], ours: Tags, homes: Mapping[Home, Tags], policy: Policy, *, damaged: bool
) -> Merged:
    """The merge of what was found in an item's homes, over the fields that the policy lets out of the catalog.

    Of the others, ours stand. What a `damaged` file no longer says has not been cleared by anyone.
    """
    known = {home: _leaving(tags, policy) for home, tags in base.items()}
    theirs = {home.value: _leaving(tags, policy) for home, tags in homes.items()}
    if damaged and Home.EMBEDDED in theirs:
        theirs[Home.EMBEDDED] = known.get(Home.EMBEDDED, {}) | theirs[Home.EMBEDDED]
        if known:
            # Nor is it news what it says, if nobody could read it so far: people have edited what the sidecar says.
            known.setdefault(Home.EMBEDDED, theirs[Home.EMBEDDED])
    merged = merge_homes(known, _leaving(ours, policy), theirs, policy.conflicts)
    kept = {field: value for field, value in ours.items() if policy.keeps_back(field)}
    return changed_to(merged, tags=merged.tags | kept)


def _leaving(tags: Tags, policy: Policy) -> Tags:
    return {field: value for field, value in tags.items() if not policy.keeps_back(field)}


@dataclass(frozen=True)
class _Step:
    """One home brought in line with what is `wanted` of it; without files, it is already."""

    home: Home
    wanted: Tags
    changed: frozenset[str] = frozenset()
    files: tuple[FilePlan, ...] = ()


@dataclass(frozen=True)
class _Steps:
    """The planning of an item's homes, one after the other."""

    found: Survey
    target: bytes
    tags: Tags
    policy: Policy
    known_sidecar: bytes | None

    def take(self, choice: HomeChoice) -> tuple[list[_Step], str]:
        """The steps, and why a sidecar is used although the policy is to embed."""
        steps: list[_Step] = []
        note = ""
        if choice is HomeChoice.CATALOG_ONLY:
            return steps, note
        if choice in (HomeChoice.EMBED, HomeChoice.EMBED_AND_SIDECAR):
            try:
                steps.append(self._embed())
            except FileProblem as problem:
                if problem.reason not in _TO_SIDECAR:
                    raise
                note = problem.message
        beyond = {field for step in steps for field in self._changed(step.wanted)}
        if self.found.sidecars:
            steps.append(self._edit_sidecars())
        elif not steps or beyond or choice is HomeChoice.EMBED_AND_SIDECAR:
            steps += self._create_sidecar(needed=bool(steps))
        if beyond:
            note = f"{self.found.format} cannot hold all of {', '.join(sorted(beyond))}, so there is a sidecar too"
        return steps, note

    def _embed(self) -> _Step:
        found, metadata = self.found, self.found.embedded.metadata
        wanted = held_of(metadata, self.tags, self.policy)
        # What a follower here repeats may be a field that only the sidecar holds.
        before = (found.sidecar.tags if found.sidecar else {}) | found.embedded_tags
        changed = self._changed(found.embedded_tags, wanted)
        if not metadata.takes_all:
            changed |= self.policy.leaving(followed(metadata, before, self.tags, self.policy))
        if not changed:
            return _Step(Home.EMBEDDED, wanted)
        if found.refusal or found.container is None:
            raise found.refusal or FileProblem(Reason.UNSUPPORTED, f"{found.format}: nothing can be embedded")
        if metadata.names & {_PROVENANCE}:
            raise FileProblem(Reason.SIGNED, "the file refers to Content Credentials, which a change would break")
        changed = in_step(metadata, changed, self.policy)
        patches = levelled(found.media, self._patches(found.container, before, changed))
        return _Step(Home.EMBEDDED, wanted, changed, (self._file(patches),))

    def _patches(self, container: Container, before: Tags, changed: frozenset[str]) -> Sequence[Patch]:
        try:
            return self._with_changes(container, self.found.embedded, before, changed)
        except FileProblem as problem:
            if problem.reason is not Reason.TOO_LARGE or not isinstance(container.exif, bytes):
                raise
            # What does not fit into Exif goes from there, so that it does not say what is no longer true.
            anew = open_blocks(container, self.policy)
            anew.metadata.exif_is_full = True
            return self._with_changes(container, anew, before, changed)

    def _with_changes(
        self, container: Container, embedded: Embedded, before: Tags, changed: frozenset[str]
    ) -> Sequence[Patch]:
        write_tags(embedded.metadata, before, self.tags, changed, self.policy)
        return container.set_blocks(embedded.blocks(container, self.policy))

    def _file(self, patches: Sequence[Patch]) -> FilePlan:
        identity = self.found.identity
        mode = way(patches, identity.size)
        if self.policy.write_mode is WriteMode.REPLACE:
            mode = Mode.REPLACE
        if mode is Mode.REPLACE and identity.links > 1:
            raise FileProblem(Reason.UNSUPPORTED, "the file has several names (hard links)")
        return self._plan(Home.EMBEDDED, mode, identity, self.target, patches)

    def _edit_sidecars(self) -> _Step:
        changed: frozenset[str] = frozenset()
        files = []
        for sidecar in self.found.sidecars:
            differing = self._changed(sidecar.tags)
            if differing:
                changed |= differing
                files.append(self._edited(sidecar, differing))
        return _Step(Home.SIDECAR, self.tags, changed, tuple(files))

    def _edited(self, sidecar: SidecarFile, changed: frozenset[str]) -> FilePlan:
        write_tags(sidecar.metadata, sidecar.tags, self.tags, changed, self.policy)
        patch = Patch(0, sidecar.data, sidecar.metadata.packet().to_sidecar())
        path = beside(self.target, sidecar.name)
        return self._plan(Home.SIDECAR, Mode.REPLACE, sidecar.identity, path, [patch])

    def _create_sidecar(self, *, needed: bool) -> list[_Step]:
        """A complete sidecar; none if the file itself holds all that is wanted and no second home is asked for."""
        if not needed and not self._changed(self.found.embedded_tags):
            return []
        changed = self._changed({})
        name = self._new_sidecar_name()
        metadata = Metadata(Packet.empty())
        sidecars.mark(metadata.packet(), name, self.found.name)
        write_tags(metadata, {}, self.tags, changed, self.policy)
        patch = Patch(0, b"", metadata.packet().to_sidecar())
        file = self._plan(Home.SIDECAR, Mode.CREATE, None, beside(self.target, name), [patch])
        return [_Step(Home.SIDECAR, self.tags, changed, (file,))]

    def _new_sidecar_name(self) -> bytes:
        if self.known_sidecar:
            return self.known_sidecar.rpartition(b"/")[2]
        return sidecars.new_name(self.found.name, Siblings(self.found.folder.names()), self.policy)

    def _changed(self, held: Tags, wanted: Tags | None = None) -> frozenset[str]:
        return self.policy.leaving(difference(held, self.tags if wanted is None else wanted))

    def _plan(
        self, home: Home, mode: Mode, identity: Identity | None, path: bytes, patches: Sequence[Patch]
    ) -> FilePlan:
        # What is appended must stay at the very end, even if the file ends with the same bytes as before.
        small = tuple(trimmed(patch, to_end=mode is Mode.APPEND and patch is patches[-1]) for patch in patches)
        return FilePlan(
            target=path,
            home=home,
            mode=mode,
            temp=TEMP_PREFIX + secrets.token_hex(8).encode(),
            identity=identity,
            patches=small,
            guards=guards(self.found.media, small) if home is Home.EMBEDDED else (),
            keep_mtime=self.policy.preserve_mtime,
        )
