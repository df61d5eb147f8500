"""Features: a row of numbers for each tune, measured by `eval`, or heard by the Note RNN.

* "measured": the 17 numbers of `MEASURED`, each of one melody alone.
* "layer 0": what the Note RNN is told, on average over a tune's events; "layer k": the mean hidden state of its k-th
  layer. They take the place of the thesis' tagger, whose layers were compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rltuner.errors import InputError, suggest
from rltuner.eval.paper import autocorrelations, row_counts
from rltuner.eval.texture import FEATURES
from rltuner.eval.tonality import notes_in_own_key
from rltuner.melody import Melodies
from rltuner.melody.tunes import Tune
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.note_rnn import NoteRNN

BATCH = 64  # tunes unrolled together
ROWS_OF_TUNES = ("notes_in_motif", "leaps_resolved")
DANCEABILITY = "danceability"

Rows = NDArray[np.float64]


def danceability(melodies: Melodies) -> Tensor:
    """Pulse clarity: the largest autocorrelation of the onsets at a distance of two steps to two bars, float64 [B].

    r(l) = sum_t (x_t - m)(x_{t+l} - m) / sum_t (x_t - m)^2, x being 1 where a note begins and m its mean: near 1 where
    the rhythm repeats exactly (a melody of n steps loses l/n of it), near 0 where it has no pulse. NaN where a melody
    has a note on every step, or none.

    Source: Lartillot, Eerola, Toiviainen, Fornari, "Multi-feature modeling of pulse clarity" (2008), whose onset curve is
    here the onsets themselves.
    """
    valid = melodies.valid.double()
    onsets = melodies.is_onset.double()
    mean = onsets.sum(dim=1, keepdim=True) / melodies.lengths.clamp(min=1)[:, None]
    centred = (onsets - mean) * valid
    power = centred.square().sum(dim=1)
    longest = min(2 * melodies.meter.steps_per_bar, melodies.events.shape[1] - 1)
    best = torch.full((len(melodies),), -1.0, dtype=torch.float64)
    for lag in range(2, longest + 1):
        best = torch.maximum(best, (centred[:, lag:] * centred[:, :-lag]).sum(dim=1))
    return torch.where((power > 1e-9) & (longest >= 2), best / power.clamp(min=1e-9), float("nan"))


def _share(name: str) -> Callable[[Melodies], Tensor]:
    return lambda melodies: row_counts(melodies)[name].own


def _autocorrelation(lag: int) -> Callable[[Melodies], Tensor]:
    return lambda melodies: autocorrelations(melodies, lag)


MEASURED: dict[str, Callable[[Melodies], Tensor]] = {
    **FEATURES,
    DANCEABILITY: danceability,
    "notes_in_own_key": lambda melodies: notes_in_own_key(melodies).own,
    **{f"autocorrelation_lag{lag}": _autocorrelation(lag) for lag in (1, 2, 3)},
    **{name: _share(name) for name in ROWS_OF_TUNES},
}
"""The 17 measured features, float64 [B] each."""


def feature_sets(note_rnn: NoteRNN) -> list[str]:
    """The names of all sets of features."""
    return ["measured", *(f"layer {layer}" for layer in range(len(note_rnn.layers) + 1))]


def features(tunes: Sequence[Tune], name: str, note_rnn: NoteRNN) -> Rows:
    """One row a tune, float64 [N, F]; what cannot be measured of a tune is the median of the others.

    Raises InputError for an unknown set of features.
    """
    if name not in feature_sets(note_rnn):
        raise InputError(f"unknown features {name!r}; {suggest(name, feature_sets(note_rnn))}")
    rows = measured(tunes) if name == "measured" else hidden_means(tunes, note_rnn)[int(name.split()[1])]
    medians = np.nanmedian(np.where(np.isnan(rows).all(axis=0), 0.0, rows), axis=0)
    return np.where(np.isnan(rows), medians, rows)


def measured(tunes: Sequence[Tune]) -> Rows:
    """The features of `MEASURED`, float64 [N, 17]; NaN where a tune has nothing to measure."""
    rows = np.empty((len(tunes), len(MEASURED)))
    for numbers, melodies in _batches(tunes):
        rows[numbers] = torch.stack(
            [measure(melodies).double() for measure in MEASURED.values()], dim=1
        ).numpy()
    return rows


@torch.inference_mode()
def hidden_means(tunes: Sequence[Tune], note_rnn: NoteRNN) -> list[Rows]:
    """The mean over each tune's events of what the Note RNN is told, and of each layer's hidden state."""
    sizes = [note_rnn.inputs.size, *note_rnn.hidden_sizes]
    means = [np.empty((len(tunes), size)) for size in sizes]
    for numbers, melodies in _batches(tunes):
        heard = inputs_of(melodies)
        rows = note_rnn.inputs.rows(heard).all()
        batch, steps, added = rows.shape
        hidden = nn.functional.embedding_bag(rows.reshape(-1, added), note_rnn.vectors, mode="sum")
        hidden = hidden.view(batch, steps, -1)
        means[0][numbers] = _mean(hidden, melodies)
        for number, layer in enumerate(note_rnn.layers, start=1):
            hidden, _ = layer(hidden)
            means[number][numbers] = _mean(hidden, melodies)
    return means


def _mean(hidden: Tensor, melodies: Melodies) -> Rows:
    weights = melodies.valid[..., None].float()
    mean: Rows = ((hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)).double().numpy()
    return mean


def _batches(tunes: Sequence[Tune]) -> Iterator[tuple[list[int], Melodies]]:
    """Tunes of one metre and about one length together: their numbers and themselves."""
    of_meter: dict[object, list[int]] = defaultdict(list)
    for number, tune in enumerate(tunes):
        of_meter[tune.meter].append(number)
    for numbers in of_meter.values():
        numbers.sort(key=lambda number: len(tunes[number].events))
        for first in range(0, len(numbers), BATCH):
            part = numbers[first : first + BATCH]
            yield part, Melodies.from_lists([tunes[n].events for n in part], meter=tunes[part[0]].meter)
