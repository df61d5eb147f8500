"""A run of the Q-table or the dueling DQN on likes: what it is, how it learns, and how it is judged."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.listeners.agents.dueling import DuelingConfig, DuelingDQN
from rltuner.listeners.agents.q_table import QTable, QTableConfig
from rltuner.listeners.environments.likes import LikesListeners, Preference, Shelf
from rltuner.listeners.music.catalogue import catalogue
from rltuner.listeners.music.features import features
from rltuner.listeners.training.runs import run
from rltuner.networks.note_rnn import NoteRNN

AGENTS = ("q-table", "dueling", "dueling-prioritised")
EPISODES = {"q-table": 100, "dueling": 10, "dueling-prioritised": 10}  # the repository's
HELD_OUT = 0.2  # share of the tunes that are not shown while an agent learns
NONE_LIKED = float("nan")


@dataclass(frozen=True)
class LikesRun:
    """A run, as plain values: a listener with one preference."""

    agent: str = "dueling"
    sources: tuple[str, ...] = ("human",)
    family: str | None = "reel"
    transcriber: str | None = None
    danceability: tuple[float, float] | None = None
    episodes: int = 10
    seed: int = 0

    @property
    def preference(self) -> Preference:
        """The listener's."""
        return Preference(self.family, self.transcriber, self.danceability)

    def learner(self) -> QTable | DuelingDQN:
        """The agent before its first episode; each shows every tune that is not held out. InputError for an unknown
        agent or preference."""
        if self.agent not in AGENTS:
            raise InputError(f"unknown agent {self.agent!r}; {suggest(self.agent, list(AGENTS))}")
        shelf = shelf_of(self.sources)
        shown = split(len(shelf), self.seed)[0]
        preference = shelf.checked(self.preference)
        listeners = LikesListeners(shelf, preference, 1, self.seed, shown, until_liked=False)
        if self.agent == "q-table":
            return QTable(listeners, QTableConfig(episodes=self.episodes), self.seed)
        config = DuelingConfig(prioritised=self.agent == "dueling-prioritised", episodes=self.episodes)
        return DuelingDQN(listeners, config, self.seed)

    def result(self, folder: Path) -> dict[str, Any]:
        """Learns, or goes on, in a folder; how it does with tunes that it was shown, and with those held out."""
        agent = self.learner()
        shelf, likes = agent.listeners.shelf, agent.listeners.likes
        shown, held = split(len(shelf), self.seed)

        def judge() -> dict[str, Any]:
            margins = agent.margins(shelf)
            return {
                **{f"shown_{name}": v for name, v in judged(margins[shown], likes[shown]).items()},
                **{f"held_{name}": v for name, v in judged(margins[held], likes[held]).items()},
                "losses": agent.losses,
            }

        facts = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        return run(folder, facts, agent, self.episodes, judge)


@cache
def shelf_of(sources: tuple[str, ...]) -> Shelf:
    """The shelf of some sources, measured once in a process."""
    known = catalogue(sources)
    return Shelf(known, features(known.tunes, "measured", NoteRNN.load("note_rnn")))


def split(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The tunes that are shown, and those held out, int64 each."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = round(HELD_OUT * count)
    return order[held:].sort().values, order[:held].sort().values


def judged(margins: Tensor, likes: Tensor) -> dict[str, float]:
    """How a listener is served: what is predicted to be liked is played, the surest first, until a like or the end.

    "precision": share of the tunes predicted to be liked that are, 0 where none is predicted; "recall": share of the
    liked ones that are predicted; "served": 1 where a liked tune is played in the end, else 0; "steps": tunes played up
    to it, NaN where there is none; "first_ten": share of likes among the ten surest tunes, whatever is predicted. Recall
    and served are NaN where nothing is liked.
    """
    predicted = margins > 0
    order = margins.argsort(descending=True, stable=True)[: int(predicted.sum())]
    liked = likes[order]
    hits = liked.nonzero()[:, 0]
    can_be = bool(likes.any())
    return {
        "precision": float(liked.float().mean()) if len(order) else 0.0,
        "recall": float((predicted & likes).sum() / likes.sum()) if can_be else NONE_LIKED,
        "served": float(len(hits) > 0) if can_be else NONE_LIKED,
        "steps": float(hits[0] + 1) if len(hits) else NONE_LIKED,
        "first_ten": float(likes[margins.argsort(descending=True, stable=True)[:10]].float().mean()),
    }


def preferences(shelf: Shelf, count: int, least: int = 8) -> list[Preference]:
    """Preferences that at least `least` tunes meet: families, the most common first, alone and with a transcriber or a
    range of danceability."""
    catalogue, found = shelf.catalogue, []
    pairs = Counter(zip(catalogue.families, catalogue.transcribers, strict=True))
    middle = float(shelf.danceability.median())
    for family in catalogue.counts:
        found += [Preference(family), Preference(family, None, (round(middle, 3), 1.0))]
        found += [Preference(family, who) for (name, who), _ in pairs.most_common() if name == family][:2]
    return [one for one in found if int(shelf.verdicts(one).all(dim=1).sum()) >= least][:count]
