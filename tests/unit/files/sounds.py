"""MP3 and files of chunks, made byte by byte, and files in memory for parsers that are given damaged ones."""

from __future__ import annotations

from typing import Literal

from hypothesis import strategies as st
from unit.files.witnesses import Memory


def damaged(data: st.DataObject, content: bytes) -> Memory:
    """The file with a few bytes changed, and perhaps cut off."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return Memory(bytes(changed[: data.draw(st.integers(1, len(changed)))]))


def syncsafe(number: int) -> bytes:
    """A number in four bytes of seven bits."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(kind: bytes, content: bytes, version: int = 3, flags: bytes = b"\0\0") -> bytes:
    """A frame of an ID3 tag."""
    if version == 2:
        return kind + len(content).to_bytes(3, "big") + content
    return kind + (len(content).to_bytes(4, "big") if version == 3 else syncsafe(len(content))) + flags + content


def tag(*frames: bytes, version: int = 3, flags: int = 0, padding: int = 0) -> bytes:
    """An ID3v2 tag."""
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(body)) + body


def frames_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """The frames of a 2.2, 2.3 or (with lengths as they should be) 2.4 tag: their names and contents."""
    version, found, position = content[3], [], 10
    end = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    name, bits, head = {2: (3, 8, 6), 3: (4, 8, 10), 4: (4, 7, 10)}[version]
    while position < end and content[position]:
        size = 0
        for byte in content[position + name : position + name + (3 if version == 2 else 4)]:
            size = size << bits | byte
        found.append((content[position : position + name], content[position + head : position + head + size]))
        position += head + size
    return found


def sound(count: int = 6) -> bytes:
    """Some frames of MPEG 1 layer III, silent."""
    return (b"\xff\xfb\x90\x64" + bytes(413)) * count


def v1(title: bytes = b"Old", comment: bytes = b"", track: int = 0) -> bytes:
    """An ID3v1 tag, with a track number if there is one."""
    last = comment.ljust(28, b"\0")[:28] + bytes([0, track]) if track else comment.ljust(30, b"\0")
    return b"TAG" + title.ljust(30, b"\0") + bytes(60) + b"1999" + last + b"\x07"


def chunk(kind: bytes, content: bytes, order: Literal["little", "big"] = "little") -> bytes:
    """A chunk with its pad."""
    return kind + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)


def form(outer: bytes, kind: bytes, *chunks: bytes, order: Literal["little", "big"] = "little") -> bytes:
    """A whole file of chunks."""
    return chunk(outer, kind + b"".join(chunks), order)


def chunks_of(content: bytes, order: Literal["little", "big"] = "little") -> list[tuple[bytes, bytes]]:
    """The chunks of a file, as far as it says that it goes; each must be where the one before ends."""
    found, position, end = [], 12, 8 + int.from_bytes(content[4:8], order)
    while position < end:
        length = int.from_bytes(content[position + 4 : position + 8], order)
        found.append((content[position : position + 4], content[position + 8 : position + 8 + length]))
        position += 8 + length + length % 2
    assert position == end
    return found
