import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from indelible.v1 import tags_pb2
from indelible_client.assignments import FIELDS, AssignmentError, edits


def one_line(edit: tags_pb2.Edit) -> str:
    return text_format.MessageToString(edit, as_one_line=True, as_utf8=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"set": ["title=Rome = home"]}, 'set { tags { title: "Rome = home" } }'),
        ({"set": ["rating=-1", "flag=1"]}, "set { tags { rating: -1 flag: 1 } }"),
        ({"set": ["keywords=a; b|c ;"]}, 'set { tags { keywords: "a" keywords: "b|c" } }'),
        ({"set": ["place.city=Rome"]}, 'set { tags { place { city: "Rome" } } }'),
        ({"set": ["gps=41.9,12.5"]}, "set { tags { gps { lat: 41.9 lon: 12.5 } } }"),
        ({"set": ["gps=41.9,-12.5,0"]}, "set { tags { gps { lat: 41.9 lon: -12.5 alt: 0.0 } } }"),
        ({"set": ["taken_at=1923-05"]}, 'set { tags { taken_at: "1923-05" } }'),
        (
            {"set": ["custom.usage_terms=x;y"]},
            'set { tags { custom { key: "usage_terms" value { values: "x" values: "y" } } } }',
        ),
        ({"clear": ["title", "place"]}, 'clear { fields: "title" fields: "place" }'),
        ({"add": ["keywords=a;b", "keywords=c"]}, 'add { field: "keywords" values: "a;b" values: "c" }'),
        ({"add": ["custom.scene=012300"]}, 'add { field: "custom.scene" values: "012300" }'),
        ({"remove": ["people=Anna"]}, 'remove { field: "people" values: "Anna" }'),
        (
            {"replace": ["keywords=Animals|Cat=Fauna|Cat"]},
            'replace { field: "keywords" from: "Animals|Cat" to: "Fauna|Cat" subtree: true }',
        ),
        ({"replace": ["people=Ana=Anna"]}, 'replace { field: "people" from: "Ana" to: "Anna" }'),
        ({"shift": ["taken_at=+1:30"]}, 'shift { field: "taken_at" by { seconds: 5400 } }'),
        ({"shift": ["taken_at=-00:00:05"]}, 'shift { field: "taken_at" by { seconds: -5 } }'),
        ({"shift": ["taken_at=-2d"]}, 'shift { field: "taken_at" by { seconds: -172800 } }'),
        ({"shift": ["taken_at=+3h"]}, 'shift { field: "taken_at" by { seconds: 10800 } }'),
    ],
)
def test_an_assignment_becomes_its_edit(options: dict[str, list[str]], expected: str) -> None:
    [edit] = edits(**options)

    assert one_line(edit) == expected


def test_edits_come_in_the_order_that_the_help_names_and_sets_become_one() -> None:
    found = edits(
        shift=["taken_at=+1d"],
        add=["keywords=a", "people=b"],
        remove=["keywords=c"],
        replace=["title=x=y"],
        set=["title=t", "rating=3"],
        clear=["event"],
    )

    assert [edit.WhichOneof("kind") for edit in found] == [
        "clear",
        "set",
        "replace",
        "remove",
        "add",
        "add",
        "shift",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"set": ["titel=x"]}, 'no field "titel"; the fields are: title, headline'),
        ({"set": ["custom.=x"]}, "no field"),
        ({"set": ["place=x"]}, "no field"),
        ({"set": ["title"]}, "FIELD=VALUE"),
        ({"set": ["title="]}, "--clear title"),
        ({"set": ["keywords=;"]}, "--clear keywords"),
        ({"set": ["title=a", "title=b"]}, "set twice"),
        ({"set": ["rating=many"]}, "whole number"),
        ({"set": ["gps=41.9"]}, "LAT,LON"),
        ({"set": ["gps=1,2,3,4"]}, "LAT,LON"),
        ({"add": ["title=x"]}, "not a list"),
        ({"add": ["keywords="]}, "no value"),
        ({"replace": ["keywords=a"]}, "FIELD=FROM=TO"),
        ({"replace": ["rating=1=2"]}, "--set rating"),
        ({"clear": ["nothing"]}, "no field"),
        ({"shift": ["title=+1d"]}, "taken_at"),
        ({"shift": ["taken_at=1:30"]}, "±HH:MM"),
        ({"shift": ["taken_at=+0h"]}, "changes nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_what_would(options: dict[str, list[str]], words: str) -> None:
    with pytest.raises(AssignmentError, match=words.replace("|", r"\|")):
        edits(**options)


def test_every_field_of_the_contract_has_a_name_here() -> None:
    names = set()
    for field in tags_pb2.Tags.DESCRIPTOR.fields:
        if field.name == "place":
            names |= {f"place.{nested.name}" for nested in field.message_type.fields}
        elif field.name == "custom":
            names.add("custom.NAME")
        else:
            assert field.type != FieldDescriptor.TYPE_MESSAGE or field.name == "gps"
            names.add(field.name)

    assert set(FIELDS) == names
