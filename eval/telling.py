"""Classifier two-sample tests: whether a judge can tell two sets of melodies apart.

Two judges: a logistic regression on what `likeness.features` measures, and gradient-boosted trees on
`tune_features`, which hear the bar. A source that pleases one by its weakness is told by the other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltuner.eval.counts import LEVEL, Estimate
from rltuner.eval.likeness import SAMPLE, features
from rltuner.eval.tune_features import tune_features
from rltuner.melody import Melodies

FOLDS = 5
SEEDS = 3
RESAMPLES = 1_000
UNMEASURED = -1e6
OF_HUMAN = 1 << 40  # added to groups of the other set, so that no two are one


@dataclass(frozen=True)
class Judge:
    """A way to tell melodies apart."""

    name: str
    features: Callable[[Melodies], NDArray[np.float64]]
    """float64 [B, K]; NaN where there is nothing to measure."""
    model: Callable[[int], Any]
    """A scikit-learn classifier, by a seed."""


def _logistic(seed: int) -> Any:
    """Standardised features and their squares, what cannot be measured counted as the mean; L2 penalty of weight 1."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    return make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        FunctionTransformer(_with_squares),
        StandardScaler(),
        LogisticRegression(max_iter=1_000),
    )


def _with_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values, values**2], axis=1)


def _trees(seed: int) -> Any:
    """150 trees of 8 leaves; each split looks at three tenths of the features. What cannot be measured is a low value."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(
        FunctionTransformer(np.nan_to_num, kw_args={"nan": UNMEASURED}),
        HistGradientBoostingClassifier(
            max_iter=150,
            learning_rate=0.08,
            max_leaf_nodes=8,
            min_samples_leaf=10,
            l2_regularization=1.0,
            max_features=0.3,
            random_state=seed,
        ),
    )


LOGISTIC = Judge("logistic", features, _logistic)
TREES = Judge("trees", tune_features, _trees)


def told_apart(
    judge: Judge,
    melodies: Melodies,
    human: Melodies,
    groups: Tensor | None,
    human_groups: Tensor | None,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    seeds: int = SEEDS,
) -> Estimate:
    """How often the judge tells melodies from human ones, cross-validated: the mean of `seeds` draws and trainings.

    0.5 means that it cannot, 1 that it always can. Each time as many of either set are drawn without replacement
    (`sample`, or the size of the smaller set) and divided into 5 folds, in which melodies of one tune stay together;
    each fold is judged by a model of the other four. The interval is a bootstrap over tunes (melodies, where they are
    their own groups) of all verdicts, 95 %.

    Args:
      groups, human_groups: int64 [B] each, or None where every melody stands by itself.
      seed: of the first draw; the others count on.

    NaN where either set has fewer than five groups. Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample
    tests".
    """
    found = []
    for number in range(seed, seed + seeds):
        one = _verdicts(judge, melodies, human, groups, human_groups, sample, number)
        if one is None:
            return Estimate(math.nan, math.nan, math.nan)
        found.append(one)
    right, group, label = (np.concatenate(part) for part in zip(*found, strict=True))
    return _accuracy(right, group, label, seed)


def _verdicts(
    judge: Judge,
    melodies: Melodies,
    human: Melodies,
    groups: Tensor | None,
    human_groups: Tensor | None,
    sample: int,
    seed: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """Of each melody drawn, whether the verdict was right, its group, its label (1: not human). None: too few groups."""
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    generator = torch.Generator().manual_seed(seed)
    count = min(sample, len(melodies), len(human))
    rows, labels, tunes = [], [], []
    for label, (batch, own) in enumerate(((human, human_groups), (melodies, groups))):
        chosen = torch.randperm(len(batch), generator=generator)[:count]
        rows.append(judge.features(batch[chosen]))
        labels += [label] * count
        tunes.append((own[chosen] if own is not None else chosen) + label * OF_HUMAN)
    group, label_of = torch.cat(tunes).numpy(), np.array(labels)
    if min(len(set(group[label_of == label])) for label in (0, 1)) < FOLDS:
        return None
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with (
        warnings.catch_warnings(),
        threadpool_limits(1),
    ):  # small products: threads would only wait for each other
        warnings.simplefilter("ignore")  # of no convergence, where the sets are apart: the verdict stands
        verdicts = cross_val_predict(
            judge.model(seed), np.concatenate(rows), label_of, groups=group, cv=folds
        )
    return verdicts == label_of, group, label_of


def _accuracy(
    right: NDArray[np.bool_], group: NDArray[np.int64], label: NDArray[np.int64], seed: int
) -> Estimate:
    """The mean of the two sets' shares of right verdicts, groups of each set resampled."""
    generator = np.random.default_rng(seed)
    shares, resampled = [], np.zeros(RESAMPLES)
    for side in (0, 1):
        chosen = label == side
        _, place = np.unique(group[chosen], return_inverse=True)
        hits, sizes = np.bincount(place, right[chosen]), np.bincount(place)
        drawn = generator.integers(len(sizes), size=(RESAMPLES, len(sizes)))
        shares.append(hits.sum() / sizes.sum())
        resampled += hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) / 2
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(np.mean(shares)), float(low), float(high))
