"""`penalize_repeating`: no class of event is repeated on and on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies
from rltuner.rules.rule import rule

BITS = 20  # a melody of more than a million events does not fit into memory anyway


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
    run_start = (steps * starts_run).cummax(dim=1).values
    looks_from = torch.where(onset, run_start, steps)
    stretch_start = melodies.previous_onset.gather(1, looks_from).add_(1)

    # How many onsets, holds and rests lie in [stretch_start, t): three counts in one number, so that one sum and one
    # lookup do for all of them. An event's own class is counted from bit `shift` on.
    shift = (
        (NO_EVENT + 1 - events).clamp_(min=0).mul_(BITS)
    )  # 0 for an onset, BITS for a hold, 2 BITS for a rest
    total = torch.zeros(events.shape[0], events.shape[1] + 1, dtype=torch.int64, device=events.device)
    torch.cumsum(torch.ones_like(shift) << shift, dim=1, out=total[:, 1:])
    counts = total[:, :-1] - total.gather(1, stretch_start)
    same = (counts >> shift).bitwise_and_((1 << BITS) - 1)
    rest_between = counts >= 1 << 2 * BITS
    hold_or_rest_between = counts >= 1 << BITS
    allowed = 4 + 2 * (rest_between | (onset & hold_or_rest_between)).to(torch.int8)
    return ((same > allowed) | ((events == NOTE_OFF) & (same > 1))) & melodies.valid
