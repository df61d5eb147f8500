"""A training as it goes: boards, learner and replay, one round after the other, and all of it as a state on disk.

A round: every board plays one bar; the steps are kept; the network learns from as many kept ones as the ratio says. With
`gains` a step's reward is what its press gained, R(s') - R(s) (times 100 for rewards that are shares). The best policy
is the same (Ng, Harada and Russell, 1999: potential-based shaping with R itself), and a network need not first learn
how good a state is anyway.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.learning.config import TrainConfig
from rltuner.launchpad.learning.exploration import presses_by_reward, random_presses
from rltuner.launchpad.learning.learner import Learner
from rltuner.launchpad.learning.replay import Replay
from rltuner.launchpad.learning.schedules import falling
from rltuner.launchpad.rewards.rewards import Reward

EXPLORING = 0.5  # share of a training over which epsilon falls
FIRST_BATCHES = 8  # that must be kept before anything is learned
PERCENT = 100.0  # rewards that are shares, as the network hears them


class Training:
    """Everything that changes while a policy is learned."""

    def __init__(self, config: TrainConfig, reward: Reward) -> None:
        board = reward.bars.board
        self.config, self.reward = config, reward
        self.boards = Boards(reward, config.boards, draws=config.draws, start=config.start, seed=config.seed)
        self.learner = Learner(board, config)
        kept = min(config.replay, config.steps + config.boards)
        self.replay = Replay(board, kept, every_press=config.every_press)
        self.generator = np.random.default_rng([config.seed, 1])
        self.steps, self.owed, self.seconds = 0, 0.0, 0.0
        self.best = float("-inf")
        self.before = reward(self.boards.states)
        self.scale = PERCENT if reward.name in ("jaccard", "f1") else 1.0

    def round(self) -> tuple[float, float]:
        """Plays a bar on every board and learns; the mean reward, and the mean loss (NaN where nothing was learned)."""
        config, boards = self.config, self.boards
        states = boards.states.copy()
        gains = self._gains(states) if config.every_press else None
        actions = self._actions(states)
        if gains is not None:
            guided = self.generator.random(len(states)) < config.guided
            actions = np.where(guided, gains.argmax(axis=1), actions)
        rewards = boards.step(actions).copy()
        heard = rewards - self.before if config.gains else rewards
        self.replay.add(states, actions, heard * self.scale, gains)
        self.before = rewards
        self.steps += len(boards)
        if self.steps // len(boards) % config.episode == 0:
            boards.reset()
            self.before = self.reward(boards.states)
        losses = []
        self.owed += len(boards) * config.ratio / config.batch_size
        if self.replay.filled < min(FIRST_BATCHES * config.batch_size, self.replay.capacity):
            self.owed = 0.0
        while self.owed >= 1:
            self.owed -= 1
            rate = falling(config.learning_rate, self.steps / config.steps)
            losses.append(self.learner.learn(self.replay, self.generator, rate))
        return float(rewards.mean()), float(np.mean(losses)) if losses else float("nan")

    def _gains(self, states: Array) -> Array:
        """What each press would gain by the bars that are nearest now: float32 [B, actions]."""
        sizes, shared = self.boards.sizes, self.boards.shared
        rows = zip(states, shared, sizes.tolist(), strict=True)
        after = np.array([self.reward.of_actions_near(s, c, int(size)) for s, c, size in rows])
        return (after - self.before[:, None]) * self.scale

    def _actions(self, states: Array) -> Array:
        """What is pressed: mostly what the network takes for best."""
        config = self.config
        share = falling(config.epsilon, self.steps / config.steps, EXPLORING)
        tried = self.generator.random(len(states)) < (
            1.0 if config.beta is not None and share > 0.5 else share
        )
        actions = self.learner.greedy(states)
        if tried.any():
            if config.beta is None:
                presses = random_presses(self.boards, self.generator)
            else:
                presses = presses_by_reward(
                    self.boards, self.before, config.beta * self.scale, self.generator
                )
            actions = np.where(tried, presses, actions)
        return actions

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All of it: tensors, and facts as JSON values."""
        of_boards, generator = self.boards.state()
        tensors = {f"boards.{name}": tensor for name, tensor in of_boards.items()}
        facts = {
            "boards_generator": generator,
            "generator": dict(self.generator.bit_generator.state),
            "learner_updates": self.learner.updates,
            "owed": self.owed,
            "seconds": self.seconds,
            "best": self.best if np.isfinite(self.best) else None,
            "place": self.replay.place,
        }
        return {**self.learner.tensors(), **self.replay.tensors(), **tensors}, facts

    def restore(self, steps: int, tensors: dict[str, Tensor], facts: dict[str, Any], where: object) -> None:
        """Goes back to what `state` gave after that many steps. InputError where it is not that of such a training."""
        try:
            boards = {name.partition(".")[2]: t for name, t in tensors.items() if name.startswith("boards.")}
            self.learner.restore(tensors, int(facts["learner_updates"]))
            self.replay.restore(tensors, int(facts["place"]))
            self.boards.restore(boards, facts["boards_generator"])
            self.generator.bit_generator.state = facts["generator"]
            self.owed, self.seconds = float(facts["owed"]), float(facts["seconds"])
            self.best = float("-inf") if facts["best"] is None else float(facts["best"])
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"{where}: not the state of this training ({reason})") from None
        self.steps = steps
        self.before = self.reward(self.boards.states)
