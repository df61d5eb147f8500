"""Tables of sorted keys and values, in blocks: LevelDB's format, which TensorFlow's checkpoints are written in.

The last 48 bytes are two handles, and a magic number at the very end. A handle is two varints, offset and size of a
block; the second one is of the index, whose values are the handles of the data blocks. After a block stand one byte, 0 as
it is or 1 Snappy, and the masked CRC32C of both. A block is entries, then the places where keys begin anew, 4 bytes each,
and their number. An entry is three varints, how much of its key is the last one's, how much follows, and the value's
size; then those bytes.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md; tensorflow/core/lib/io/format.h
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import google_crc32c

from rltuner.magenta.reading.snappy import decompressed
from rltuner.magenta.reading.wire import WireError, varint

MAGIC = 0xDB4775248B80FB57
FOOTER, TRAILER = 48, 5
LONGEST_KEY = 4096
MOST_ENTRIES = 20_000
MOST_UNPACKED = 4 << 20  # bytes of all Snappy blocks together; indices have some thousand


def masked_crc(data: bytes) -> int:
    """CRC32C as TensorFlow and LevelDB store it: rotated by 15 bits, plus a constant."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


class Table:
    """The entries of a table, in its order; WireError where it is none."""

    def __init__(self, content: memoryview) -> None:
        if not is_table(content):
            raise WireError("no table of TensorFlow's (its last 8 bytes are not the magic number)")
        self._content, self._unpacked = content, 0
        footer = content[-FOOTER:]
        _, at = _handle(footer, 0)
        self._index = _handle(footer, at)[0]

    def __iter__(self) -> Iterator[tuple[bytes, memoryview]]:
        count = 0
        for _, value in _entries(self._block(*self._index)):
            for entry in _entries(self._block(*_handle(value, 0)[0])):
                count += 1
                if count > MOST_ENTRIES:
                    raise WireError(f"more than {MOST_ENTRIES:,} entries")
                yield entry

    def _block(self, offset: int, size: int) -> memoryview:
        if offset + size + TRAILER > len(self._content) - FOOTER:
            raise WireError("a block lies beyond its end; it is truncated or damaged")
        block = self._content[offset : offset + size]
        kind, (stored,) = (
            self._content[offset + size],
            struct.unpack("<I", self._content[offset + size + 1 :][:4]),
        )
        if masked_crc(bytes(self._content[offset : offset + size + 1])) != stored:
            raise WireError(
                f"the CRC of its block at byte {offset} does not match{_names_in(block)}; it is damaged"
            )
        if kind == 1:
            block = decompressed(block, MOST_UNPACKED - self._unpacked)
            self._unpacked += len(block)
        elif kind:
            raise WireError(f"a block is compressed in an unknown way ({kind})")
        return block


def is_table(content: memoryview) -> bool:
    """Whether the content ends as a table does."""
    return len(content) >= FOOTER and int.from_bytes(content[-8:], "little") == MAGIC


def _handle(data: memoryview, at: int) -> tuple[tuple[int, int], int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if len(block) < 4:
        raise WireError("a block without its end")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (1 + restarts)
    if end < 0:
        raise WireError("a block whose end is longer than it")
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or shared + own > LONGEST_KEY or own + size > end - at:
            raise WireError("an entry that does not fit its block")
        key = key[:shared] + bytes(block[at : at + own])
        yield key, block[at + own : at + own + size]
        at += own + size


def _names_in(block: memoryview) -> str:
    """What a damaged block holds, as far as that can still be read."""
    names = []
    try:
        for key, _ in _entries(block):
            text = "".join(chr(byte) for byte in key if 32 < byte < 127).strip()
            names += [text[:100]] if text else []
            if len(names) == 4:
                break
    except WireError:
        pass
    return f" (it holds {', '.join(names)})" if names else ""
