"""Metrics: pure functions of Melodies, their tables and reports; sources of melodies, named alike in every command.

`evaluate` gives the paper's eleven rows. The modules hold one plain function a metric: `paper`, `tonality`, `diversity`,
`copying`, `texture`, `likeness`, `rewards`, and `networks.divergence` for what needs networks; `counts` has intervals and
effect sizes. docs/metrics.md defines them all. Uses `networks` (sources compose), `rules`, `reading`, `melody` and
`storing`.

Names are imported when they are first used, so that the configuration beside them answers --help at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltuner.eval.paper import ROW_TITLES, evaluate
    from rltuner.eval.published import PUBLISHED
    from rltuner.eval.rewards import held_out_rewards, mean_rewards

_HOMES = {
    "PUBLISHED": "published",
    "ROW_TITLES": "paper",
    "evaluate": "paper",
    "held_out_rewards": "rewards",
    "mean_rewards": "rewards",
}

__all__ = ["PUBLISHED", "ROW_TITLES", "evaluate", "held_out_rewards", "mean_rewards"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltuner.eval' has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"rltuner.eval.{_HOMES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
