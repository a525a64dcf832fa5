"""A home's metadata read as tags, and changed to hold other tags."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from .fields import IN_IPTC, fields_of
from .forms import Metadata, Rule, comes_back, follows, value_for
from .namespaces import name
from .policy import Policy
from .tags import Tags, same

_METADATA_DATE = name("xmp:MetadataDate")
_OF_EXIF, _OF_IPTC = (name("tiff:NativeDigest"), name("exif:NativeDigest")), (name("photoshop:LegacyIPTCDigest"),)
"""Digests of native forms, by which old programs tell whether XMP is still in step with them."""


def read_tags(metadata: Metadata, policy: Policy) -> Tags:
    """The tags that a home holds, by the reading rule."""
    values = {key: field.read(metadata, policy) for key, field in fields_of(policy).items()}
    return {key: value for key, value in values.items() if value is not None}


def write_tags(metadata: Metadata, old: Tags, new: Tags, changed: Iterable[str], policy: Policy) -> None:
    """Change the fields in `changed` from what `old` says to what `new` says, in every form that is due."""
    fields = fields_of(policy)
    place = {key: index for index, key in enumerate(fields)}
    for key in sorted(changed, key=place.__getitem__):
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


def fields_held(metadata: Metadata, policy: Policy) -> frozenset[str]:
    """The fields that a home has a place for."""
    if metadata.takes_xmp:
        return frozenset(fields_of(policy))
    return frozenset(
        key
        for key, field in fields_of(policy).items()
        if any(form.rule is Rule.PRIMARY and metadata.has(form.block, policy) for form in field.forms)
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
    for key, field in fields_of(policy).items():
        value = field.complete(metadata, tags.get(key), policy)
        for form in field.forms_in(metadata):
            if form.rule is not Rule.FOLLOWER and form.is_present(metadata):
                expected = form.expected(metadata, value, policy)
                if not same(key, form.read(metadata, policy), expected):
                    stale.add(key)
    return frozenset(stale)
