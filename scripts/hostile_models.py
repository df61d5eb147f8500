"""Models from hell: Magenta's bundles, checkpoints and magenta.js folders, mutated; and what becomes of each.

    python scripts/hostile_models.py FOLDER [COUNT]

writes COUNT (600) of them, with a fixed seed. A third are mutated as they lie, where CRCs catch nearly everything; a
third are mutated inside, with CRCs that are right, or are of magenta.js, which has none; a third are bombs. `try_model`
imports one; scripts/torture.py tries all of them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from make_hostile import MUTATIONS, Outcome

from rltuner.magenta.reading.tables import FOOTER, MAGIC, Table, masked_crc
from rltuner.magenta.writing import block_after, field, table, varint, write_magenta_js, write_v2

COUNT, SEED = 600, 20170301
SIZES = {"inputs": 74, "units": 3, "classes": 40}


def variables() -> dict[str, np.ndarray]:
    """An attention_rnn of one layer of 3 units."""
    rng, n, units = np.random.default_rng(1), SIZES["inputs"], SIZES["units"]
    cell = "rnn/multi_rnn_cell/cell_0/attention_cell_wrapper/"
    shapes = {
        "basic_lstm_cell/kernel": (n + units, 4 * units),
        "basic_lstm_cell/bias": (4 * units,),
        "kernel": (n + units, n),
        "bias": (n,),
        "attention/attn_w": (1, 1, units, units),
        "attention/attn_v": (units,),
        "attention/kernel": (2 * units, units),
        "attention/bias": (units,),
        "attn_output_projection/kernel": (2 * units, units),
        "attn_output_projection/bias": (units,),
    }
    output = {
        "fully_connected/weights": (units, SIZES["classes"]),
        "fully_connected/biases": (SIZES["classes"],),
    }
    named = {cell + name: shape for name, shape in shapes.items()} | output
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in named.items()}


def v1_entries() -> dict[bytes, bytes]:
    """The entries of a V1 checkpoint."""
    meta, entries = b"", {}
    for name, values in variables().items():
        shape = b"".join(field(2, field(1, size)) for size in values.shape)
        meta += field(1, field(1, name.encode()) + field(2, shape) + field(3, 1))
        numbers = field(5, values.tobytes())
        slices = field(1, b"") * values.ndim
        entries[b"\0" + name.encode()] = field(
            2, field(1, name.encode()) + field(2, slices) + field(3, numbers)
        )
    return {b"": field(1, meta), **entries}


def bundle(checkpoint: bytes, model: bytes = b"attention_rnn", metagraph: bytes | None = None) -> bytes:
    """A .mag."""
    return (
        field(1, field(1, model))
        + field(2, checkpoint)
        + field(3, graph() if metagraph is None else metagraph)
    )


def graph(remembered: int = 24) -> bytes:
    """A MetaGraphDef that says how many numbers attention remembers."""
    shape = field(2, field(1, 1)) + field(2, field(1, remembered))
    attribute = field(1, b"_output_shapes") + field(2, field(1, field(7, shape)))
    node = field(1, b"AttentionCellWrapperZeroState/zeros_3") + field(5, attribute)
    return field(2, field(1, node))


def bombs(rng: random.Random) -> list[bytes]:
    """One of each kind of attack on a .mag, its size drawn."""
    big = rng.choice([2**31, 2**31 - 1, 2**32, 2**62, 2**63, 2**64 - 1])
    n = rng.choice([3, 1000, 100_000])
    entries = v1_entries()
    name = b"fully_connected/biases"

    def with_shape(*sizes: int) -> bytes:
        shape = b"".join(field(2, field(1, size)) for size in sizes)
        listed = field(1, field(1, field(1, name) + field(2, shape) + field(3, 1)))
        return bundle(table({**entries, b"": entries[b""] + listed}))

    def of_block(block: bytes, kind: bytes = b"\0", index: dict[bytes, bytes] | None = None) -> bytes:
        content = block + kind + masked_crc(block + kind).to_bytes(4, "little")
        handles = {b"z": varint(0) + varint(len(block))} if index is None else index
        content, handle = block_after(content, handles)
        return bundle(content + (handle + handle).ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little"))

    growing = b"".join(varint(min(k, 9_000)) + varint(1) + varint(0) + b"k" for k in range(n)) + b"\0\0\0\0"
    return [
        with_shape(big),
        with_shape(*[2] * min(n, 10_000)),
        with_shape(2**20, 2**20),
        of_block(growing),  # keys that grow without end
        of_block(varint(big & 0xFFFF_FFFF) + b"\x00a", b"\x01"),  # Snappy that says it is large
        of_block(varint(64 * n) + b"\x00a" + b"\xfe\x01\x00" * n, b"\x01"),
        of_block(b"\xff" * 40),
        of_block((2**32 - 1).to_bytes(4, "little")),
        of_block(
            b"\0\0\0\0", index={bytes([k % 250]) * (k // 250 + 1): varint(0) + varint(4) for k in range(500)}
        ),
        of_block(b"\0\0\0\0", index={b"a": varint(big) + varint(big)}),
        bundle(table(entries), metagraph=graph(big)),
        bundle(table(entries), metagraph=field(2, field(1, field(1, b"n")) * n)),
        bundle(table(entries), metagraph=field(2, b"\x0a\x00" * n)),
        bundle(
            table(entries), model=rng.choice([b"polyphony", b"performance", b"\xff\n" * 50, b"x" * 10_000])
        ),
        bundle(table({**entries, **{b"\1%06d" % k: b"" for k in range(min(n, 20_000))}})),
        field(2, b"") * n,
        varint(2 << 3 | 2) + varint(big),
        bundle(table({**entries, b"": entries[b""] + field(1, field(1, field(1, b"x" * 5_000)))})),
    ]


def mutated_inside(rng: random.Random, content: bytes) -> bytes:
    """A table with one of its values mutated, and the right CRCs."""
    entries = {key: bytes(value) for key, value in Table(memoryview(content))}
    key = rng.choice(sorted(entries))
    if entries[key]:
        entries[key] = rng.choice(MUTATIONS)(rng, entries[key])
    return table(entries)


def mutated_manifest(rng: random.Random, folder: Path) -> None:
    """One value of a folder's weights_manifest.json or config.json, replaced."""
    file = folder / rng.choice(["weights_manifest.json", "config.json"])
    content = json.loads(file.read_bytes())
    at, place = content, None
    while isinstance(at, dict | list) and at and (place is None or rng.random() < 0.8):
        holder, place = at, rng.choice([*at] if isinstance(at, dict) else [*range(len(at))])
        at = at[place]
    holder[place] = rng.choice([None, -1, 2**63, 1e308, "", "../x", [], {}, [[]], "9" * 5000, [2**40], True])
    file.write_text(json.dumps(content))


