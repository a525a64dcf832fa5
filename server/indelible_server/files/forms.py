"""Forms: the places inside a file where a field's value can be, each read and written in its own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from .codecs import TEXT, Codec, Raw
from .exif import Exif
from .iptc import Iptc
from .namespaces import name
from .policy import CompatLists, IptcRule, Policy
from .tags import Value, same
from .texts import TextKind, Texts
from .xmp import Array, Packet


class Rule(StrEnum):
    """When a form is written.

    PRIMARY always; BLOCK if its block is there, or is to be made; PRESENT if the form itself is there, blank included;
    COMPATIBLE as PRESENT, if the policy does not say otherwise; FOLLOWER only if it held the field's old value. Where a
    block cannot be, nothing in it is written.
    """

    PRIMARY = "P"
    BLOCK = "B"
    PRESENT = "F"
    COMPATIBLE = "C"
    FOLLOWER = "E"


class Block(StrEnum):
    """The metadata blocks that many formats can carry."""

    XMP = "XMP"
    IPTC = "IPTC"
    EXIF = "EXIF"


@dataclass
class Metadata:
    """What one home carries, parsed. Blocks that are None are not there; `texts` are the container's own.

    `further_iptc` are blocks that the file has beside the main one, for whatever reason; `begun_iptc` says that the
    main one is new. `exif_is_full` says that nothing more fits into Exif: what changes is removed from there.
    `takes_xmp`, `takes_exif` and `takes_iptc` say whether a home without such a block could have one. `iptc_is_newer`
    says that IPTC was changed by a program that left XMP alone, so that it is what the file means. `xmp_props` are the
    only properties that XMP may have, where a standard says so.
    """

    xmp: Packet | None = None
    exif: Exif | None = None
    iptc: Iptc | None = None
    further_iptc: tuple[Iptc, ...] = ()
    texts: Texts | None = None
    takes_xmp: bool = True
    xmp_props: frozenset[str] | None = None
    takes_exif: bool = False
    takes_iptc: bool = False
    iptc_is_newer: bool = False
    begun_iptc: bool = False
    exif_is_full: bool = False
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names = self.xmp.names() if self.xmp else set()

    @property
    def blocks(self) -> frozenset[Block | TextKind]:
        """The blocks that are there."""
        present = ((Block.XMP, self.xmp), (Block.EXIF, self.exif), (Block.IPTC, self.iptc))
        own = self.texts.kinds if self.texts is not None else frozenset()
        return frozenset(kind for kind, block in present if block is not None) | own

    def packet(self) -> Packet:
        """The XMP packet, made if there is none."""
        self.xmp = self.xmp or Packet.empty()
        return self.xmp

    def exif_block(self) -> Exif:
        """The Exif block, made if there is none."""
        self.exif = self.exif or Exif.empty()
        return self.exif

    def iptc_block(self, place: int = 0) -> Iptc:
        """The IPTC block at this place among all; the main one is made if there is none."""
        if place:
            return self.further_iptc[place - 1]
        if self.iptc is None:
            self.iptc, self.begun_iptc = Iptc.empty(), True
        return self.iptc

    def has(self, block: Block | TextKind, policy: Policy) -> bool:
        """Whether a block is there, or is to be made for what is primary in it."""
        if block is Block.XMP:
            return self.takes_xmp
        if block is Block.EXIF:
            return self.exif is not None or self.takes_exif
        if block is Block.IPTC:
            return self.iptc is not None or self.begins_iptc(policy)
        return self.texts is not None and block in self.texts.kinds

    def takes(self, form: Form, policy: Policy) -> bool:
        """Whether a form that is primary in its block can be written."""
        if self.xmp_props is not None and form.props is not None and not form.props <= self.xmp_props:
            return False
        return self.has(form.block, policy)

    @property
    def takes_all(self) -> bool:
        """Whether there is a place for every field."""
        return self.takes_xmp and self.xmp_props is None

    def begins_iptc(self, policy: Policy) -> bool:
        """Whether an IPTC block is to be made, since there is none."""
        return self.iptc is None and self.takes_iptc and policy.iptc is IptcRule.ALWAYS


class Form(Protocol):
    """A place for a field's value.

    `read` gives None where there is no value. `write` sets it, or removes the form for None; `old` is what the field
    was before. `expected` is what `read` must give after writing: less than the value where the form cannot hold it.
    """

    @property
    def block(self) -> Block | TextKind:
        """Where it is: a block, or the container's own texts."""

    @property
    def props(self) -> frozenset[str] | None:
        """In XMP, the properties without all of which it has no value; None elsewhere."""

    @property
    def rule(self) -> Rule:
        """When it is written."""

    @property
    def is_source(self) -> bool:
        """Whether the field is read from it, if no form before it has a value."""

    def is_present(self, metadata: Metadata) -> bool: ...

    def read(self, metadata: Metadata, policy: Policy) -> Value | None: ...

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None: ...

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None: ...


