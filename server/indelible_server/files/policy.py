"""The metadata policy of a catalog, as the engine sees it: what goes where, in which form, and what never does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from .formats import extension, kind_of
from .merge import ConflictPolicy
from .namespaces import NAMESPACES
from .tags import CUSTOM


class HomeChoice(StrEnum):
    """Where the tags of a format are kept."""

    EMBED = "EMBED"
    SIDECAR = "SIDECAR"
    EMBED_AND_SIDECAR = "EMBED_AND_SIDECAR"
    CATALOG_ONLY = "CATALOG_ONLY"


class IptcRule(StrEnum):
    """When legacy IPTC is written: where there is a block; always; or never, and removed field by field when edited."""

    IF_BLOCK = "IF_BLOCK"
    ALWAYS = "ALWAYS"
    REMOVE = "REMOVE"


class CompatLists(StrEnum):
    """When other programs' keyword lists are written."""

    IF_PRESENT = "IF_PRESENT"
    ALWAYS = "ALWAYS"
    REMOVE = "REMOVE"


class FlatForm(StrEnum):
    """How a keyword path stands among the flat keywords."""

    LEAF = "LEAF"
    ALL_LEVELS = "ALL_LEVELS"
    FULL_PATH = "FULL_PATH"


class SidecarName(StrEnum):
    """How a new sidecar is named: `IMG.xmp` where that is free, always, or always `IMG.CR2.xmp`."""

    AUTO = "AUTO"
    STEM = "STEM"
    FULL_NAME = "FULL_NAME"


class WriteMode(StrEnum):
    """AUTO patches in place where it can; REPLACE never does."""

    AUTO = "AUTO"
    REPLACE = "REPLACE"


class CustomForm(StrEnum):
    """How a custom field is stored in XMP."""

    TEXT = "TEXT"
    LANG_ALT = "LANG_ALT"
    BAG = "BAG"
    SEQ = "SEQ"
    INTEGER = "INTEGER"
    REAL = "REAL"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"


@dataclass(frozen=True)
class FormatRule:
    """The home of the formats: extensions ("jpg"), format names ("JPEG"), "raw", "image", "video", "audio" or "*"."""

    formats: tuple[str, ...]
    home: HomeChoice

    def matches(self, name: str, format_name: str) -> bool:
        """Whether the rule is about a file of this name and format."""
        ways = {extension(name), format_name.lower(), kind_of(format_name), "*"}
        return any(wanted.lower().lstrip(".") in ways for wanted in self.formats)


@dataclass(frozen=True)
class CustomField:
    """A declared XMP property that people edit as `custom.NAME`."""

    namespace_uri: str
    prefix: str
    property: str
    form: CustomForm = CustomForm.TEXT
    label: str = ""

    def qualified_name(self) -> str:
        """The property as lxml names it."""
        return f"{{{self.namespace_uri}}}{self.property}"


