"""Windows and budgets as clients set and see them: what waits says why and until when, and goes on by itself."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.json_format import MessageToDict
from indelible.v1 import catalog_service_pb2, sync_pb2
from support.client import Client, Library, set_tags
from support.photos import written
from support.waiting import until


def an_hour_from_now() -> dict[str, Any]:
    """A schedule that opens in an hour."""
    start, end = (time.strftime("%H:%M", time.gmtime(time.time() + hours * 3600)) for hours in (1, 2))
    return {"windows": [{"start": start, "end": end}], "time_zone": "UTC"}


def change(client: Client, name: str, *mask: str, **values: Any) -> Any:
    """Change settings of a catalog."""
    request = catalog_service_pb2.UpdateCatalogRequest(
        catalog={"name": name} | values, update_mask={"paths": list(mask)}
    )
    return client.stubs.catalogs.UpdateCatalog(request).catalog


def waits(client: Client, name: str) -> list[str]:
    """Why what is due is not written now."""
    return [sync_pb2.WaitReason.Name(wait.reason).removeprefix("WAIT_REASON_") for wait in client.status(name).waits]


def test_what_is_due_waits_for_the_window_and_goes_on_without_one(client: Client, library: Library) -> None:
    name, paths = library(3, schedule=an_hour_from_now())
    client.edit(name, set_tags(title="One"))
    client.switch(name, True)
    until(lambda: waits(client, name) == ["OUTSIDE_WINDOW"])
    status = client.status(name)
    assert status.activity == sync_pb2.ACTIVITY_WAITING
    assert 0 < status.waits[0].until.ToMilliseconds() / 1000 - time.time() <= 3600
    assert status.waits[0].items == 3
    assert not written(paths, "One")

    change(client, name, "schedule")

    client.wait_synced(name)
    assert written(paths, "One") == paths


def test_a_run_may_write_outside_the_window(client: Client, library: Library) -> None:
    name, paths = library(3, schedule=an_hour_from_now())
    client.edit(name, set_tags(title="One"))
    waiting = client.start(name)
    assert not waiting.run.outside_window
    until(lambda: waits(client, name) == ["OUTSIDE_WINDOW"])

    answer = client.start(name, outside_window=True)

    assert answer.already_running
    assert answer.run.outside_window
    assert client.wait_run(name).done_items == 3
    assert written(paths, "One") == paths


def test_a_spent_budget_holds_up_the_next_file_until_it_is_earned_again(client: Client, library: Library) -> None:
    name, paths = library(3, budget={"bytes_per_second": 10})
    client.edit(name, set_tags(title="One"))
    client.switch(name, True)
    until(lambda: waits(client, name) == ["BUDGET"])
    assert len(written(paths, "One")) == 1
    assert client.status(name).waits[0].until.ToMilliseconds() / 1000 > time.time()

    change(client, name, "budget")

    client.wait_synced(name)
    assert written(paths, "One") == paths


def test_settings_are_given_back_as_they_were_set(client: Client, library: Library) -> None:
    name, _ = library(1, schedule={"windows": [{"days": [1, 2], "start": "22:00", "end": "24:00"}]})
    catalog = client.stubs.catalogs.GetCatalog(catalog_service_pb2.GetCatalogRequest(catalog=name)).catalog
    assert catalog.schedule.time_zone, "the server's own zone is named"
    assert [MessageToDict(window) for window in catalog.schedule.windows] == [
        {"days": ["WEEKDAY_MONDAY", "WEEKDAY_TUESDAY"], "start": "22:00", "end": "24:00"}
    ]
    root = {"id": catalog.roots[0].id, "budget": {"items_per_minute": 60}}
    changed = change(client, name, "roots", "budget", roots=[root], budget={"bytes_per_second": 1000})
    assert changed.roots[0].budget.items_per_minute == 60
    assert changed.budget.bytes_per_second == 1000
    # What is not in the mask stays, and what is empty there is no limit any more.
    assert change(client, name, "budget").roots[0].budget.items_per_minute == 60
    cleared = change(client, name, "roots", "schedule", roots=[{"id": root["id"]}])
    assert not cleared.roots[0].HasField("budget")
    assert not cleared.HasField("schedule")
    assert not cleared.HasField("budget")
