"""MPEG audio: the head of a frame, and the one that says how many frames there are."""

from __future__ import annotations

from dataclasses import dataclass

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_BITS_1 = {
    3: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_BITS_2 = {
    3: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_WITHIN = 192


@dataclass(frozen=True)
class Audio:
    """A frame: its length in bytes (0 if it does not say), its samples, their rate, and its bits per second."""

    length: int
    samples: int
    rate: int
    speed: int


def frame(head: bytes) -> Audio | None:
    """The frame that begins with these four bytes; None if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 0 or bits == 15 or rate == 3:
        return None
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    per_second = _RATES[version][rate]
    speed = (_BITS_1 if version == 3 else _BITS_2)[layer][bits] * 1000
    unit = 4 if layer == 3 else 1
    length = (samples // 8 // unit * speed // per_second + padding) * unit if speed else 0
    return Audio(length, samples, per_second, speed)


def start(data: bytes) -> int | None:
    """Where the sound begins: at a frame that another follows, or that is all there is."""
    position = data.find(b"\xff")
    while position >= 0:
        found = frame(data[position : position + 4])
        if found:
            end = position + found.length
            if frame(data[end : end + 4]) if found.length else position == 0:
                return position
            if position == 0 and end >= len(data):
                return position
        position = data.find(b"\xff", position + 1)
    return None


def duration(data: bytes, length: int) -> float | None:
    """How long sound of this length in bytes plays, in seconds, by its first bytes.

    The first frame says how many there are; if it does not, all are taken to have its bits per second.
    """
    first = frame(data[:4])
    if first is None:
        return None
    frames = _frames(data)
    if frames:
        return frames * first.samples / first.rate
    return length * 8 / first.speed if first.speed else None


def _frames(data: bytes) -> int:
    """How many frames there are by a frame that says so, as either of two encoders' families write it; else 0."""
    at = max(data.find(b"Xing", 0, _WITHIN), data.find(b"Info", 0, _WITHIN))
    if at >= 0:
        return int.from_bytes(data[at + 8 : at + 12], "big") if data[at + 7 : at + 8] and data[at + 7] & 1 else 0
    at = data.find(b"VBRI", 0, _WITHIN)
    return int.from_bytes(data[at + 14 : at + 18], "big") if at >= 0 else 0
