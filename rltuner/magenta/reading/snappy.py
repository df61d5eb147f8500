"""Snappy's raw format: a varint of the size, then literals and copies of what was written before.

Source: https://github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

from rltuner.magenta.reading.wire import WireError, varint


def decompressed(data: memoryview, most: int) -> memoryview:
    """The content of a raw Snappy stream of at most `most` bytes; WireError where it is larger or none."""
    size, at = varint(data, 0)
    if size > most:
        raise WireError(f"{size:,} bytes unpacked; at most {most:,} are read")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                width = length - 60
                length = int.from_bytes(data[at : at + width], "little") + 1
                at += width
            if length > len(data) - at or length > size - len(out):
                raise WireError("a literal is longer than its stream")
            out += data[at : at + length]
            at += length
            continue
        width = (1, 2, 4)[(tag & 3) - 1]
        if at + width > len(data):
            raise WireError("it ends in the middle of a copy")
        offset = int.from_bytes(data[at : at + width], "little")
        at += width
        if width == 1:
            length = (tag >> 2 & 7) + 4
            offset |= tag >> 5 << 8
        else:
            length = (tag >> 2) + 1
        if not 0 < offset <= len(out) or length > size - len(out):
            raise WireError("a copy of what is not there")
        copied = out[len(out) - offset :][:length]
        out += (copied * (length // len(copied) + 1))[:length]  # it may overlap what it writes
    if len(out) != size:
        raise WireError(f"it holds {len(out):,} bytes instead of {size:,}")
    return memoryview(bytes(out))
