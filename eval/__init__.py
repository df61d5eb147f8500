"""Metrics: pure functions of Melodies, their tables and reports.

`evaluate` gives the paper's eleven rows. The modules hold one plain function a metric: `paper`, `tonality`, `diversity`,
`copying`, `texture`, `likeness`, `rewards`, and `rltuner.objective` for what needs networks; `counts` has intervals and
effect sizes. docs/metrics.md defines them all.
"""

from rltuner.eval.paper import ROW_TITLES, evaluate
from rltuner.eval.published import PUBLISHED
from rltuner.eval.rewards import held_out_rewards, mean_rewards

__all__ = ["PUBLISHED", "ROW_TITLES", "evaluate", "held_out_rewards", "mean_rewards"]
