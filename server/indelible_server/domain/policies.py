"""A catalog's metadata policy: what goes where, and what never leaves the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import invalid
from ..files.policy import Policy
from ..files.table import TABLE_PROPERTIES
from ..files.tags import Tags, difference
from ..storage.catalogs import Catalog
from ..storage.item import Item
from .fields import field_of

_RIGHTS = {"namespace_uri": "http://ns.adobe.com/xap/1.0/rights/", "prefix": "xmpRights"}
_PLUS = {"namespace_uri": "http://ns.useplus.org/ldf/xmp/1.0/", "prefix": "plus"}
_CORE = {"namespace_uri": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "prefix": "Iptc4xmpCore"}
_EXT = {"namespace_uri": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "prefix": "Iptc4xmpExt"}
_PHOTOSHOP = {"namespace_uri": "http://ns.adobe.com/photoshop/1.0/", "prefix": "photoshop"}

# Custom fields that may be declared by their name alone.
PRESETS: Mapping[str, Mapping[str, str]] = {
    "usage_terms": _RIGHTS | {"property": "UsageTerms", "form": "LANG_ALT"},
    "web_statement": _RIGHTS | {"property": "WebStatement", "form": "TEXT"},
    "marked": _RIGHTS | {"property": "Marked", "form": "BOOLEAN"},
    "license_end_date": _PLUS | {"property": "LicenseEndDate", "form": "DATE"},
    "alt_text": _CORE | {"property": "AltTextAccessibility", "form": "LANG_ALT"},
    "transmission_reference": _PHOTOSHOP | {"property": "TransmissionReference", "form": "TEXT"},
    "digital_source_type": _EXT | {"property": "DigitalSourceType", "form": "TEXT"},
}


def engine_policy(catalog: Catalog) -> Policy:
    """The stored policy as the engine takes it."""
    return Policy.from_json(catalog.policy)


def custom_fields(catalog: Catalog) -> Mapping[str, Any]:
    """The custom fields that the catalog declares, by name."""
    return engine_policy(catalog).custom_fields


def to_write(policy: Policy, item: Item, tags: Tags) -> bool:
    """Whether a home of the item has to be written for it to hold these tags."""
    if policy.is_catalog_only(item.path, item.format):
        return False
    if item.verified_at is None:
        return True
    homes = list(item.homes.values()) or [{}]
    wrong = [policy.leaving(difference(tags, home)) for home in homes]
    nowhere = frozenset.intersection(*wrong)
    # What a home has no place for is not missing there if another home holds it.
    return any(name in nowhere or name in home for home, names in zip(homes, wrong, strict=True) for name in names)


def check_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy as it is stored, all defaults filled in; raises `InvalidArgument` for one that can't be."""
    try:
        checked = Policy.from_json(policy)
    except (KeyError, TypeError, ValueError) as error:
        raise invalid("policy", str(error)) from error
    for name, declared in checked.custom_fields.items():
        if declared.qualified_name() in TABLE_PROPERTIES:
            raise invalid("policy", f"custom_fields: {name} is a property of another field")
    for name in sorted(checked.excluded_fields):
        field_of(name, checked.custom_fields, "policy.excluded_fields")
    return checked.to_json()
