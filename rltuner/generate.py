"""Generating: a checkpoint's melodies as MIDI files, with a manifest that says how they came about."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from rltuner import __version__
from rltuner.compose import primer_contexts
from rltuner.config import GenerateConfig
from rltuner.console import progress_bar, say
from rltuner.devices import usable_device
from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.policy import Policy, load, note_rnn_of
from rltuner.rules import load_rulebook
from rltuner.smc import steer
from rltuner.storage import CONFIG, find_checkpoint, write_atomically


def generate(config: GenerateConfig) -> list[Path]:
    """Writes melody-0001.mid and so on, and manifest.json; returns the MIDI files.

    Raises InputError for a source or primer that cannot be used, or a folder that holds MIDI files already.
    """
    torch.set_num_threads(config.threads)
    policy = load(config.source).to(usable_device(config.device))
    length = config.length if config.bars is None else config.bars * policy.meter.steps_per_bar
    melodies = (
        steered(policy, config, length)
        if config.smc
        else policy.compose(
            config.count, length, primer=config.primer, seed=config.seed, temperature=config.temperature
        )
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
        "smc": {"particles": config.smc, "rules": config.rules, "c": config.c} if config.smc else None,
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


def steered(policy: Policy, config: GenerateConfig, length: int) -> Melodies:
    """One melody of each of `count` particle systems with primers of their own."""
    book = load_rulebook(config.rules)
    generator = torch.Generator().manual_seed(config.seed)
    contexts = primer_contexts(policy, config.primer, config.count, generator)
    systems = steer(policy, note_rnn_of(policy), book, config.c, contexts, length, config.smc, generator)
    return systems.draw(generator)


def make_folder(folder: Path) -> None:
    """Makes the folder; InputError where it cannot be made or holds MIDI files already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    if any(folder.glob("*.mid")):
        raise InputError(f"{folder}: holds MIDI files already; give another --out")
