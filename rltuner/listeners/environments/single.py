"""One listener at a time: the vector environments as Gymnasium environments, `pip install 'rltuner[listeners]'`.

    import gymnasium
    import rltuner.listeners.environments.single       # registers the names below
    environment = gymnasium.make("rltuner/Grid-v0", dimensions=3)

"rltuner/Grid-v0", "rltuner/Sessions-v0" and "rltuner/Likes-v0". The last observation of an episode is the listener's own,
as Gymnasium has it, not the next episode's first. `reset(seed=...)` makes episodes repeat.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.likes import LikesListeners, Preference, Shelf
from rltuner.listeners.environments.raters import TOP, raters
from rltuner.listeners.environments.sessions import BOUND, SessionListeners
from rltuner.listeners.environments.skipping import Skipping
from rltuner.listeners.music.catalogue import catalogue
from rltuner.listeners.music.features import features
from rltuner.listeners.music.points import catalogue_points
from rltuner.listeners.music.space import LEVELS
from rltuner.networks.note_rnn import NoteRNN

Observation = NDArray[np.float32]


class _Single(gymnasium.Env[Observation, Any]):
    """A vector environment of one listener."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self, listeners: Any, low: float | Observation, high: float | Observation, discrete: bool
    ) -> None:
        self.listeners = listeners
        size = (listeners.observation_size,)
        self.observation_space = spaces.Box(
            np.broadcast_to(np.asarray(low, np.float32), size).copy(),
            np.broadcast_to(np.asarray(high, np.float32), size).copy(),
            dtype=np.float32,
        )
        self._is_discrete = discrete

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A new episode."""
        super().reset(seed=seed)
        if seed is not None:
            self.listeners.generator.manual_seed(seed)
        return self._bounded(self.listeners.reset()), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step."""
        taken = torch.as_tensor(np.asarray(action))[None]
        taken = taken.long() if self._is_discrete else taken.float()
        observation, reward, done = self.listeners.step(taken)
        shown = self.listeners.last if bool(done) else observation
        return self._bounded(shown), float(reward), bool(done), False, {}

    def _bounded(self, observation: torch.Tensor) -> Observation:
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        values = np.clip(observation[0].numpy().astype(np.float32), space.low, space.high)
        result: Observation = values
        return result


class GridEnv(_Single):
    """A listener of a grid; see `grid`. Actions: positions.

    Args:
      dimensions, percentiles, listener, levels: of `raters`.
      reward, observation: of `GridListeners`.
    """

    def __init__(
        self,
        dimensions: int = 2,
        percentiles: str = "wider_top_target",
        listener: str = "deterministic",
        reward: str = "bullseye",
        observation: str = "grid",
        levels: int = LEVELS,
    ) -> None:
        listeners = GridListeners(raters(dimensions, percentiles, listener, levels), 1, reward, observation)
        low = 0.0 if observation == "grid" else -1.0
        super().__init__(listeners, low, float(max(TOP, levels - 1)), discrete=True)
        self.action_space = spaces.Discrete(listeners.actions)


class SessionsEnv(_Single):
    """A session with a simulated listener of the shipped test tunes; see `sessions`. Actions: points of the space.

    Args:
      dimensions: principal components of the measured features.
    """

    def __init__(self, dimensions: int = 4) -> None:
        points = catalogue_points(("human",), dimensions)
        bound = max(BOUND, float(points.abs().max()))
        super().__init__(SessionListeners(points, Skipping(points), 1), -bound, bound, discrete=False)
        self.action_space = spaces.Box(-BOUND, BOUND, (dimensions,), np.float32)


class LikesEnv(_Single):
    """A listener with a preference among the shipped test tunes; see `likes`. Actions: 0 dislike, 1 like.

    Args:
      family, transcriber, danceability: the preference; reels where none is given.
    """

    def __init__(
        self,
        family: str | None = None,
        transcriber: str | None = None,
        danceability: tuple[float, float] | None = None,
    ) -> None:
        known = catalogue(("human",))
        shelf = Shelf(known, features(known.tunes, "measured", NoteRNN.load("note_rnn")))
        preference = Preference(family, transcriber, danceability)
        preference = shelf.checked(preference if preference.parts else Preference("reel"))
        super().__init__(LikesListeners(shelf, preference, 1), -8.0, 8.0, discrete=True)
        self.action_space = spaces.Discrete(2)


for _name, _kind in (("Grid", GridEnv), ("Sessions", SessionsEnv), ("Likes", LikesEnv)):
    if f"rltuner/{_name}-v0" not in gymnasium.registry:
        gymnasium.register(f"rltuner/{_name}-v0", entry_point=_kind)  # type: ignore[arg-type]
