"""TensorFlow's checkpoints since 2016, V2: PREFIX.index beside PREFIX.data-00000-of-00001, or several of them.

The index is a table (`tables`). Its key "" has a BundleHeaderProto {1 number of shards, 2 endianness}; every other key is
a variable's name, and has a BundleEntryProto {1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 masked CRC32C, 7 slices}.

Source: tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/util/tensor_bundle/tensor_bundle.cc (Apache-2.0).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rltuner.errors import InputError
from rltuner.magenta.reading.tables import Table, masked_crc
from rltuner.magenta.reading.variables import LARGEST_WEIGHTS, Array, Variables, checked_shape, content_of
from rltuner.magenta.reading.wire import WireError, bytes_of, fields, int_of, messages, text_of

LARGEST_INDEX = 8 << 20  # bytes; Magenta's have some hundred
MOST_SHARDS = 1000
FLOAT = 1  # TensorFlow's number of float32


@dataclass(frozen=True)
class _Entry:
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    is_sliced: bool


def read_v2(prefix: Path) -> Variables:
    """The variables of PREFIX.index. InputError, naming the file, where it is no such index."""
    index = prefix.with_name(prefix.name + ".index")
    entries, shards = {}, 1
    try:
        for key, value in Table(content_of(index, LARGEST_INDEX)):
            if key:
                name = text_of(memoryview(key))
                entries[name] = _entry(value, name, str(index))
            else:
                header = dict(fields(value))
                shards = int_of(header.get(1, 1))
                if int_of(header.get(2, 0)):
                    raise WireError("it was written on a big-endian machine")
    except WireError as error:
        raise InputError(f"{index}: not the index of a checkpoint: {error}") from None
    if not 0 < shards <= MOST_SHARDS:
        raise InputError(f"{index}: {shards} shards; at most {MOST_SHARDS} are read")

    def shard_of(number: int) -> Path:
        return prefix.with_name(f"{prefix.name}.data-{number:05}-of-{shards:05}")

    def read(name: str) -> Array:
        entry = entries[name]
        if not 0 <= entry.shard < shards:
            raise InputError(f"{index}: {name} is in shard {entry.shard} of {shards}; it is damaged")
        return _values(entry, name, shard_of(entry.shard), index)

    used = sorted({entry.shard for entry in entries.values() if 0 <= entry.shard < shards})
    files = (index, *(shard_of(number) for number in used))
    return Variables(str(prefix), {name: entry.shape for name, entry in entries.items()}, read, files)


def _entry(value: memoryview, name: str, where: str) -> _Entry:
    numbers, crc, is_sliced = dict.fromkeys((1, 3, 4, 5), 0), 0, False
    shape: tuple[int, ...] = ()
    for number, found in fields(value):
        if number in numbers:
            numbers[number] = int_of(found)
        elif number == 2:
            shape = shape_of(bytes_of(found), name, where)
        elif number == 6:
            crc = int.from_bytes(bytes_of(found), "little")
        is_sliced |= number == 7
    return _Entry(numbers[1], shape, numbers[3], numbers[4], numbers[5], crc, is_sliced)


def shape_of(message: memoryview, name: str, where: str) -> tuple[int, ...]:
    """The sizes that a TensorShapeProto {2 dimension {1 size}} says."""
    sizes = []
    for dimension in messages(message, 2):
        sizes.append(sum(int_of(value) for number, value in fields(dimension) if number == 1))
        if len(sizes) > 64:
            break
    return checked_shape(sizes, name, where)


def _values(entry: _Entry, name: str, shard: Path, index: Path) -> Array:
    if entry.kind != FLOAT or entry.is_sliced:
        why = "is saved in slices" if entry.is_sliced else f"is of TensorFlow's type {entry.kind}"
        raise InputError(f"{index}: {name} {why}; whole variables of float32 (type {FLOAT}) can be read")
    if entry.size != 4 * math.prod(entry.shape) or not 0 <= entry.size <= LARGEST_WEIGHTS:
        raise InputError(
            f"{index}: {name} of shape {list(entry.shape)} has {entry.size:,} bytes; the index is damaged"
        )
    if not os.path.isfile(shard):
        raise InputError(f"{shard}: missing; {name} is in it. Put it beside {index.name}")
    try:
        with shard.open("rb") as file:
            size = shard.stat().st_size
            if not 0 <= entry.offset <= size - entry.size:
                raise InputError(
                    f"{shard}: truncated: {name} ends at byte {entry.offset + entry.size:,} of {size:,}"
                )
            file.seek(entry.offset)
            data = file.read(entry.size)
    except OSError as error:
        raise InputError(f"{shard}: cannot be read ({error.strerror or error})") from None
    if masked_crc(data) != entry.crc:
        raise InputError(f"{shard}: the CRC of {name} does not match; the file is damaged")
    return np.frombuffer(data, "<f4").reshape(entry.shape)