def make(folder: Path, count: int = COUNT, seed: int = SEED) -> list[Path]:
    """Writes `count` models, the same for the same seed."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = folder / "seeds"
    for name in ("v2", "js"):
        (seeds / name).mkdir(parents=True, exist_ok=True)
    write_v2(seeds / "v2", variables())
    converter = {"type": "MelodyConverter", "args": {"minPitch": 48, "maxPitch": 83}}
    spec = {"type": "MusicRNN", "attentionLength": 8, "dataConverter": converter}
    write_magenta_js(seeds / "js", variables(), spec)
    v1, armed, models = table(v1_entries()), list[bytes](), list[Path]()
    for number in range(count):
        kind = number % 6
        path = folder / f"{number:04}{'.mag' if kind in (0, 1, 3) else ''}"
        if kind in (0, 3):
            armed = armed or bombs(rng)
            path.write_bytes(armed.pop(0))
        elif kind == 1:
            inside = rng.random() < 0.5
            path.write_bytes(
                bundle(mutated_inside(rng, v1)) if inside else rng.choice(MUTATIONS)(rng, bundle(v1))
            )
        else:
            shutil.copytree(seeds / ("js" if kind == 5 else "v2"), path)
            files = sorted(file for file in path.iterdir() if file.name != "checkpoint")
            if kind == 2:
                index = path / "model.ckpt.index"
                index.write_bytes(mutated_inside(rng, index.read_bytes()))
            elif kind == 5 and rng.random() < 0.7:
                mutated_manifest(rng, path)
            else:
                file = rng.choice(files)
                file.write_bytes(rng.choice(MUTATIONS)(rng, file.read_bytes()))
        models.append(path)
    shutil.rmtree(seeds)
    return models


def try_model(path: str) -> Outcome:
    """Imports a model into a folder of its own, which must not be there after an error."""
    import resource

    from rltuner.errors import InputError
    from rltuner.magenta.config import ImportConfig
    from rltuner.magenta.importing import import_model

    errors: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        started = time.monotonic()
        try:
            import_model(ImportConfig(path, out))
        except InputError as error:
            errors.append(str(error))
            if path not in str(error):
                errors.append(f"DEFECT: does not name the file: {error}")
        except Exception as error:
            errors.append(f"DEFECT: {type(error).__name__}: {error}")
        seconds = time.monotonic() - started
        if errors and out.exists():
            errors.append("DEFECT: left a folder behind")
    errors += [f"DEFECT: not one line: {error!r}" for error in errors if "\n" in error or len(error) > 3000]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Outcome(int(not errors), tuple(errors), seconds, peak)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Writes damaged and hostile models, the same for the same count."
    )
    parser.add_argument("folder", type=Path, help="written to; it may be new")
    parser.add_argument("count", type=int, nargs="?", default=COUNT)
    given = parser.parse_args()
    print(f"{len(make(given.folder, given.count))} models in {given.folder}")
