"""The board as an environment of gymnasium, `rltuner/Launchpad-v0`, and many in lock-step as a vector environment.

    import gymnasium, rltuner.launchpad.environments.gymnasium_boards
    board = gymnasium.make("rltuner/Launchpad-v0", corpus="chorales")

An observation is the bits of the state (MultiBinary, N(2B + 1) of them), an action the number of a button (Discrete), an
episode 1,000 bars, after which it is cut (truncated, never terminated). `reset(options={"state": codes})` begins in a
state. Needs the extra `launchpad`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import BarOptions, RewardName, Start
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.music.corpus import load_bars
from rltuner.launchpad.rewards.rewards import Bars, Reward

NAME = "rltuner/Launchpad-v0"
EPISODE = 1000  # bars; the seed's


def reward_of(bars: Bars | None, corpus: str, reward: RewardName) -> Reward:
    """The reward by given bars, or by those of a corpus."""
    board = Board()
    return Reward(
        bars if bars is not None else Bars(board, load_bars(corpus, board, BarOptions(), quiet=True).words),
        reward,
    )


class LaunchpadEnv(gymnasium.Env[Array, np.int64]):
    """One board.

    Args:
      corpus: `chorales`, `tunebooks` or a folder; or give `bars`.
      reward: distance, weighted, jaccard or f1.
      draws: K, bars drawn anew for each reward; 0 compares with all.
      start: random, sparse or empty.
      episode: bars.
      render_mode: `ansi`: the bar as text.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        corpus: str = "chorales",
        *,
        bars: Bars | None = None,
        reward: RewardName = "f1",
        draws: int = 0,
        start: Start = "sparse",
        episode: int = EPISODE,
        render_mode: str | None = None,
    ) -> None:
        self._reward, self._draws, self._start = reward_of(bars, corpus, reward), draws, start
        self.board, self.episode, self.render_mode = self._reward.bars.board, episode, render_mode
        self.observation_space = gymnasium.spaces.MultiBinary(self.board.inputs)
        self.action_space = gymnasium.spaces.Discrete(self.board.actions)
        self._boards = Boards(self._reward, 1, draws=draws, start=start)
        self._bar = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begins an episode. `options={"state": codes}` sets its first state, int [N]."""
        super().reset(seed=seed)
        if seed is not None:
            self._boards = Boards(self._reward, 1, draws=self._draws, start=self._start, seed=seed)
        else:
            self._boards.reset()
        if options and "state" in options:
            self._boards.set(np.arange(1), checked_states(self.board, np.asarray(options["state"])[None]))
        self._bar = 0
        return self._observation(), {"state": self._boards.states[0].copy()}

    def step(self, action: int | np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Presses a button; the reward is that of the bar that the board then plays."""
        if not self.action_space.contains(np.int64(action)):
            raise InputError(f"action {action}: the board has 0 to {self.board.actions - 1}")
        reward = float(self._boards.step(np.array([action], dtype=np.int64))[0])
        self._bar += 1
        return (
            self._observation(),
            reward,
            False,
            self._bar >= self.episode,
            {"state": self._boards.states[0].copy()},
        )

    def render(self) -> str | None:
        """The bar as text, the highest note first, where render_mode is `ansi`."""
        if self.render_mode != "ansi":
            return None
        roll = self.board.roll(self._boards.words[0])
        return "\n".join(
            f"{self.board.name(note):>4} " + "".join("#" if cell else "." for cell in roll[note])
            for note in reversed(range(self.board.notes))
        )

    def _observation(self) -> Array:
        seen: Array = self.board.bits[self._boards.states[0]].reshape(-1).astype(np.int8)
        return seen


class LaunchpadVectorEnv(gymnasium.vector.VectorEnv[Tensor, Tensor, Tensor]):
    """Many boards in lock-step: observations float32 [B, N(2B + 1)], actions int64 [B], rewards float32 [B], all tensors.

    All episodes are equally long, so all boards begin anew together, at the step after the last one (gymnasium's
    `NEXT_STEP`): the action of that step is not played, and its reward is 0.
    """

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        corpus: str = "chorales",
        *,
        bars: Bars | None = None,
        reward: RewardName = "f1",
        draws: int = 0,
        start: Start = "sparse",
        episode: int = EPISODE,
    ) -> None:
        self._reward, self._draws, self._start = reward_of(bars, corpus, reward), draws, start
        self.num_envs, self.episode, self.board = num_envs, episode, self._reward.bars.board
        self.single_observation_space = gymnasium.spaces.MultiBinary(self.board.inputs)
        self.single_action_space = gymnasium.spaces.Discrete(self.board.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._boards = Boards(self._reward, num_envs, draws=draws, start=start)
        self._table = torch.from_numpy(self.board.bits)
        self._bar = 0

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Begins an episode on every board. `options={"state": codes}` sets their first states, int [B, N]."""
        first = seed[0] if isinstance(seed, list) else seed
        if first is not None:
            self._boards = Boards(
                self._reward, self.num_envs, draws=self._draws, start=self._start, seed=first
            )
        else:
            self._boards.reset()
        if options and "state" in options:
            self._boards.set(
                np.arange(self.num_envs), checked_states(self.board, np.asarray(options["state"]))
            )
        self._bar = 0
        return self._observations(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Presses one button on each board."""
        chosen = torch.as_tensor(actions, dtype=torch.int64)
        if chosen.shape != (self.num_envs,) or not bool(
            ((chosen >= 0) & (chosen < self.board.actions)).all()
        ):
            raise InputError(f"actions: expected {self.num_envs} numbers in [0, {self.board.actions - 1}]")
        never = torch.zeros(self.num_envs, dtype=torch.bool)
        if self._bar >= self.episode:
            self._boards.reset()
            self._bar = 0
            return self._observations(), torch.zeros(self.num_envs), never, never.clone(), {}
        rewards = torch.from_numpy(self._boards.step(chosen.numpy()).copy())
        self._bar += 1
        cut = torch.full((self.num_envs,), self._bar >= self.episode)
        return self._observations(), rewards, never, cut, {}

    def _observations(self) -> Tensor:
        return self._table[torch.from_numpy(self._boards.states).long()].flatten(1)


def checked_states(board: Board, states: Array) -> Array:
    """States int32 [B, N]; InputError where they are none of the board's."""
    if states.ndim != 2 or states.shape[1] != board.notes or not np.issubdtype(states.dtype, np.integer):
        raise InputError(f"state: expected {board.notes} whole numbers")
    if states.min() < 0 or states.max() >= board.codes:
        raise InputError(f"state: codes of a note are 0 to {board.codes - 1}")
    return states.astype(np.int32)


gymnasium.register(
    NAME,
    entry_point="rltuner.launchpad.environments.gymnasium_boards:LaunchpadEnv",
    vector_entry_point="rltuner.launchpad.environments.gymnasium_boards:LaunchpadVectorEnv",
)
