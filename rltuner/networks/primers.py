"""Primers: what a network hears before the melody, from the zero state (the melody's context).

Whatever it is, it ends where the melody's first bar begins: that first event is a downbeat.

* ``none``: nothing, so that the first input is that of a tune's start;
* ``random_note``: one event, uniform over all classes (the RL Tuner paper's), the sixteenth before the bar line;
* ``human``: the first bar of a test tune in the policy's metre, drawn at random;
* a MIDI, ABC or MusicXML file of one melody, at the pitch it is written in.
"""

from __future__ import annotations

import os
from typing import Protocol

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies, Meter, Vocabulary
from rltuner.melody.tunes import first_bars, human_tunes
from rltuner.reading.songs import read_as_written

PRIMERS = ("none", "random_note", "human")


CUT_TIME = Meter(16, 8)  # its bars are those of 4/4
MANY_BARS = 8  # of a primer; longer ones are told about


class Hearer(Protocol):
    """What hears a primer: anything with a vocabulary and a metre."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Of its events."""
        ...

    @property
    def meter(self) -> Meter:
        """Of its bars."""
        ...


def primer_contexts(
    policy: Hearer, primer: str | os.PathLike[str] | Tensor, count: int, generator: torch.Generator
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
        own, usual = policy.vocabulary, Vocabulary()
        if not own.min_pitch <= usual.min_pitch < usual.max_pitch <= own.max_pitch:
            raise InputError(f"primer human: the test tunes have {usual}, the policy has {own}; use another")
        bars = first_bars(human_tunes(), policy.meter)
        if not len(bars):
            raise InputError(f"primer human: no test tune is in {policy.meter}; use another primer")
        chosen = bars[torch.randint(len(bars), (count,), generator=generator)]
        return torch.where(chosen > NO_EVENT, chosen + usual.min_pitch - own.min_pitch, chosen)
    if not os.path.exists(name):
        raise InputError(
            f"primer {name!r}: neither none, random_note or human, nor a MIDI, ABC or MusicXML file that exists"
        )
    return read_primer(name, policy).expand(count, -1)


def read_primer(file: str, policy: Hearer, shift: int = 0, key: str = "", track: str = "") -> Tensor:
    """The events of the one melody in a file, in the policy's key, int64 [1, P], its pickup and repeats included.

    It keeps its bar lines: where it ends in mid-bar, it is silent to the bar line. What is not heard as it is written, a
    metre or notes beside the grid, is said on standard error.

    Args:
      file: MIDI, ABC or MusicXML.
      policy: what hears it.
      shift: semitones by which the file is higher than what is heard.
      key: of the file, for what is said where it does not fit.
      track: of a file with several tracks, parts or voices, the one to read.

    Raises InputError, naming the file, where it is broken, polyphonic, silent, or out of the policy's range.
    """
    song = read_as_written(file, track)
    own, size = policy.vocabulary, policy.meter.steps_per_bar
    written = song.melody.events[0].tolist()
    missing = -len(written) % size
    events = [*song.pickup, *written]
    sounds = next((event for event in reversed(events) if event != NO_EVENT), NOTE_OFF) != NOTE_OFF
    events += [NOTE_OFF if sounds and k == 0 else NO_EVENT for k in range(missing)]
    melody = Melodies([events], None, None, song.melody.vocabulary, song.melody.meter)
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
    if melody.meter != policy.meter and (melody.meter, policy.meter) != (CUT_TIME, Meter()):
        remarks.append(
            f"it is in {melody.meter}; it is heard, and kept, in bars of {policy.meter}, the policy's"
        )
    bars = -(-len(events) // size)
    if bars > MANY_BARS:
        remarks.append(
            f"all of its {bars} bars are heard, and kept with --keep-primer; give fewer if that is too long"
        )
    if remarks:
        say(f"{file}: {'; '.join(remarks)}")
    return melody.events - low * melody.is_onset