DEFAULT_FORMATS = (
    FormatRule(("raw",), HomeChoice.SIDECAR),
    FormatRule(("*",), HomeChoice.EMBED),
)
DEFAULT_LABELS: Mapping[str, str] = MappingProxyType(
    {colour.capitalize(): colour for colour in ("red", "orange", "yellow", "green", "blue", "purple")}
)
_NCNAME = re.compile(r"[A-Za-z_][\w.-]*\Z")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Policy:
    """A catalog's metadata policy. Immutable; the defaults are what a new catalog has."""

    formats: tuple[FormatRule, ...] = DEFAULT_FORMATS
    conflicts: ConflictPolicy = ConflictPolicy.CATALOG_WINS
    iptc: IptcRule = IptcRule.IF_BLOCK
    compat_lists: CompatLists = CompatLists.IF_PRESENT
    flat_form: FlatForm = FlatForm.LEAF
    write_mode: WriteMode = WriteMode.AUTO
    sidecar_name: SidecarName = SidecarName.AUTO
    preserve_mtime: bool = False
    excluded_fields: frozenset[str] = frozenset()
    label_map: Mapping[str, str] = field(default_factory=lambda: DEFAULT_LABELS)
    private_keywords: tuple[str, ...] = ()
    legacy_charset: str = "cp1252"
    custom_fields: Mapping[str, CustomField] = field(default_factory=lambda: _NOTHING)

    def home_of(self, name: str, format_name: str) -> HomeChoice:
        """Where the tags of a file of this name and format are kept."""
        return next((rule.home for rule in self.formats if rule.matches(name, format_name)), HomeChoice.EMBED)

    def is_catalog_only(self, name: str, format_name: str) -> bool:
        """Whether nothing is ever written for a file of this name and format."""
        return self.home_of(name, format_name) is HomeChoice.CATALOG_ONLY

    def label_of(self, colour: str) -> str | None:
        """The first label text that stands for a colour."""
        return next((text for text, mapped in self.label_map.items() if mapped == colour.lower()), None)

    def is_private(self, keyword: str) -> bool:
        """Whether a keyword is another program's own business: neither shown nor removed."""
        return any(fnmatchcase(keyword, pattern) for pattern in self.private_keywords)

    def keeps_back(self, field: str) -> bool:
        """Whether a field never leaves the catalog: one that is excluded, or a custom one that is not declared."""
        undeclared = field.startswith(CUSTOM) and field.removeprefix(CUSTOM) not in self.custom_fields
        return undeclared or field in self.excluded_fields

    def leaving(self, fields: Iterable[str]) -> frozenset[str]:
        """Those of the fields that are not kept back."""
        return frozenset(field for field in fields if not self.keeps_back(field))

    def to_json(self) -> dict[str, Any]:
        """The policy as plain JSON values."""
        return {entry.name: _plain(getattr(self, entry.name)) for entry in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Policy:
        """The policy in JSON values, missing ones at their defaults. Raises `ValueError` saying what is wrong."""
        unknown = values.keys() - {entry.name for entry in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        return cls(**{name: _parse(name, _PARSERS[name], value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, FormatRule | CustomField):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _parse(name: str, parser: Any, value: Any) -> Any:
    try:
        return parser(value)
    except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{value!r} is not a list of texts")
    return tuple(value)


def _rules(value: Any) -> tuple[FormatRule, ...]:
    return tuple(FormatRule(_texts(rule["formats"]), HomeChoice(rule["home"])) for rule in value)


def _charset(value: str) -> str:
    "".encode(value)
    return value


def _labels(value: Any) -> Mapping[str, str]:
    return {str(text): str(colour).lower() for text, colour in value.items()}


REFUSED_PREFIXES = frozenset(
    {"xmpMM", "xmpNote", "crs", "tiff", "exif", "hdrgm", "Container", "GCamera", "c2pa", "rdf", "xml", "x"}
)
_REFUSED_NAMESPACES = frozenset(
    {
        *(NAMESPACES[prefix] for prefix in REFUSED_PREFIXES & NAMESPACES.keys()),
        "http://ns.adobe.com/xap/1.0/mm/",
        "http://ns.adobe.com/camera-raw-settings/1.0/",
        "http://ns.adobe.com/hdr-gain-map/1.0/",
        "http://ns.google.com/photos/1.0/camera/",
        "http://ns.google.com/photos/1.0/container/",
    }
)


def _custom_fields(value: Any) -> Mapping[str, CustomField]:
    declared = {}
    for name, entry in value.items():
        custom = CustomField(**{**entry, "form": CustomForm(entry.get("form", "TEXT"))})
        if custom.prefix in REFUSED_PREFIXES or custom.namespace_uri in _REFUSED_NAMESPACES:
            raise ValueError(f"{name}: properties of {custom.prefix} are not for custom fields")
        if not custom.namespace_uri or not _NCNAME.match(custom.prefix) or not _NCNAME.match(custom.property):
            raise ValueError(f"{name}: namespace_uri, prefix or property is not an XML name")
        declared[name] = custom
    return declared


_PARSERS: dict[str, Any] = {
    "formats": _rules,
    "conflicts": ConflictPolicy,
    "iptc": IptcRule,
    "compat_lists": CompatLists,
    "flat_form": FlatForm,
    "write_mode": WriteMode,
    "sidecar_name": SidecarName,
    "preserve_mtime": _boolean,
    "excluded_fields": lambda value: frozenset(_texts(value)),
    "label_map": _labels,
    "private_keywords": _texts,
    "legacy_charset": _charset,
    "custom_fields": _custom_fields,
}
