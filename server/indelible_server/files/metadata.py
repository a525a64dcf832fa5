"""A home's metadata read as tags, and changed to hold other tags."""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime

from .forms import Metadata, Rule, comes_back, follows, value_for
from .namespaces import name
from .policy import Policy
from .table import IN_IPTC, fields_for_writing, fields_in, fields_of
from .tags import Tags, difference, same

_METADATA_DATE = name("xmp:MetadataDate")
_OF_EXIF, _OF_IPTC = (name("tiff:NativeDigest"), name("exif:NativeDigest")), (name("photoshop:LegacyIPTCDigest"),)
"""Digests of native forms, by which old programs tell whether XMP is still in step with them."""


def read_tags(metadata: Metadata, policy: Policy, base: Tags | None = None) -> Tags:
    """The tags that a home holds, by the reading rule.

    With the `base` that was last verified there, a text of the container's own that has changed since comes first.
    """
    values = {key: field.read(metadata, policy, base) for key, field in fields_in(metadata, policy).items()}
    return {key: value for key, value in values.items() if value is not None}


def write_tags(metadata: Metadata, old: Tags, new: Tags, changed: Set[str], policy: Policy) -> None:
    """Change the fields in `changed` from what `old` says to what `new` says, in every form that is due."""
    fields = fields_for_writing(metadata, policy)
    for key in [key for key in fields if key in changed]:
        value, before = fields[key].complete(metadata, new.get(key), policy), old.get(key)
        # All forms are chosen by what is there before the first of them changes.
        due = [
            form
            for form in fields[key].forms_in(metadata)
            if follows(form, metadata, key, before, policy) or comes_back(form, metadata, value, policy)
        ]
        for form in due:
            form.write(metadata, value_for(form, metadata, value, policy), before, policy)
    if not metadata.takes_xmp:
        return
    for outdated in _digests_of_changed(metadata):
        metadata.packet().remove(outdated)
    metadata.packet().set_text(_METADATA_DATE, datetime.now(UTC).isoformat(timespec="microseconds"))


def changed_at(metadata: Metadata) -> str | None:
    """When a home's XMP says that its metadata was last changed: a text that any program may have written."""
    return metadata.xmp.text(_METADATA_DATE) if metadata.xmp else None


def held_of(metadata: Metadata, tags: Tags, policy: Policy) -> Tags:
    """What a home can hold of these tags, as it is read back: all that XMP can, else what its own texts can."""
    if metadata.takes_all:
        return tags
    held: Tags = {}
    for key, field in fields_of(policy).items():
        wanted = field.complete(metadata, tags.get(key), policy)
        forms = [form for form in field.forms if form.rule is Rule.PRIMARY and metadata.takes(form, policy)]
        told = (form.expected(metadata, wanted, policy) for form in forms)
        value = next((value for value in told if value is not None), None)
        if value is not None:
            held[key] = value
    return held


def followed(metadata: Metadata, old: Tags, new: Tags, policy: Policy) -> frozenset[str]:
    """The fields that differ, and that some follower in this home repeats."""
    fields = fields_of(policy)
    return frozenset(
        key
        for key in difference(old, new) & fields.keys()
        if any(
            form.rule is Rule.FOLLOWER and follows(form, metadata, key, old.get(key), policy)
            for form in fields[key].forms
        )
    )


def in_step(metadata: Metadata, changed: frozenset[str], policy: Policy) -> frozenset[str]:
    """The fields to be written when those in `changed` are: what IPTC says as a whole is brought in line first."""
    if changed and (metadata.iptc_is_newer or (metadata.begins_iptc(policy) and changed & IN_IPTC)):
        return changed | policy.leaving(IN_IPTC)
    return changed


def _digests_of_changed(metadata: Metadata) -> tuple[str, ...]:
    exif = metadata.exif is not None and metadata.exif.changed
    iptc = metadata.iptc is not None and metadata.iptc.changed
    return (*(_OF_EXIF if exif else ()), *(_OF_IPTC if iptc else ()))


def stale_fields(metadata: Metadata, tags: Tags, policy: Policy) -> frozenset[str]:
    """The fields of which some form that must be written says something else than `tags`."""
    stale = set()
    for key, field in fields_in(metadata, policy).items():
        forms = field.forms_in(metadata)
        present = [form for form in forms if form.rule is not Rule.FOLLOWER and form.is_present(metadata)]
        if not present:
            continue
        value = field.complete(metadata, tags.get(key), policy)
        for form in present:
            held = form.read(metadata, policy)
            if not same(key, held, value) and not field.agree(held, form.expected(metadata, value, policy), value):
                stale.add(key)
    return frozenset(stale)
