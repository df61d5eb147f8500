"""Melodies composed for a preference, by particles on the Note RNN: where the catalogue has nothing that is liked.

The preference becomes two rules, whose reward steers `networks.particles`:

* `rhythm`, of each event: log P(kind | place in the bar, family) - log P(kind | place in the bar, all other tunes in that
  metre), the kind being an onset, a hold or a rest: how much more an event is like the family than like the rest. Where
  the family is alone in its metre, the second term is the uniform distribution's.
* `danceability`, of the last event: minus how far the melody's pulse clarity lies outside the wanted range, times 50.

The metre is the family's most common one, the length 8 bars.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from rltuner.listeners.environments.likes import Preference
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.features import danceability
from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies, Meter
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy
from rltuner.networks.primers import primer_contexts
from rltuner.rules.book import DEFAULT_KEY, RuleBook

BARS, PARTICLES, C = 8, 128, 0.5
PER_UNIT = 50.0  # reward of a danceability that is 1 nearer
KINDS = 3  # of events: onset, hold, rest


class RhythmRule:
    """See above.

    Args:
      odds: float32 [steps of a bar, 3], the reward of each kind of event at each place.
    """

    def __init__(self, odds: Tensor) -> None:
        self.odds = odds

    def __call__(self, melodies: Melodies) -> Tensor:
        """The reward of each event, float32 [B, T]; 0 on padding."""
        place = torch.arange(melodies.events.shape[1]) % len(self.odds)
        return torch.where(melodies.valid, self.odds[place, _kinds(melodies.events)], 0.0)


class DanceabilityRule:
    """See above.

    Args:
      low, high: the wanted range.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, melodies: Melodies) -> Tensor:
        """The reward, at the last event, float32 [B, T]; the largest miss where nothing can be measured."""
        found = danceability(melodies).nan_to_num(-1.0)
        miss = (self.low - found).clamp(min=0) + (found - self.high).clamp(min=0)
        result = torch.zeros(melodies.events.shape)
        rows = (melodies.lengths > 0).nonzero()[:, 0]
        result[rows, melodies.lengths[rows] - 1] = -PER_UNIT * miss[rows].float()
        return result


def preference_book(preference: Preference, catalogue: Catalogue) -> tuple[RuleBook, Meter]:
    """The rules of a preference, and the metre of its melodies."""
    meters = Counter(
        tune.meter
        for tune, family in zip(catalogue.tunes, catalogue.families, strict=True)
        if preference.family in (None, family)
    )
    meter = meters.most_common(1)[0][0]
    rules: dict[str, RhythmRule | DanceabilityRule] = {}
    if preference.family is not None:
        rules["rhythm"] = RhythmRule(_odds(catalogue, preference.family, meter))
    if preference.danceability is not None or not rules:
        rules["danceability"] = DanceabilityRule(*(preference.danceability or (-1.0, 1.0)))
    weights = dict.fromkeys(rules, 1.0)
    return RuleBook("preference", str(preference), DEFAULT_KEY, meter, rules, weights, {}), meter


def compose_for(
    preference: Preference, catalogue: Catalogue, note_rnn: NoteRNN, count: int, seed: int = 0
) -> Melodies:
    """`count` melodies of 8 bars, one from each of as many particle systems.

    The transcriber of a preference plays no part: what one person wrote down is no style.
    """
    book, meter = preference_book(preference, catalogue)
    note_rnn.meter = meter
    policy = Policy("note_rnn", note_rnn)
    generator = torch.Generator().manual_seed(seed)
    contexts = primer_contexts(policy, "none", count, generator)
    systems = steer(policy, note_rnn, book, C, contexts, BARS * meter.steps_per_bar, PARTICLES, generator)
    return systems.draw(generator)


def _kinds(events: Tensor) -> Tensor:
    """0 onset, 1 hold (or silence that goes on), 2 rest."""
    return torch.where(events == NO_EVENT, 1, torch.where(events == NOTE_OFF, 2, 0))


def _odds(catalogue: Catalogue, family: str, meter: Meter) -> Tensor:
    counts = torch.ones(2, meter.steps_per_bar, KINDS)  # one of each, so that nothing is impossible
    for tune, own in zip(catalogue.tunes, catalogue.families, strict=True):
        if tune.meter == meter:
            kinds = _kinds(torch.tensor(tune.events)).view(-1, meter.steps_per_bar)
            counts[int(own != family)] += torch.nn.functional.one_hot(kinds, KINDS).sum(dim=0)
    shares = counts / counts.sum(dim=2, keepdim=True)
    return shares[0].log() - shares[1].log()
