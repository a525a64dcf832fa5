"""Items: keys are bytes, listings have one order on both databases, selections match what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from indelible_server.storage import catalogs, items
from indelible_server.storage.catalogs import Catalog, Root
from indelible_server.storage.changeset import Changeset
from indelible_server.storage.database import Database
from indelible_server.storage.item import Item, ItemState
from indelible_server.storage.items import Page, SavedSearch, Selection
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from support.edits import EVERYTHING, all_items, now
from support.samples import add_items, make_catalog, make_item

TWINS = [
    b"caf\xe9.jpg",  # Latin-1: no UTF-8
    b"caf\xea.jpg",
    "caf\u00e9.jpg".encode(),  # NFC
    "cafe\u0301.jpg".encode(),  # NFD: the same to look at
    "CAF\u00c9.jpg".encode(),
    b"IMG.JPG",
    b"img.jpg",
]
# By code point: not as any language sorts them, and not as UTF-16 does (the emoji before the private-use sign).
BY_CODE_POINT = [
    "A",
    "Z",
    "Z/a",
    "[1].jpg",
    "a",
    "a b",
    "a/b",
    "e\u0301",
    "z",
    "\u00e9",
    "\u0416",
    "\ue000",
    "\U0001f600",
]


def select(database: Database, catalog: Catalog, **selection: Any) -> list[str]:
    """The paths that a selection matches."""
    ids = database.read(items.selected_ids, catalog.catalog_id, Selection(**selection))
    return [item.path for item in database.read(items.get_many, catalog.catalog_id, ids)]


def change(database: Database, *changed: Item, removed: list[Item] | None = None) -> None:
    """Store items that were changed, and remove others, in one transaction."""

    def work(tx: Connection) -> None:
        changeset = Changeset(tx, (list(changed) + (removed or []))[0].catalog_id)
        for item in changed:
            before = items.get(tx, item.catalog_id, item.item_id)
            assert before is not None
            changeset.update(before, item)
        for item in removed or []:
            changeset.remove(item)
        changeset.save()

    database.write(work)


def pages(database: Database, catalog: Catalog, size: int, **more: Any) -> list[Item]:
    """All pages of a listing, one behind the other."""
    found: list[Item] = []
    place = Page()
    while page := database.read(_page, catalog.catalog_id, place, size, **more):
        found += page
        place = Page(page[-1].path, page[-1].item_id)
    return found


def _page(
    tx: Connection,
    catalog_id: int,
    place: Page,
    size: int,
    search: SavedSearch = SavedSearch.ALL,
    prefix: str = "",
    root_id: str = "",
    failures: tuple[str, ...] = (),
) -> list[Item]:
    return items.page(tx, catalog_id, search, prefix, root_id, place, size, failures)


def test_keys_that_look_alike_are_different_items(database: Database, catalog: Catalog) -> None:
    def work(tx: Connection) -> None:
        changeset = Changeset(tx, catalog.catalog_id)
        for key in TWINS:
            changeset.add(make_item(catalog, key=key, path=key.decode("utf-8", "backslashreplace")))
        changeset.save()

    database.write(work)
    root_id = catalog.roots[0].root_id
    for key in TWINS:
        found = database.read(items.by_keys, catalog.catalog_id, root_id, [key])
        assert list(found) == [key]
        assert found[key].key == key
    assert set(database.read(items.by_keys, catalog.catalog_id, root_id, TWINS)) == set(TWINS)


def test_a_key_is_one_item_of_its_root(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a.jpg"])
    with pytest.raises(IntegrityError):
        add_items(database, catalog, ["a.jpg"])
    elsewhere = make_catalog(database, "Other", b"/other")
    add_items(database, elsewhere, ["a.jpg"])


def test_an_item_is_stored_and_read_unchanged(database: Database, catalog: Catalog) -> None:
    (stored,) = add_items(
        database,
        catalog,
        ["a.jpg"],
        tags={"title": "é \U0001f600 \" ' \\", "rating": -1, "keywords": ["a|b"], "gps": {"lat": 0.1, "lon": -0.1}},
        homes={"embedded": {}, "SIDECAR": {"title": "x"}},
        sidecar=b"\xff.xmp",
        size=2**40,
        inode=2**62,
        mtime_ns=2**61,
        state=ItemState.CONFLICTED,
        unsynced_since=3,
        conflicts=[{"field": "title"}],
        width=None,
    )
    assert now(database, stored) == stored


@pytest.mark.parametrize("size", [1, 3, 100])
def test_pages_are_ordered_by_code_point_and_repeat_nothing(database: Database, catalog: Catalog, size: int) -> None:
    add_items(database, catalog, BY_CODE_POINT[::-1])
    assert [item.path for item in pages(database, catalog, size)] == BY_CODE_POINT


def test_two_roots_with_the_same_path_are_both_on_the_pages(database: Database, catalog: Catalog) -> None:
    second = Root("f" * 32, catalog.catalog_id, b"/second", read_only=False)
    database.write(catalogs.insert_root, second)
    add_items(database, catalog, ["a", "b"])
    add_items(database, catalog, ["a", "b"], root_id=second.root_id)
    assert [item.path for item in pages(database, catalog, 1)] == ["a", "a", "b", "b"]
    assert [item.path for item in pages(database, catalog, 1, root_id=second.root_id)] == ["a", "b"]
    assert len(database.read(items.by_path, catalog.catalog_id, "a")) == 2
    (found,) = database.read(items.by_path, catalog.catalog_id, "a", second.root_id)
    assert found.root_id == second.root_id


def test_a_prefix_finds_what_begins_with_it(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["2023/a", "2023/\U0001f600", "2023", "20230/a", "2024/a", "2022/a"])
    assert [item.path for item in pages(database, catalog, 2, prefix="2023/")] == ["2023/a", "2023/\U0001f600"]
    assert database.read(items.count, catalog.catalog_id, SavedSearch.ALL, "2023/", "") == 2
    assert database.read(items.count, catalog.catalog_id, SavedSearch.ALL, "%", "") == 0


def test_saved_searches_find_what_their_name_says(database: Database, catalog: Catalog) -> None:
    states = {state.name: state for state in ItemState}
    stored = add_items(database, catalog, [*states, "GONE"])
    for item in stored[:-1]:
        state = states[item.path]
        since = None if state is ItemState.SYNCED else 5
        failure = "LOCKED" if state is ItemState.FAILED else None
        change(database, replace(item, state=state, unsynced_since=since, failure=failure))
    change(database, replace(stored[-1], missing_since=1))
    expected = {
        SavedSearch.ALL: {*states, "GONE"},
        SavedSearch.UNSYNCED: {"PENDING", "FAILED", "CONFLICTED", "HELD"},
        SavedSearch.FAILED: {"FAILED"},
        SavedSearch.CONFLICTED: {"CONFLICTED"},
        SavedSearch.HELD: {"HELD"},
        SavedSearch.MISSING: {"GONE"},
    }
    for search, paths in expected.items():
        assert set(select(database, catalog, saved_search=search)) == paths
        assert {item.path for item in pages(database, catalog, 1, search=search)} == paths
        assert database.read(items.count, catalog.catalog_id, search, "", "") == len(paths)
    assert len(pages(database, catalog, 9, search=SavedSearch.FAILED, failures=("LOCKED",))) == 1
    assert pages(database, catalog, 9, search=SavedSearch.FAILED, failures=("CORRUPT",)) == []
    assert database.read(items.count_failures, catalog.catalog_id) == {"LOCKED": 1}


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("*", {"a.jpg", "A.jpg", "IMG [1].jpg", "IMG 1.jpg", "50%_off.jpg"}),
        ("**", {"a.jpg", "A.jpg", "x/a.jpg", "x/y/b.jpg", "x/y/b.png", "IMG [1].jpg", "IMG 1.jpg", "50%_off.jpg"}),
        ("a.jpg", {"a.jpg"}),
        ("x/*.jpg", {"x/a.jpg"}),
        ("x/**.jpg", {"x/a.jpg", "x/y/b.jpg"}),
        ("x?a.jpg", set()),
        ("x[!a]a.jpg", set()),
        ("[z-a].jpg", set()),
        ("**b.*", {"x/y/b.jpg", "x/y/b.png"}),
        ("?.jpg", {"a.jpg", "A.jpg"}),
        ("[a-z].jpg", {"a.jpg"}),
        ("[!a]*.jpg", {"A.jpg", "IMG [1].jpg", "IMG 1.jpg", "50%_off.jpg"}),
        ("IMG [1].jpg", {"IMG [1].jpg", "IMG 1.jpg"}),
        ("IMG [[]1].jpg", {"IMG [1].jpg"}),
        ("[", set()),
        ("50%*", {"50%_off.jpg"}),
        ("%", set()),
        ("x", set()),
    ],
)
def test_a_glob_matches_the_whole_path(database: Database, catalog: Catalog, glob: str, matched: set[str]) -> None:
    """`*`, `?` and sets stay within a folder, `**` does not; a path always matches itself, whatever signs are in it."""
    paths = ["a.jpg", "A.jpg", "x/a.jpg", "x/y/b.jpg", "x/y/b.png", "IMG [1].jpg", "IMG 1.jpg", "50%_off.jpg"]
    add_items(database, catalog, paths)
    assert set(select(database, catalog, globs=(glob,))) == matched
    assert select(database, catalog, globs=(glob,), root_id="elsewhere") == []


def test_several_globs_match_an_item_once(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a", "b", "c"])
    assert select(database, catalog, globs=("a", "*a", "b")) == ["a", "b"]


def test_ids_match_the_items_that_exist_once_each(database: Database, catalog: Catalog) -> None:
    stored = add_items(database, catalog, [f"{number:04}" for number in range(1_200)])
    ids = [item.item_id for item in stored]
    wanted = (*reversed(ids), *ids[:3], 10**6)
    assert database.read(items.selected_ids, catalog.catalog_id, Selection(ids=wanted)) == ids
    other = make_catalog(database, "Other", b"/other")
    assert database.read(items.selected_ids, other.catalog_id, Selection(ids=wanted)) == []


def test_changes_behind_a_place_come_in_order_with_removals(database: Database, catalog: Catalog) -> None:
    one, two, three = add_items(database, catalog, ["one", "two", "three"])  # revision 1
    change(database, replace(one, note="x"), removed=[two])  # revision 2
    change(database, removed=[three])  # revision 3

    def after(revision: int, item_id: int, up_to: int = 3, limit: int = 100) -> list[tuple[int, str]]:
        found = database.read(items.changed_after, catalog.catalog_id, revision, item_id, up_to, limit)
        return [(at, each if isinstance(each, str) else f"item {each.path}") for at, _, each in found]

    assert after(0, 0) == [(2, "item one"), (2, "two"), (3, "three")]
    assert after(0, 0, limit=1) == [(2, "item one")]
    assert after(2, one.item_id, limit=1) == [(2, "two")]
    assert after(2, two.item_id) == [(3, "three")]
    assert after(0, 0, up_to=2) == [(2, "item one"), (2, "two")]
    assert after(3, items.LAST_ID) == []


def test_names_in_a_folder_are_those_directly_in_it(database: Database, catalog: Catalog) -> None:
    add_items(database, catalog, ["a", "x/a", "x/b", "x/y/a", "x0", "x.b", "xy/a"])
    root_id = catalog.roots[0].root_id

    def names(folder: bytes) -> set[bytes]:
        return set(database.read(items.names_in_folder, catalog.catalog_id, root_id, folder))

    assert names(b"x") == {b"x/a", b"x/b"}
    assert names(b"x/y") == {b"x/y/a"}
    assert names(b"") == {b"a", b"x0", b"x.b"}


def test_the_newest_edit_is_the_highest_revision_of_the_items(database: Database, catalog: Catalog) -> None:
    stored = add_items(database, catalog, [str(number) for number in range(600)])
    change(database, replace(stored[-1], revision=7))
    ids = [item.item_id for item in stored]
    assert database.read(items.newest_edit, catalog.catalog_id, ids) == 7
    assert database.read(items.newest_edit, catalog.catalog_id, ids[:-1]) == 0
    assert database.read(items.newest_edit, catalog.catalog_id, []) == 0


def test_the_items_of_another_catalog_are_never_seen(database: Database, catalog: Catalog) -> None:
    other = make_catalog(database, "Other", b"/other")
    (theirs,) = add_items(database, other, ["a"])
    assert all_items(database, catalog) == []
    assert database.read(items.get, catalog.catalog_id, theirs.item_id) is None
    assert database.read(items.selected_ids, catalog.catalog_id, EVERYTHING) == []
    assert database.read(items.changed_after, catalog.catalog_id, 0, 0, 99, 9) == []
