"""IPTC in TIFF: it has two places, and a digest, and all of them are kept in step (mapping section 1)."""

from __future__ import annotations

import hashlib
import struct

import pytest
from indelible_server.files.policy import IptcRule, Policy
from unit.files.library import Library
from unit.files.native import BYTE, LONG, UNDEFINED, dataset, resource
from unit.files.tiffs import DNG, IPTC, OLD_IPTC, PSIR, Maker, value


def iptc_blocks(content: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The IPTC block, the one among the resources, and the digest."""
    parts: dict[int, bytes] = {}
    data, at = value(content, PSIR) or b"", 0
    while data[at : at + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", data, at + 4)
        start = at + 6 + (data[at + 6] + 2 & ~1) + 4
        (size,) = struct.unpack_from(">I", data, start - 4)
        parts[number] = data[start : start + size]
        at = start + size + size % 2
    return value(content, IPTC), parts.get(0x0404), parts.get(0x0425)


@pytest.mark.parametrize("swapped", [False, True])
def test_iptc_is_written_wherever_it_is_and_the_digest_with_it(library: Library, swapped: bool) -> None:
    iptc = OLD_IPTC + bytes(-len(OLD_IPTC) % 4)
    stored = b"".join(iptc[at : at + 4][::-1] for at in range(0, len(iptc), 4)) if swapped else iptc
    digest = hashlib.md5(OLD_IPTC).digest()
    parts = resource(0x03ED, b"resolution odd") + resource(0x0404, OLD_IPTC) + resource(0x0425, digest)
    key = library.add("a.tif", Maker(image={IPTC: (LONG, stored), PSIR: (BYTE, parts)}).made())
    assert library.read(key).tags == {"title": "old title", "keywords": ["word"]}

    for title in ("a new title", "t"):
        library.write(key, {"title": title})
        apart, among, written = iptc_blocks(library.bytes_of(key))
        assert apart is not None
        assert apart == among
        assert dataset(2005, title.encode()) in apart
        assert written == hashlib.md5(apart).digest()
        assert library.read(key).stale == {}


def test_iptc_among_the_resources_alone_stays_there(library: Library) -> None:
    key = library.add("a.tif", Maker(image={PSIR: (UNDEFINED, resource(0x0404, OLD_IPTC))}).made())

    library.write(key, {"title": "new"})

    apart, among, digest = iptc_blocks(library.bytes_of(key))
    assert (apart, digest) == (None, None)
    assert dataset(2005, b"new") in (among or b"")


def test_iptc_is_made_in_a_tiff_if_the_policy_says_so_and_never_in_a_dng(library: Library) -> None:
    library.policy = Policy(iptc=IptcRule.ALWAYS)
    for name, image in (("a.tif", {}), ("a.dng", DNG)):
        key = library.add(name, Maker(image=image).made())
        library.write(key, {"title": "new"})
        apart, among, _ = iptc_blocks(library.bytes_of(key))
        assert (apart is None) == (name == "a.dng")
        assert among is None
