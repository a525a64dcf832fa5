"""The command line as a whole: arguments, exit codes, refusals, settings."""

from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from indelible.v1 import (
    catalog_pb2,
    catalog_service_pb2,
    error_reason_pb2,
    item_service_pb2,
    remote_service_pb2,
)
from indelible_client.cli import refusals
from unit.client.conftest import Indelible, run_program
from unit.client.fake_server import FakeServer, abort


def test_json_has_one_object_a_line_with_all_fields_zeros_too(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=3, last_revision=7))

    ended = indelible("tag", "Archive", "a.jpg", "--set", "rating=3", "--json")

    assert ended.exit_code == 0
    assert ended.objects == [{"first_revision": "0", "last_revision": "7", "matched": 3, "changed": 0}]
    assert ended.stderr == ""


def test_several_sets_are_one_edit_of_the_selection(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=3, changed=2))

    ended = indelible(
        "tag", "Archive", "2024/*", "b.jpg", "--set", "rating=3", "--set", "title=T", "--add", "keywords=x"
    )

    [request] = server.named("EditTags")
    assert list(request.selection.path_globs.globs) == ["2024/*", "b.jpg"]
    assert [edit.WhichOneof("kind") for edit in request.edits] == ["set", "add"]
    assert ended.stdout == "changed 2 of 3 items\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tag", "Archive", "--set", "rating=3"),
        ("tag", "Archive", "a.jpg"),
        ("tag", "Archive", "a.jpg", "--all", "--set", "rating=3"),
        ("tag", "Archive", "a.jpg", "--set", "ratnig=3"),
        ("catalog", "set", "Archive"),
        ("catalog", "delete", "Archive"),
        ("hold", "Archive"),
        ("undo", "Archive"),
        ("resolve", "Archive", "--all"),
        ("items", "Archive", "--failed", "--held"),
        ("items", "Archive", "--nonsense"),
        ("nonsense",),
    ],
)
def test_wrong_use_ends_with_2_and_calls_nothing(
    server: FakeServer, indelible: Indelible, arguments: tuple[str, ...]
) -> None:
    ended = indelible(*arguments)

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr
    assert not server.calls


def test_the_common_options_may_come_before_the_command(server: FakeServer, indelible: Indelible) -> None:
    server.gives(EditTags=item_service_pb2.EditTagsResponse(matched=1))

    ended = indelible("--json", "--token", "t0ken", "tag", "Archive", "--all", "--clear", "title")

    assert ended.objects[0]["matched"] == 1
    assert server.calls[0].metadata["authorization"] == "Bearer t0ken"


def test_a_refusal_ends_with_3_and_says_what_to_do_next(server: FakeServer, indelible: Indelible) -> None:
    server.answers["GetCatalog"] = lambda request, context: abort(
        context, grpc.StatusCode.NOT_FOUND, "CATALOG_NOT_FOUND", "there is no catalog Archiv", catalog="Archiv"
    )

    ended = indelible("catalog", "show", "Archiv")

    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert ended.stderr == ("indelible: there is no catalog Archiv\n`indelible catalog list` shows the catalogs.\n")


def test_a_refusal_is_an_object_under_json(server: FakeServer, indelible: Indelible) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="edits[0].set.tags.rating", description="-1 to 5")
    server.answers["EditTags"] = lambda request, context: abort(
        context,
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        "rating can't be 9",
        error_details_pb2.BadRequest(field_violations=[violation]),
        error_details_pb2.RequestInfo(request_id="r-1"),
    )

    ended = indelible("tag", "Archive", "--all", "--set", "rating=9", "--json")

    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert ended.error == {
        "status": "INVALID_ARGUMENT",
        "reason": "INVALID_FIELD",
        "message": "rating can't be 9; edits[0].set.tags.rating: -1 to 5",
        "field": "edits[0].set.tags.rating",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("rescan", "Archive"),
        ("verify", "Archive"),
        ("conflicts", "Archive"),
        ("resolve", "Archive", "--all", "--catalog"),
        ("hold", "Archive", "*"),
        ("release", "Archive", "*"),
        ("history", "Archive", "a.jpg"),
        ("undo", "Archive", "--run", "7ac2"),
        ("job", "list"),
        ("job", "cancel", "52e8"),
        ("sync", "preview", "Archive"),
        ("sync", "retry", "Archive"),
        ("remote", "add", "Archive", "agency", "--kind", "esp", "--option", "username=me"),
        ("remote", "list"),
        ("remote", "show", "agency"),
        ("remote", "test", "agency"),
        ("remote", "files", "agency"),
        ("remote", "tag", "agency", "--all", "--set", "title=T"),
        ("remote", "remove", "agency", "--yes"),
        ("pull", "start", "agency"),
        ("pull", "watch", "agency"),
        ("batches", "agency"),
        ("reviews", "agency", "--since-last-pull"),
    ],
)
def test_what_the_server_cannot_do_yet_is_refused_in_plain_words(
    indelible: Indelible, arguments: tuple[str, ...]
) -> None:
    ended = indelible(*arguments, "--json")

    assert ended.exit_code == 3
    assert ended.error["reason"] == "NOT_YET_AVAILABLE"
    assert "not available yet" in ended.error["message"]


def test_a_server_that_is_not_there_ends_with_3_and_names_the_address(server: FakeServer, indelible: Indelible) -> None:
    server.stop()

    ended = indelible("status", "Archive")

    assert ended.exit_code == 3
    assert server.address in ended.stderr
    assert "indelibled serve" in ended.stderr
    assert "INDELIBLE_SERVER" in ended.stderr


def test_every_hint_is_for_a_reason_of_the_contract() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118 - not a dict

    assert set(refusals._HINTS) <= names


def test_a_relative_root_is_made_absolute_for_a_server_on_this_machine(
    server: FakeServer, indelible: Indelible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.gives(CreateCatalog=catalog_service_pb2.CreateCatalogResponse())

    indelible("catalog", "create", "Archive", "--root", "photos", "--read-only-root", "/old")

    [request] = server.named("CreateCatalog")
    assert [(root.path, root.read_only) for root in request.roots] == [
        (str(tmp_path / "photos"), False),
        ("/old", True),
    ]


def test_settings_are_changed_against_the_revision_that_was_read(server: FakeServer, indelible: Indelible) -> None:
    present = catalog_pb2.Catalog(id="3", name="Archive", revision=8)
    server.gives(
        GetCatalog=catalog_service_pb2.GetCatalogResponse(catalog=present),
        UpdateCatalog=catalog_service_pb2.UpdateCatalogResponse(catalog=present),
    )

    indelible("catalog", "set", "Archive", "policy.conflicts=hold", "quiet_period=0s")

    [request] = server.named("UpdateCatalog")
    assert (request.catalog.id, request.catalog.revision) == ("3", 8)
    assert list(request.update_mask.paths) == ["policy.conflicts", "quiet_period"]
    assert request.catalog.HasField("quiet_period")


def test_a_secret_can_come_from_a_file(server: FakeServer, indelible: Indelible, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pa=ss\n")
    server.gives(CreateRemote=remote_service_pb2.CreateRemoteResponse())

    ended = indelible(
        "remote", "add", "Archive", "agency", "--kind", "esp", "--option-file", f"password={tmp_path}/password"
    )

    assert ended.exit_code == 0
    assert server.named("CreateRemote")[0].options == {"password": "pa=ss"}


def test_the_program_says_its_version() -> None:
    stdout, _ = run_program("--version").communicate()

    assert stdout.startswith("indelible ")
