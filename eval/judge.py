"""Judging a source of melodies: every figure of `rltuner.eval.rows`, with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rltuner.eval.copying import SIZES, Copy, TrainingTunes
from rltuner.eval.counts import Counts, Estimate, effect_size, estimates, in_batches, mean_of, replicate
from rltuner.eval.diversity import distinct, distinct_ngrams, mean_edit_distance, nearest_similarity
from rltuner.eval.form import FORM, FORM_IN_KEY
from rltuner.eval.likeness import SAMPLE, cut, feature_overlaps
from rltuner.eval.paper import row_counts, sounding_counts, start_counts
from rltuner.eval.rewards import held_out_counts, held_out_rules, reward_counts
from rltuner.eval.rows import SOUNDING
from rltuner.eval.sources import HUMAN, Source
from rltuner.eval.telling import LOGISTIC, TREES, told_apart
from rltuner.eval.texture import FEATURES
from rltuner.eval.tonality import notes_in_own_key
from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.networks.compose import compose
from rltuner.networks.divergence import divergences
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, note_rnn_of
from rltuner.rules.book import RuleBook

NORMAL = 1.96  # half the width of a 95 % interval, in standard errors
REFERENCE_MELODIES = 2_500  # of the Note RNN's, for KL(p || pi)


@dataclass(frozen=True)
class Standards:
    """What all sources are judged by."""

    key: str
    book: RuleBook | None
    c: float
    human: Source | None
    """The held-out human tunes, in windows of the same length; None where no tune is as long."""
    training: TrainingTunes
    seed: int = 0
    primer: str = "random_note"
    temperature: float = 1.0
    """At which checkpoints compose: what is said of a policy is said of it at this temperature."""
    length: int = 32


@dataclass
class Judgement:
    """All figures of one source."""

    source: Source
    estimates: dict[str, Estimate]
    """By row name; rows that do not apply to the source are missing."""
    counts: dict[str, Counts]
    """Of the rows that are ratios over melodies."""
    replicates: dict[str, Tensor]
    """Bootstrap replicates of the same rows, float64 [R] each."""
    copies: list[Copy] = field(default_factory=list)
    """The most-copied melodies."""
    likeness_windows: int = 0
    """Melodies, or windows of files, that likeness rests on; 0 where it was not measured."""

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    @property
    def left_out(self) -> dict[str, int]:
        """Melodies that a row of the paper's leaves out, where any: its formula has nothing to count in them."""
        rows = {"autocorrelation_lag1": "autocorrelation", "leaps_resolved": "leaps"}
        return {title: n for row, title in rows.items() if (n := self.counts[row].left_out)}


def judge(source: Source, standards: Standards) -> Judgement:
    """Every figure that applies to the source."""
    melodies = source.melodies
    key = Key.parse(standards.key)
    if source.transposed:
        key = key.moved(source.transposed)
        standards = replace(standards, key=str(key))
    counts = _counts(melodies, standards)
    if source.octaves is not None:
        counts["compositions_starting_with_tonic"] = start_counts(melodies, key.tonic_pitch + source.octaves)
    if source.policy is not None:
        counts |= _fidelity(source.policy, melodies, counts, standards)
    elif melodies.vocabulary == (note_rnn := NoteRNN.load("note_rnn")).vocabulary:
        found = divergences(Policy("note_rnn", note_rnn), note_rnn, melodies)
        counts["log_prior"] = _per_event(found.log_prior, melodies)
    resampled = replicate(counts, source.groups, seed=standards.seed)
    figures = estimates(counts, resampled, source.groups)
    figures |= _diversity(melodies, standards.seed)
    if source.policy is not None:
        figures["reverse_kl"] = _reverse_kl(source.policy, standards)
    likeness, windows = _likeness(source, standards)
    figures |= likeness
    copies = standards.training.most_copied(melodies)
    return Judgement(source, figures, counts, resampled, copies, windows)


def effects(judgement: Judgement, baseline: Judgement) -> dict[str, Estimate]:
    """How far the source is from the baseline in each row that both have, as Cohen's d with its interval."""
    return {
        name: effect_size(
            counts, baseline.counts[name], (judgement.replicates[name], baseline.replicates[name])
        )
        for name, counts in judgement.counts.items()
        if name in baseline.counts
    }


