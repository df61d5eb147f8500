"""Metrics: pure functions of Melodies, their tables and reports."""

from rltuner.eval.paper import PUBLISHED, ROW_TITLES, evaluate

__all__ = ["PUBLISHED", "ROW_TITLES", "evaluate"]
