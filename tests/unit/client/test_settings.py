import pytest
from google.protobuf import text_format
from indelible.v1 import catalog_pb2
from indelible_client.assignments import AssignmentError
from indelible_client.settings import change


@pytest.mark.parametrize(
    ("assignment", "field", "expected"),
    [
        ("name=New", "name", 'name: "New"'),
        ("description=", "description", ""),
        ("quiet_period=500ms", "quiet_period", "quiet_period { nanos: 500000000 }"),
        ("policy.conflicts=hold", "policy.conflicts", "policy { conflicts: CONFLICT_POLICY_HOLD }"),
        ("policy.write_mode=REPLACE", "policy.write_mode", "policy { write_mode: WRITE_MODE_REPLACE }"),
        ("policy.preserve_mtime=true", "policy.preserve_mtime", "policy { preserve_mtime: true }"),
        (
            "policy.excluded_fields=people, gps",
            "policy.excluded_fields",
            'policy { excluded_fields: "people" excluded_fields: "gps" }',
        ),
        (
            "policy.label_map=Winner:red",
            "policy.label_map",
            'policy { label_map { key: "Winner" value: "red" } }',
        ),
        (
            "policy.formats=cr2+nef:sidecar",
            "policy.formats",
            'policy { formats { formats: "cr2" formats: "nef" mode: FORMAT_MODE_SIDECAR } }',
        ),
        ("root=+/photos", "roots", 'roots { path: "/photos" }'),
        ("read_only_root=+/photos", "roots", 'roots { path: "/photos" read_only: true }'),
        ("custom_field=+usage_terms", "custom_fields", 'custom_fields { name: "usage_terms" }'),
        (
            "schedule=sat-mon 22:00-06:00",
            "schedule",
            """schedule { windows { days: WEEKDAY_SATURDAY days: WEEKDAY_SUNDAY days: WEEKDAY_MONDAY
            start: "22:00" end: "06:00" } }""",
        ),
        ("schedule.time_zone=Europe/Rome", "schedule", 'schedule { time_zone: "Europe/Rome" }'),
        ("budget.items_per_minute=60", "budget", "budget { items_per_minute: 60 }"),
        ("budget.bytes_per_second=20M", "budget", "budget { bytes_per_second: 20000000 }"),
    ],
)
def test_a_setting_becomes_its_field_and_its_mask(assignment: str, field: str, expected: str) -> None:
    catalog = catalog_pb2.Catalog()

    assert change(catalog, assignment) == field

    assert text_format.MessageToString(catalog, as_one_line=True) == " ".join(expected.split())


def test_a_root_is_removed_by_its_id() -> None:
    catalog = catalog_pb2.Catalog(roots=[catalog_pb2.Root(id="9b1d"), catalog_pb2.Root(id="77c0")])

    change(catalog, "root=-9b1d")

    assert [root.id for root in catalog.roots] == ["77c0"]


def test_a_root_has_a_budget_of_its_own() -> None:
    catalog = catalog_pb2.Catalog(roots=[catalog_pb2.Root(id="9b1d"), catalog_pb2.Root(id="77c0")])

    assert change(catalog, "root.77c0.items_per_minute=60") == "roots"

    assert [root.budget.items_per_minute for root in catalog.roots] == [0, 60]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("policy.conflict=hold", "the settings are: name"),
        ("name", "KEY=VALUE"),
        ("auto_sync=on", "no setting"),
        ("quiet_period=soon", "2s"),
        ("policy.conflicts=me", "catalog_wins, file_wins, hold"),
        ("policy.preserve_mtime=1", "true or false"),
        ("budget.items_per_minute=-1", "whole number"),
        ("budget.bytes_per_second=fast", "like 500k, 20M or 1G"),
        ("root.9b1d.bytes_per_second=20M", "no root is there"),
        ("root=-9b1d", r"\+PATH"),
        ("schedule=at night", "mon-fri 22:00-06:00"),
        ("schedule=someday 10:00-11:00", "a day is one of"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(assignment: str, words: str) -> None:
    with pytest.raises(AssignmentError, match=words):
        change(catalog_pb2.Catalog(), assignment)
