"""`penalize_repeating`: no class of event is repeated on and on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies
from rltuner.rules.rule import rule


@rule("penalize_repeating")
@dataclass(frozen=True)
class PenalizeRepeating:
    """`penalty` for every event that is excessively repeated (see `is_excessively_repeated`).

    Source: RL Tuner's reward_penalize_repeating and detect_repeating_notes.
    """

    penalty: float = -100.0
    """Reward of an excessively repeated event."""

    def __call__(self, melodies: Melodies) -> Tensor:
        return is_excessively_repeated(melodies).float() * self.penalty


def is_excessively_repeated(melodies: Melodies) -> Tensor:
    """bool [B, T]: the event at t repeats its own class too often.

    Look back from t to the last onset of another pitch than the event's own (any onset, where the event is a hold
    or a rest). Within that stretch count the events of the same class, and see whether it has holds or rests of
    another class. Too often is: a rest after 2 or more rests; otherwise after more than 4 of the same class, or
    more than 6 where holds or rests lie between.

    Source: RL Tuner's detect_repeating_notes.
    """
    events, onset = melodies.events, melodies.is_onset
    if not events.numel():
        return torch.zeros_like(onset)
    # An onset that differs from the one before it starts a new run of one pitch. The stretch of a run reaches back
    # to just after the onset before the run; that of a hold or rest to just after the last onset.
    steps = torch.arange(events.shape[1], device=events.device)
    starts_run = onset & (melodies.pitch != melodies.previous_pitch)
    run_start = torch.where(starts_run, steps, 0).cummax(dim=1).values
    stretch_start = 1 + torch.where(
        onset, melodies.previous_onset.gather(1, run_start), melodies.previous_onset
    )

    def count_before(chosen: Tensor) -> Tensor:
        """int64 [B, T]: how many of the chosen events lie in [stretch_start, t)."""
        total = torch.nn.functional.pad(chosen.long().cumsum(dim=1), (1, 0))  # [B, T + 1]
        return total[:, :-1] - total.gather(1, stretch_start)

    onsets, rests, holds = (count_before(c) for c in (onset, events == NOTE_OFF, events == NO_EVENT))
    same = torch.where(onset, onsets, torch.where(events == NOTE_OFF, rests, holds))
    between = torch.where(onset, rests + holds, torch.where(events == NOTE_OFF, holds, rests))
    allowed = torch.where(between > 0, 6, 4)
    allowed = torch.where(events == NOTE_OFF, 1, allowed)
    return (same > allowed) & melodies.valid
