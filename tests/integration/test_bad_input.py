"""Every wrong request is refused with a status, a reason and the field, and changes nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import duration_pb2
from indelible.v1 import (
    item_pb2,
    item_service_pb2,
    sync_pb2,
    tags_pb2,
)
from support.client import ALL, Client, add, clear, globs, ids, remove, set_tags
from support.contract import refused
from support.photos import make_photos
from support.server import RunningServer
from support.world import World

Attempt = Callable[[World], Any]
Case = tuple[str, Attempt, str, str | None]


def edit(*edits: Any, **values: Any) -> Attempt:
    return lambda world: world.client.edit("Archive", *edits, **values)


def call(rpc_name: str, /, **values: Any) -> Attempt:
    return lambda world: world.call(rpc_name, **values)


def resolve(**values: Any) -> Attempt:
    wanted = {"selection": ALL, "resolution": sync_pb2.CONFLICT_RESOLUTION_CATALOG}
    return call("SyncService/ResolveConflicts", catalog="Archive", **wanted | values)


def hold(**values: Any) -> Attempt:
    wanted = {"selection": ALL, "reason": item_pb2.HOLD_REASON_CHECKED_OUT}
    return call("SyncService/HoldItems", catalog="Archive", **wanted | values)


def create(**values: Any) -> Attempt:
    return lambda world: world.call("CatalogService/CreateCatalog", **({"name": "New"} | values))


def create_at(path: str, *more: str, name: str = "New") -> Attempt:
    """A catalog with these folders; a path is below the test's folder unless it is marked with "="."""

    def attempt(world: World) -> Any:
        paths = [each[1:] if each.startswith("=") else str(world.folder / each) for each in (path, *more)]
        return world.call("CatalogService/CreateCatalog", name=name, roots=[{"path": each} for each in paths])

    return attempt


def update(*mask: str, **values: Any) -> Attempt:
    return lambda world: world.call(
        "CatalogService/UpdateCatalog", catalog={"id": world.catalog.id} | values, update_mask={"paths": mask}
    )


def update_roots(path: str) -> Attempt:
    def attempt(world: World) -> Any:
        roots = [*world.catalog.roots, {"path": str(world.folder / path)}]
        return update("roots", roots=roots)(world)

    return attempt