def _counts(melodies: Melodies, standards: Standards) -> dict[str, Counts]:
    """Everything that is a ratio over melodies and needs no network."""
    Key.parse(standards.key)
    rules = held_out_rules(standards.key)

    def count(part: Melodies) -> dict[str, Counts]:
        found = row_counts(part, key=standards.key)
        sounding = sounding_counts(part, key=standards.key)
        found |= {name + SOUNDING: entry for name, entry in sounding.items()}
        found["notes_in_own_key"] = notes_in_own_key(part)
        found |= {name: mean_of(feature(part)) for name, feature in {**FEATURES, **FORM}.items()}
        found |= {name: mean_of(feature(part, standards.key)) for name, feature in FORM_IN_KEY.items()}
        found |= {f"copied_{n}grams": standards.training.shared_runs(part, n) for n in SIZES}
        found |= {f"held_out_{name}": entry for name, entry in held_out_counts(part, rules).items()}
        if standards.book is not None:
            found |= {f"rule_{name}": entry for name, entry in reward_counts(part, standards.book).items()}
        return found

    return in_batches(count, melodies)


def _fidelity(
    policy: Policy, melodies: Melodies, counts: Mapping[str, Counts], standards: Standards
) -> dict[str, Counts]:
    """log p, KL(pi || p) and the entropy, an event; J, a melody."""
    found = divergences(policy, note_rnn_of(policy), melodies, standards.temperature)
    result = {
        "log_prior": _per_event(found.log_prior, melodies),
        "kl": _per_event(found.kl, melodies),
        "entropy": _per_event(found.entropy, melodies),
    }
    if standards.book is not None:
        reward = counts["rule_total"].numerator / standards.c
        result["objective"] = mean_of(reward - found.kl.double())
    return result


def _per_event(sums: Tensor, melodies: Melodies) -> Counts:
    """Sums over each melody's events [B] as a metric an event."""
    return Counts(sums.double(), melodies.lengths.double())


def _reverse_kl(policy: Policy, standards: Standards) -> Estimate:
    """KL(p || pi), nats an event, from melodies that the Note RNN composes."""
    note_rnn = note_rnn_of(policy)
    composer = Policy("note_rnn", note_rnn)
    melodies = compose(
        composer, REFERENCE_MELODIES, standards.length, primer=standards.primer, seed=standards.seed
    )
    if not standards.temperature:
        return Estimate(math.inf, math.nan, math.nan)
    found = divergences(policy, note_rnn, melodies, standards.temperature)
    counts = {"": _per_event(found.reverse_kl, melodies)}
    return estimates(counts, replicate(counts, seed=standards.seed))[""]


def _diversity(melodies: Melodies, seed: int) -> dict[str, Estimate]:
    """Metrics of the whole set of melodies. No bootstrap: resampling makes copies, and copies are what they count."""

    def exact(value: float) -> Estimate:
        return Estimate(value, math.nan, math.nan)

    def sampled(value: float, error: float) -> Estimate:
        return Estimate(value, value - NORMAL * error, value + NORMAL * error)

    grams = distinct_ngrams(melodies)
    return {
        "distinct": exact(distinct(melodies) / len(melodies)),
        **{f"distinct_{n}grams": exact(share) for n, share in grams.items()},
        "edit_distance": sampled(*mean_edit_distance(melodies, seed=seed)),
        "self_similarity": sampled(*nearest_similarity(melodies, seed=seed)),
    }


def _likeness(source: Source, standards: Standards) -> tuple[dict[str, Estimate], int]:
    """Against the human tunes, and the number of melodies it rests on.

    The human tunes themselves are judged one half against the other. Files are cut into windows as the human tunes are.
    Melodies in another metre have no likeness to them.
    """
    if standards.human is None or source.melodies.meter != standards.human.melodies.meter:
        return {}, 0
    human, human_groups = standards.human.melodies, standards.human.groups
    melodies, groups = source.melodies, source.groups
    assert human_groups is not None
    if source.name == HUMAN:
        side = human_groups % 2 == 0
        melodies, groups = human[side], human_groups[side]
        human, human_groups = human[~side], human_groups[~side]
    elif groups is not None:
        melodies, groups = cut(melodies, standards.length)
    overlaps = feature_overlaps(melodies, human, seed=standards.seed).values()
    area = torch.tensor([found.area for found in overlaps])
    divergence = torch.tensor([found.divergence for found in overlaps])
    figures = {
        "overlap_area": Estimate(float(area.nanmean()), math.nan, math.nan),
        "overlap_divergence": Estimate(float(divergence.nanmean()), math.nan, math.nan),
        **{
            row: told_apart(judge, melodies, human, groups, human_groups, seed=standards.seed)
            for row, judge in (("told_from_human", LOGISTIC), ("told_from_human_trees", TREES))
        },
    }
    return figures, min(SAMPLE, len(melodies), len(human))
