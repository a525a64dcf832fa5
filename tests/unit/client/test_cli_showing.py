"""Commands that show: items, what files hold, who holds them, status, history."""

from indelible.v1 import (
    catalog_pb2,
    catalog_service_pb2,
    item_pb2,
    item_service_pb2,
    sync_pb2,
    sync_service_pb2,
)
from unit.client.conftest import Indelible
from unit.client.fake_server import FakeServer, Feed


def give_items(server: FakeServer, total: int) -> None:
    def answer(request: item_service_pb2.ListItemsRequest, context: object) -> item_service_pb2.ListItemsResponse:
        first = int(request.page_token or 0)
        last = min(first + min(request.page_size, 2), total)
        return item_service_pb2.ListItemsResponse(
            items=[item_pb2.Item(path=f"{number}.jpg") for number in range(first, last)],
            next_page_token=str(last) if last < total else "",
            total_size=total,
            unsynced_size=1,
        )

    server.answers["ListItems"] = answer


def test_items_come_from_every_page(server: FakeServer, indelible: Indelible) -> None:
    give_items(server, 5)

    ended = indelible("items", "Archive", "--json")

    assert [each["path"] for each in ended.objects] == [f"{number}.jpg" for number in range(5)]


def test_items_stop_at_the_limit_and_say_so(server: FakeServer, indelible: Indelible) -> None:
    give_items(server, 1552)

    ended = indelible("items", "Archive", "--unsynced", "--limit", "3")

    assert server.named("ListItems")[0].saved_search == item_pb2.SAVED_SEARCH_UNSYNCED
    assert ended.stdout.splitlines()[-1] == "showing 3 of 1,552; 1 not synchronized"
    assert "2.jpg" in ended.stdout
    assert "3.jpg" not in ended.stdout


def test_a_file_name_cannot_steer_the_terminal(server: FakeServer, indelible: Indelible) -> None:
    item = item_pb2.Item(path="[bold]a\x1b[2J.jpg")
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    ended = indelible("show", "Archive", "a.jpg")

    assert "[bold]a\\x1b[2J.jpg" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_show_tells_what_each_file_holds(server: FakeServer, indelible: Indelible) -> None:
    item = item_pb2.Item(path="a.jpg", state=item_pb2.ITEM_STATE_UNSYNCED)
    item.tags.title = "New"
    item.tags.place.city = "Rome"
    home = item.homes.add(home=1, path="a.jpg")
    home.tags.title = "Old"
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    text = indelible("show", "Archive", "a.jpg").stdout

    for words in ("state: unsynced", "title: New", "place.city: Rome", "embedded (a.jpg)", "title: Old"):
        assert words in text


def test_show_tells_who_holds_an_item_since_when_and_why(server: FakeServer, indelible: Indelible) -> None:
    hold = item_pb2.Hold(
        reason=item_pb2.HOLD_REASON_CHECKED_OUT, note="at the printer's", held_by="desk", on_behalf_of="ann"
    )
    hold.hold_time.FromSeconds(1_700_000_000)
    item = item_pb2.Item(path="a.jpg", state=item_pb2.ITEM_STATE_HELD, hold=hold)
    server.gives(GetItem=item_service_pb2.GetItemResponse(item=item))

    text = indelible("show", "Archive", "a.jpg").stdout

    assert "held: checked out by ann since 2023-11-1" in text
    assert text.splitlines()[2].endswith(": at the printer's")


def test_status_has_a_line_a_catalog(server: FakeServer, indelible: Indelible) -> None:
    catalogs = [catalog_pb2.Catalog(id="3", name="Archive"), catalog_pb2.Catalog(id="4", name="Press")]
    server.gives(ListCatalogs=catalog_service_pb2.ListCatalogsResponse(catalogs=catalogs))
    server.answers["GetSyncStatus"] = lambda request, context: sync_service_pb2.GetSyncStatusResponse(
        status=sync_pb2.SyncStatus(
            catalog_id=request.catalog,
            catalog_name=f"name {request.catalog}",
            auto_sync=sync_pb2.AUTO_SYNC_ON,
            text="160 of 1,552 not synchronized",
        )
    )

    lines = indelible("status").stdout.splitlines()

    assert len(lines) == 3
    assert "name 3" in lines[1]
    assert "160 of 1,552 not synchronized" in lines[2]


def test_status_watch_prints_each_snapshot_until_the_catalog_is_gone(server: FakeServer, indelible: Indelible) -> None:
    status = sync_pb2.SyncStatus(catalog_id="3", catalog_name="Archive")
    server.answers["WatchSyncStatus"] = Feed(
        sync_service_pb2.WatchSyncStatusResponse(status=status),
        sync_service_pb2.WatchSyncStatusResponse(status=status, removed=True),
    )

    ended = indelible("status", "Archive", "--watch", "--json")

    assert [each["catalog_name"] for each in ended.objects] == ["Archive"]


def test_the_history_shows_edits_and_writes_with_what_undo_takes(server: FakeServer, indelible: Indelible) -> None:
    write = item_pb2.FileWrite(
        id="01JD",
        method=sync_pb2.WRITE_METHOD_PATCH,
        outcome=item_pb2.WRITE_OUTCOME_VERIFIED,
        undoable=True,
    )
    entries = [
        item_pb2.HistoryEntry(source="EDIT", run_id="7ac2", write=write),
        item_pb2.HistoryEntry(source="EDIT", principal="ann"),
    ]
    server.gives(ListHistory=item_service_pb2.ListHistoryResponse(entries=entries, total_size=2))

    ended = indelible("history", "Archive", "a.jpg")

    written, edited = ended.stdout.splitlines()[1:3]
    assert "the server" in written
    assert "patch, verified, write 01JD, run 7ac2" in written
    assert "ann" in edited
