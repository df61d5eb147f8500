"""Magenta.js's folders: weights_manifest.json, shards of numbers, config.json.

The manifest is a list of groups; of each, the files `paths`, one after the other, hold the numbers of `weights` {name,
shape, dtype, quantization} in their order. Quantised weights are bytes or pairs of them, times `scale` plus `min`, or
float16. config.json says type MusicRNN, the pitches, and attentionLength.

Source: TensorFlow.js, tfjs-core/src/io/io_utils.ts; magenta-js, music/src/music_rnn/model.ts (both Apache-2.0).
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from rltuner.errors import InputError
from rltuner.magenta.reading.variables import (
    LARGEST_WEIGHTS,
    Array,
    AttentionFound,
    Variables,
    checked_shape,
    content_of,
)

MANIFEST, CONFIG = "weights_manifest.json", "config.json"
LARGEST_JSON = 4 << 20
MOST_WEIGHTS = 10_000
MOST_FILES = 1000
_TYPES = {"float32": "<f4", "float16": "<f2", "uint8": "|u1", "uint16": "<u2"}


def read_magenta_js(folder: Path) -> Variables:
    """The variables of a folder of magenta.js. InputError, naming the file, where it is malformed or truncated."""
    manifest = folder / MANIFEST
    groups = _json(manifest)
    if not isinstance(groups, list):
        raise InputError(f"{manifest}: not a list of groups of weights")
    values: dict[str, Array] = {}
    files: list[Path] = [manifest]
    room, total = LARGEST_WEIGHTS, 0
    for group in groups:
        paths, weights = _group(group, manifest)
        files += (shards := [folder / path for path in paths])
        if len(files) > MOST_FILES:
            raise InputError(f"{manifest}: more than {MOST_FILES:,} files")
        parts = []
        for shard in shards:
            parts.append(content_of(shard, room))
            room -= len(parts[-1])
        content, at = b"".join(parts), 0
        for weight in weights:
            name, dtype, shape = _described(weight, manifest)
            size = np.dtype(dtype).itemsize * math.prod(shape)
            if size > len(content) - at:
                raise InputError(
                    f"{shards[-1]}: truncated: {name} ends at byte {at + size:,} of {len(content):,}"
                )
            if len(values) >= MOST_WEIGHTS or name in values:
                raise InputError(
                    f"{manifest}: {name} comes twice, or there are more than {MOST_WEIGHTS:,} weights"
                )
            total += 4 * math.prod(shape)
            if total > LARGEST_WEIGHTS:
                raise InputError(f"{manifest}: more than {LARGEST_WEIGHTS:,} bytes of weights, unpacked")
            numbers = np.frombuffer(content, dtype, math.prod(shape), at).reshape(shape)
            values[name] = _dequantised(numbers, weight.get("quantization"), name, manifest)
            at += size
        if at != len(content):
            raise InputError(f"{manifest}: its weights are {at:,} bytes, the shards have {len(content):,}")
    attention, pitches = _config(folder / CONFIG)
    shapes = {name: array.shape for name, array in values.items()}
    return Variables(
        str(folder), shapes, values.__getitem__, tuple(files), attention=attention, pitches=pitches
    )


def _json(file: Path) -> Any:
    try:
        return json.loads(bytes(content_of(file, LARGEST_JSON)))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: not JSON") from None


def _group(group: object, manifest: Path) -> tuple[list[str], list[dict[str, Any]]]:
    paths, weights = (group.get("paths"), group.get("weights")) if isinstance(group, dict) else (None, None)
    if not isinstance(paths, list) or not paths or not isinstance(weights, list):
        raise InputError(f"{manifest}: a group without paths and weights")
    for path in paths:
        is_name = isinstance(path, str) and 0 < len(path) < 256 and path not in (".", "..")
        if not is_name or {*path} & {*"/\\\0"}:
            raise InputError(f"{manifest}: {str(path)[:80]!r} is not the name of a file beside it")
    if any(not isinstance(weight, dict) for weight in weights):
        raise InputError(f"{manifest}: a weight that is not described")
    return paths, weights


def _described(weight: dict[str, Any], manifest: Path) -> tuple[str, str, tuple[int, ...]]:
    name, shape, quantised = weight.get("name"), weight.get("shape"), weight.get("quantization")
    if (
        not isinstance(name, str)
        or not isinstance(shape, list)
        or any(type(size) is not int for size in shape)
    ):
        raise InputError(f"{manifest}: a weight without name and shape")
    dtype = quantised.get("dtype") if isinstance(quantised, dict) else weight.get("dtype")
    if weight.get("dtype") != "float32" or not isinstance(dtype, str) or dtype not in _TYPES:
        raise InputError(f"{manifest}: {name[:80]}: type {str(dtype)[:20]!r}; known are {', '.join(_TYPES)}")
    return name[:1000], _TYPES[dtype], checked_shape(shape, name[:80], str(manifest))


def _dequantised(numbers: np.ndarray[Any, Any], quantised: object, name: str, manifest: Path) -> Array:
    found = numbers.astype(np.float32)
    if not isinstance(quantised, dict) or quantised.get("dtype") == "float16":
        return found
    scale, lowest = quantised.get("scale"), quantised.get("min")
    for value in (scale, lowest):
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise InputError(f"{manifest}: {name[:80]}: its quantization needs a scale and a min")
    assert isinstance(scale, int | float)
    assert isinstance(lowest, int | float)
    return found * np.float32(scale) + np.float32(lowest)


def _config(file: Path) -> tuple[AttentionFound | None, tuple[int, int] | None]:
    """What config.json says of attention and of pitches; nothing where there is none."""
    if not os.path.isfile(file):
        return None, None
    config = _json(file)
    if not isinstance(config, dict) or config.get("type") != "MusicRNN":
        raise InputError(f"{file}: of type {str(config)[:60]!r}; a MusicRNN of one melody can be imported")
    for extra, what in (("chordEncoder", "follows chords"), ("auxInputs", "has other inputs besides")):
        if config.get(extra):
            raise InputError(f"{file}: a model that {what} ({extra}), which rltuner's melodies have not")
    converter = config.get("dataConverter")
    kind, given = (
        (converter.get("type"), converter.get("args")) if isinstance(converter, dict) else (None, None)
    )
    if kind not in (None, "MelodyConverter"):
        raise InputError(
            f"{file}: it plays what a {str(kind)[:40]} makes; a MelodyConverter's can be imported"
        )
    pitches = None
    if isinstance(given, dict) and {"minPitch", "maxPitch"} <= given.keys():
        low, high = given["minPitch"], given["maxPitch"]
        if type(low) is not int or type(high) is not int or not 0 <= low <= high < 128:
            raise InputError(
                f"{file}: minPitch {str(low)[:20]}, maxPitch {str(high)[:20]}: no range of MIDI pitches"
            )
        pitches = low, high + 1
    length = config.get("attentionLength")
    if length is not None and (type(length) is not int or length < 1):
        raise InputError(f"{file}: attentionLength {str(length)[:20]} must be a positive number")
    return (AttentionFound(length, None, CONFIG) if length else None), pitches
