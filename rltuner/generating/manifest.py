"""manifest.json: how generated files came about, and what they are. It holds no time and not the folder's own name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rltuner.eval.counts import batches
from rltuner.eval.paper import row_counts
from rltuner.generating.config import GenerateConfig
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.networks.primers import PRIMERS
from rltuner.reading.generated import MELODIES
from rltuner.rules.book import RuleBook
from rltuner.storing.checkpoints import CONFIG, find_checkpoint
from rltuner.version import __version__


def manifest(
    config: GenerateConfig,
    melodies: Melodies,
    key: Key,
    sounding: Key,
    shift: int,
    program: int,
    book: RuleBook | None,
    files: Sequence[Mapping[str, str]],
) -> bytes:
    """The manifest as JSON: one entry a field of the configuration but `out`, and one line a melody.

    Args:
      config: the configuration.
      melodies: as composed, in `key`, with their contexts.
      key: of the policy.
      sounding: key of the files.
      shift: semitones that all notes were moved by in the files.
      program: General MIDI instrument.
      book: rule book whose rewards are given, of the melodies as composed.
      files: names of each melody's files, by kind; "file" is the MIDI file.
    """
    checkpoint = json.loads((find_checkpoint(config.source) / CONFIG).read_text(encoding="utf-8"))
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name != "out"}
    is_file = config.primer not in PRIMERS
    head = {
        "rltuner": __version__,
        "command": command(config),
        "kind": checkpoint["kind"],
        "model_sha256": checkpoint["model_sha256"],
        **fields,
        "length": melodies.events.shape[1],
        "meter": str(melodies.meter),
        "key": str(sounding),
        "composed_in": str(key),
        "moved_by": shift,
        "lowest_pitch": melodies.vocabulary.min_pitch,
        "primer_sha256": hashlib.sha256(Path(config.primer).read_bytes()).hexdigest() if is_file else None,
        "program": program,
        "smc": {"particles": config.smc, "rules": config.rules or "magenta", "c": config.c}
        if config.smc
        else None,
        "rules": book.name if book else None,
        "rules_sha256": book.digest if book else None,
    }
    rows = row_counts(melodies, key=str(key))
    numbers = {"metrics": _figures([{name: counts.own for name, counts in rows.items()}])}
    if book is not None:
        scores = [book.score(part) for part in batches(melodies)]
        numbers["rewards"] = _figures([{name: r.sum(dim=1) for name, r in score.items()} for score in scores])
    entries = [
        {
            **files[index],
            **{kind: values[index] for kind, values in numbers.items()},
            "primer_events": melodies.context[index].tolist(),
            "events": melodies.events[index].tolist(),
        }
        for index in range(len(melodies))
    ]
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in entries)
    top = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
    return f"{top}{MELODIES}\n{lines}\n ]\n}}\n".encode()


def command(config: GenerateConfig) -> str:
    """The command line that repeats a configuration, but for --out: every option that is not at its default."""
    words = ["rltuner", "generate", config.source]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ("source", "out") or value == field.default:
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return shlex.join(words)


def _figures(parts: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float | None]]:
    """The figures of each melody, to 6 digits; None for NaN."""
    columns = {name: torch.cat([part[name] for part in parts]).tolist() for name in parts[0]}
    return [
        {
            name: None if math.isnan(value) else float(f"{value:.6g}")
            for name, value in zip(columns, row, strict=True)
        }
        for row in zip(*columns.values(), strict=True)
    ]
