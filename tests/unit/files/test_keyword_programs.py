"""Keywords as other programs write them: each program's lists follow what is added, removed and renamed."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from indelible_server.files.forms import Metadata
from indelible_server.files.metadata import read_tags, stale_fields, write_tags
from indelible_server.files.namespaces import name
from indelible_server.files.policy import CompatLists, Policy
from indelible_server.files.tags import SEPARATOR, same
from indelible_server.files.xmp import Packet
from unit.files.library import packet

BEFORE = ["Animal|Dog", "Animal|Fox", "Home|Dog", "red"]
EDITS = {
    "nothing": BEFORE,
    "added": [*BEFORE, "Plant|Rose", "blue"],
    "removed": ["Animal|Dog", "Animal|Fox", "Home|Dog"],
    "leaf renamed": ["Animal|Dog", "Animal|Wolf", "Home|Dog", "red"],
    "parent renamed": ["Beast|Dog", "Beast|Fox", "Home|Dog", "red"],
    "one of two that share a leaf removed": ["Animal|Fox", "Home|Dog", "red"],
    "both that share a leaf removed": ["Animal|Fox", "red"],
}
LEAVES = ["Dog", "Fox", "red"]
ALL_LEVELS = ["Animal", "Dog", "Fox", "Home", "red"]


def listed(prop: str, values: list[str], array: str = "Bag") -> str:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<{prop}><rdf:{array}>{items}</rdf:{array}></{prop}>"


def slashes(keywords: list[str]) -> list[str]:
    return [keyword.replace("|", "/") for keyword in keywords]


def acdsee(tree: dict[str, dict]) -> str:  # type: ignore[type-arg] # a tree of any depth
    def categories(below: dict[str, dict]) -> str:  # type: ignore[type-arg] # a tree of any depth
        return "".join(
            f'<Category Assigned="{int(not deeper)}">{label}{categories(deeper)}</Category>'
            for label, deeper in below.items()
        )

    return f"<acdsee:categories>{escape(f'<Categories>{categories(tree)}</Categories>')}</acdsee:categories>"


def hierarchy(tree: dict[str, dict]) -> str:  # type: ignore[type-arg] # a tree of any depth
    def below(part: dict[str, dict]) -> str:  # type: ignore[type-arg] # a tree of any depth
        items = "".join(
            f"<rdf:li rdf:parseType='Resource'><mwg-kw:Keyword>{label}</mwg-kw:Keyword>"
            + (f"<mwg-kw:Children>{below(deeper)}</mwg-kw:Children>" if deeper else "")
            + "</rdf:li>"
            for label, deeper in part.items()
        )
        return f"<rdf:Bag>{items}</rdf:Bag>"

    inner = f"<mwg-kw:Hierarchy>{below(tree)}</mwg-kw:Hierarchy>"
    return f"<mwg-kw:Keywords rdf:parseType='Resource'>{inner}</mwg-kw:Keywords>"


TREE: dict[str, dict] = {"Animal": {"Dog": {}, "Fox": {}}, "Home": {"Dog": {}}, "red": {}}  # type: ignore[type-arg] # as above
PROGRAMS = {
    "Lightroom, leaves": listed("lr:hierarchicalSubject", BEFORE) + listed("dc:subject", LEAVES),
    "Lightroom, all levels": listed("lr:hierarchicalSubject", BEFORE) + listed("dc:subject", ALL_LEVELS),
    "digiKam": listed("digiKam:TagsList", slashes(BEFORE), "Seq")
    + listed("MicrosoftPhoto:LastKeywordXMP", slashes(BEFORE))
    + listed("lr:hierarchicalSubject", BEFORE)
    + listed("mediapro:CatalogSets", BEFORE)
    + listed("dc:subject", LEAVES)
    + acdsee(TREE),
    "darktable": listed("dc:subject", ALL_LEVELS, "Seq") + listed("lr:hierarchicalSubject", BEFORE, "Seq"),
    "Windows": listed("dc:subject", slashes(BEFORE)) + listed("MicrosoftPhoto:LastKeywordXMP", slashes(BEFORE)),
    "ACDSee": acdsee(TREE) + listed("dc:subject", LEAVES),
    "MWG": hierarchy(TREE) + listed("dc:subject", LEAVES),
}
VENDORS = (
    "digiKam:TagsList",
    "MicrosoftPhoto:LastKeywordXMP",
    "MicrosoftPhoto:LastKeywordIPTC",
    "mediapro:CatalogSets",
    "acdsee:categories",
    "mwg-kw:Keywords",
)


def parsed(data: bytes) -> Metadata:
    return Metadata(Packet.parse(data))


def edited(data: bytes, keywords: list[str], policy: Policy) -> Metadata:
    metadata = parsed(data)
    old = read_tags(metadata, policy)
    write_tags(metadata, old, {"keywords": keywords} if keywords else {}, ["keywords"], policy)
    return parsed(metadata.packet().to_packet())


def forms(metadata: Metadata) -> dict[str, list[str]]:
    """Every list of keywords, as a program reads it, by its property."""
    found = {prop: metadata.xmp.items(name(prop)) for prop in (*VENDORS, "lr:hierarchicalSubject", "dc:subject")}  # type: ignore[union-attr] # it was parsed
    return {prop: items for prop, items in found.items() if items is not None}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("edit", EDITS)
def test_the_lists_of_every_program_follow_every_edit(program: str, edit: str) -> None:
    data, wanted = packet(PROGRAMS[program]), EDITS[edit]
    assert same("keywords", read_tags(parsed(data), Policy())["keywords"], BEFORE)

    after = edited(data, wanted, Policy())

    read = read_tags(after, Policy())["keywords"]
    assert sorted(map(str.casefold, read)) == sorted(map(str.casefold, wanted))
    assert not stale_fields(after, {"keywords": read}, Policy())
    assert after.names & {name(vendor) for vendor in VENDORS} == parsed(data).names & {name(one) for one in VENDORS}
    gone = {level for path in BEFORE for level in path.split(SEPARATOR)}
    gone -= {level for path in wanted for level in path.split(SEPARATOR)}
    text = str(forms(after))
    assert not [level for level in gone if level in text]


@pytest.mark.parametrize(("program", "flat"), [("Lightroom, leaves", LEAVES), ("Lightroom, all levels", ALL_LEVELS)])
def test_the_habit_of_the_flat_list_is_kept(program: str, flat: list[str]) -> None:
    after = edited(packet(PROGRAMS[program]), [*BEFORE, "Plant|Rose"], Policy())

    new = ["Plant", "Rose"] if flat is ALL_LEVELS else ["Rose"]
    assert set(forms(after)["dc:subject"]) == {*flat, *new}


@pytest.mark.parametrize("program", ["ACDSee", "MWG"])
def test_vocabulary_that_is_not_assigned_stays_and_is_no_keyword(program: str) -> None:
    text = PROGRAMS[program]
    if program == "ACDSee":
        text = text.replace(escape("</Categories>"), escape('<Category Assigned="0">unused</Category></Categories>'))
    else:
        unused = "<rdf:li mwg-kw:Keyword='unused' mwg-kw:Applied='False'/></rdf:Bag></mwg-kw:Hierarchy>"
        text = text.replace("</rdf:Bag></mwg-kw:Hierarchy>", unused)
    assert "unused" not in read_tags(parsed(packet(text)), Policy())["keywords"]

    after = edited(packet(text), ["Animal|Dog"], Policy())

    assert read_tags(after, Policy()) == {"keywords": ["Animal|Dog"]}
    assert b"unused" in after.packet().to_packet()
    assert b"Fox<" not in after.packet().to_packet()


def test_microsofts_properties_count_in_its_namespace_without_the_last_slash_too() -> None:
    data = packet(listed("MicrosoftPhoto1:LastKeywordXMP", ["A/B"]), about='MicrosoftPhoto1:Rating="75"')
    assert read_tags(parsed(data), Policy()) == {"keywords": ["A|B"], "rating": 4}

    after = edited(data, ["A|C"], Policy(compat_lists=CompatLists.IF_PRESENT))

    assert after.xmp is not None
    assert after.xmp.items(name("MicrosoftPhoto1:LastKeywordXMP")) == ["A/C"]
    assert not stale_fields(after, {"keywords": ["A|C"], "rating": 4}, Policy())


@pytest.mark.parametrize("lists", CompatLists)
def test_the_policy_says_which_programs_get_their_lists(lists: CompatLists) -> None:
    policy = Policy(compat_lists=lists)
    data = packet(listed("digiKam:TagsList", ["A/B"], "Seq") + listed("lr:hierarchicalSubject", ["A|B"]))

    after = edited(data, ["A|B", "A|C", "red"], policy)

    present = {vendor for vendor in VENDORS if name(vendor) in after.names}
    expected = {CompatLists.IF_PRESENT: {VENDORS[0]}, CompatLists.ALWAYS: set(VENDORS), CompatLists.REMOVE: set()}
    assert present == expected[lists]
    assert read_tags(after, policy) == {"keywords": ["A|B", "A|C", "red"]}
    assert not stale_fields(after, read_tags(after, policy), policy)
    assert not {name(vendor) for vendor in VENDORS} & edited(after.packet().to_packet(), [], policy).names


def test_a_text_that_is_no_tree_of_categories_is_no_keyword_and_is_replaced() -> None:
    for broken in ("<Categories><Category", "<!DOCTYPE a [<!ENTITY e 'x'>]><Categories>&e;</Categories>", "words"):
        data = packet(f"<acdsee:categories>{escape(broken)}</acdsee:categories>")
        assert read_tags(parsed(data), Policy()) == {}
        assert "Rose" in forms(edited(data, ["Plant|Rose"], Policy()))["acdsee:categories"][0]


WORDS = st.text(st.sampled_from("abAB/<&'\" é"), min_size=1, max_size=5).filter(str.strip)
KEYWORDS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(SEPARATOR.join), max_size=6)


@settings(max_examples=150, deadline=None)
@given(KEYWORDS, KEYWORDS)
@example(["a|b", "a/b"], ["a/b"])
def test_any_keywords_can_be_written_into_every_list(first: list[str], second: list[str]) -> None:
    policy = Policy(compat_lists=CompatLists.ALWAYS)
    data = packet("")
    for keywords in (first, second):
        after = edited(data, keywords, policy)
        assert same("keywords", read_tags(after, policy).get("keywords"), keywords)
        assert not stale_fields(after, read_tags(after, policy), policy)
        data = after.packet().to_packet()
