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
from indelible_server.files.xmp import LIST_LIMIT, SIZE_LIMIT, Packet
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


def title(text: str, prop: str = "dc:title") -> str:
    return f"<{prop}><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></{prop}>"


PLAIN = packet(title("t"), wrapper=False)
SECOND = b"<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'>%s</rdf:Description>"
TWICE = PLAIN.replace(b"</rdf:RDF>", SECOND % b"<dc:title>second</dc:title>" + b"</rdf:RDF>")


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + PLAIN,
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + packet("<dc:title>&a;</dc:title>", wrapper=False),
        packet("<dc:title>" + "<dc:x>" * 300 + "</dc:x>" * 300 + "</dc:title>"),
        packet(title("x" * 11_000_000)),
        packet("x" * (SIZE_LIMIT + 1)),
        packet("").replace(b"</rdf:RDF>", SECOND % b"" * 2000 + b"</rdf:RDF>"),
        packet(title("XX")).replace(b"XX", b"\xff\xfe"),
        packet(title("&#1;")),
        packet(title("&unknown;")),
        PLAIN.replace(b"rdf:RDF", b"rdf:Rdf"),
        PLAIN + PLAIN,
    ],
    ids=range(11),
)
def test_a_packet_that_is_made_to_harm_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(FileProblem):
        Packet.parse(data)


def test_a_list_that_is_no_list_of_words_any_more_is_refused() -> None:
    items = "".join(f"<rdf:li>{number}</rdf:li>" for number in range(LIST_LIMIT + 1))

    with pytest.raises(FileProblem, match="10,000 values"):
        read_tags(parsed(packet(f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>")), Policy())


def test_many_properties_of_strangers_are_no_reason_to_be_slow_or_to_refuse() -> None:
    result = edited(packet("", about=" ".join(f'crs:a{number}="v"' for number in range(20_000))), title="T")

    assert 'crs:a19999="v"' in result


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        b"\0 \n" + PLAIN + b"\0\0",
        packet(title("t")).replace(b'end="w"', b'end="r"'),
        packet(title("t")).decode().encode("utf-16"),
        packet(title("t")).decode().encode("utf-16-le"),
        packet(title("t")).decode().lstrip("\ufeff").encode("utf-16-be"),
        packet(title("t")).decode().encode("utf-32-be"),
        PLAIN.replace(b'<x:xmpmeta xmlns:x="adobe:ns:meta/">', b"").replace(b"</x:xmpmeta>", b""),
        PLAIN.replace(b"x:xmpmeta", b"x:xapmeta"),
        b"<outer><inner>" + PLAIN + b"</inner></outer>",
        PLAIN.replace(b"dc:", b"other:").replace(b"xmlns:dc", b"xmlns:other"),
        PLAIN.replace(b'rdf:about=""', b'about=""'),
        packet("<dc:title>t</dc:title>"),
        packet("", about='dc:title="t"'),
        packet("<dc:title rdf:ID='i'><rdf:Bag><rdf:li>t</rdf:li></rdf:Bag></dc:title>"),
        packet("<dc:title rdf:parseType='Resource'><rdf:value>t</rdf:value></dc:title>"),
        packet("<dc:title><rdf:Description><rdf:value>t</rdf:value></rdf:Description></dc:title>"),
        packet("<dc:title><rdf:Alt><rdf:li rdf:value='t' xml:lang='x-default' xmp:Note='n'/></rdf:Alt></dc:title>"),
        packet(
            "<dc:title><rdf:Alt><rdf:li><rdf:Description rdf:value='t' xmp:Note='n'/></rdf:li></rdf:Alt></dc:title>"
        ),
        packet("<dc:title><rdf:Alt><rdf:li xml:lang='x-default'><!-- a -->t<?b c?></rdf:li></rdf:Alt></dc:title>"),
        packet(title("<![CDATA[t]]>")),
        TWICE,
        packet("<dc:title>second</dc:title>", about='dc:title="t"'),
    ],
    ids=range(24),
)
def test_a_title_is_read_however_it_is_put_and_is_there_once_after_it_was_set(data: bytes) -> None:
    assert read_tags(parsed(data), Policy()) == {"title": "t"}

    result = edited(data, title="new")

    assert result.count("new") == 1
    assert ">t<" not in result
    assert '"t"' not in result
    assert "second" not in result
    assert "xmp:Note" in result or b"xmp:Note" not in data


@pytest.mark.parametrize(
    "item",
    [
        "<rdf:li rdf:parseType='Resource'><rdf:value>Ann</rdf:value><xmp:Note>n</xmp:Note></rdf:li>",
        "<rdf:li><rdf:Description><rdf:value>Ann</rdf:value><xmp:Note>n</xmp:Note></rdf:Description></rdf:li>",
        "<rdf:li rdf:value='Ann' xmp:Note='n'/>",
    ],
)
def test_what_qualifies_an_item_of_a_list_stays_with_it(item: str) -> None:
    data = packet(f"<dc:creator><rdf:Seq>{item}</rdf:Seq></dc:creator>")

    assert read_tags(parsed(data), Policy()) == {"creators": ["Ann"]}
    assert "xmp:Note" in edited(data, creators=["Bob", "Ann"])
    assert "xmp:Note" not in edited(data, creators=["Bob"])


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


@pytest.mark.parametrize(
    ("form", "value", "written", "outside"),
    [
        (CustomForm.TEXT, "free text", "<ex:Job>free text</ex:Job>", None),
        (CustomForm.LANG_ALT, "said", 'xml:lang="x-default">said</rdf:li>', None),
        (CustomForm.SEQ, "first", "<rdf:Seq><rdf:li>first</rdf:li></rdf:Seq>", None),
        (CustomForm.INTEGER, "-12", "<ex:Job>-12</ex:Job>", "twelve"),
        (CustomForm.REAL, "1.50", "<ex:Job>1.50</ex:Job>", "much"),
        (CustomForm.BOOLEAN, "True", "<ex:Job>True</ex:Job>", "maybe"),
        (CustomForm.DATE, "1923-05", "<ex:Job>1923-05</ex:Job>", "long ago"),
    ],
)
def test_each_custom_form_is_written_and_read_as_itself(
    form: CustomForm, value: str, written: str, outside: str | None
) -> None:
    policy = Policy(custom_fields={"job": CustomField("http://example.com/ns/", "ex", "Job", form)})

    assert written in edited(packet(""), policy, **{"custom.job": [value]})
    if outside:
        data = packet("").replace(
            b"</rdf:Description>",
            b"<e:Job xmlns:e='http://example.com/ns/'>%s</e:Job></rdf:Description>" % outside.encode(),
        )
        assert read_tags(parsed(data), policy) == {}
        with pytest.raises(FileProblem, match="declared"):
            edited(packet(""), policy, **{"custom.job": [outside]})


def test_a_custom_field_for_one_value_does_not_take_two() -> None:
    policy = Policy(custom_fields={"job": CustomField("http://example.com/ns/", "ex", "Job")})

    with pytest.raises(FileProblem, match="one value"):
        edited(packet(""), policy, **{"custom.job": ["a", "b"]})


@pytest.mark.parametrize("prefix", ["xmpMM", "mine"])
def test_other_programs_own_properties_are_not_for_custom_fields(prefix: str) -> None:
    entry = {"namespace_uri": "http://ns.adobe.com/xap/1.0/mm/", "prefix": prefix, "property": "DocumentID"}

    with pytest.raises(ValueError, match="not for custom fields"):
        Policy.from_json({"custom_fields": {"job": entry}})


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
