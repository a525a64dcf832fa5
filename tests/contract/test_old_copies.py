"""A program had read a file before we wrote it, and saves it after: what it has not changed itself is no news."""

from __future__ import annotations

import pytest
from indelible_server.domain.edits import Edit
from indelible_server.storage.item import ItemState
from support.archive import Archive, came_of
from support.edits import title
from support.photos import edit_outside, edited_outside, exiftool, make_photos, save_outside, seen


def test_an_old_copy_that_a_program_saves_does_not_bring_back_what_we_replaced(archive: Archive) -> None:
    """The program had read the file before we wrote it; what it changed itself comes in."""
    as_read = archive.photo.read_bytes()
    archive.edit(title("Ours"))
    archive.write()
    save_outside(archive.photo, edited_outside(as_read, credit="Theirs"))
    assert seen(archive.photo).title == "Base"
    archive.rescan()
    item = archive.item
    assert (item.tags, item.state) == ({"title": "Ours", "credit": "Theirs"}, ItemState.PENDING)
    assert archive.newest().changes == {"credit": [None, "Theirs"], "title": ["Base", "Ours"]}
    archive.write()
    assert (seen(archive.photo).title, seen(archive.photo).credit) == ("Ours", "Theirs")
    assert came_of(archive.rescan()) == {}


def test_nor_does_it_when_a_writer_comes_first(archive: Archive) -> None:
    as_read = archive.photo.read_bytes()
    archive.edit(title("Ours"))
    archive.write()
    save_outside(archive.photo, edited_outside(as_read, credit="Theirs"))
    archive.edit(Edit("set", "rating", 4))
    archive.write()
    assert archive.item.tags == {"title": "Ours", "credit": "Theirs", "rating": 4}
    found = seen(archive.photo)
    assert (found.title, found.credit, found.rating) == ("Ours", "Theirs", 4)
    assert archive.item.state is ItemState.SYNCED


def test_what_is_added_to_an_old_list_comes_in_beside_what_we_had_added(archive: Archive) -> None:
    archive.edit(Edit("add", "keywords", ["a"]))
    archive.write()
    as_read = archive.photo.read_bytes()
    archive.edit(Edit("add", "keywords", ["b"]))
    archive.write()
    save_outside(archive.photo, edited_outside(as_read, keyword="t"))
    archive.rescan()
    assert sorted(archive.item.tags["keywords"]) == ["a", "b", "t"]
    assert archive.item.state is ItemState.PENDING
    archive.write()
    assert seen(archive.photo).keywords == ("a", "b", "t")


def test_an_old_copy_without_any_metadata_clears_nothing(archive: Archive) -> None:
    make_photos(archive.folder, 1)
    archive.rescan()
    assert (archive.item.tags, archive.item.state) == ({"title": "Base"}, ItemState.PENDING)


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.tool("exiftool")
def test_a_real_return_to_the_old_value_is_taken_in(archive: Archive, dated: bool) -> None:
    """Most programs leave the date of the metadata alone: then it is ours still."""
    archive.edit(title("Ours"))
    archive.write()
    if dated:
        exiftool(archive.photo, "-XMP-dc:Title=Base", "-XMP-xmp:MetadataDate=now")
    else:
        edit_outside(archive.photo, title="Base")
    archive.rescan()
    assert (archive.item.tags, archive.item.state) == ({"title": "Base"}, ItemState.SYNCED)
