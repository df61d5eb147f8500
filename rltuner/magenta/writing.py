"""TensorFlow checkpoints and magenta.js folders of named numbers; `reading` says what the files are made of."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rltuner.magenta.convert import Array
from rltuner.magenta.reading.checkpoint_v2 import FLOAT
from rltuner.magenta.reading.magenta_js import CONFIG, MANIFEST
from rltuner.magenta.reading.tables import FOOTER, MAGIC, masked_crc
from rltuner.storing.atomic import write_atomically

PREFIX = "model.ckpt"
SHARD = "group1-shard1of1"


def write_v2(folder: Path, variables: Mapping[str, Array]) -> None:
    """model.ckpt.index, model.ckpt.data-00000-of-00001, and the file `checkpoint` that names them."""
    content, entries = (
        b"",
        {b"": field(1, 1) + field(3, field(1, 1))},
    )  # one shard; the format's version is 1
    for name, values in sorted(variables.items()):
        data = values.astype("<f4").tobytes()
        shape = b"".join(field(2, field(1, size)) for size in values.shape)
        entries[name.encode()] = (
            field(1, FLOAT)
            + field(2, shape)
            + (field(4, len(content)) if content else b"")
            + field(5, len(data))
            + varint(6 << 3 | 5)
            + struct.pack("<I", masked_crc(data))
        )
        content += data
    write_atomically(folder / f"{PREFIX}.data-00000-of-00001", content)
    write_atomically(folder / f"{PREFIX}.index", table(entries))
    names = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'
    write_atomically(folder / "checkpoint", names.encode())


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """A table of these entries, keys in order, in one block."""
    content, handle = block_after(b"", dict(sorted(entries.items())))
    content, empty = block_after(content, {})
    content, index = block_after(content, {max(entries): handle})
    return content + (empty + index).ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")


def block_after(before: bytes, entries: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """What was written before with a block after it, and the block's handle. Every key begins anew."""
    block, restarts = b"", []
    for key, value in entries.items():
        restarts.append(len(block))
        block += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    handle = varint(len(before)) + varint(len(block))
    return before + block + b"\0" + struct.pack("<I", masked_crc(block + b"\0")), handle


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def write_magenta_js(folder: Path, variables: Mapping[str, Array], spec: Mapping[str, Any]) -> None:
    """weights_manifest.json, one shard, and config.json."""
    weights = [
        {"name": name, "shape": list(values.shape), "dtype": "float32"} for name, values in variables.items()
    ]
    content = b"".join(values.astype("<f4").tobytes() for values in variables.values())
    write_atomically(folder / SHARD, content)
    write_atomically(folder / MANIFEST, _json([{"paths": [SHARD], "weights": weights}]))
    write_atomically(folder / CONFIG, _json(spec))


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
