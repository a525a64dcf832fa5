"""The file port: never outside the root, whatever links or names say (I8)."""

from __future__ import annotations

import os

import pytest
from indelible_server.files.plan import Mode
from indelible_server.files.port import Root
from indelible_server.files.problems import FileProblem, Reason
from unit.files.library import Library, jpeg


@pytest.mark.parametrize("path", [b"..", b"a/../b", b"/etc/passwd", b"", b"a//b", b"./a", b"a\0b", b"../x", b"a/"])
def test_paths_that_could_lead_elsewhere_are_refused(library: Library, path: bytes) -> None:
    with pytest.raises(FileProblem) as problem:
        library.root.open(path)
    assert problem.value.reason is Reason.NOT_A_FILE


def test_links_are_never_followed(library: Library) -> None:
    outside = library.path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "a.jpg").write_bytes(jpeg())
    os.symlink(outside / "a.jpg", library.path / "link.jpg")
    os.symlink(outside, library.path / "folder")

    for path in (b"link.jpg", b"folder/a.jpg"):
        with pytest.raises(FileProblem) as problem:
            library.read(path)
        assert problem.value.reason is Reason.NOT_A_FILE
    assert list(library.root.walk()) == []


def test_what_is_no_regular_file_is_refused_without_hanging(library: Library) -> None:
    os.mkfifo(library.path / "fifo.jpg")
    (library.path / "folder.jpg").mkdir()

    for path in (b"fifo.jpg", b"folder.jpg"):
        with pytest.raises(FileProblem) as problem:
            library.read(path)
        assert problem.value.reason is Reason.NOT_A_FILE


def test_names_are_bytes(library: Library) -> None:
    key = library.add(b"sub/na\xefve \xff.jpg", jpeg())

    assert library.write(key, {"title": "T"}).mode is Mode.REPLACE
    assert library.read(key).tags == {"title": "T"}
    assert [path for path, _identity in library.root.walk()] == [key]


def test_walking_leaves_out_what_is_hidden_or_ours(library: Library) -> None:
    for name in ("b/2.jpg", "a/1.jpg", ".indelible-root", ".indelible-0.tmp", ".hidden/x.jpg", "z.jpg"):
        library.add(name, b"x")

    assert [path for path, _identity in library.root.walk()] == [b"z.jpg", b"a/1.jpg", b"b/2.jpg"]
    assert [path for path, _identity in library.root.walk(b"a")] == [b"a/1.jpg"]


def test_what_is_missing_is_told_apart_from_a_root_that_is_gone(library: Library) -> None:
    with pytest.raises(FileProblem) as problem:
        library.read(b"none.jpg")
    assert problem.value.reason is Reason.MISSING
    assert not problem.value.transient

    with pytest.raises(FileProblem) as problem:
        Root(str(library.path / "none"))
    assert problem.value.reason is Reason.STORAGE_OFFLINE
    assert problem.value.transient
