"""The table: where each field lives in a file. The rule is written in the design's mapping, and coded only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from . import codecs, keywords
from .forms import Form, Metadata, Rule, Shape, XmpForm, xmp
from .namespaces import name
from .policy import CustomField, CustomForm, Policy
from .structures import PlaceEntry, RegionNames, XmpPosition
from .tags import CUSTOM, Value, unique

P, F, E = Rule.PRIMARY, Rule.PRESENT, Rule.FOLLOWER
TEXT, ALT, BAG, SEQ = Shape.TEXT, Shape.ALT, Shape.BAG, Shape.SEQ


@dataclass(frozen=True)
class Field:
    """A field and its forms, in the order in which they are read; the first that has a value says it."""

    name: str
    forms: tuple[Form, ...]

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        """The field's value by the reading rule."""
        return next(self._values(metadata, policy), None)

    def complete(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        """The value with what must be kept beside it although the field does not show it."""
        return value

    def _values(self, metadata: Metadata, policy: Policy) -> Iterator[Value]:
        for form in self.forms:
            value = form.read(metadata, policy) if form.is_source else None
            if value is not None:
                yield value


class Keywords(Field):
    """Paths from the first list of paths that has any, words from the first flat list."""

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        paths = _first(PATH_LISTS, metadata, policy)
        return keywords.combine(paths, _first(FLAT_LISTS, metadata, policy), policy) or None

    def complete(self, metadata: Metadata, value: Value | None, policy: Policy) -> Value | None:
        private = [kept for kept in _first(PATH_LISTS, metadata, policy) if policy.is_private(kept)]
        return keywords.ordered([*(value if isinstance(value, list) else []), *private]) or None


def _first(forms: Iterable[Form], metadata: Metadata, policy: Policy) -> list[str]:
    values = (form.read(metadata, policy) for form in forms)
    return next((value for value in values if isinstance(value, list)), [])


class People(Field):
    """Everyone who is named in any of the forms."""

    def read(self, metadata: Metadata, policy: Policy) -> Value | None:
        values = [value for value in self._values(metadata, policy) if isinstance(value, list)]
        return unique(self.name, [person for value in values for person in value]) or None


def _place(field: str, prop: str, part: str, codec: codecs.Codec = codecs.TEXT) -> Field:
    entries = (
        PlaceEntry(name(f"Iptc4xmpExt:{kind}"), name(f"Iptc4xmpExt:{part}"))
        for kind in ("LocationShown", "LocationCreated")
    )
    return Field(field, (xmp(prop, P, TEXT, codec), *entries))


PATH_LISTS = (
    xmp("lr:hierarchicalSubject", P, BAG, keywords.PATHS),
    xmp("digiKam:TagsList", F, SEQ, keywords.SLASHES),
    xmp("MicrosoftPhoto:LastKeywordXMP", F, BAG, keywords.SLASHES),
    xmp("MicrosoftPhoto:LastKeywordIPTC", F, BAG, keywords.SLASHES),
    xmp("mediapro:CatalogSets", F, BAG, keywords.PIPES),
)
FLAT_LISTS = (xmp("dc:subject", P, BAG, keywords.FLAT), xmp("pdf:Keywords", F, TEXT, keywords.COMMAS))

FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("title", (xmp("dc:title", P, ALT), xmp("acdsee:caption", E))),
        Field("headline", (xmp("photoshop:Headline", P),)),
        Field(
            "description",
            (
                xmp("dc:description", P, ALT),
                xmp("tiff:ImageDescription", F, ALT, guarded=True),
                xmp("exif:UserComment", E, ALT, guarded=True),
                xmp("acdsee:notes", E),
            ),
        ),
        Keywords("keywords", (*PATH_LISTS, *FLAT_LISTS)),
        People(
            "people",
            (
                xmp("Iptc4xmpExt:PersonInImage", P, BAG, codecs.LIST),
                RegionNames(
                    name("mwg-rs:Regions"),
                    (name("mwg-rs:RegionList"),),
                    name("mwg-rs:Name"),
                    (name("mwg-rs:Type"), "Face"),
                ),
                RegionNames(name("MP:RegionInfo"), (name("MPRI:Regions"),), name("MPReg:PersonDisplayName")),
                RegionNames(name("Iptc4xmpExt:PersonInImageWDetails"), (), name("Iptc4xmpExt:PersonName")),
                xmp("mediapro:People", F, BAG, codecs.LIST),
            ),
        ),
        Field("event", (xmp("Iptc4xmpExt:Event", P, ALT), xmp("mediapro:Event", E))),
        Field(
            "rating",
            (
                xmp("xmp:Rating", P, TEXT, codecs.RATING),
                xmp("MicrosoftPhoto:Rating", F, TEXT, codecs.PERCENT),
                xmp("acdsee:rating", F, TEXT, codecs.STARS),
            ),
        ),
        Field(
            "label",
            (
                xmp("xmp:Label", P),
                xmp("photoshop:LabelColor", F, TEXT, codecs.LABEL_COLOUR),
                xmp("digiKam:ColorLabel", F, TEXT, codecs.DIGIKAM_COLOUR),
                xmp("photomechanic:ColorClass", F, TEXT, codecs.PHOTOMECHANIC_COLOUR),
            ),
        ),
        Field(
            "flag",
            (
                xmp("xmpDM:pick", P, TEXT, codecs.PICK),
                xmp("xmpDM:good", P, TEXT, codecs.GOOD),
                xmp("digiKam:PickLabel", F, TEXT, codecs.PICK_LABEL),
            ),
        ),
        Field(
            "creators",
            (
                xmp("dc:creator", P, SEQ, codecs.LIST),
                xmp("tiff:Artist", F, TEXT, codecs.NAMES),
                xmp("acdsee:author", E, TEXT, codecs.NAMES),
            ),
        ),
        Field("copyright", (xmp("dc:rights", P, ALT), xmp("tiff:Copyright", F, ALT))),
        Field("credit", (xmp("photoshop:Credit", P),)),
        Field("source", (xmp("photoshop:Source", P),)),
        Field("instructions", (xmp("photoshop:Instructions", P),)),
        _place("place.location", "Iptc4xmpCore:Location", "Sublocation"),
        _place("place.city", "photoshop:City", "City"),
        _place("place.state", "photoshop:State", "ProvinceState"),
        _place("place.country", "photoshop:Country", "CountryName"),
        _place("place.country_code", "Iptc4xmpCore:CountryCode", "CountryCode", codecs.CODE),
        Field("gps", (XmpPosition(P),)),
        Field(
            "taken_at",
            (
                xmp("photoshop:DateCreated", P, TEXT, codecs.DATE),
                xmp("exif:DateTimeOriginal", F, TEXT, codecs.DATE),
                xmp("xmpDM:shotDate", F, TEXT, codecs.DATE),
                xmp("xmp:CreateDate", E, TEXT, codecs.DATE),
                xmp("exif:DateTimeDigitized", E, TEXT, codecs.DATE),
            ),
        ),
    )
}

_CUSTOM_SHAPES = {CustomForm.LANG_ALT: ALT, CustomForm.BAG: BAG, CustomForm.SEQ: SEQ}
TABLE_PROPERTIES = frozenset(
    form.prop for field in FIELDS.values() for form in field.forms if isinstance(form, XmpForm)
)


@lru_cache(maxsize=1024)
def _custom(field: str, declared: CustomField) -> Field:
    shape = _CUSTOM_SHAPES.get(declared.form, TEXT)
    codec = codecs.LIST if shape in (BAG, SEQ) else codecs.CUSTOM_TEXT
    prop = f"{{{declared.namespace_uri}}}{declared.property}"
    return Field(field, (XmpForm(prop, P, shape, codec, prefix=declared.prefix),))


def fields_of(policy: Policy) -> dict[str, Field]:
    """All fields of a catalog, its own ones included, by name."""
    own = {CUSTOM + key: _custom(CUSTOM + key, declared) for key, declared in policy.custom_fields.items()}
    return {**FIELDS, **own}
