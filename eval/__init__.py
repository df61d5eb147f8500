"""Metrics: pure functions of Melodies, their tables and reports."""

from rltuner.eval.paper import ROW_TITLES, evaluate
from rltuner.eval.published import PUBLISHED
from rltuner.eval.rewards import held_out_rewards, mean_rewards

__all__ = ["PUBLISHED", "ROW_TITLES", "evaluate", "held_out_rewards", "mean_rewards"]
