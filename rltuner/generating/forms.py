"""Melodies of a form and an ending that are asked for.

A phrase that comes back is copied while the policy listens, but for its last bar, which it composes anew: phrases that
begin alike close in different ways. Endings, and that phrases of different letters differ, are had by composing again
what is otherwise: what is left is distributed as the policy's melodies that are so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.eval.form import ends_on, has_form
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key
from rltuner.rules.bars import PHRASE

TRIES = 100


def copied_steps(form: str, meter: Meter) -> Tensor:
    """For each step of a melody of that form the earlier step that it copies, -1 where it is composed: int64 [T]."""
    phrase, copied = PHRASE * meter.steps_per_bar, (PHRASE - 1) * meter.steps_per_bar
    steps = torch.full((len(form), phrase), -1)
    for index, letter in enumerate(form):
        first = form.index(letter)
        if first < index:
            steps[index, :copied] = torch.arange(copied) + first * phrase
    return steps.flatten()


def check_form(form: str, length: int, meter: Meter) -> None:
    """InputError where melodies of `length` events do not have as many phrases as the form has letters."""
    bars = PHRASE * len(form)
    if length != bars * meter.steps_per_bar:
        raise InputError(
            f"generate: the form {form} has {len(form)} phrases of {PHRASE} bars, so it takes --bars {bars}; these are "
            f"{length / meter.steps_per_bar:g} bars of {meter}"
        )


def until(
    composed: Callable[[Tensor], Melodies], contexts: Tensor, key: Key, form: str | None, ending: str | None
) -> Melodies:
    """Melodies of the form and the ending, one for each context, composed again until they are so, at most `TRIES` times.

    Args:
      composed: composes one melody for each of some contexts, int64 [n, P].
      contexts: int64 [B, P].
      key: in which the melodies are composed.
      form: see `eval.form.has_form`; None for any.
      ending: open (on a note of the dominant chord), closed (on the tonic), or None for any.

    What is still otherwise then is kept, and said.
    """
    melodies = composed(contexts)
    for _ in range(TRIES - 1):
        wrong = (~_is_so(melodies, key, form, ending)).nonzero()[:, 0]
        if not len(wrong):
            return melodies
        events = melodies.events.clone()
        events[wrong] = composed(contexts[wrong]).events
        melodies = Melodies(events, None, contexts, melodies.vocabulary, melodies.meter)
    if count := int((~_is_so(melodies, key, form, ending)).sum()):
        asked = " and ".join(filter(None, (form and f"the form {form}", ending and f"the {ending} ending")))
        say(f"warning: {count} of {len(melodies)} melodies have not {asked}, after {TRIES} tries")
    return melodies


def _is_so(melodies: Melodies, key: Key, form: str | None, ending: str | None) -> Tensor:
    """bool [B]."""
    fine = torch.ones(len(melodies), dtype=torch.bool)
    if form is not None:
        fine &= has_form(melodies, form)
    if ending is not None:
        fine &= ends_on(melodies, key, ending)
    return fine
