"""Fields: how the forms of one field are read together. Which forms there are is said in `table.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from . import keywords
from .forms import Block, Form, Metadata, Rule
from .iptc_forms import IptcDate, IptcForm
from .policy import Policy
from .tags import Tags, Value, same, unique
from .text_forms import (
    TextForm,
)
from .texts import TextKind

_NATIVE_FIRST = frozenset({"gps", "taken_at"})
"""Fields that cameras know best: read from Exif first."""


@dataclass(frozen=True)
class Field:
    """A field and its forms, in the order in which they are read; the first that has a value says it."""

    name: str
    forms: tuple[Form, ...]

    @cached_property
    def sources(self) -> tuple[Form, ...]:
        """The forms that the field is read from."""
        return tuple(form for form in self.forms if form.is_source)

    def among(self, blocks: Set[Block | TextKind], names: Set[str], rules: Set[Rule] = frozenset()) -> Field:
        """The same field with only those of its forms that can be in these blocks, in XMP under one of these names.

        Those of some `rules` stay too.
        """
        return replace(
            self,
            forms=tuple(
                form
                for form in self.forms
                if form.rule in rules or (form.block in blocks and (form.props is None or form.props & names))
            ),
        )

    def read(self, metadata: Metadata, policy: Policy, base: Tags | None = None) -> Value | None:
        """The field's value by the reading rule. `base` are the tags that were last verified here, if known."""
        for form in in_reading_order(self, self.sources, metadata, policy, base):
            value = form.read(metadata, policy)
            if value is not None:
                return value
        return None

    def forms_in(self, metadata: Metadata) -> tuple[Form, ...]:
        """The forms in a home: those in IPTC are there once more for each further block."""
        return tuple(_spread(self.forms, metadata)) if metadata.further_iptc else self.forms

    def complete(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        """The value with what must be kept beside it although the field does not show it."""
        return value

    def agree(self, held: Value | None, expected: Value | None, value: Value | None) -> bool:
        """Whether one form holds what it is expected to where the field is `value`."""
        return same(self.name, held, expected)


def in_reading_order(
    field: Field, sources: Sequence[Form], metadata: Metadata, policy: Policy, base: Tags | None
) -> Sequence[Form]:
    """The forms that a field is read from: first what other programs are known to have changed alone."""
    sources = [*_spread(sources, metadata)] if metadata.further_iptc else sources
    if field.name in _NATIVE_FIRST:
        return sources
    newer = _newer_iptc(field.name, sources, metadata, policy) if metadata.iptc_is_newer else []
    known = base.get(field.name) if base else None
    changed = _changed_texts(field, sources, metadata, policy, known) if known is not None else []
    return [*newer, *changed, *sources] if newer or changed else sources


def _newer_iptc(field: str, sources: Sequence[Form], metadata: Metadata, policy: Policy) -> list[Form]:
    """Newer IPTC, unless it is XMP's value cut to its own limit."""
    told = (form.read(metadata, policy) for form in sources if form.block is Block.XMP)
    value = next((value for value in told if value is not None), None)
    return [
        form
        for form in sources
        if form.block is Block.IPTC
        and not (value is not None and same(field, form.read(metadata, policy), form.expected(metadata, value, policy)))
    ]


def _changed_texts(
    field: Field, sources: Sequence[Form], metadata: Metadata, policy: Policy, base: Value
) -> list[Form]:
    """The container's own texts that do not say what they would if the field still had its value of then."""
    value = field.complete(metadata, base, policy)
    return [
        form
        for form in sources
        if isinstance(form, TextForm)
        and form.is_present(metadata)
        and not field.agree(form.read(metadata, policy), form.expected(metadata, value, policy), value)
    ]


def _spread(forms: Iterable[Form], metadata: Metadata) -> Iterator[Form]:
    for form in forms:
        yield form
        if isinstance(form, IptcForm | IptcDate):
            yield from (replace(form, place=place + 1) for place in range(len(metadata.further_iptc)))


@dataclass(frozen=True)
class Keywords(Field):
    """Paths from the first list of paths that has any, words from the first flat list."""

    path_lists: tuple[Form, ...]

    @cached_property
    def _paths(self) -> tuple[Form, ...]:
        return tuple(form for form in self.forms if form in self.path_lists)

    @cached_property
    def _flat(self) -> tuple[Form, ...]:
        return tuple(form for form in self.sources if form not in self.path_lists)

    def read(self, metadata: Metadata, policy: Policy, base: Tags | None = None) -> Value | None:
        paths = _first(self._paths, metadata, policy)
        flat = _first(in_reading_order(self, self._flat, metadata, policy, base), metadata, policy)
        return keywords.combine(paths, flat, policy) or None

    def complete(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        private = [kept for kept in _first(self._paths, metadata, policy) if policy.is_private(kept)]
        return keywords.ordered([*_listed(value), *private]) or None

    def agree(self, held: Value | None, expected: Value | None, value: Value | None) -> bool:
        # A word that is a level of a path is not read as a keyword of its own, so it may be there too.
        told = keywords.without_levels(_listed(held), _listed(value), kept=_listed(expected))
        return same(self.name, told, expected)


def _listed(value: Value | None) -> list[str]:
    return value if isinstance(value, list) else []


def _first(forms: Iterable[Form], metadata: Metadata, policy: Policy) -> list[str]:
    values = (form.read(metadata, policy) for form in forms)
    return next((value for value in values if isinstance(value, list)), [])


class People(Field):
    """Everyone who is named in any of the forms."""

    def read(self, metadata: Metadata, policy: Policy, base: Tags | None = None) -> Value | None:
        forms = in_reading_order(self, self.sources, metadata, policy, base)
        told = (form.read(metadata, policy) for form in forms)
        values = [value for value in told if isinstance(value, list)]
        return unique(self.name, [person for value in values for person in value]) or None
