"""Generating: a checkpoint's melodies as MIDI, audio, piano rolls and MusicXML, with a manifest of how they came about.

Melodies are composed and judged in the policy's key. `--key` moves all notes of a batch by one interval when they are
written: class c of the events is then the onset of a pitch that lies as much higher or lower, so nothing is out of range
or folded, and every interval stays.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from rltuner.checks import MOST_EVENTS
from rltuner.console import say
from rltuner.errors import InputError
from rltuner.generating.config import BARS, SOURCES, GenerateConfig
from rltuner.generating.files import clip_seconds, write
from rltuner.generating.forms import check_form, copied_steps, until
from rltuner.generating.instruments import program_of
from rltuner.generating.keys import keys_of
from rltuner.generating.manifest import manifest
from rltuner.melody import NO_EVENT, Melodies, Meter, Vocabulary
from rltuner.melody.key import Key
from rltuner.networks.compose import compose
from rltuner.networks.devices import usable_device
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy, load, note_rnn_of
from rltuner.networks.primers import PRIMERS, primer_contexts, read_primer
from rltuner.reading.generated import MANIFEST
from rltuner.rules import load_rulebook
from rltuner.rules.book import RuleBook
from rltuner.storing.output_folder import filled_folder

BEST_OF_AT_A_TIME = 4096  # candidates that are composed and scored at once


def generate(config: GenerateConfig) -> list[Path]:
    """Writes melody-0001.mid and so on, what else is asked for, and manifest.json; returns the MIDI files.

    Raises InputError for a source, primer, key, instrument or rule book that cannot be used, a folder that holds files
    already or cannot be written, and where audio's packages are missing. Nothing is left behind then.
    """
    torch.set_num_threads(config.threads)
    program = program_of(config.instrument)
    if config.audio:
        from rltuner.generating.audio import check_installed, check_seconds

        check_installed()
    with filled_folder(config.out) as folder:
        policy = load(config.source).to(usable_device(config.device))
        book = load_rulebook(config.rules) if config.rules is not None else None
        guide = book if config.smc or config.best_of > 1 else None
        _set_meter(policy, config, guide)
        keys = keys_of(policy, config, guide)
        key, sounding, shift = keys.own, keys.sounding, keys.shift
        generator = torch.Generator().manual_seed(config.seed)
        contexts = _contexts(policy, config, shift, sounding, generator)
        length = length_of(config, policy)
        if config.form is not None:
            check_form(config.form, length, policy.meter)
        _warn_of_length(length, policy, config.source)
        if config.audio:  # before hours of composing
            bar = policy.meter.steps_per_bar
            kept = -(-contexts.shape[1] // bar) * bar if config.keep_primer else 0
            check_seconds(clip_seconds(kept + length, config.qpm))
        if config.form or config.ending:
            melodies = formed(policy, config, contexts, length, key, generator)
        else:
            melodies = composed(policy, config, contexts, length, book, generator)
        moved = as_written(melodies, shift, config.keep_primer)
        primer = moved.events.shape[1] - melodies.events.shape[1]
        names = write(moved, primer, folder, config, program, sounding)
        content = manifest(config, melodies, key, sounding, shift, program, book, names)
        (folder / MANIFEST).write_bytes(content)
    kinds = [kind for kind in ("audio", "png", "musicxml") if kind in names[0]]
    also = f" ({', '.join(kinds)} of each)" if kinds else ""
    digest = json.loads(content)["model_sha256"][:16]
    say(f"{config.out}: {len(names)} MIDI files{also} and manifest.json, by the model with SHA-256 {digest}")
    return [config.out / name["file"] for name in names]


def _set_meter(policy: Policy, config: GenerateConfig, guide: RuleBook | None) -> None:
    """A Note RNN has no metre of its own: it takes the one that is asked for, or the guiding book's, as finetune does.

    InputError where a tuned policy is asked for another metre than its own, or the book counts in another.
    """
    wanted = Meter.parse(config.meter) if config.meter is not None else None
    of_book = guide.meter if guide is not None else None
    if policy.kind == "note_rnn":
        if wanted is not None and of_book is not None and wanted != of_book:
            raise InputError(
                f"--meter {wanted}: the rules of {config.rules} are for {of_book}; leave one of them out"
            )
        if (meter := wanted or of_book) is not None:
            policy.network.meter = meter
    elif wanted is not None and wanted != policy.meter:
        raise InputError(
            f"--meter {wanted}: {config.source} was tuned in {policy.meter}, and composes in that; in {wanted}: "
            f"{SOURCES.get(str(wanted), 'note_rnn')}"
        )


def length_of(config: GenerateConfig, policy: Policy) -> int:
    """Events of each melody, as --length or --bars says; else as many as the policy was tuned on, or eight bars."""
    if config.length is not None:
        return config.length
    if config.bars is not None:
        return config.bars * policy.meter.steps_per_bar
    return tuned_length(policy) or BARS * policy.meter.steps_per_bar


def tuned_length(policy: Policy) -> int | None:
    """Events of the melodies that a policy was tuned on; None for a Note RNN, or where its card does not say."""
    record = policy.card.get("finetune")
    length = record.get("length") if isinstance(record, dict) else None
    return length if type(length) is int and 0 < length <= MOST_EVENTS else None


def composed(
    policy: Policy,
    config: GenerateConfig,
    contexts: Tensor,
    length: int,
    book: RuleBook | None,
    generator: torch.Generator,
) -> Melodies:
    """The melodies in the policy's key, [count, length], with their contexts [count, P]."""
    temperature = 0.0 if config.greedy else config.temperature
    if config.smc:
        steering = book if book is not None else load_rulebook("magenta")
        note_rnn = note_rnn_of(policy)
        systems = steer(policy, note_rnn, steering, config.c, contexts, length, config.smc, generator)
        return systems.draw(generator)
    parts = []
    for primers in contexts.split(max(1, BEST_OF_AT_A_TIME // config.best_of)):
        candidates = compose(
            policy,
            len(primers) * config.best_of,
            length,
            primer=primers.repeat_interleave(config.best_of, dim=0),
            temperature=temperature,
            top_p=config.top_p,
            generator=generator,
        )
        parts.append(
            candidates if book is None or config.best_of == 1 else best_of(candidates, book, config.best_of)
        )
    return Melodies.concatenate(parts)


def formed(
    policy: Policy,
    config: GenerateConfig,
    contexts: Tensor,
    length: int,
    key: Key,
    generator: torch.Generator,
) -> Melodies:
    """The melodies in the policy's key, of the form and with the ending that are asked for."""
    copied = copied_steps(config.form, policy.meter) if config.form is not None else None

    def compose_after(primers: Tensor) -> Melodies:
        return compose(
            policy,
            len(primers),
            length,
            primer=primers,
            temperature=config.temperature,
            top_p=config.top_p,
            generator=generator,
            copied=copied,
        )

    return until(compose_after, contexts, key, config.form, config.ending)


def _warn_of_length(length: int, policy: Policy, source: str) -> None:
    """A line where melodies get longer than those that the policy was tuned on: no rule was ever paid beyond."""
    reach = 2 if "clock" in policy.network.inputs.names else 1  # what hears the bar keeps its form for longer
    if (tuned := tuned_length(policy)) is not None and reach * tuned < length:
        say(
            f"{source}: tuned on melodies of {tuned} events; of {length} events the later ones obey its rules less. "
            f"For longer melodies: rltuner finetune --length {length}"
        )


def _contexts(
    policy: Policy, config: GenerateConfig, shift: int, sounding: Key, generator: torch.Generator
) -> Tensor:
    """What is heard before each melody. A file's melody is in the key of the output: it is moved to the policy's."""
    if config.primer in PRIMERS or not Path(config.primer).exists():
        return primer_contexts(policy, config.primer, config.count, generator)
    return read_primer(config.primer, policy, shift, str(sounding), config.track).expand(config.count, -1)


def best_of(candidates: Melodies, book: RuleBook, k: int) -> Melodies:
    """Of every k candidates in a row the one with the largest total reward, the first of equals: [B / k, T]."""
    totals = book.score(candidates)["total"].sum(dim=1).view(-1, k)
    return candidates[totals.argmax(dim=1) + k * torch.arange(len(totals))]


def as_written(melodies: Melodies, shift: int, keep_primer: bool) -> Melodies:
    """The melodies as their files hold them: moved, with the primer before them where it is kept.

    What is kept ends on a bar line, where the melody begins; silence before it fills up its first bar.
    """
    events = melodies.events
    if keep_primer:
        primer = melodies.context
        bar = melodies.meter.steps_per_bar
        silence = torch.full((len(melodies), -primer.shape[1] % bar), NO_EVENT)
        events = torch.cat([silence, primer, events], dim=1)
    return Melodies(events, None, None, _moved(melodies.vocabulary, shift), melodies.meter)


def _moved(vocabulary: Vocabulary, shift: int) -> Vocabulary:
    return Vocabulary(vocabulary.min_pitch + shift, vocabulary.max_pitch + shift)
