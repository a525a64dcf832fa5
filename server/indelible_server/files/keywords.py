"""Keywords in files: a list of paths, and beside it a flat list for those who know no paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from .codecs import Codec, Raw
from .policy import FlatForm, Policy
from .tags import REMEMBERED, SEPARATOR, levels, tidy, unique


def combine(paths: Sequence[str], flat: Sequence[str], policy: Policy) -> list[str]:
    """The keywords that a list of paths and a flat list say together: paths first, then what is no level of one.

    Where the list of paths holds single words too, the order of the flat list counts.
    """
    found = ordered([*filter(_is_path, paths), *flat, *paths])
    return [keyword for keyword in meant(found) if not policy.is_private(keyword)]


def meant(keywords: Sequence[str]) -> list[str]:
    """The keywords without the single ones that are a level of another: files cannot tell whether those are meant."""
    known = _levels_of_paths(keywords)
    return [keyword for keyword in keywords if _is_path(keyword) or _key(keyword) not in known]


def ordered(keywords: Iterable[str]) -> list[str]:
    """Paths first, then single words: the order in which they are read again."""
    return sorted(unique("keywords", keywords), key=lambda keyword: not _is_path(keyword))


def without_levels(words: Iterable[str], value: Sequence[str], *, kept: Iterable[str]) -> list[str]:
    """The words without those that are only levels of paths in `value`; the `kept` ones stay."""
    dropped = _levels_of_paths(value) - {_key(keyword) for keyword in kept}
    return [word for word in words if _key(word) not in dropped]


def _levels_of_paths(value: Iterable[str]) -> set[str]:
    return {key for keyword in value if _is_path(keyword) for key in _keys_below(keyword)}


@lru_cache(maxsize=REMEMBERED)
def _key(keyword: str) -> str:
    return SEPARATOR.join(levels(keyword)).casefold()


@lru_cache(maxsize=REMEMBERED)
def _keys_below(keyword: str) -> frozenset[str]:
    """Each level of a path, and the path itself, as they may stand in a flat list; Windows has slashes in it."""
    path = [level.casefold() for level in levels(keyword)]
    return frozenset((*path, SEPARATOR.join(path), "/".join(path)))


def _is_path(keyword: str) -> bool:
    return len(levels(keyword)) > 1


def _spelled(keywords: Iterable[str], present: Sequence[str]) -> list[str]:
    """The keywords, once each, in the spelling that the file has already."""
    first = {_key(keyword): keyword for keyword in reversed(present)}
    return [first.get(_key(keyword), SEPARATOR.join(levels(keyword))) for keyword in unique("keywords", keywords)]


def _encode_paths(value: Any, old: Raw | None, policy: Policy) -> list[str] | None:
    # Some programs keep single words here too: those that are still wanted stay, others are not added.
    present = old or []
    known = {_key(keyword) for keyword in present}
    kept = [keyword for keyword in value if _is_path(keyword) or _key(keyword) in known]
    return _spelled([*kept, *_private(present, policy)], present) or None


def _encode_flat(value: Any, old: Raw | None, policy: Policy) -> list[str] | None:
    present = old or []
    form = FlatForm.ALL_LEVELS if _has_all_levels(value, {_key(keyword) for keyword in present}) else policy.flat_form
    flat = _flat_list(value, present, form, policy)
    if _has_all_levels(value, {_key(keyword) for keyword in flat}):
        # What stays makes it complete, so the habit will be seen in it: the order must be that of the habit already.
        flat = _flat_list(value, present, FlatForm.ALL_LEVELS, policy)
    return flat or None


def _flat_list(value: Any, present: Sequence[str], form: FlatForm, policy: Policy) -> list[str]:
    # What files cannot tell for sure comes last, as it will when it is kept as something that was there.
    told = [*meant(value), *value]
    wanted = [part for keyword in told for part in _flat(keyword, form) if not policy.is_private(keyword)]
    needed = {key for keyword in value for key in _keys_below(keyword)}
    kept = [keyword for keyword in present if _key(keyword) in needed or policy.is_private(keyword)]
    # Words that are levels come first: they are not read as keywords of their own, so their place must not count.
    known = _levels_of_paths(value)
    return sorted(_spelled([*wanted, *kept], present), key=lambda word: _key(word) not in known)


def _encode_slashes(value: Any, old: Raw | None, policy: Policy) -> list[str] | None:
    shown = [keyword for keyword in meant(value) if not policy.is_private(keyword)]
    kept = _private(_decode_slashes(old or [], policy) or [], policy)
    paths = [levels(keyword) for keyword in unique("keywords", [*shown, *kept])]
    # A level with a slash cannot be told from two levels here.
    return ["/".join(path) for path in paths if not any("/" in level for level in path)] or None


def _encode_pipes(value: Any, old: Raw | None, policy: Policy) -> list[str] | None:
    shown = [keyword for keyword in meant(value) if not policy.is_private(keyword)]
    return _spelled([*shown, *_private(old or [], policy)], old or []) or None


def _private(present: Sequence[str], policy: Policy) -> list[str]:
    return [keyword for keyword in present if policy.is_private(keyword)]


def _has_all_levels(value: Sequence[str], known: set[str]) -> bool:
    """Whether the file has the habit of holding all levels: each path that it knows by its leaf."""
    paths = [[level.casefold() for level in levels(keyword)] for keyword in value if _is_path(keyword)]
    habits = [known.issuperset(path) for path in paths if path[-1] in known]
    return bool(habits) and all(habits)


def _flat(keyword: str, form: FlatForm) -> list[str]:
    parts = levels(keyword)
    if form is FlatForm.ALL_LEVELS:
        return list(parts)
    return [SEPARATOR.join(parts)] if form is FlatForm.FULL_PATH else list(parts[-1:])


def _decode_slashes(raw: Raw, _policy: Policy) -> list[str] | None:
    return [SEPARATOR.join(part for part in text.split("/") if part) for text in raw] or None


def _decode(raw: Raw, _policy: Policy) -> list[str] | None:
    return unique("keywords", raw) or None


def _encode_commas(value: Any, _old: Raw | None, policy: Policy) -> str | None:
    return ", ".join(_words(value, policy)) or None


def _decode_commas(raw: Raw, _policy: Policy) -> list[str] | None:
    return unique("keywords", (tidy(word) for word in raw.replace(";", ",").split(","))) or None


def _encode_semicolons(value: Any, _old: Raw | None, policy: Policy) -> str | None:
    return ";".join(_words(value, policy)) or None


def _words(value: Any, policy: Policy) -> list[str]:
    """The words of a text: none that is only a level of a path, as it could not be told from others once it is cut."""
    shown = [keyword for keyword in meant(value) if not policy.is_private(keyword)]
    return unique("keywords", [part for keyword in shown for part in _flat(keyword, policy.flat_form)])


def _decode_semicolons(raw: Raw, _policy: Policy) -> list[str] | None:
    return unique("keywords", (tidy(word) for word in raw.split(";"))) or None


PATHS = Codec(_encode_paths, _decode)
FLAT = Codec(_encode_flat, _decode)
PIPES = Codec(_encode_pipes, _decode)
SLASHES = Codec(_encode_slashes, _decode_slashes)
SEMICOLONS = Codec(_encode_semicolons, _decode_semicolons)
COMMAS = Codec(_encode_commas, _decode_commas)
