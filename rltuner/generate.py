"""Generating: a checkpoint's melodies as MIDI files, with a manifest that says how they came about."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from rltuner import __version__
from rltuner.config import GenerateConfig
from rltuner.console import progress_bar, say
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.policy import load
from rltuner.storage import CONFIG, find_checkpoint, write_atomically


def generate(config: GenerateConfig) -> list[Path]:
    """Writes melody-0001.mid and so on, and manifest.json; returns the MIDI files.

    Raises InputError for a source or primer that cannot be used, or a folder that holds MIDI files already.
    """
    torch.set_num_threads(config.threads)
    policy = load(config.source).to(usable_device(config.device))
    length = config.length if config.bars is None else config.bars * policy.meter.steps_per_bar
    melodies = policy.compose(
        config.count, length, primer=config.primer, seed=config.seed, temperature=config.temperature
    )
    make_folder(config.out)
    digits = max(4, len(str(config.count)))
    files = [config.out / f"melody-{number:0{digits}}.mid" for number in range(1, config.count + 1)]
    with progress_bar("writing", len(files)) as advance:
        for index, file in enumerate(files):
            melodies.to_midi(file, index, config.qpm)
            advance(1, None)
    checkpoint = json.loads((find_checkpoint(config.source) / CONFIG).read_text(encoding="utf-8"))
    manifest = {
        "rltuner": __version__,
        "source": config.source,
        "model_sha256": checkpoint["model_sha256"],
        "length": length,
        "primer": config.primer,
        "qpm": config.qpm,
        "temperature": config.temperature,
        "seed": config.seed,
        "melodies": [
            {"file": file.name, "primer_events": context, "events": events}
            for file, context, events in zip(
                files, melodies.context.tolist(), melodies.events.tolist(), strict=True
            )
        ],
    }
    write_atomically(config.out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    say(f"{config.out}: {len(files)} MIDI files and manifest.json")
    return files


def make_folder(folder: Path) -> None:
    """Makes the folder; InputError where it cannot be made or holds MIDI files already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    if any(folder.glob("*.mid")):
        raise InputError(f"{folder}: holds MIDI files already; give another --out")
