"""Composing: batches of melodies in lock-step, one ancestral pass of the network per event; primers.

A primer is what the network hears before the melody, from the zero state (the melody's context):

* ``none``: nothing, so that the first input is the zero vector;
* ``random_note``: one event, uniform over all classes (the RL Tuner paper's);
* ``human``: the first bar of a test tune in the policy's metre, drawn at random;
* a MIDI, ABC or MusicXML file of one melody, at the pitch it is written in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.melody import Melodies, Vocabulary

if TYPE_CHECKING:
    from rltuner.policy import Policy

PRIMERS = ("none", "random_note", "human")
MANY_BARS = 8  # of a primer; longer ones are told about
BATCH = 4096  # melodies composed at a time: large enough to be fast, small enough for any memory


def compose(
    policy: Policy,
    count: int,
    length: int = 32,
    *,
    primer: str | os.PathLike[str] | Tensor = "random_note",
    seed: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    epsilon: float = 0.0,
) -> Melodies:
    """Composes melodies: no search, no rejection.

    Args:
      policy: what composes.
      count: number of melodies, B.
      length: events of each, T.
      primer: see above; or the contexts themselves, int64 [count, P].
      seed: makes the result repeatable; None draws a new one.
      temperature: log pi is divided by it; below 1 the likelier events get likelier, 0 takes the likeliest.
      top_p: sample from the fewest of the likeliest events that have this probability together (see `sample`).
      generator: instead of a seed, a generator that goes on (on the CPU).
      epsilon: share of events drawn uniformly instead of from the policy.

    Returns:
      Melodies [count, length] with their contexts, on the CPU.

    Raises InputError for a count, length, temperature or top_p out of range, or a primer that cannot be used.
    """
    if count < 0 or length < 1:
        raise InputError(
            f"compose: count={count}, length={length}: count must be at least 0, length at least 1"
        )
    if not 0 <= temperature < float("inf"):
        raise InputError(f"compose: temperature={temperature} must be 0 or a positive number")
    if not 0 < top_p <= 1:
        raise InputError(f"compose: top_p={top_p} must lie in (0, 1]")
    if generator is None:
        generator = torch.Generator()
        generator.manual_seed(seed if seed is not None else generator.seed())
    contexts = primer_contexts(policy, primer, count, generator)
    parts = [
        _compose_batch(
            policy, contexts[first : first + BATCH], length, temperature, top_p, epsilon, generator
        )
        for first in range(0, count, BATCH)
    ]
    events = torch.cat(parts) if parts else torch.empty((0, length), dtype=torch.int64)
    return Melodies(events, None, contexts, policy.vocabulary, policy.meter)


def primer_contexts(
    policy: Policy, primer: str | os.PathLike[str] | Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """The contexts that a primer stands for, int64 [count, P]."""
    if isinstance(primer, Tensor):
        if primer.ndim != 2 or primer.shape[0] != count:
            raise InputError(f"primer: contexts of shape {tuple(primer.shape)}; expected [{count}, P]")
        return Melodies(torch.empty((count, 0), dtype=torch.int64), None, primer, policy.vocabulary).context
    name = os.fspath(primer)
    if name == "none":
        return torch.empty((count, 0), dtype=torch.int64)
    if name == "random_note":
        return torch.randint(policy.vocabulary.size, (count, 1), generator=generator)
    if name == "human":
        from rltuner.tunes import first_bars, human_tunes

        if policy.vocabulary != Vocabulary():
            raise InputError(
                f"primer human: the test tunes have {Vocabulary()}, the policy has {policy.vocabulary}; use another"
            )
        bars = first_bars(human_tunes(), policy.meter)
        if not len(bars):
            raise InputError(f"primer human: no test tune is in {policy.meter}; use another primer")
        return bars[torch.randint(len(bars), (count,), generator=generator)]
    if not os.path.exists(name):
        raise InputError(
            f"primer {name!r}: neither none, random_note or human, nor a MIDI, ABC or MusicXML file that exists"
        )
    return read_primer(name, policy).expand(count, -1)


def read_primer(file: str, policy: Policy, shift: int = 0, key: str = "") -> Tensor:
    """The events of the one melody in a file, in the policy's key, int64 [1, P]. ABC and MusicXML are read in whole
    bars, their pickup and repeats as in `songs`; MIDI ends with its last note. What is not heard as it is written, a
    metre or notes beside the grid, is said on standard error.

    Args:
      file: MIDI, ABC or MusicXML; a name that ends otherwise is taken for MIDI.
      policy: what hears it.
      shift: semitones by which the file is higher than what is heard.
      key: of the file, for what is said where it does not fit.

    Raises InputError, naming the file, where it is broken, polyphonic, silent, or out of the policy's range.
    """
    from rltuner.songs import read_as_written

    song = read_as_written(file)
    melody, own = song.melody, policy.vocabulary
    pitches = melody.pitch[melody.is_onset]
    low, high = own.min_pitch + shift, own.max_pitch - 1 + shift
    outside = pitches[(pitches < low) | (pitches > high)].tolist()
    if outside:
        why = (
            f", which is {own.min_pitch} to {own.max_pitch - 1} moved by {shift:+d} for {key}"
            if shift
            else ""
        )
        raise InputError(
            f"{file}: MIDI pitch {outside[0]} is outside the vocabulary ({low} to {high}{why}); transpose the melody by "
            "octaves"
        )
    remarks = [*song.remarks]
    if song.rounded:
        remarks.append(
            f"{song.rounded} of its {len(pitches)} notes lie beside the grid and begin on its sixteenths"
        )
    if melody.meter != policy.meter:
        remarks.append(
            f"it is in {melody.meter}; it is heard, and kept, in bars of {policy.meter}, the policy's"
        )
    bars = -(-melody.events.shape[1] // policy.meter.steps_per_bar)
    if bars > MANY_BARS:
        remarks.append(
            f"all of its {bars} bars are heard, and kept with --keep-primer; give fewer if that is too long"
        )
    if remarks:
        say(f"{file}: {'; '.join(remarks)}")
    return melody.events - low * melody.is_onset


@torch.inference_mode()
def _compose_batch(
    policy: Policy,
    context: Tensor,
    length: int,
    temperature: float,
    top_p: float,
    epsilon: float,
    generator: torch.Generator,
) -> Tensor:
    """int64 [B, length] on the CPU."""
    device = next(policy.parameters()).device
    batch = context.shape[0]
    heard = context if context.shape[1] else torch.full((batch, 1), -1)
    heard = heard.to(device)
    state = None
    for position in range(heard.shape[1]):
        log_policy, state = policy.step(heard[:, position], state)
    events = torch.empty((batch, length), dtype=torch.int64)
    for t in range(length):
        chosen = sample(log_policy.cpu(), temperature, generator, top_p)
        if epsilon:
            random = torch.randint(policy.vocabulary.size, (batch,), generator=generator)
            chosen = torch.where(torch.rand(batch, generator=generator) < epsilon, random, chosen)
        events[:, t] = chosen
        if t + 1 < length:
            log_policy, state = policy.step(chosen.to(device), state)
    return events


def sample(
    log_probabilities: Tensor, temperature: float, generator: torch.Generator, top_p: float = 1.0
) -> Tensor:
    """One class of each row, int64 [B], from softmax(log_probabilities / temperature) [B, V]; 0 takes the likeliest.

    With top_p < 1 only from the nucleus: the fewest of the likeliest classes whose probabilities sum to at least top_p
    (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020). Of equally likely classes the first count
    as the likelier.

    The exponential race: argmax of p_i / E_i with E_i ~ Exp(1) is i with probability p_i.
    """
    if temperature == 0:
        return log_probabilities.argmax(dim=1)
    probabilities = (log_probabilities / temperature).softmax(dim=1)
    if top_p < 1:
        ordered, classes = probabilities.sort(dim=1, descending=True, stable=True)
        likelier = ordered.cumsum(dim=1) - ordered  # what the classes before each have together
        probabilities = torch.zeros_like(probabilities).scatter_(
            1, classes, torch.where(likelier < top_p, ordered, 0.0)
        )
    race = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / race).argmax(dim=1)
