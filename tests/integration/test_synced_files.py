"""What is in the files after a sync, read by others: merged with outside edits, and never more than that."""

from __future__ import annotations

from indelible.v1 import item_pb2, tags_pb2
from support.client import ALL, Client, Library, add, clear, remove, set_tags
from support.photos import Seen, edit_outside, pixels, seen, stray_files, times


def test_synced_means_verified_by_a_reader_of_its_own(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    before = [pixels(path) for path in paths]
    tags = {"title": "Élan 夏 & <x>", "rating": 4, "keywords": ["place|Paris", "été"], "credit": "Agency"}
    client.edit(catalog, set_tags(**tags))
    client.sync(catalog)
    for path, picture in zip(paths, before, strict=True):
        found = seen(path)
        assert (found.title, found.rating, found.credit) == ("Élan 夏 & <x>", 4, "Agency")
        assert set(found.keywords) == {"Paris", "été"}
        assert pixels(path) == picture
    item = client.item(catalog, "p0000.jpg")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert item.synced_revision == item.revision
    assert not item.HasField("unsynced_since")
    assert item.homes[0].tags.title == tags["title"]
    assert list(item.homes[0].tags.keywords) == tags["keywords"]
    assert item.size_bytes == paths[0].stat().st_size
    assert stray_files(paths[0].parent) == []


def test_a_second_sync_writes_nothing(client: Client, library: Library) -> None:
    catalog, paths = library(3)
    client.edit(catalog, set_tags(title="One"))
    client.sync(catalog)
    before = times(paths), [path.read_bytes() for path in paths]
    assert client.sync(catalog).total_items == 0
    client.edit(catalog, set_tags(title="One"))
    assert client.sync(catalog).total_items == 0
    assert (times(paths), [path.read_bytes() for path in paths]) == before


def test_an_edit_that_leaves_nothing_to_write_leaves_the_item_synced(client: Client, library: Library) -> None:
    catalog, paths = library(1, policy={"excluded_fields": ["flag"]})
    client.edit(catalog, set_tags(title="Held"))
    client.sync(catalog)
    before = times(paths)
    assert client.edit(catalog, set_tags(title="Held")).changed == 0
    client.edit(catalog, set_tags(title="Other"))
    assert client.status(catalog).unsynced_items == 1
    client.edit(catalog, set_tags(title="Held"))
    assert client.status(catalog).unsynced_items == 0
    assert client.edit(catalog, set_tags(flag=1)).changed == 1
    status = client.status(catalog)
    assert status.unsynced_items == 0
    assert client.item(catalog, "p0000.jpg").tags.flag == 1
    client.edit(catalog, set_tags(title="Other"), clear("title"), set_tags(title="Held"))
    assert client.status(catalog).unsynced_items == 0
    client.switch(catalog, True)
    client.nothing_happens(catalog, 1.2)
    assert times(paths) == before


def test_what_the_file_holds_already_is_not_written_again(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    edit_outside(paths[0], title="Same")
    before = times(paths), paths[0].read_bytes()
    client.edit(catalog, set_tags(title="Same"))
    run = client.sync(catalog)
    assert (run.done_items, run.bytes_written) == (1, 0)
    assert (times(paths), paths[0].read_bytes()) == before


def test_an_outside_edit_of_another_field_survives(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="First", rating=2))
    client.sync(catalog)
    edit_outside(paths[0], credit="Outside")
    client.edit(catalog, set_tags(title="Second"))
    client.sync(catalog)
    found = seen(paths[0])
    assert (found.title, found.rating, found.credit) == ("Second", 2, "Outside")
    item = client.item(catalog, "p0000.jpg")
    assert (item.tags.title, item.tags.credit) == ("Second", "Outside")
    assert item.state == item_pb2.ITEM_STATE_SYNCED


def test_an_outside_edit_while_an_edit_waits_survives_too(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Waiting"))
    edit_outside(paths[0], credit="Outside")
    client.sync(catalog)
    assert (seen(paths[0]).title, seen(paths[0]).credit) == ("Waiting", "Outside")
    assert client.item(catalog, "p0000.jpg").tags.credit == "Outside"


def test_keywords_that_others_wrote_stay_when_ours_come_and_go(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, add("keywords", "ours", "also ours"))
    client.sync(catalog)
    edit_outside(paths[0], keyword="foreign")
    client.edit(catalog, add("keywords", "new"), remove("keywords", "ours"))
    client.sync(catalog)
    assert set(seen(paths[0]).keywords) == {"also ours", "foreign", "new"}
    assert set(client.item(catalog, "p0000.jpg").tags.keywords) == {"also ours", "foreign", "new"}
    edit_outside(paths[0], keyword="late")
    client.edit(catalog, clear("keywords"))
    client.sync(catalog)
    assert set(seen(paths[0]).keywords) == {"late"}


def test_a_field_changed_on_both_sides_is_the_catalogs_and_the_files_is_kept(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    client.edit(catalog, set_tags(title="Ours"))
    client.sync(catalog)
    assert seen(paths[0]).title == "Ours"


def test_under_file_wins_the_files_value_comes_into_the_catalog(client: Client, library: Library) -> None:
    catalog, paths = library(1, policy={"conflicts": "CONFLICT_POLICY_FILE_WINS"})
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    client.edit(catalog, set_tags(title="Ours", rating=3))
    client.sync(catalog)
    assert (seen(paths[0]).title, seen(paths[0]).rating) == ("Theirs", 3)
    assert client.item(catalog, "p0000.jpg").tags.title == "Theirs"


def test_under_hold_a_conflict_is_listed_and_nothing_is_written(client: Client, library: Library) -> None:
    catalog, paths = library(2, policy={"conflicts": "CONFLICT_POLICY_HOLD"})
    client.edit(catalog, set_tags(title="Base"))
    client.sync(catalog)
    edit_outside(paths[0], title="Theirs")
    before = paths[0].read_bytes()
    client.edit(catalog, set_tags(title="Ours"))
    run = client.sync(catalog)
    assert (run.done_items, run.conflicted_items) == (1, 1)
    assert paths[0].read_bytes() == before
    (item,) = client.items(catalog, saved_search=item_pb2.SAVED_SEARCH_CONFLICTED)
    (conflict,) = item.conflicts
    assert (conflict.field, conflict.base.title) == ("title", "Base")
    assert (conflict.catalog.title, conflict.file.title) == ("Ours", "Theirs")
    assert client.status(catalog).conflicted_items == 1


def test_clearing_takes_a_value_out_of_the_file(client: Client, library: Library) -> None:
    catalog, paths = library(1)
    client.edit(catalog, set_tags(title="Gone soon", rating=5, keywords=["a"]))
    client.sync(catalog)
    client.edit(catalog, clear("title", "rating", "keywords"))
    client.sync(catalog)
    assert seen(paths[0]) == Seen()


def test_every_field_comes_back_from_the_file_as_it_was_set(client: Client, library: Library) -> None:
    catalog, _ = library(1, custom_fields=[{"name": "usage_terms"}, {"name": "marked"}])
    tags = tags_pb2.Tags(
        title="t", headline="h", description="d\nd", keywords=["a|b", "c"], people=["Ada"], event="e", rating=-1,
        label="Red", flag=1, creators=["One", "Two"], copyright="©", credit="cr", source="so", instructions="in",
        place={"location": "l", "city": "ci", "state": "st", "country": "co", "country_code": "DE"},
        gps={"lat": 52.5, "lon": -13.25, "alt": 34}, taken_at="2023-05-17T10:20:30+02:00",
        custom={"usage_terms": {"values": ["none"]}, "marked": {"values": ["True"]}},
    )  # fmt: skip
    client.edit(catalog, tags_pb2.Edit(set={"tags": tags}))
    run = client.sync(catalog)
    assert run.done_items == 1, client.items(catalog)[0].failure
    item = client.item(catalog, "p0000.jpg")
    assert item.state == item_pb2.ITEM_STATE_SYNCED
    assert item.tags == tags
    # Read anew by a second catalog's import: what the file itself says.
    assert item.homes[0].tags == tags


def test_a_call_on_hundreds_of_items_counts_each_once_and_is_one_call(client: Client, library: Library) -> None:
    number = 600
    catalog, _ = library(number)
    edited = client.edit(catalog, add("keywords", "many"), request_id="many")
    assert (edited.matched, edited.changed) == (number, number)
    assert client.edit(catalog, add("keywords", "many"), request_id="many") == edited
    assert client.status(catalog).unsynced_items == number
    assert {tuple(item.tags.keywords) for item in client.items(catalog, page_size=1000)} == {("many",)}
    assert client.hold(catalog).held == number
    assert client.status(catalog).held_items == number
    assert client.release(catalog).released == number
    assert client.remove(catalog, ALL, request_id="removed") == number
    assert client.remove(catalog, ALL, request_id="removed") == number
    assert client.status(catalog).total_items == 0
