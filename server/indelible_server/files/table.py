"""The table: where each field lives in a file. The rule is written in the design's mapping, and coded only here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from . import codecs, custom_forms, exif_values, keywords
from .exif import Ifd
from .exif_forms import ExifDate, ExifForm, ExifPosition
from .fields import Field, Keywords, People
from .forms import Block, Form, Metadata, Rule, Shape, XmpForm, xmp
from .iptc_forms import COUNTRY, IptcDate, IptcForm, IptcKeywords
from .keyword_trees import CATEGORIES, KeywordHierarchy
from .mail_dates import MAIL_DATE
from .namespaces import name
from .policy import CompatLists, CustomField, CustomForm, Policy
from .structures import PlaceEntry, RegionNames, XmpPosition
from .tags import CUSTOM
from .text_forms import (
    APPLE_DATE,
    COARSE_POSITION,
    FMPS_RATING,
    LATIN_28,
    LATIN_30,
    MOMENT,
    POPULARITY,
    POSITION,
    TO_MINUTES,
    TO_SECONDS,
    VORBIS_RATING,
    TextForm,
    cut_to,
    in_roman,
    in_windows,
)
from .texts import COMMENTS, TextKind

P, F, C, E = Rule.PRIMARY, Rule.PRESENT, Rule.COMPATIBLE, Rule.FOLLOWER
ID3, VORBIS, QUICKTIME, PNG = TextKind.ID3, TextKind.VORBIS, TextKind.QUICKTIME, TextKind.PNG
PDF, RIFF, AIFF = TextKind.PDF, TextKind.RIFF, TextKind.AIFF
SVG, JPEG = TextKind.SVG, TextKind.JPEG
_KEYS = "Keys:com.apple.quicktime."
TEXT, ALT, BAG, SEQ = Shape.TEXT, Shape.ALT, Shape.BAG, Shape.SEQ


def _iptc(dataset: int, limit: int, codec: codecs.Codec = codecs.TEXT) -> IptcForm:
    return IptcForm(2000 + dataset, limit, codec)


def _image(
    tag: int,
    rule: Rule,
    kind: exif_values.ExifKind = exif_values.TEXT,
    codec: codecs.Codec = codecs.TEXT,
    *,
    guarded: bool = False,
) -> ExifForm:
    return ExifForm(Ifd.IMAGE, tag, kind, rule, codec, guarded)


def _former(*props: str, codec: codecs.Codec = codecs.TEXT) -> list[XmpForm]:
    """Properties of the first XMP programs, which Adobe's toolkit takes for those of today, whatever these say.

    Others are misspelled by programs of agencies and cameras, and ExifTool takes them for the right ones.
    """
    return [xmp(prop, F, TEXT, codec) for prop in props]


def _place(field: str, prop: str, part: str, iptc: IptcForm, codec: codecs.Codec = codecs.TEXT, *others: Form) -> Field:
    entries = (
        PlaceEntry(name(f"Iptc4xmpExt:{kind}"), name(f"Iptc4xmpExt:{part}"))
        for kind in ("LocationShown", "LocationCreated")
    )
    return Field(field, (xmp(prop, P, TEXT, codec), iptc, *entries, *others))


WIDE, NUMBER = exif_values.WIDE, exif_values.NUMBER
PATH_LISTS = (
    xmp("lr:hierarchicalSubject", P, BAG, keywords.PATHS),
    xmp("digiKam:TagsList", C, SEQ, keywords.SLASHES),
    xmp("MicrosoftPhoto:LastKeywordXMP", C, BAG, keywords.SLASHES),
    xmp("MicrosoftPhoto1:LastKeywordXMP", F, BAG, keywords.SLASHES),
    xmp("MicrosoftPhoto:LastKeywordIPTC", C, BAG, keywords.SLASHES),
    xmp("MicrosoftPhoto1:LastKeywordIPTC", F, BAG, keywords.SLASHES),
    xmp("mediapro:CatalogSets", C, BAG, keywords.PIPES),
    xmp("acdsee:categories", C, TEXT, CATEGORIES),
    KeywordHierarchy(),
)
FLAT_LISTS = (
    xmp("dc:subject", P, BAG, keywords.FLAT),
    xmp("dc:Subject", F, BAG, keywords.FLAT),
    xmp("pdf:Keywords", F, TEXT, keywords.COMMAS),
    IptcKeywords(2025, 64, keywords.FLAT, many=True),
    _image(0x9C9E, F, WIDE, keywords.SEMICOLONS),
    TextForm(ID3, "TXXX:KEYWORDS", F, keywords.SEMICOLONS),
    TextForm(ID3, "APE:Keywords", F, keywords.FLAT, many=True),
    TextForm(VORBIS, "KEYWORDS", P, keywords.FLAT, many=True),
    TextForm(QUICKTIME, f"{_KEYS}keywords", F, keywords.COMMAS),
    TextForm(QUICKTIME, "ilst:keyw", F, keywords.COMMAS),
    TextForm(QUICKTIME, "udta:©key", F, keywords.COMMAS),
    TextForm(QUICKTIME, "udta:kywd", F, cut_to(254, keywords.FLAT), many=True),
    TextForm(PDF, "Keywords", F, keywords.COMMAS),
    TextForm(RIFF, "IKEY", F, in_windows(keywords.SEMICOLONS)),
)

FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field(
            "title",
            (
                xmp("dc:title", P, ALT),
                xmp("acdsee:caption", E),
                *_former("dc:Title", "pdf:Title", "photoshop:Title", "xmp:Title"),
                _iptc(5, 64),
                _image(0x9C9B, F, WIDE),
                _image(0x010D, E),
                TextForm(ID3, "TIT2"),
                TextForm(ID3, "APE:Title"),
                TextForm(ID3, "v1:title", F, LATIN_30),
                TextForm(VORBIS, "TITLE", P),
                TextForm(QUICKTIME, "ilst:©nam"),
                TextForm(QUICKTIME, "udta:©nam"),
                TextForm(QUICKTIME, "udta:titl"),
                TextForm(QUICKTIME, f"{_KEYS}title"),
                TextForm(PNG, "Title"),
                TextForm(PDF, "Title"),
                TextForm(RIFF, "INAM", F, in_windows()),
                TextForm(AIFF, "NAME", F, in_roman()),
                TextForm(SVG, "title", E),
            ),
        ),
        Field("headline", (xmp("photoshop:Headline", P), _iptc(105, 256))),
        Field(
            "description",
            (
                xmp("dc:description", P, ALT),
                xmp("tiff:ImageDescription", F, ALT, guarded=True),
                xmp("exif:UserComment", E, ALT, guarded=True),
                xmp("acdsee:notes", E),
                *_former("dc:Description", "pdf:Subject", "photoshop:Caption", "xmp:Description"),
                _iptc(120, 2000),
                _image(0x010E, F, guarded=True),
                _image(0x9C9C, E, WIDE),
                _image(0x9C9F, E, WIDE),
                ExifForm(Ifd.EXIF, 0x9286, exif_values.COMMENT, E, guarded=True),
                TextForm(ID3, "COMM"),
                TextForm(ID3, "APE:Comment"),
                TextForm(ID3, "v1:comment", E, LATIN_30),
                TextForm(ID3, "v1.1:comment", E, LATIN_28),
                TextForm(VORBIS, "DESCRIPTION", P),
                TextForm(VORBIS, "COMMENT", E),
                TextForm(QUICKTIME, "ilst:desc"),
                TextForm(QUICKTIME, "ilst:©des"),
                TextForm(QUICKTIME, "ilst:ldes", E),
                TextForm(QUICKTIME, "ilst:©cmt", E),
                TextForm(QUICKTIME, "udta:©des"),
                TextForm(QUICKTIME, "udta:dscp"),
                TextForm(QUICKTIME, "udta:©cmt", E),
                TextForm(QUICKTIME, f"{_KEYS}description"),
                TextForm(QUICKTIME, f"{_KEYS}comment", E),
                TextForm(PNG, "Description"),
                TextForm(PNG, "Comment", E),
                TextForm(PDF, "Subject"),
                TextForm(RIFF, "ICMT", F, in_windows()),
                TextForm(AIFF, "ANNO", F, in_roman()),
                TextForm(SVG, "desc", E),
                *(TextForm(JPEG, comment, E) for comment in COMMENTS),
            ),
        ),
        Keywords("keywords", (*PATH_LISTS, *FLAT_LISTS), PATH_LISTS),
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
                IptcForm(2118, 128, codecs.LIST, many=True, rule=E),
            ),
        ),
        Field("event", (xmp("Iptc4xmpExt:Event", P, ALT), xmp("mediapro:Event", E))),
        Field(
            "rating",
            (
                xmp("xmp:Rating", P, TEXT, codecs.RATING),
                _image(0x4746, F, NUMBER, codecs.STARS),
                _image(0x4749, F, NUMBER, codecs.PERCENT),
                xmp("MicrosoftPhoto:Rating", F, TEXT, codecs.PERCENT),
                xmp("MicrosoftPhoto1:Rating", F, TEXT, codecs.PERCENT),
                xmp("acdsee:rating", F, TEXT, codecs.STARS),
                TextForm(ID3, "POPM", F, POPULARITY),
                TextForm(VORBIS, "RATING", P, VORBIS_RATING),
                TextForm(VORBIS, "FMPS_RATING", F, FMPS_RATING),
                TextForm(QUICKTIME, f"{_KEYS}rating.user", F, codecs.STARS),
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
                xmp("dc:Creator", F, SEQ, codecs.LIST),
                xmp("tiff:Artist", F, TEXT, codecs.NAMES),
                xmp("acdsee:author", E, TEXT, codecs.NAMES),
                *_former("pdf:Author", "photoshop:Author", "xmp:Author", codec=codecs.NAMES),
                IptcForm(2080, 32, codecs.LIST, many=True),
                _image(0x013B, F, codec=codecs.NAMES),
                _image(0x9C9D, F, WIDE, codecs.NAMES),
                TextForm(ID3, "TPE1", E, codecs.LIST, many=True),
                TextForm(ID3, "APE:Artist", E, codecs.LIST, many=True),
                xmp("xmpDM:artist", E, TEXT, codecs.NAMES),
                TextForm(VORBIS, "ARTIST", E, codecs.LIST, many=True),
                TextForm(QUICKTIME, "ilst:©ART", E, codecs.NAMES),
                TextForm(QUICKTIME, "udta:©ART", E, codecs.NAMES),
                TextForm(QUICKTIME, "ilst:auth", E, codecs.NAMES),
                TextForm(QUICKTIME, "udta:©aut", E, codecs.NAMES),
                TextForm(QUICKTIME, "udta:auth", E, codecs.NAMES),
                TextForm(QUICKTIME, f"{_KEYS}author", F, codecs.NAMES),
                TextForm(QUICKTIME, f"{_KEYS}artist", E, codecs.NAMES),
                TextForm(PNG, "Author", F, codecs.NAMES),
                TextForm(PDF, "Author", F, codecs.NAMES),
                TextForm(RIFF, "IART", E, in_windows(codecs.NAMES)),
                TextForm(AIFF, "AUTH", E, in_roman(codecs.NAMES)),
            ),
        ),
        Field(
            "copyright",
            (
                xmp("dc:rights", P, ALT),
                xmp("tiff:Copyright", F, ALT),
                *_former("dc:Rights", "photoshop:Copyright", "xmpRights:Copyright"),
                _iptc(116, 128),
                _image(0x8298, F, exif_values.COPYRIGHT),
                TextForm(ID3, "TCOP"),
                TextForm(ID3, "APE:Copyright"),
                TextForm(VORBIS, "COPYRIGHT", P),
                TextForm(QUICKTIME, "ilst:cprt"),
                TextForm(QUICKTIME, "udta:cprt"),
                TextForm(QUICKTIME, "udta:©cpy"),
                TextForm(QUICKTIME, f"{_KEYS}copyright"),
                TextForm(PNG, "Copyright"),
                TextForm(RIFF, "ICOP", F, in_windows()),
                TextForm(AIFF, "(c) ", F, in_roman()),
            ),
        ),
        Field("credit", (xmp("photoshop:Credit", P), _iptc(110, 32))),
        Field("source", (xmp("photoshop:Source", P), _iptc(115, 32))),
        Field("instructions", (xmp("photoshop:Instructions", P), _iptc(40, 256))),
        _place(
            "place.location",
            "Iptc4xmpCore:Location",
            "Sublocation",
            _iptc(92, 32),
            codecs.TEXT,
            TextForm(VORBIS, "LOCATION", E),
        ),
        _place("place.city", "photoshop:City", "City", _iptc(90, 32)),
        _place("place.state", "photoshop:State", "ProvinceState", _iptc(95, 32)),
        _place("place.country", "photoshop:Country", "CountryName", _iptc(101, 64)),
        _place("place.country_code", "Iptc4xmpCore:CountryCode", "CountryCode", _iptc(100, 3, COUNTRY), codecs.CODE),
        Field(
            "gps",
            (
                ExifPosition(),
                XmpPosition(P),
                TextForm(QUICKTIME, f"{_KEYS}location.ISO6709", F, POSITION),
                TextForm(QUICKTIME, "ilst:©xyz", F, POSITION),
                TextForm(QUICKTIME, "udta:©xyz", F, POSITION),
                TextForm(QUICKTIME, "udta:loci", F, COARSE_POSITION),
            ),
        ),
        Field(
            "taken_at",
            (
                ExifDate(0x9003, 0x9291, 0x9011),
                # Some programs put it into the wrong directory too, and others read it there.
                _image(0x9003, F, codec=codecs.EXIF_DATE),
                xmp("photoshop:DateCreated", P, TEXT, codecs.DATE),
                xmp("exif:DateTimeOriginal", F, TEXT, codecs.DATE),
                xmp("xmpDM:shotDate", F, TEXT, codecs.DATE),
                xmp("xmp:CreateDate", E, TEXT, codecs.DATE),
                xmp("exif:DateTimeDigitized", E, TEXT, codecs.DATE),
                IptcDate(2055, 2060),
                IptcDate(2062, 2063, E),
                ExifDate(0x9004, 0x9292, 0x9012, E),
                TextForm(ID3, "TDRC", E, TO_SECONDS),
                TextForm(ID3, "TYER", E, TO_MINUTES),
                TextForm(ID3, "APE:Year", E, TO_SECONDS),
                TextForm(VORBIS, "DATE", E, codecs.DATE),
                TextForm(QUICKTIME, f"{_KEYS}creationdate", F, APPLE_DATE),
                TextForm(QUICKTIME, "ilst:©day", E, APPLE_DATE),
                TextForm(QUICKTIME, "udta:©day", E, APPLE_DATE),
                *(TextForm(QUICKTIME, header, E, MOMENT) for header in ("mvhd", "tkhd", "mdhd")),
                TextForm(PNG, "Creation Time", F, MAIL_DATE),
            ),
        ),
    )
}

IN_IPTC = frozenset(field.name for field in FIELDS.values() if any(form.rule is Rule.BLOCK for form in field.forms))
"""The fields that an IPTC block is to hold."""

_CUSTOM_SHAPES = {CustomForm.LANG_ALT: ALT, CustomForm.BAG: BAG, CustomForm.SEQ: SEQ}
TABLE_PROPERTIES = frozenset(name for field in FIELDS.values() for form in field.forms for name in form.props or ())
"""The XMP properties in which a field is."""


@lru_cache(maxsize=1024)
def _custom(field: str, declared: CustomField) -> Field:
    shape = _CUSTOM_SHAPES.get(declared.form, TEXT)
    codec = custom_forms.codec_of(declared.form)
    return Field(field, (XmpForm(declared.qualified_name(), P, shape, codec, prefix=declared.prefix),))


def properties_of(policy: Policy) -> frozenset[str]:
    """The XMP properties in which a catalog's fields are."""
    return TABLE_PROPERTIES | {declared.qualified_name() for declared in policy.custom_fields.values()}


