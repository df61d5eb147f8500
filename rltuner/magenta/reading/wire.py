"""Protocol buffers' wire format, as much of it as TensorFlow's files need: fields by number, nothing generated.

A message is a row of fields. Each begins with a varint, its number times 8 plus how its value is written: 0 a varint, 1
eight bytes, 2 a varint length and so many bytes, 5 four bytes.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

MOST_FIELDS = 2_000_000  # of a message: reading one takes a second at most
_WIDTHS = {1: 8, 5: 4}


class WireError(ValueError):
    """Bytes that are no message; the file's reader says which file."""


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place after it. WireError for more than 64 bits, or where data ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise WireError("a number has more than 10 bytes")


def fields(message: memoryview, most: int = MOST_FIELDS) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in order: an int of a varint, else the bytes.

    WireError where it is no message, or has more than `most` fields.
    """
    at = 0
    for _ in range(most + 1):
        if at == len(message):
            return
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if not number:
            raise WireError("a field of number 0")
        if kind == 0:
            value, at = varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = varint(message, at)
        elif kind in _WIDTHS:
            length = _WIDTHS[kind]
        else:
            raise WireError(f"a field of unknown kind {kind}")
        if length > len(message) - at:
            raise WireError("a field is longer than what holds it")
        yield number, message[at : at + length]
        at += length
    raise WireError(f"a message of more than {most:,} fields")


def messages(message: memoryview, number: int, most: int = MOST_FIELDS) -> Iterator[memoryview]:
    """The bytes of each field of that number. WireError where one is a varint, and as `fields` has it."""
    for found, value in fields(message, most):
        if found == number:
            yield bytes_of(value)


def bytes_of(value: int | memoryview) -> memoryview:
    """A field's value that must be bytes."""
    if isinstance(value, int):
        raise WireError("a number where bytes are expected")
    return value


def int_of(value: int | memoryview) -> int:
    """A field's value that must be a varint, as a signed number of 64 bits."""
    if not isinstance(value, int):
        raise WireError("bytes where a number is expected")
    return value - (1 << 64) if value >> 63 else value


def text_of(value: int | memoryview) -> str:
    """A field's value as text of at most 1000 bytes; what is no UTF-8 is replaced, and what does not print."""
    raw = bytes_of(value)
    if len(raw) > 1000:
        raise WireError("a name of more than 1000 bytes")
    return "".join(c if c.isprintable() else "\ufffd" for c in bytes(raw).decode(errors="replace"))
