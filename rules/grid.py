"""Where an event lies: in its bar, in its melody, among the notes. Views that several rules share."""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.melody import NOTE_OFF, Melodies


def steps(melodies: Melodies) -> Tensor:
    """int64 [T]: 0, 1, ... T - 1."""
    return torch.arange(melodies.events.shape[1], device=melodies.events.device)


def is_last(melodies: Melodies) -> Tensor:
    """bool [B, T]: the melody's last event."""
    return steps(melodies) == melodies.lengths[:, None] - 1


def ends_bar(melodies: Melodies) -> Tensor:
    """bool [B, T]: the last step of a full bar. A melody starts at a bar line."""
    return ((steps(melodies) + 1) % melodies.meter.steps_per_bar == 0) & melodies.valid


def count_in_bar(chosen: Tensor, melodies: Melodies) -> Tensor:
    """int64 [B, T]: how many of the chosen events, bool [B, T], lie in this bar so far, the event at t included."""
    total = torch.nn.functional.pad(chosen.long().cumsum(dim=1), (1, 0))  # [B, T + 1]
    t = steps(melodies)
    return total[:, 1:] - total[:, t - t % melodies.meter.steps_per_bar]


def sounding_pitch(melodies: Melodies) -> Tensor:
    """int64 [B, T]: MIDI pitch that sounds at t, onset or held; -1 in silence and on padding."""
    t = steps(melodies)
    if not melodies.events.numel():
        return melodies.pitch
    last_onset = torch.where(melodies.is_onset, t, -1).cummax(dim=1).values
    last_rest = torch.where(melodies.events == NOTE_OFF, t, -1).cummax(dim=1).values
    sounds = (last_onset > last_rest) & melodies.valid
    return torch.where(sounds, melodies.pitch.gather(1, last_onset.clamp(min=0)), -1)


def last_where(chosen: Tensor) -> Tensor:
    """int64 [B, T]: the last step at or before t that is chosen, bool [B, T]; -1 where there is none."""
    if not chosen.numel():
        return chosen.long()
    t = torch.arange(chosen.shape[1], device=chosen.device)
    return torch.where(chosen, t, -1).cummax(dim=1).values


def previous_interval(melodies: Melodies) -> Tensor:
    """int64 [B, T]: at an onset, the last interval before its own that was no unison; 0 where there is none."""
    if not melodies.events.numel():
        return melodies.interval
    moved = torch.nn.functional.pad(last_where(melodies.interval != 0)[:, :-1], (1, 0), value=-1)
    return torch.where(moved >= 0, melodies.interval.gather(1, moved.clamp(min=0)), 0)
