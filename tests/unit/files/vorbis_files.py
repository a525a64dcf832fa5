"""FLAC and Ogg files made byte by byte, and taken apart again without the engine."""

from __future__ import annotations

import struct
from collections.abc import Sequence

STREAMINFO, PADDING, APPLICATION, SEEKTABLE, COMMENTS, PICTURE = 0, 1, 2, 3, 4, 6
FRAMES = b"\xff\xf8" + bytes(range(256)) * 8
"""What sounds like frames to those who only look at how they begin."""
SERIAL = 77


def comments(*entries: str | bytes, vendor: bytes = b"some encoder") -> bytes:
    """Vorbis comments."""
    parts = [entry.encode() if isinstance(entry, str) else entry for entry in entries]
    return _sized(vendor) + struct.pack("<I", len(parts)) + b"".join(_sized(part) for part in parts)


def entries_in(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The vendor and the entries of comments, and what follows them."""
    vendor, data = _cut(data)
    (count,), data, found = struct.unpack_from("<I", data), data[4:], []
    for _ in range(count):
        entry, data = _cut(data)
        found.append(entry)
    return vendor, found, data


def _sized(part: bytes) -> bytes:
    return struct.pack("<I", len(part)) + part


def _cut(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from("<I", data)
    assert 4 + length <= len(data)
    return data[4 : 4 + length], data[4 + length :]


def stream_info(rate: int = 44_100, samples: int = 88_200) -> bytes:
    """What a FLAC stream is like: stereo, 16 bits."""
    return (
        struct.pack(">HH", 4096, 4096) + bytes(6) + (rate << 44 | 1 << 41 | 15 << 36 | samples).to_bytes(8) + bytes(16)
    )


def flac(*blocks: tuple[int, bytes], frames: bytes = FRAMES) -> bytes:
    """A FLAC file with these blocks behind the first one."""
    stored = [(STREAMINFO, stream_info()), *blocks]
    heads = [bytes([kind | (0x80 if index == len(stored) - 1 else 0)]) for index, (kind, _) in enumerate(stored)]
    parts = [head + len(data).to_bytes(3) + data for head, (_, data) in zip(heads, stored, strict=True)]
    return b"fLaC" + b"".join(parts) + frames


def flac_blocks(content: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The blocks of a FLAC file behind the first one, and its frames; only the last block may say that it is."""
    assert content[:4] == b"fLaC"
    position, found, last = 4, [], 0
    while not last:
        last, kind = content[position] & 0x80, content[position] & 0x7F
        length = int.from_bytes(content[position + 1 : position + 4])
        position += 4 + length
        assert position <= len(content)
        found.append((kind, content[position - length : position]))
    assert found[0] == (STREAMINFO, stream_info())
    return found[1:], content[position:]


def page(
    number: int,
    segments: Sequence[bytes],
    *,
    flags: int = 0,
    position: int = 0,
    serial: int = SERIAL,
    crc: int | None = None,
) -> bytes:
    """A page of these segments."""
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, position, serial, number)
    body = bytes([len(segments)]) + bytes(len(segment) for segment in segments) + b"".join(segments)
    checksum = checksum_of(head + bytes(4) + body) if crc is None else crc
    return head + struct.pack("<I", checksum) + body


def segments(packet: bytes) -> list[bytes]:
    """A packet cut into segments."""
    return [packet[at : at + 255] for at in range(0, len(packet) + 1, 255)]


def _shifted(byte: int) -> int:
    checksum = byte << 24
    for _ in range(8):
        checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return checksum


_TABLE = [_shifted(byte) for byte in range(256)]


def checksum_of(data: bytes) -> int:
    """Ogg's checksum, byte by byte."""
    checksum = 0
    for byte in data:
        checksum = (checksum << 8 & 0xFFFFFFFF) ^ _TABLE[checksum >> 24 ^ byte]
    return checksum


def pages_of(content: bytes) -> list[tuple[int, int, int, bytes, bytes]]:
    """The pages of an Ogg file: flags, position, number, sizes and payload. Every checksum must be right."""
    found, at = [], 0
    while at < len(content):
        magic, version, flags, position, _, number, checksum, count = struct.unpack_from("<4sBBqIIIB", content, at)
        assert (magic, version) == (b"OggS", 0)
        sizes = content[at + 27 : at + 27 + count]
        end = at + 27 + count + sum(sizes)
        assert checksum == checksum_of(content[at : at + 22] + bytes(4) + content[at + 26 : end])
        found.append((flags, position, number, sizes, content[at + 27 + count : end]))
        at = end
    return found


def packets_of(content: bytes, count: int) -> list[bytes]:
    """The first packets of an Ogg file; pages must say rightly which of them go on."""
    packets, packet, going_on = [], b"", False
    for flags, _, _, sizes, payload in pages_of(content):
        assert bool(flags & 1) is going_on
        at = 0
        for size in sizes:
            packet += payload[at : at + size]
            at += size
            if size < 255:
                packets.append(packet)
                packet = b""
        going_on = bool(sizes) and sizes[-1] == 255
    return packets[:count]


VORBIS = b"\x01vorbis" + struct.pack("<IBIiiiB", 0, 2, 44_100, 0, 0, 0, 0xB8) + b"\1"
OPUS = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48_000, 0, 0)
SPEEX = b"Speex   " + b"1.2".ljust(20, b"\0") + struct.pack("<13I", 1, 80, 16_000, 0, 4, 1, 0, 320, 0, 1, 0, 0, 0)
OGG_FLAC = b"\x7fFLAC\1\0\0\1fLaC" + b"\0\0\0\x22" + stream_info()
SETUP = b"\x05vorbis" + bytes(range(200)) * 20


def ogg(head: bytes, *pages: bytes, sound: int = 3, ends_at: int = 88_200) -> bytes:
    """An Ogg file with these pages between its first one and those of its sound."""
    first = page(0, [head], flags=2)
    numbers = range(1 + len(pages), 1 + len(pages) + sound)
    last = numbers[-1] if numbers else 0
    rest = [
        page(
            number, segments(bytes([number]) * 700), flags=4 if number == last else 0, position=ends_at * number // last
        )
        for number in numbers
    ]
    return b"".join([first, *pages, *rest])


def vorbis(comment: bytes, *, behind: bytes = b"\1", sound: int = 3) -> bytes:
    """Vorbis in Ogg as encoders write it: the comments and the setup share a page."""
    return ogg(VORBIS, page(1, segments(b"\x03vorbis" + comment + behind) + segments(SETUP)), sound=sound)


def opus(comment: bytes, *, behind: bytes = b"") -> bytes:
    """Opus in Ogg."""
    return ogg(OPUS, page(1, segments(b"OpusTags" + comment + behind)))


def speex(comment: bytes) -> bytes:
    """Speex in Ogg."""
    return ogg(SPEEX, page(1, segments(comment)))


def ogg_flac(comment: bytes) -> bytes:
    """FLAC in Ogg."""
    return ogg(OGG_FLAC, page(1, segments(b"\x84" + len(comment).to_bytes(3) + comment)))
