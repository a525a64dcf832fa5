"""Whatever people write is what is read back, in every home: embedded, in a sidecar, and in both."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indelible_server.files.tags import SEPARATOR, Tags, difference
from unit.files.library import Library, jpeg
from unit.files.vorbis_files import COMMENTS, PADDING, comments, flac, vorbis

FILES = {
    "a.jpg": jpeg(),
    "a.nef": b"II*\0raw",
    "a.flac": flac((COMMENTS, comments("ARTIST=Somebody")), (PADDING, bytes(9000))),
    "a.ogg": vorbis(comments("ARTIST=Somebody")),
}
SAMPLES = (
    "Ångström, naïve, e\u0301 decomposed",
    "Ελληνικά, кириллица, Հայերեն, ქართული",
    "עברית \u200fמשמאל\u200e and back",
    "العربية ١٢٣ \u202eturned\u202c",
    "हिन्दी, தமிழ், ไทย, ខ្មែរ, አማርኛ",
    "日本語、中文、한국어、𠮷野家",
    "👩‍👩‍👧‍👦 🇺🇳 ❤\ufe0f \U0001f9d1\U0001f3fd\u200d\U0001f680",
    "<b>&amp; \"quoted\" 'single' ]]> <!-- --> <?xpacket end='w'?> &#65; %s \\n {0}",
    'a caption with , lang="x-default" in it, lang="de"',
    "line\nline\r\nline\n\n\ttab and \x0b\x00control",
    "\ufeffmark \u2028separators\u2029 \xa0blanks\u3000",
    "=; a=b; TITLE=other",
)
TEXTS = st.one_of(
    st.sampled_from(SAMPLES),
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.lists(st.sampled_from(SAMPLES), min_size=2, max_size=3).map(" ".join),
)
LEVELS = TEXTS.map(lambda text: text.replace(SEPARATOR, "/"))
KEYWORDS = st.lists(st.one_of(LEVELS, st.lists(LEVELS, min_size=2, max_size=4).map(SEPARATOR.join)), max_size=6)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "title": TEXTS,
    "headline": TEXTS,
    "description": TEXTS,
    "keywords": KEYWORDS,
    "people": st.lists(TEXTS, max_size=4),
    "event": TEXTS,
    "rating": st.integers(-1, 5),
    "label": TEXTS,
    "flag": st.integers(-1, 1),
    "creators": st.lists(TEXTS, max_size=3),
    "copyright": TEXTS,
    "credit": TEXTS,
    "source": TEXTS,
    "instructions": TEXTS,
    "place.location": TEXTS,
    "place.city": TEXTS,
    "place.country_code": st.sampled_from(["FRA", "fr", "DEU"]),
    "gps": st.fixed_dictionaries(
        {"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}, optional={"alt": st.floats(-400, 9000)}
    ),
    "taken_at": st.sampled_from(["2020", "2020-05", "2020-05-06T07:08", "2020-05-06T07:08:09.120+02:00"]),
}
SPECIAL: dict[str, Tags] = {
    "words that are levels": {"keywords": ["Europe", "tree", "Europe|France|Paris", "Paris", "sea"]},
    "long caption": {"description": "".join(SAMPLES[index % 8] for index in range(1000))[:10_000]},
    "many keywords": {"keywords": [f"{SAMPLES[index % 7]} {index}" for index in range(1000)]},
    "many paths": {"keywords": [f"{SAMPLES[index % 7]}|{index}" for index in range(1000)]},
}


def goes_round(library: Library, key: bytes, tags: Tags) -> None:
    """Write, read back, find nothing left to write, and find nothing left over after clearing."""
    library.write(key, tags)
    reading = library.read(key)
    assert not difference(reading.tags, tags)
    assert not reading.stale
    assert not library.plan(key, tags).files
    assert not library.plan(key, dict(reading.tags)).files

    library.write(key, dict.fromkeys(tags))
    assert not difference(library.read(key).tags, {})


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.fixed_dictionaries({}, optional=VALUES))
def test_what_is_written_is_read_back(library: Library, name: str, tags: Tags) -> None:
    for left in library.names():
        (library.path / left).unlink()

    goes_round(library, library.add(name, FILES[name]), tags)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", SPECIAL)
def test_special_values_are_read_back(library: Library, name: str, what: str) -> None:
    goes_round(library, library.add(name, FILES[name]), SPECIAL[what])


@pytest.mark.parametrize("name", FILES)
def test_every_sample_is_read_back_after_every_other(library: Library, name: str) -> None:
    key = library.add(name, FILES[name])

    for index, sample in enumerate(SAMPLES):
        tags: Tags = {"title": sample, "description": sample, "keywords": [sample, f"{SAMPLES[index - 1]}|{sample}"]}
        library.write(key, tags)
        assert not difference(library.read(key).tags, tags)
        assert not library.plan(key, tags).files
