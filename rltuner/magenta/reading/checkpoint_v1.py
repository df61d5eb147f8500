"""TensorFlow's first checkpoints, V1: one table a file (`tables`), or several files; `.mag` bundles hold one.

The key "" has SavedTensorSlices {1 meta {1 for each tensor {1 name, 2 shape, 3 type}}}; every other one has
SavedTensorSlices {2 data {1 name, 2 slice {1 for each dimension {1 start, 2 length}}, 3 TensorProto}}, whose numbers are
in field 5, packed; a slice without a length is the whole of its dimension.

Source: tensorflow/core/util/saved_tensor_slice.proto, tensorflow/core/framework/tensor.proto (Apache-2.0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rltuner.errors import InputError
from rltuner.magenta.reading.checkpoint_v2 import FLOAT, shape_of
from rltuner.magenta.reading.tables import Table
from rltuner.magenta.reading.variables import LARGEST_WEIGHTS, Array, Variables
from rltuner.magenta.reading.wire import WireError, bytes_of, fields, int_of, messages, text_of

LARGEST_META = 1 << 20  # bytes; Magenta's have some thousand
MOST_PARTS = 64  # fields of one tensor's data, at each level; there are three


def read_v1(tables: Sequence[tuple[str, memoryview]], where: str, files: Sequence[Path]) -> Variables:
    """The variables of tables, each with what names it in an error. InputError where they are no checkpoint.

    Args:
      tables: of each file its name and its content.
      where: names the whole checkpoint in an error.
      files: that it is read from.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, int] = {}
    values: dict[str, Array] = {}
    for name, content in tables:
        try:
            for key, value in Table(content):
                if not key:
                    _read_meta(value, name, shapes, kinds)
                else:
                    _read_data(value, name, shapes, values)
        except WireError as error:
            raise InputError(f"{name}: not a checkpoint of TensorFlow's: {error}") from None

    def read(name: str) -> Array:
        if kinds[name] != FLOAT:
            raise InputError(
                f"{where}: {name} is of TensorFlow's type {kinds[name]}; float32 (type {FLOAT}) can be read"
            )
        if name not in values:
            raise InputError(f"{where}: {name} has no values; it is truncated, or a file of it is missing")
        if values[name].size != math.prod(shapes[name]):
            raise InputError(
                f"{where}: {name} of shape {list(shapes[name])} has {values[name].size:,} numbers; whole variables, "
                "not slices, can be read"
            )
        return values[name].reshape(shapes[name])

    return Variables(where, shapes, read, tuple(files))


def _read_meta(
    value: memoryview, where: str, shapes: dict[str, tuple[int, ...]], kinds: dict[str, int]
) -> None:
    if len(value) > LARGEST_META:
        raise WireError(f"a list of its tensors of {len(value):,} bytes; at most {LARGEST_META:,} are read")
    for meta in messages(value, 1):
        for tensor in messages(meta, 1):
            found = dict(fields(tensor))
            name = text_of(found.get(1, memoryview(b"")))
            shapes[name] = shape_of(bytes_of(found.get(2, memoryview(b""))), name, where)
            kinds[name] = int_of(found.get(3, 0))


def _read_data(
    value: memoryview, where: str, shapes: dict[str, tuple[int, ...]], values: dict[str, Array]
) -> None:
    for data in messages(value, 2, MOST_PARTS):
        found = dict(fields(data, MOST_PARTS))
        name = text_of(found.get(1, memoryview(b"")))
        if name not in shapes:
            raise WireError(f"values of {name[:100]}, which it does not list")
        numbers = [
            bytes_of(part) for part in messages(bytes_of(found.get(3, memoryview(b""))), 5, MOST_PARTS)
        ]
        size = sum(len(part) for part in numbers)
        if size % 4:
            raise WireError(f"the numbers of {name[:100]} end in the middle of one")
        if not numbers:
            continue  # of another type
        if name in values:
            raise InputError(f"{where}: {name} is saved in slices; whole variables can be read")
        if size > LARGEST_WEIGHTS:
            raise InputError(f"{where}: {name} has {size:,} bytes; at most {LARGEST_WEIGHTS:,} are read")
        whole = numbers[0] if len(numbers) == 1 else b"".join(numbers)
        values[name] = np.frombuffer(whole, "<f4")