@lru_cache(maxsize=1024)
def _fields_among(blocks: frozenset[Block | TextKind], names: frozenset[str]) -> Mapping[str, Field]:
    chosen = {key: field.among(blocks, names) for key, field in FIELDS.items()}
    return {key: field for key, field in chosen.items() if field.forms}


def fields_in(metadata: Metadata, policy: Policy) -> Mapping[str, Field]:
    """Like `fields_of`, for reading: with only those forms that could have a value in this home.

    Files of one kind have the same properties, so that the choice is made once for all of them.
    """
    found = _fields_among(metadata.blocks, TABLE_PROPERTIES & metadata.names)
    if not policy.custom_fields:
        return found
    return {**found, **{key: field for key, field in fields_of(policy).items() if key not in FIELDS}}


@lru_cache(maxsize=1024)
def _fields_due(blocks: frozenset[Block | TextKind], names: frozenset[str], *, always: bool) -> Mapping[str, Field]:
    made = {P, Rule.BLOCK, C} if always else {P, Rule.BLOCK}
    return {key: field.among(blocks, names, made) for key, field in FIELDS.items()}


def fields_for_writing(metadata: Metadata, policy: Policy) -> Mapping[str, Field]:
    """Like `fields_of`, with only those forms that are in this home already, or may have to be made there."""
    always = policy.compat_lists is CompatLists.ALWAYS
    found = _fields_due(metadata.blocks, TABLE_PROPERTIES & metadata.names, always=always)
    if not policy.custom_fields:
        return found
    return {**fields_of(policy), **found}


def fields_of(policy: Policy) -> Mapping[str, Field]:
    """All fields of a catalog, its own ones included, by name."""
    if not policy.custom_fields:
        return FIELDS
    own = {CUSTOM + key: _custom(CUSTOM + key, declared) for key, declared in policy.custom_fields.items()}
    return {**FIELDS, **own}
