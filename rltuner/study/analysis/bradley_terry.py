"""Strengths of sources from paired comparisons with ties: the Bradley-Terry model in Davidson's form.

Source i has a log strength λ_i, and ν > 0 says how common ties are:

    P(i preferred to j) ∝ exp(λ_i),   P(j preferred to i) ∝ exp(λ_j),   P(no difference) ∝ ν exp((λ_i + λ_j) / 2)

The difference λ_i - λ_j is the log of the odds that i wins rather than j, ties left aside. Strengths sum to zero. The
likelihood is concave in (λ, log ν), so Newton's method finds its one maximum; a normal prior of standard deviation
PRIOR_SD on each keeps it finite where a source wins every time, and moves nothing that the data settle.

R. R. Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", Journal of
the American Statistical Association 65 (1970), 317-328.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

PRIOR_SD = 10.0
STEPS, CLOSE, LONGEST = 100, 1e-9, 2.0  # of Newton's method: at most, where it ends, the longest step
REPLICATES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Strengths:
    """Log strengths with intervals that hold for all sources at once."""

    sources: tuple[str, ...]
    estimate: Floats
    """λ, [S], sums to zero."""
    low: Floats
    high: Floats
    tie: float
    """ν."""


def fit(counts: Floats, contrasts: Sequence[tuple[int, int]], sources: int) -> tuple[Floats, Floats]:
    """Maximum a posteriori estimates for R data sets at once, by Newton's method.

    Args:
      counts: [R, C, 3]; of each contrast (a, b) how often a was preferred, none was, b was.
      contrasts: C pairs of source indices.
      sources: S.

    Returns:
      λ [R, S] and log ν [R]. Without any answer all are 0.
    """
    features = np.zeros(
        (len(contrasts), 3, sources + 1)
    )  # (C, 3, S + 1): of λ and log ν in each outcome's log odds
    for row, (a, b) in enumerate(contrasts):
        features[row, 0, a] = features[row, 2, b] = features[row, 1, sources] = 1.0
        features[row, 1, [a, b]] = 0.5
    totals = counts.sum(axis=2)  # (R, C)
    at = np.zeros((len(counts), sources + 1))
    for _ in range(STEPS):
        logits = np.einsum("cof,rf->rco", features, at)
        chances = np.exp(logits - logits.max(axis=2, keepdims=True))
        chances /= chances.sum(axis=2, keepdims=True)  # (R, C, 3)
        slope = np.einsum("rco,cof->rf", counts - totals[..., None] * chances, features) - at / PRIOR_SD**2
        mean = np.einsum("rco,cof->rcf", chances, features)
        curvature = np.einsum("rc,rco,cof,cog->rfg", totals, chances, features, features, optimize=True)
        curvature -= np.einsum("rc,rcf,rcg->rfg", totals, mean, mean, optimize=True)
        curvature += np.eye(sources + 1) / PRIOR_SD**2
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        at = at + step * np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        if np.abs(step).max(initial=0.0) < CLOSE:
            break
    return at[:, :sources], at[:, sources]


def strengths(
    counts: Floats,
    contrasts: Sequence[tuple[int, int]],
    sources: Sequence[str],
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Strengths:
    """Log strengths with joint 95 % intervals, by a bootstrap that draws whole listeners.

    A listener's answers hang together, so listeners are drawn with replacement, not answers. The intervals are
    estimate ± k · standard error, with one k for all sources: the 95 % quantile over the replicates of the largest
    |λ* - λ| / standard error. So all true strengths lie in their intervals in about 95 of 100 studies.

    Args:
      counts: [L, C, 3], as `fit` takes them, for each listener.
      contrasts, sources: as there; the names of the sources.
      seed: of the bootstrap.
      replicates: data sets drawn.

    With fewer than two listeners or replicates the intervals are NaN.
    """
    listeners = len(counts)
    estimate, tie = fit(counts.sum(axis=0)[None], contrasts, len(sources))
    if min(listeners, replicates) < 2:
        nothing = np.full(len(sources), np.nan)
        return Strengths(tuple(sources), estimate[0], nothing, nothing, float(np.exp(tie[0])))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(listeners, np.full(listeners, 1 / listeners), size=replicates)  # (R, L)
    drawn = np.tensordot(weights.astype(np.float64), counts, axes=1)  # (R, C, 3)
    found, _ = fit(drawn, contrasts, len(sources))
    spread = found.std(axis=0, ddof=1)
    largest = (np.abs(found - estimate[0]) / np.maximum(spread, 1e-12)).max(axis=1)
    # Few listeners: drawing L from L makes a variance L / (L - 1) times too small, and Student's t is wider.
    few = np.sqrt(listeners / (listeners - 1)) * stats.t.ppf(0.975, listeners - 1) / stats.norm.ppf(0.975)
    reach = few * float(np.quantile(largest, LEVEL)) * spread
    return Strengths(
        tuple(sources), estimate[0], estimate[0] - reach, estimate[0] + reach, float(np.exp(tie[0]))
    )
