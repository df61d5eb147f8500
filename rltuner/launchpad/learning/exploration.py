"""Which presses a learner tries."""

from __future__ import annotations

import numpy as np

from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.environments.boards import Boards


def random_presses(boards: Boards, generator: np.random.Generator) -> Array:
    """Buttons drawn evenly: int64 [B]."""
    return generator.integers(boards.board.actions, size=len(boards))


def presses_by_reward(boards: Boards, before: Array, beta: float, generator: np.random.Generator) -> Array:
    """A button each, drawn evenly, that is pressed by the chance min(1, exp(beta times what it gains)); else none is.

    So states are visited in proportion to exp(beta R), as in the seed's section 5.2. `before` is the present reward of
    each board, float32 [B]. Trying a press needs a simulator: the rewards are exact.
    """
    actions = random_presses(boards, generator)
    after = np.array([boards.board.press(s, int(a)) for s, a in zip(boards.states, actions, strict=True)])
    gain = boards.reward(after) - before
    taken = generator.random(len(actions)) < np.exp(np.minimum(beta * gain, 0.0))
    return np.where(taken, actions, boards.board.nothing)