class Shape(StrEnum):
    """How an XMP property is built."""

    TEXT = "TEXT"
    ALT = "ALT"
    BAG = "BAG"
    SEQ = "SEQ"


STRUCTURE_STARTS = ("<?xml", "<OME", "<MetaData>", "ImageJ=", "Aperio", "{", "SCANIMAGE")
STRUCTURE_LENGTH = 10_000


def is_structure(text: str) -> bool:
    """Whether a text only looks like a caption: it belongs to another program and is left alone."""
    return len(text) > STRUCTURE_LENGTH or text.lstrip().startswith(STRUCTURE_STARTS)


@dataclass(frozen=True)
class XmpForm:
    """An XMP property of one text or one list of texts."""

    prop: str
    rule: Rule
    shape: Shape = Shape.TEXT
    codec: Codec = TEXT
    guarded: bool = False
    prefix: str = ""

    block: ClassVar[Block] = Block.XMP

    @property
    def props(self) -> frozenset[str]:
        return frozenset({self.prop})

    @property
    def is_source(self) -> bool:
        return self.rule is not Rule.FOLLOWER

    def is_present(self, metadata: Metadata) -> bool:
        if self.prop not in metadata.names or metadata.xmp is None:
            return False
        return not (self.guarded and is_structure(metadata.xmp.text(self.prop) or ""))

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        if self.prop not in metadata.names:
            return None
        raw = self._raw(metadata)
        return None if raw is None else self.codec.decode(raw, policy)

    def write(self, metadata: Metadata, value: Value | None, old: Value | None, policy: Policy) -> None:
        raw = None if value is None else self.codec.encode(value, self._raw(metadata), policy)
        packet = metadata.packet()
        if raw is None:
            packet.remove(self.prop)
            metadata.names.discard(self.prop)
            return
        if self.prefix:
            packet.declare(self.prefix, self.prop[1:].partition("}")[0])
        metadata.names.add(self.prop)
        if self.shape is Shape.TEXT:
            packet.set_text(self.prop, raw)
        elif self.shape is Shape.ALT:
            packet.set_default(self.prop, raw, None if old is None else self.codec.encode(old, None, policy))
        else:
            packet.set_items(self.prop, raw, Array[self.shape])

    def expected(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        raw = None if value is None else self.codec.encode(value, self._raw(metadata), policy)
        return None if raw is None else self.codec.decode(raw, policy)

    def _raw(self, metadata: Metadata) -> Raw | None:
        if not self.is_present(metadata) or metadata.xmp is None:
            return None
        if self.shape in (Shape.BAG, Shape.SEQ):
            return metadata.xmp.items(self.prop)
        return metadata.xmp.text(self.prop)


def follows(form: Form, metadata: Metadata, field_name: str, old: Value | None, policy: Policy) -> bool:
    """Whether a form is to be written when its field changes from `old`."""
    if form.rule in (Rule.PRIMARY, Rule.BLOCK):
        return metadata.takes(form, policy)
    if form.rule is Rule.COMPATIBLE and policy.compat_lists is CompatLists.ALWAYS:
        return metadata.takes(form, policy)
    if not form.is_present(metadata):
        return False
    return form.rule is not Rule.FOLLOWER or echoes(form, metadata, field_name, old, policy)


def value_for(form: Form, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
    """What of a value is to be written into a form; None if the form is to go."""
    if form.rule is Rule.COMPATIBLE and policy.compat_lists is CompatLists.REMOVE:
        return None
    return None if form.block is Block.EXIF and metadata.exif_is_full else value


def comes_back(form: Form, metadata: Metadata, new: Value | None, policy: Policy) -> bool:
    """Whether a follower with a value of its own would be what a field that is to be cleared is read as."""
    follower = form.rule is Rule.FOLLOWER and form.is_source
    return new is None and follower and form.read(metadata, policy) is not None


def echoes(form: Form, metadata: Metadata, field_name: str, old: Value | None, policy: Policy) -> bool:
    """Whether a form holds the value `old`, as far as it can."""
    held = form.read(metadata, policy)
    return held is not None and (
        same(field_name, held, old) or same(field_name, held, form.expected(metadata, old, policy))
    )


def xmp(prefixed: str, rule: Rule, shape: Shape = Shape.TEXT, codec: Codec = TEXT, *, guarded: bool = False) -> XmpForm:
    """A form of one of the namespaces that are known by their prefix."""
    return XmpForm(name(prefixed), rule, shape, codec, guarded)
