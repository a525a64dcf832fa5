"""A catalog's metadata policy: what goes where, and what never leaves the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import invalid
from ..files.policy import Policy
from ..files.tags import Tags, difference
from ..storage.catalogs import Catalog
from ..storage.item import Item


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
    homes = list(item.homes.values()) or [{}]
    return any(difference(tags, home) - policy.excluded_fields for home in homes)


def check_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy as it is stored, all defaults filled in; raises `InvalidArgument` for one that can't be."""
    try:
        return Policy.from_json(policy).to_json()
    except (KeyError, TypeError, ValueError) as error:
        raise invalid("policy", str(error)) from error
