"""The metadata policy and custom fields between the contract and the store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from indelible.v1 import policy_pb2

from ..domain import policies
from ..errors import invalid
from .status import NotYetAvailable

# field of the policy -> its enum and the prefix of its values
ENUMS: dict[str, tuple[Any, str]] = {
    "iptc": (policy_pb2.Iptc, "IPTC_"),
    "compat_lists": (policy_pb2.CompatLists, "COMPAT_LISTS_"),
    "flat_form": (policy_pb2.FlatForm, "FLAT_FORM_"),
    "sidecar_name": (policy_pb2.SidecarName, "SIDECAR_NAME_"),
    "conflicts": (policy_pb2.ConflictPolicy, "CONFLICT_POLICY_"),
    "write_mode": (policy_pb2.WriteMode, "WRITE_MODE_"),
}
LISTS = ("excluded_fields", "private_keywords")
TEXTS = ("namespace_uri", "prefix", "property", "label")
NAME = re.compile("[a-z0-9_]+")


def policy_message(stored: Mapping[str, Any]) -> policy_pb2.MetadataPolicy:
    """The policy as it is in force, defaults filled in."""
    message = policy_pb2.MetadataPolicy(
        formats=[
            policy_pb2.FormatRule(
                formats=rule["formats"], mode=policy_pb2.FormatMode.Value(f"FORMAT_MODE_{rule['home']}")
            )
            for rule in stored["formats"]
        ],
        preserve_mtime=stored["preserve_mtime"],
        label_map=stored["label_map"],
        legacy_charset=stored["legacy_charset"],
        **{name: stored[name] for name in LISTS},
    )
    for name, (enum, prefix) in ENUMS.items():
        setattr(message, name, enum.Value(prefix + stored[name]))
    return message


def custom_field_messages(stored: Mapping[str, Any]) -> list[policy_pb2.CustomField]:
    """The custom fields that the catalog declares."""
    return [
        policy_pb2.CustomField(
            name=name, **field | {"form": policy_pb2.CustomForm.Value(f"CUSTOM_FORM_{field['form']}")}
        )
        for name, field in stored["custom_fields"].items()
    ]


def stored_policy(
    message: policy_pb2.MetadataPolicy, custom_fields: Sequence[policy_pb2.CustomField]
) -> dict[str, Any]:
    """The policy of a request as it is stored; raises `InvalidArgument` naming what can't be."""
    if message.sidecar_tree:
        raise NotYetAvailable("A sidecar tree", field="policy.sidecar_tree")
    values: dict[str, Any] = {name: list(getattr(message, name)) for name in LISTS}
    values |= {"preserve_mtime": message.preserve_mtime, "label_map": dict(message.label_map)}
    if message.formats:
        values["formats"] = [_rule(rule, f"policy.formats[{place}]") for place, rule in enumerate(message.formats)]
    if message.legacy_charset:
        values["legacy_charset"] = message.legacy_charset
    for name, (enum, prefix) in ENUMS.items():
        text = _enum_text(enum, prefix, getattr(message, name), f"policy.{name}")
        if text:
            values[name] = text
    values["custom_fields"] = {}
    for place, field in enumerate(custom_fields):
        if not NAME.fullmatch(field.name) or field.name in values["custom_fields"]:
            raise invalid(f"custom_fields[{place}].name", "is there twice, or not of lower case letters, digits and _")
        values["custom_fields"][field.name] = _custom_field(field, f"custom_fields[{place}]")
    return policies.check_policy(values)


def _rule(rule: policy_pb2.FormatRule, at: str) -> dict[str, Any]:
    home = _enum_text(policy_pb2.FormatMode, "FORMAT_MODE_", rule.mode, f"{at}.mode")
    if not rule.formats or not home:
        raise invalid(at, "needs formats and a mode")
    return {"formats": list(rule.formats), "home": home}


def _custom_field(field: policy_pb2.CustomField, at: str) -> dict[str, str]:
    preset = policies.PRESETS.get(field.name, {})
    form = _enum_text(policy_pb2.CustomForm, "CUSTOM_FORM_", field.form, f"{at}.form") or preset.get("form")
    if not form:
        raise invalid(f"{at}.form", "is unset: say how the value is stored")
    texts = {name: getattr(field, name) or preset.get(name, "") for name in TEXTS}
    return texts | {"form": form}


def _enum_text(enum: Any, prefix: str, number: int, at: str) -> str:
    """The value's name without its prefix; "" for UNSPECIFIED, which leaves the default."""
    if number not in enum.values():
        raise invalid(at, f"{number} is not a value of {enum.DESCRIPTOR.name}")
    return str(enum.Name(number)).removeprefix(prefix) if number else ""
