"""Selections of requests."""

from __future__ import annotations

from collections.abc import Iterable

from indelible.v1 import item_pb2

from ..errors import invalid, too_large
from ..storage.items import SavedSearch, Selection

IDS_LIMIT = 100_000
GLOBS_LIMIT = 1_000


def saved_search(number: int, at: str = "saved_search") -> SavedSearch:
    """The saved search; UNSPECIFIED finds every item."""
    if number not in item_pb2.SavedSearch.values():
        raise invalid(at, f"{number} is not a saved search")
    name = item_pb2.SavedSearch.Name(number).removeprefix("SAVED_SEARCH_")  # type: ignore[arg-type]  # checked above
    return SavedSearch.ALL if name == "UNSPECIFIED" else SavedSearch[name]


def selection(message: item_pb2.Selection) -> Selection:
    """The selection; raises `InvalidArgument` for one that says nothing, or a path that leads out of the roots."""
    kind = message.WhichOneof("kind")
    if kind == "item_ids" and message.item_ids.ids:
        return Selection(ids=_ids(message.item_ids.ids), root_id=message.root_id)
    if kind == "path_globs" and message.path_globs.globs:
        return Selection(globs=_globs(message.path_globs.globs), root_id=message.root_id)
    if kind == "saved_search" and message.saved_search:
        return Selection(
            saved_search=saved_search(message.saved_search, "selection.saved_search"), root_id=message.root_id
        )
    if kind == "all" and message.all:
        return Selection(saved_search=SavedSearch.ALL, root_id=message.root_id)
    raise invalid("selection", "is empty: name items, paths, a saved search, or all of them", reason="EMPTY_SELECTION")


def item_id(text: str, at: str) -> int:
    """The number in an item id."""
    if not text.isdecimal() or len(text) > 18:
        raise invalid(at, f"{text!r} is not an item id")
    return int(text)


def inside(path: str, at: str) -> str:
    """A path below a root; raises `InvalidArgument` for one that leads out of it."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise invalid(
            at,
            f"{path!r} leads out of the root: give a path below it, without '..'",
            reason="PATH_OUTSIDE_ROOT",
            path=path,
        )
    return path


def _ids(texts: Iterable[str]) -> tuple[int, ...]:
    ids = tuple(dict.fromkeys(item_id(text, f"selection.item_ids.ids[{place}]") for place, text in enumerate(texts)))
    if len(ids) > IDS_LIMIT:
        raise too_large("selection.item_ids.ids", "max_selection_ids", IDS_LIMIT)
    return ids


def _globs(texts: Iterable[str]) -> tuple[str, ...]:
    globs = tuple(inside(text, f"selection.path_globs.globs[{place}]") for place, text in enumerate(texts))
    if len(globs) > GLOBS_LIMIT or not all(globs):
        raise invalid("selection.path_globs.globs", f"has an empty glob, or more than {GLOBS_LIMIT:,}")
    return globs
