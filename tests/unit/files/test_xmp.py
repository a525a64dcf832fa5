"""XMP: unknown properties survive, forms follow their rules, what is written is what is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indelible_server.files.forms import Metadata
from indelible_server.files.metadata import read_tags, stale_fields, write_tags
from indelible_server.files.policy import CustomField, CustomForm, FlatForm, Policy
from indelible_server.files.problems import FileProblem
from indelible_server.files.tags import Tags, difference
from indelible_server.files.xmp import Packet
from unit.files.library import packet

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip)
WORD = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
NAMES = st.lists(TEXT.filter(lambda text: ";" not in text), min_size=1, max_size=4, unique_by=str.strip)
DATES = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}".format,
    *(st.integers(a, b) for a, b in ((1, 9999), (1, 12), (1, 28), (0, 23), (0, 59), (0, 59))),
    st.sampled_from(["", ".5", ".123456789"]),
    st.sampled_from(["", "Z", "+02:00", "-11:30"]),
)
GPS = st.fixed_dictionaries(
    {"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}, optional={"alt": st.floats(-11_000, 9_000)}
)
TAGS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("title", "headline", "description", "event", "label", "copyright", "credit"), TEXT),
        **{f"place.{part}": TEXT for part in ("location", "city", "state", "country")},
        "place.country_code": st.sampled_from(["ITA", "DE"]),
        "keywords": st.lists(st.lists(WORD, min_size=1, max_size=3).map("|".join), min_size=1, max_size=5),
        "people": NAMES,
        "creators": NAMES,
        "rating": st.integers(-1, 5),
        "flag": st.sampled_from([-1, 0, 1]),
        "gps": GPS,
        "taken_at": st.one_of(DATES, st.sampled_from(["1923", "1923-05", "1923-05-06"])),
    },
)


def parsed(data: bytes) -> Metadata:
    return Metadata(Packet.parse(data))


def edited(data: bytes, policy: Policy | None = None, **changes: Any) -> str:
    """The packet after these changes of its tags."""
    policy = policy or Policy()
    metadata = parsed(data)
    old = read_tags(metadata, policy)
    new = {field: value for field, value in (old | changes).items() if value is not None}
    write_tags(metadata, old, new, difference(old, new), policy)
    result = metadata.packet().to_packet()
    again = parsed(result)
    assert not difference(read_tags(again, policy), new)
    assert not stale_fields(again, read_tags(again, policy), policy) & changes.keys()
    return result.decode()


@settings(max_examples=200, deadline=None)
@given(TAGS, TAGS)
def test_what_is_written_is_what_is_read(first: Tags, second: Tags) -> None:
    policy = Policy()
    metadata = Metadata()

    write_tags(metadata, {}, first, difference({}, first), policy)
    metadata = parsed(metadata.packet().to_packet())
    assert not difference(read_tags(metadata, policy), first)

    old = read_tags(metadata, policy)
    write_tags(metadata, old, second, difference(old, second), policy)
    metadata = parsed(metadata.packet().to_packet())
    assert not difference(read_tags(metadata, policy), second)
    assert not stale_fields(metadata, second, policy)


@given(st.binary(max_size=400))
def test_hostile_packets_are_refused_with_a_reason(noise: bytes) -> None:
    for data in (noise, b"<?xpacket begin='' id=''?>" + noise, packet("<dc:title>")[:-40] + noise):
        with pytest.raises(FileProblem):
            Packet.parse(data)


def test_entities_are_never_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + packet("&b;", wrapper=False)

    with pytest.raises(FileProblem):
        Packet.parse(bomb)


def test_unknown_properties_other_languages_and_qualifiers_survive() -> None:
    data = packet(
        "<crs:Settings rdf:parseType='Resource'><crs:Exposure>+1</crs:Exposure></crs:Settings>"
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li><rdf:li xml:lang='de'>alt</rdf:li>"
        "<rdf:li xml:lang='en'>old</rdf:li></rdf:Alt></dc:title>"
        "<dc:subject><rdf:Bag><rdf:li xml:lang='en'>kept</rdf:li></rdf:Bag></dc:subject>",
        about='crs:Version="1"',
    )

    result = edited(data, title="new", keywords=["kept", "more"])

    assert "<crs:Exposure>+1</crs:Exposure>" in result
    assert 'crs:Version="1"' in result
    assert '<rdf:li xml:lang="x-default">new</rdf:li>' in result
    assert '<rdf:li xml:lang="de">alt</rdf:li>' in result
    assert '<rdf:li xml:lang="en">new</rdf:li>' in result
    assert '<rdf:li xml:lang="en">kept</rdf:li>' in result


def test_attributes_stay_attributes() -> None:
    assert 'xmp:Rating="5"' in edited(packet("", about='xmp:Rating="2"'), rating=5)


def test_a_seq_where_a_bag_is_due_is_read_and_corrected_when_written() -> None:
    data = packet("<lr:hierarchicalSubject><rdf:Seq><rdf:li>A|B</rdf:li></rdf:Seq></lr:hierarchicalSubject>")

    assert read_tags(parsed(data), Policy()) == {"keywords": ["A|B"]}
    assert "<rdf:Seq>" in edited(data, title="T")
    assert "<rdf:Seq>" not in edited(data, keywords=["A|B", "A|C"])


def test_forms_that_are_there_follow_and_others_are_not_made() -> None:
    data = packet(
        "<tiff:ImageDescription><rdf:Alt><rdf:li xml:lang='x-default'>old</rdf:li></rdf:Alt></tiff:ImageDescription>"
        "<digiKam:TagsList><rdf:Seq><rdf:li>A/B</rdf:li></rdf:Seq></digiKam:TagsList>",
        about='MicrosoftPhoto:Rating="25"',
    )

    result = edited(data, description="new", rating=4, keywords=["A|B", "C"])

    assert result.count(">new<") == 2
    assert 'MicrosoftPhoto:Rating="75"' in result
    assert "<rdf:li>A/B</rdf:li><rdf:li>C</rdf:li>" in result
    assert "acdsee" not in result
    assert "LastKeyword" not in result


def test_a_form_that_cannot_hold_the_value_is_removed() -> None:
    assert "MicrosoftPhoto:Rating" not in edited(packet("", about='MicrosoftPhoto:Rating="25"'), rating=-1)


def test_structure_that_only_looks_like_a_caption_is_left_alone() -> None:
    data = packet('<tiff:ImageDescription>{"a": 1}</tiff:ImageDescription>')

    assert read_tags(parsed(data), Policy()) == {}
    assert '<tiff:ImageDescription>{"a": 1}</tiff:ImageDescription>' in edited(data, description="new")


def keywords_packet(paths: list[str], flat: list[str]) -> bytes:
    def bag(prop: str, values: list[str]) -> str:
        return f"<{prop}><rdf:Bag>{''.join(f'<rdf:li>{value}</rdf:li>' for value in values)}</rdf:Bag></{prop}>"

    return packet(bag("lr:hierarchicalSubject", paths) + bag("dc:subject", flat))


def flat_list(result: str) -> list[str]:
    return Packet.parse(result.encode()).items("{http://purl.org/dc/elements/1.1/}subject") or []


def test_flat_keywords_hold_the_leaves_by_default() -> None:
    assert flat_list(edited(packet(""), keywords=["Animal|Dog", "red"])) == ["Dog", "red"]


@pytest.mark.parametrize(
    ("form", "flat"), [(FlatForm.ALL_LEVELS, ["Animal", "Dog", "red"]), (FlatForm.FULL_PATH, ["Animal|Dog", "red"])]
)
def test_flat_keywords_take_the_form_of_the_policy(form: FlatForm, flat: list[str]) -> None:
    assert flat_list(edited(packet(""), Policy(flat_form=form), keywords=["Animal|Dog", "red"])) == flat


def test_a_file_that_holds_all_levels_keeps_that_habit() -> None:
    data = keywords_packet(["Animal|Dog"], ["Animal", "Dog"])

    assert flat_list(edited(data, keywords=["Animal|Dog", "Plant|Rose"])) == ["Animal", "Dog", "Plant", "Rose"]


def test_a_word_that_becomes_a_path_is_not_stale() -> None:
    assert flat_list(edited(keywords_packet([], ["Animal"]), keywords=["Animal|Dog"])) == ["Animal", "Dog"]


def test_removing_a_path_removes_the_levels_that_nothing_needs() -> None:
    data = keywords_packet(["Animal|Dog", "Animal|Cat"], ["Animal", "Dog", "Cat", "red"])

    assert flat_list(edited(data, keywords=["Animal|Cat", "red"])) == ["Animal", "Cat", "red"]
    assert flat_list(edited(data, keywords=["red"])) == ["red"]


def test_private_keywords_are_neither_shown_nor_removed() -> None:
    policy = Policy(private_keywords=("darktable|*",))
    data = keywords_packet(["darktable|format|jpg", "A|B"], ["darktable", "format", "jpg", "A", "B"])

    assert read_tags(parsed(data), policy) == {"keywords": ["A|B"]}
    result = edited(data, policy, keywords=["C"])
    assert "<rdf:li>darktable|format|jpg</rdf:li>" in result
    assert set(flat_list(result)) == {"C", "darktable", "format", "jpg"}


def test_a_name_goes_from_its_region_with_the_person_and_the_area_stays() -> None:
    data = packet(
        "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
        "<rdf:li><rdf:Description mwg-rs:Name='Ann' mwg-rs:Type='Face'/></rdf:li>"
        "<rdf:li><rdf:Description mwg-rs:Name='Bob' mwg-rs:Type='Face'/></rdf:li>"
        "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )

    assert read_tags(parsed(data), Policy()) == {"people": ["Ann", "Bob"]}
    removed = edited(data, people=["Bob"])
    assert "Ann" not in removed
    assert removed.count("mwg-rs:Type") == 2
    assert 'mwg-rs:Name="Anna"' in edited(data, people=["Anna", "Bob"])


def test_a_custom_field_is_written_as_declared() -> None:
    declared = CustomField("http://example.com/ns/", "ex", "Job", CustomForm.BAG)
    policy = Policy(custom_fields={"job": declared})

    result = edited(packet(""), policy, **{"custom.job": ["a", "b"]})

    assert 'xmlns:ex="http://example.com/ns/"' in result
    assert "<ex:Job><rdf:Bag>" in result


def test_text_that_xml_cannot_carry_is_cleaned_the_same_way_everywhere() -> None:
    assert ">ab<" in edited(packet(""), title="a\x00b\x0b")


def test_the_policy_survives_json() -> None:
    policy = Policy(
        flat_form=FlatForm.ALL_LEVELS,
        excluded_fields=frozenset({"flag"}),
        custom_fields={"job": CustomField("http://example.com/ns/", "ex", "Job")},
    )

    assert Policy.from_json(policy.to_json()) == policy
    assert Policy.from_json({}) == Policy()
    with pytest.raises(ValueError, match="conflicts"):
        Policy.from_json({"conflicts": "MAYBE"})


def test_a_new_node_names_its_subject_as_the_others_do() -> None:
    old = packet("", about='about="uuid:1"').replace(b'rdf:about="" ', b"")

    parsed = Packet.parse(old)
    parsed.set_text("{http://ns.adobe.com/xap/1.0/}Label", "x")

    assert parsed.to_packet().count(b' about="uuid:1"') == 2
    assert b"rdf:about" not in parsed.to_packet()