def token(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def stolen(name: str, to: str, **values: Any) -> Attempt:
    """A page token of one call, given to another, or to the same with other conditions."""

    def attempt(world: World) -> Any:
        page = world.call("ItemService/ListItems", catalog="Archive", page_size=1)
        assert page.next_page_token
        return world.call(f"{name}/{to}", page_token=page.next_page_token, **values)

    return attempt


def span(**values: int) -> duration_pb2.Duration:
    return duration_pb2.Duration(**values)


UNKNOWN_CATALOG = [
    ("CatalogService/GetCatalog", {}),
    ("CatalogService/DeleteCatalog", {}),
    ("ItemService/ListItems", {}),
    ("ItemService/GetItem", {"path": "p0000.jpg"}),
    ("ItemService/ListHistory", {"path": "p0000.jpg"}),
    ("ItemService/WatchItems", {}),
    ("ItemService/EditTags", {"selection": ALL, "edits": [clear("title")], "request_id": "x"}),
    ("ItemService/RemoveItems", {"selection": ALL}),
    ("SyncService/GetSyncStatus", {}),
    ("SyncService/SetAutoSync", {"auto_sync": sync_pb2.AUTO_SYNC_ON}),
    ("SyncService/StartSync", {}),
    ("SyncService/PauseSync", {}),
    ("SyncService/CancelRun", {}),
    ("SyncService/ListRuns", {}),
    ("SyncService/ListFailures", {}),
    ("SyncService/RetryFailures", {}),
    ("SyncService/ResolveConflicts", {"selection": ALL, "resolution": sync_pb2.CONFLICT_RESOLUTION_FILE}),
    ("SyncService/HoldItems", {"selection": ALL, "reason": item_pb2.HOLD_REASON_CHECKED_OUT}),
    ("SyncService/ReleaseItems", {"selection": ALL}),
    ("LibraryService/StartImport", {}),
    ("JobService/ListJobs", {}),
]

CASES: list[Case] = [
    *(
        (f"unknown catalog {name!r}: {rpc}", call(rpc, catalog=name, **values), "CATALOG_NOT_FOUND", None)
        for rpc, values in UNKNOWN_CATALOG
        for name in ("Nowhere", "4711", "9" * 40)
    ),
    ("unknown catalog: watch", call("SyncService/WatchSyncStatus", catalogs=["No"]), "CATALOG_NOT_FOUND", None),
    *(
        (f"no catalog: {rpc}", call(rpc, **values), "INVALID_FIELD", "catalog")
        for rpc, values in UNKNOWN_CATALOG
        if rpc != "JobService/ListJobs"
    ),
    # items
    ("unknown item id", call("ItemService/GetItem", catalog="Archive", item_id="4711"), "ITEM_NOT_FOUND", None),
    ("huge item id", call("ItemService/GetItem", catalog="Archive", item_id="9" * 40), "INVALID_FIELD", "item_id"),
    ("item id no number", call("ItemService/GetItem", catalog="Archive", item_id="-1"), "INVALID_FIELD", "item_id"),
    ("unknown path", call("ItemService/GetItem", catalog="Archive", path="no.jpg"), "ITEM_NOT_FOUND", None),
    ("no item", call("ItemService/GetItem", catalog="Archive"), "INVALID_FIELD", "item"),
    ("history of nothing", call("ItemService/ListHistory", catalog="Archive", path="no"), "ITEM_NOT_FOUND", None),
    ("unknown job", call("JobService/GetJob", job_id="no"), "JOB_NOT_FOUND", None),
    ("unknown job to watch", call("JobService/WatchJob", job_id="no"), "JOB_NOT_FOUND", None),
    ("unknown job to cancel", call("JobService/CancelJob", job_id="no"), "JOB_NOT_FOUND", None),
    ("unknown run", call("SyncService/CancelRun", catalog="Archive", run_id="no"), "RUN_NOT_FOUND", None),
    # roots
    ("root not there", create_at("nowhere"), "ROOT_NOT_A_FOLDER", "roots[0].path"),
    ("root is a file", create_at("file.txt"), "ROOT_NOT_A_FOLDER", "roots[0].path"),
    ("root is relative", create_at("=photos"), "ROOT_NOT_A_FOLDER", "roots[0].path"),
    ("root is empty", create_at("="), "ROOT_NOT_A_FOLDER", "roots[0].path"),
    ("root with a zero byte", create_at("=/tmp\0"), "INVALID_FIELD", "roots.path"),
    ("root of another catalog", create_at("photos"), "ROOT_OVERLAPS", "roots[0].path"),
    ("root inside another", create_at("photos/sub"), "ROOT_OVERLAPS", "roots[0].path"),
    ("root around another", create_at("."), "ROOT_OVERLAPS", "roots[0].path"),
    ("root is a link to another", create_at("link"), "ROOT_OVERLAPS", "roots[0].path"),
    ("root is a link into another", create_at("link in"), "ROOT_OVERLAPS", "roots[0].path"),
    ("root around by dots", create_at("photos/.."), "ROOT_OVERLAPS", "roots[0].path"),
    ("same root twice", create_at("elsewhere", "elsewhere"), "ROOT_OVERLAPS", "roots[1].path"),
    ("one root in the other", create_at("elsewhere", "."), "ROOT_OVERLAPS", "roots[1].path"),
    ("second root is wrong", create_at("elsewhere", "nowhere"), "ROOT_NOT_A_FOLDER", "roots[1].path"),
    ("added root overlaps its own catalog", update_roots("photos/sub"), "ROOT_OVERLAPS", "catalog.roots[0].path"),
    ("added root is not there", update_roots("nowhere"), "ROOT_NOT_A_FOLDER", "catalog.roots[0].path"),
    ("unknown root kept", update("roots", roots=[{"id": "no"}]), "ROOT_NOT_FOUND", None),
    ("root with items removed", update("roots", roots=[]), "ROOT_IN_USE", None),
    ("import of no root", call("LibraryService/StartImport", catalog="Archive", root_id="no"), "ROOT_NOT_FOUND", None),
    # catalogs
    ("name taken", create(name="Archive"), "NAME_TAKEN", "name"),
    ("name taken in update", lambda world: rename(world, "Archive"), "NAME_TAKEN", "name"),
    ("name of digits", create(name="2024"), "INVALID_FIELD", "name"),
    ("name of foreign digits", create(name="٢٠٢٤"), "INVALID_FIELD", "name"),
    ("name blank", create(name="  "), "INVALID_FIELD", "name"),
    ("name empty", create(name=""), "INVALID_FIELD", "name"),
    ("name begins blank", create(name=" x"), "INVALID_FIELD", "name"),
    ("name with a line break", create(name="a\nb"), "INVALID_FIELD", "name"),
    ("name with a zero byte", create(name="a\0b"), "INVALID_FIELD", "name"),
    ("name too long", create(name="x" * 201), "INVALID_FIELD", "name"),
    ("description too long", create(description="x" * 2001), "INVALID_FIELD", "description"),
    ("quiet period negative", create(quiet_period=span(seconds=-1)), "INVALID_FIELD", "quiet_period"),
    ("quiet period too long", create(quiet_period=span(seconds=10**6)), "INVALID_FIELD", "quiet_period"),
    ("quiet period out of all range", create(quiet_period=span(seconds=2**62)), "INVALID_FIELD", "quiet_period"),
    ("unknown enum in the policy", create(policy={"iptc": 99}), "INVALID_FIELD", "policy.iptc"),
    ("unknown mode in the policy", create(policy={"conflicts": -1}), "INVALID_FIELD", "policy.conflicts"),
    ("format rule without a format", create(policy={"formats": [{"mode": 1}]}), "INVALID_FIELD", "policy.formats[0]"),
    (
        "policy excludes no field",
        create(policy={"excluded_fields": ["colour"]}),
        "UNKNOWN_FIELD",
        "policy.excluded_fields",
    ),
    ("policy in an unknown charset", create(policy={"legacy_charset": "klingon"}), "INVALID_FIELD", "policy"),
    ("custom field without a name", create(custom_fields=[{}]), "INVALID_FIELD", "custom_fields[0].name"),
    ("custom field twice", create(custom_fields=[{"name": "marked"}] * 2), "INVALID_FIELD", "custom_fields[1].name"),
    (
        "custom field of unknown form",
        create(custom_fields=[{"name": "a", "form": 99}]),
        "INVALID_FIELD",
        "custom_fields[0].form",
    ),
    ("custom field without a form", create(custom_fields=[{"name": "a"}]), "INVALID_FIELD", None),
    (
        "window that is none",
        create(schedule={"windows": [{"start": "22h", "end": "06:00"}]}),
        "INVALID_FIELD",
        "schedule.windows[0].start",
    ),
    (
        "window on no day",
        create(schedule={"windows": [{"start": "22:00", "end": "06:00", "days": [0]}]}),
        "INVALID_FIELD",
        "schedule.windows[0].days",
    ),
    ("zone unknown", create(schedule={"time_zone": "Nowhere"}), "INVALID_FIELD", "schedule.time_zone"),
    ("budget below nothing", create(budget={"items_per_minute": -1}), "INVALID_FIELD", "budget.items_per_minute"),
    ("budget too large", create(budget={"bytes_per_second": 2**60}), "INVALID_FIELD", "budget.bytes_per_second"),
    ("sidecar tree", create(policy={"sidecar_tree": "/x"}), "NOT_YET_AVAILABLE", "policy.sidecar_tree"),
    ("mask empty", update(), "INVALID_FIELD", "update_mask"),
    ("mask unknown", update("colour"), "UNKNOWN_FIELD", "update_mask"),
    ("mask of what only the server sets", update("auto_sync"), "UNKNOWN_FIELD", "update_mask"),
    ("mask of an unknown policy", update("policy.colour"), "UNKNOWN_FIELD", "update_mask"),
    (
        "update without catalog",
        call("CatalogService/UpdateCatalog", update_mask={"paths": ["name"]}),
        "INVALID_FIELD",
        "catalog",
    ),
    ("update of a stale revision", update("description", revision=999), "STALE_REVISION", "catalog.revision"),
    ("delete with unsynced items", call("CatalogService/DeleteCatalog", catalog="Archive"), "UNSYNCED_ITEMS", None),
    # paths
    *(
        (f"{what} {path!r}", attempt(path), "PATH_OUTSIDE_ROOT", field)
        for path in ("../x.jpg", "sub/../../x.jpg", "..", "/etc/passwd")
        for what, field, attempt in (
            ("item path", "path", lambda path: call("ItemService/GetItem", catalog="Archive", path=path)),
            ("history path", "path", lambda path: call("ItemService/ListHistory", catalog="Archive", path=path)),
            ("prefix", "path_prefix", lambda path: call("ItemService/ListItems", catalog="Archive", path_prefix=path)),
            ("import path", "path", lambda path: call("LibraryService/StartImport", catalog="Archive", path=path)),
            ("glob", "selection.path_globs.globs[0]", lambda path: edit(clear("title"), selection=globs(path))),
        )
    ),
    # selections
    ("no selection", edit(clear("title"), selection=None), "EMPTY_SELECTION", "selection"),
    ("selection says nothing", edit(clear("title"), selection=item_pb2.Selection()), "EMPTY_SELECTION", "selection"),
    ("no ids", edit(clear("title"), selection=ids()), "EMPTY_SELECTION", "selection"),
    ("no globs", edit(clear("title"), selection=globs()), "EMPTY_SELECTION", "selection"),
    ("not all", edit(clear("title"), selection=item_pb2.Selection(all=False)), "EMPTY_SELECTION", "selection"),
    ("no search", edit(clear("title"), selection=item_pb2.Selection(saved_search=0)), "EMPTY_SELECTION", "selection"),
    ("unknown ids", edit(clear("title"), selection=ids("4711")), "EMPTY_SELECTION", "selection"),
    ("globs of nothing", edit(clear("title"), selection=globs("*.tif")), "EMPTY_SELECTION", "selection"),
    (
        "nothing failed",
        edit(clear("title"), selection=item_pb2.Selection(saved_search=3)),
        "EMPTY_SELECTION",
        "selection",
    ),
    (
        "unknown search",
        edit(clear("title"), selection=item_pb2.Selection(saved_search=99)),
        "INVALID_FIELD",
        "selection.saved_search",
    ),
    (
        "unknown search in a list",
        call("ItemService/ListItems", catalog="Archive", saved_search=99),
        "INVALID_FIELD",
        "saved_search",
    ),
    ("id no number", edit(clear("title"), selection=ids("1", "x")), "INVALID_FIELD", "selection.item_ids.ids[1]"),
    ("empty glob", edit(clear("title"), selection=globs("")), "INVALID_FIELD", "selection.path_globs.globs"),
    ("huge selection", edit(clear("title"), selection=ids(*map(str, range(100_001)))), "TOO_LARGE", None),
    (
        "many globs",
        edit(clear("title"), selection=globs(*(["*"] * 1001))),
        "INVALID_FIELD",
        "selection.path_globs.globs",
    ),
    (
        "run over nothing",
        call("SyncService/StartSync", catalog="Archive", selection=globs("*.tif")),
        "EMPTY_SELECTION",
        "selection",
    ),
    (
        "run over an empty selection",
        call("SyncService/StartSync", catalog="Archive", selection={}),
        "EMPTY_SELECTION",
        "selection",
    ),
    (
        "removal of nothing",
        call("ItemService/RemoveItems", catalog="Archive", selection=ids("4711")),
        "EMPTY_SELECTION",
        "selection",
    ),
    ("removal without a selection", call("ItemService/RemoveItems", catalog="Archive"), "EMPTY_SELECTION", "selection"),
    (
        "retry of an empty selection",
        call("SyncService/RetryFailures", catalog="Archive", selection={}),
        "EMPTY_SELECTION",
        "selection",
    ),
    # conflicts and holds
    *((f"resolution {number}", resolve(resolution=number), "INVALID_FIELD", "resolution") for number in (0, 99)),
    ("resolution of nothing", resolve(selection=ids("4711")), "EMPTY_SELECTION", "selection"),
    ("resolution without a selection", resolve(selection=None), "EMPTY_SELECTION", "selection"),
    ("resolution of an unknown field", resolve(fields=["title", "tittle"]), "UNKNOWN_FIELD", "fields[1]"),
    (
        "resolution of an undeclared field",
        resolve(fields=["custom.marked"]),
        "UNDECLARED_CUSTOM_FIELD",
        "fields[0]",
    ),
    *(
        (f"hold for {item_pb2.HoldReason.Name(number)}", hold(reason=number), "INVALID_FIELD", "reason")
        for number in (item_pb2.HOLD_REASON_UNSPECIFIED, item_pb2.HOLD_REASON_READ_ONLY_ROOT)
    ),
    ("hold for an unknown reason", hold(reason=99), "INVALID_FIELD", "reason"),
    ("hold for another reason that is not said", hold(reason=4, note=" "), "INVALID_FIELD", "note"),
    ("hold with an endless note", hold(note="x" * 1001), "INVALID_FIELD", "note"),
    ("hold of nothing", hold(selection=ids("4711")), "EMPTY_SELECTION", "selection"),
    ("hold without a selection", hold(selection=None), "EMPTY_SELECTION", "selection"),
    ("release of nothing", call("SyncService/ReleaseItems", catalog="Archive"), "EMPTY_SELECTION", "selection"),
    # edits
    ("no edits", edit(), "EMPTY_EDITS", "edits"),
    ("an edit that says nothing", edit(tags_pb2.Edit()), "EMPTY_EDITS", "edits[0]"),
    ("set of nothing", edit(set_tags()), "EMPTY_EDITS", "edits[0].set"),
    ("clear of nothing", edit(clear("title"), clear()), "EMPTY_EDITS", "edits[1].clear"),
    ("add of nothing", edit(add("keywords")), "EMPTY_EDITS", "edits[0].add.values"),
    ("remove of nothing", edit(remove("keywords")), "EMPTY_EDITS", "edits[0].remove.values"),
    ("too many edits", edit(*[clear("title")] * 201), "TOO_LARGE", None),
    ("unknown field to clear", edit(clear("place.town")), "UNKNOWN_FIELD", "edits[0].clear.fields[0]"),
    ("second field unknown", edit(clear("title", "colour")), "UNKNOWN_FIELD", "edits[0].clear.fields[1]"),
    ("empty field", edit(clear("")), "UNKNOWN_FIELD", "edits[0].clear.fields[0]"),
    ("unknown field to add to", edit(add("colour", "x")), "UNKNOWN_FIELD", "edits[0].add.field"),
    ("add to one value", edit(add("title", "x")), "INVALID_FIELD", "edits[0].add.field"),
    ("rating 9", edit(set_tags(rating=9)), "INVALID_FIELD", "edits[0].set.rating"),
    ("rating -2", edit(set_tags(rating=-2)), "INVALID_FIELD", "edits[0].set.rating"),
    ("flag 2", edit(set_tags(flag=2)), "INVALID_FIELD", "edits[0].set.flag"),
    ("label of 10,000 characters", edit(set_tags(label="x" * 10_000)), "INVALID_FIELD", "edits[0].set.label"),
    ("undeclared custom field", edit(add("custom.nowhere", "x")), "UNDECLARED_CUSTOM_FIELD", "edits[0].add.field"),
    (
        "undeclared custom field set",
        edit(set_tags(custom={"no": tags_pb2.CustomValues(values=["x"])})),
        "UNDECLARED_CUSTOM_FIELD",
        None,
    ),
    ("undeclared custom field cleared", edit(clear("custom.no")), "UNDECLARED_CUSTOM_FIELD", None),
    ("empty level", edit(add("keywords", "a||b")), "INVALID_FIELD", "edits[0].add.values[0]"),
    ("empty first level", edit(set_tags(keywords=["ok", "|a"])), "INVALID_FIELD", "edits[0].set.keywords[1]"),
    ("blank level", edit(add("keywords", "a| |b")), "INVALID_FIELD", "edits[0].add.values[0]"),
    ("impossible day", edit(set_tags(taken_at="2023-02-30")), "INVALID_FIELD", "edits[0].set.taken_at"),
    ("impossible hour", edit(set_tags(taken_at="2023-02-03T25:00:00")), "INVALID_FIELD", "edits[0].set.taken_at"),
    ("date in words", edit(set_tags(taken_at="yesterday")), "INVALID_FIELD", "edits[0].set.taken_at"),
    ("control character", edit(set_tags(title="a\x07b")), "INVALID_FIELD", "edits[0].set.title"),
    ("zero byte", edit(set_tags(title="a\0b")), "INVALID_FIELD", "edits.set.tags.title"),
    ("line break in a keyword", edit(add("keywords", "a\nb")), "INVALID_FIELD", "edits[0].add.values[0]"),
    ("character that XML has not", edit(set_tags(title="a\uffffb")), "INVALID_FIELD", "edits[0].set.title"),
    ("empty text", edit(set_tags(title="")), "EMPTY_VALUE", "edits[0].set.title"),
    ("blank text", edit(set_tags(title=" \t ")), "EMPTY_VALUE", "edits[0].set.title"),
    ("empty element", edit(add("people", "")), "EMPTY_VALUE", "edits[0].add.values[0]"),
    ("latitude 91", edit(set_tags(gps=tags_pb2.Gps(lat=91))), "INVALID_FIELD", "edits[0].set.gps.lat"),
    ("latitude no number", edit(set_tags(gps=tags_pb2.Gps(lat=float("nan")))), "INVALID_FIELD", "edits[0].set.gps.lat"),
    (
        "no country code",
        edit(set_tags(place=tags_pb2.Place(country_code="Germany"))),
        "INVALID_FIELD",
        "edits[0].set.place.country_code",
    ),
    ("wrong second edit", edit(set_tags(title="x"), set_tags(rating=9)), "INVALID_FIELD", "edits[1].set.rating"),
    (
        "replace by nothing",
        edit(tags_pb2.Edit(replace={"field": "keywords", "from": "a"})),
        "EMPTY_VALUE",
        "edits[0].replace.to",
    ),
    (
        "replace of nothing",
        edit(tags_pb2.Edit(replace={"field": "keywords", "to": "a"})),
        "EMPTY_VALUE",
        "edits[0].replace.from",
    ),
    (
        "replace in one value",
        edit(tags_pb2.Edit(replace={"field": "title", "from": "a", "to": "b"})),
        "INVALID_FIELD",
        "edits[0].replace.field",
    ),
    ("shift by nothing", edit(tags_pb2.Edit(shift={})), "INVALID_FIELD", "edits[0].shift.by"),
    ("shift by an age", edit(tags_pb2.Edit(shift={"by": span(seconds=10**11)})), "INVALID_FIELD", "edits[0].shift.by"),
    (
        "shift beyond all range",
        edit(tags_pb2.Edit(shift={"by": span(seconds=2**62)})),
        "INVALID_FIELD",
        "edits[0].shift.by",
    ),
    (
        "shift of a title",
        edit(tags_pb2.Edit(shift={"field": "title", "by": span(seconds=1)})),
        "INVALID_FIELD",
        "edits[0].shift.field",
    ),
    (
        "negative position",
        edit(tags_pb2.Edit(add={"field": "keywords", "values": ["a"], "position": -1})),
        "INVALID_FIELD",
        "edits[0].add.position",
    ),
    ("purge", edit(tags_pb2.Edit(clear={"fields": ["title"], "purge": True})), "NOT_YET_AVAILABLE", None),
    # request ids and revisions
    (
        "request id with other content",
        edit(set_tags(title="Other"), request_id="used"),
        "REQUEST_ID_REUSED",
        "request_id",
    ),
    ("no request id", edit(clear("title"), request_id=""), "REQUEST_ID_MISSING", "request_id"),
    ("long request id", edit(clear("title"), request_id="x" * 201), "INVALID_FIELD", "request_id"),
    ("stale expected revision", edit(clear("title"), expected_revision=0), "STALE_REVISION", "expected_revision"),
    # pages and tokens
    *(
        (
            f"page token {given!r}",
            call("ItemService/ListItems", catalog="Archive", page_token=given),
            "PAGE_TOKEN_INVALID",
            "page_token",
        )
        for given in ("x", "ä", "====", token(5), token(None), token([]), token([1, 2, 3]), token({}), token(["", "x"]))
    ),
    (
        "page token of another call",
        stolen("SyncService", "ListFailures", catalog="Archive"),
        "PAGE_TOKEN_INVALID",
        "page_token",
    ),
    (
        "page token of other conditions",
        stolen("ItemService", "ListItems", catalog="Archive", path_prefix="p"),
        "PAGE_TOKEN_INVALID",
        "page_token",
    ),
    *(
        (f"page size of {rpc}", call(rpc, page_size=-1, **values), "INVALID_FIELD", "page_size")
        for rpc, values in (
            ("CatalogService/ListCatalogs", {}),
            ("ItemService/ListItems", {"catalog": "Archive"}),
            ("ItemService/ListHistory", {"catalog": "Archive", "path": "p0000.jpg"}),
            ("SyncService/ListRuns", {"catalog": "Archive"}),
            ("SyncService/ListFailures", {"catalog": "Archive"}),
            ("JobService/ListJobs", {}),
            ("AdminService/ListWriters", {}),
        )
    ),
    *(
        (
            f"resume token {given!r}",
            call("ItemService/WatchItems", catalog="Archive", resume_token=given),
            "RESUME_TOKEN_INVALID",
            "resume_token",
        )
        for given in ("x", "ä", token(5), token({}), token([1, 2]), token(["s", 999, 1, 1]), token([1, 1, 1, 1]))
    ),
    # numbers and times
    ("auto-sync unset", call("SyncService/SetAutoSync", catalog="Archive"), "INVALID_FIELD", "auto_sync"),
    (
        "auto-sync unknown",
        call("SyncService/SetAutoSync", catalog="Archive", auto_sync=99),
        "INVALID_FIELD",
        "auto_sync",
    ),
    (
        "unknown failure reason",
        call("SyncService/ListFailures", catalog="Archive", reasons=[99]),
        "INVALID_FIELD",
        "reasons[0]",
    ),
    (
        "unset failure reason",
        call("SyncService/RetryFailures", catalog="Archive", reasons=[1, 0]),
        "INVALID_FIELD",
        "reasons[1]",
    ),
    ("unknown kind of job", call("JobService/ListJobs", kinds=[1, 99]), "INVALID_FIELD", "kinds[1]"),
    ("unset kind of job", call("JobService/ListJobs", kinds=[0]), "INVALID_FIELD", "kinds[0]"),
    ("run of no items", call("SyncService/StartSync", catalog="Archive", max_items=0), "INVALID_FIELD", "max_items"),
    (
        "run without patience",
        call("SyncService/StartSync", catalog="Archive", give_up_after=span(seconds=0)),
        "INVALID_FIELD",
        "give_up_after",
    ),
    (
        "run of negative patience",
        call("SyncService/StartSync", catalog="Archive", give_up_after=span(seconds=-5)),
        "INVALID_FIELD",
        "give_up_after",
    ),
    (
        "run of endless patience",
        call("SyncService/StartSync", catalog="Archive", give_up_after=span(seconds=2**62)),
        "INVALID_FIELD",
        "give_up_after",
    ),
    ("search for words", call("ItemService/ListItems", catalog="Archive", words="x"), "NOT_YET_AVAILABLE", "words"),
]


def rename(world: World, name: str) -> None:
    """Rename a catalog that is made for it and taken away again."""
    other = world.client.create("Other")
    try:
        world.call(
            "CatalogService/UpdateCatalog", catalog={"id": other.id, "name": name}, update_mask={"paths": ["name"]}
        )
    finally:
        world.call("CatalogService/DeleteCatalog", catalog=other.id)


@pytest.mark.parametrize(("attempt", "reason", "field"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_wrong_request_is_refused_with_its_reason_and_field_and_changes_nothing(
    world: World, attempt: Attempt, reason: str, field: str | None
) -> None:
    with world.unchanged(), refused(reason, field):
        attempt(world)


def test_no_active_run_is_a_failed_precondition(world: World) -> None:
    with world.unchanged(), refused("RUN_NOT_FOUND", code="FAILED_PRECONDITION"):
        world.client.cancel("Archive")


def test_a_repeated_request_gives_its_first_answer_and_changes_nothing(world: World) -> None:
    with world.unchanged():
        first = world.client.edit("Archive", set_tags(title="First"), selection=globs("p0000.jpg"), request_id="used")
    assert (first.matched, first.changed) == (1, 1)


def test_a_page_size_above_the_limit_is_cut_to_it(world: World) -> None:
    assert len(world.call("ItemService/ListItems", catalog="Archive", page_size=1_000_000).items) == 3


def test_a_list_is_the_same_in_pages_as_at_once(world: World) -> None:
    pages = world.client.items("Archive", page_size=1)
    assert [item.path for item in pages] == [item.path for item in world.client.items("Archive")]
    assert len(pages) == 3


def test_a_path_in_two_roots_is_ambiguous_until_the_root_is_named(sqlite_server: RunningServer, tmp_path: Path) -> None:
    client = Client(sqlite_server.stubs())
    for folder in ("one", "two"):
        make_photos(tmp_path / folder, 1)
    catalog = client.create("Two roots", tmp_path / "one", tmp_path / "two")
    assert client.import_files("Two roots").import_counts.added_items == 2
    with refused("PATH_AMBIGUOUS"):
        client.item("Two roots", "p0000.jpg")
    for root in catalog.roots:
        request = item_service_pb2.GetItemRequest(catalog="Two roots", path="p0000.jpg", root_id=root.id)
        assert client.stubs.items.GetItem(request).item.root_id == root.id


def test_a_second_import_is_refused_while_one_runs(sqlite_server: RunningServer, tmp_path: Path) -> None:
    client = Client(sqlite_server.stubs())
    make_photos(tmp_path, 30)
    client.create("Busy", tmp_path)
    job = client.start_import("Busy")
    with refused("JOB_RUNNING") as seen:
        client.start_import("Busy")
    assert seen.metadata is not None
    assert seen.metadata["job_id"] == job.id
    assert client.job(job.id).import_counts.added_items == 30


def test_a_root_that_cannot_be_written_is_refused_unless_it_is_read_only(
    sqlite_server: RunningServer, tmp_path: Path
) -> None:
    client = Client(sqlite_server.stubs())
    # Root may write anywhere, so that rights prove nothing here; a folder in the way of the marker always does.
    (tmp_path / "photos" / ".indelible-root").mkdir(parents=True)
    with refused("ROOT_NOT_WRITABLE", "roots[0].path"):
        client.create("Not writable", tmp_path / "photos")
    assert client.create("Not writable", tmp_path / "photos", read_only=True).roots[0].read_only
