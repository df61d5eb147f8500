"""A person's search for a tune: what is played, what they say of it, and what a finder makes of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rltuner.listeners.agents.finder import Answer, Finder
from rltuner.listeners.environments.grid import STEPS
from rltuner.listeners.environments.raters import TOP, Raters
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.space import Space
from rltuner.storing.records import append_record


@dataclass
class Search:
    """One search; the first tune comes from the centre of the grid.

    Args:
      catalogue, space: what can be played, and where it lies.
      finder: chooses cells.
      ideal: raters whose positions are the cells, without errors.
      target_cell: of the tune in mind; None where it is not known.
      feed: whether the finder is told what the person says, not what the ideal user would.
      answers: file that the answers are added to.
      seed: of the tunes drawn from a cell.
    """

    catalogue: Catalogue
    space: Space
    finder: Finder
    ideal: Raters
    target_cell: int | None
    feed: bool
    answers: Path
    seed: int = 0
    played: list[int] = field(default_factory=list)
    said: list[tuple[int, bool]] = field(default_factory=list)
    """Ratings, and whether each tune was closer than the one before."""

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)
        self.finder.begin(1)
        self._play(self.ideal.centre)

    @property
    def is_over(self) -> bool:
        """Whether a tune was rated 4, or 22 were rated."""
        return bool(self.said) and (self.said[-1][0] == TOP or len(self.said) > STEPS)

    @property
    def tune(self) -> int:
        """The number of the tune that is to be rated."""
        return self.played[-1]

    def ideal_rating(self, tune: int) -> int | None:
        """What the ideal user would say; None without a target."""
        if self.target_cell is None:
            return None
        return int(self.ideal.rating[self.target_cell, self.space.cells[tune]])

    def answer(self, rating: int, closer: bool) -> None:
        """Keeps the person's answer, on the disk first, and plays the next tune. InputError where it cannot be
        written."""
        tune = self.tune
        record: dict[str, Any] = {
            "step": len(self.said),
            "title": self.catalogue.title(tune),
            "family": self.catalogue.families[tune],
            "source": self.catalogue.tunes[tune].source,
            "cell": int(self.space.cells[tune]),
            "rating": rating,
            "closer": closer,
            "ideal": self.ideal_rating(tune),
        }
        append_record(self.answers, record)
        self.said.append((rating, closer))
        if self.is_over:
            return
        if not self.feed:
            rating, closer = self._ideal_answer()
        cell = torch.tensor([int(self.space.cells[tune])])
        heard = Answer(cell, torch.tensor([closer and len(self.said) > 1]), torch.tensor([rating]))
        self._play(int(self.finder.next(heard, max(1, STEPS + 1 - len(self.said)))))

    def _ideal_answer(self) -> tuple[int, bool]:
        rating = self.ideal_rating(self.tune)
        assert rating is not None
        assert self.target_cell is not None
        if len(self.played) < 2:
            return rating, False
        now, before = (
            self.ideal.distance[self.target_cell, self.space.cells[t]] for t in self.played[:-3:-1]
        )
        return rating, bool(now < before)

    def _play(self, cell: int) -> None:
        """Draws a tune of the cell, or the nearest one that has any, that was not played yet."""
        levels = np.array(np.unravel_index(cell, (self.space.per_feature,) * self.space.points.shape[1]))
        distance = np.abs(self.space.levels - levels).sum(axis=1).astype(float)
        if len(self.played) < len(distance):
            distance[self.played] = np.inf
        self.played.append(int(self._generator.choice(np.flatnonzero(distance == distance.min()))))

    def summary(self) -> list[str]:
        """What is told at the end."""
        last, number = self.tune, len(self.said)
        found = self.said[-1][0] == TOP
        sentences = [
            f"Found after {number} tunes: {self.catalogue.title(last)} ({self.catalogue.families[last]})."
            if found
            else f"Not found in {number} tunes; the last one was {self.catalogue.title(last)}."
        ]
        if self.target_cell is not None:
            pairs = zip(self.played, self.said, strict=False)
            apart = [abs(said - (self.ideal_rating(tune) or 0)) for tune, (said, _) in pairs]
            sentences.append(
                f"Your ratings differ from those of the ideal user by {np.mean(apart):.2f} on average (the thesis: 1.39)."
            )
        return [*sentences, f"Your answers are kept in {self.answers}."]
