"""Likes: listeners with a preference, who are shown one tune after another; the agent predicts whether each is liked.

A preference has up to three parts: a family, a transcriber, a range of danceability. A tune agrees with a part or not; it
is liked where it agrees with all. The action is 1 (like) or 0 (dislike). The reward is the mean over the stated parts of

    1 where the prediction agrees with what the part alone says (like where the tune agrees with it), else -1,

so that it tells an agent more than the answer alone would. A tune that is predicted to be liked is played. An episode
ends where a tune that was played is liked, or all N tunes were shown, each once, in an order drawn anew; with
`until_liked` off it always shows all.

An observation is the tune: 17 measured numbers, standardised, then one-hot family and transcriber, float32 [B, O].

Source: the repository of docs/listeners.md, whose artists are here transcribers, and genres families.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.listeners.environments.grid import MOST_LISTENERS
from rltuner.listeners.environments.vector import Step
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.families import known_family
from rltuner.listeners.music.features import DANCEABILITY, MEASURED, Rows

MOST_NAMED = 20  # transcribers with a column of their own; the others share one
FIELDS = ("family", "transcriber", DANCEABILITY)


@dataclass(frozen=True)
class Preference:
    """What a listener likes; None where a part is all the same to them."""

    family: str | None = None
    transcriber: str | None = None
    danceability: tuple[float, float] | None = None
    """From and to, both included; -1 to 1."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The stated ones."""
        stated = (self.family is not None, self.transcriber is not None, self.danceability is not None)
        return tuple(name for name, is_stated in zip(FIELDS, stated, strict=True) if is_stated)

    def __str__(self) -> str:
        words = [text for text in (self.family, self.transcriber and f"by {self.transcriber}") if text]
        if self.danceability is not None:
            words.append(f"danceability {self.danceability[0]:.2f} to {self.danceability[1]:.2f}")
        return ", ".join(words) or "anything"


class Shelf:
    """A catalogue as the likes environment sees it.

    Args:
      catalogue: of the tunes.
      measured: their 17 measured features, float64 [N, 17] (`features.features`).

    Attributes:
      rows: float32 [N, O], what is observed of each tune.
      danceability: float64 [N].
    """

    def __init__(self, catalogue: Catalogue, measured: Rows) -> None:
        self.catalogue = catalogue
        self.danceability = torch.from_numpy(measured[:, list(MEASURED).index(DANCEABILITY)].copy())
        standard = (measured - measured.mean(axis=0)) / np.maximum(measured.std(axis=0), 1e-9)
        named = [name for name, _ in Counter(catalogue.transcribers).most_common(MOST_NAMED)]
        columns = [np.clip(standard, -8, 8), _one_hot(catalogue.families, list(catalogue.counts))]
        columns.append(_one_hot(catalogue.transcribers, named, others=True))
        self.rows = torch.from_numpy(np.concatenate(columns, axis=1)).float()

    def __len__(self) -> int:
        return len(self.catalogue)

    def checked(self, preference: Preference) -> Preference:
        """The preference in the catalogue's spelling. InputError for an unknown family or transcriber, a range the
        wrong way round, or no part at all."""
        if not preference.parts:
            raise InputError("a preference needs a family, a transcriber or a range of danceability")
        family, transcriber = preference.family, preference.transcriber
        if family is not None:
            family = known_family(family, list(self.catalogue.counts))
        if transcriber is not None:
            known = {name.lower(): name for name in self.catalogue.transcribers}
            if transcriber.lower() not in known:
                raise InputError(
                    f"unknown transcriber {transcriber[:40]!r}; {suggest(transcriber.lower(), sorted(known))}"
                )
            transcriber = known[transcriber.lower()]
        if preference.danceability is not None:
            low, high = preference.danceability
            if not -1 <= low <= high <= 1:
                raise InputError(
                    f"danceability {low:g} to {high:g}: two numbers from -1 to 1, the smaller first"
                )
        return Preference(family, transcriber, preference.danceability)

    def verdicts(self, preference: Preference) -> Tensor:
        """What each stated part says of each tune, bool [N, parts]; a tune is liked where all are True."""
        columns = []
        if preference.family is not None:
            columns.append(torch.tensor([name == preference.family for name in self.catalogue.families]))
        if preference.transcriber is not None:
            columns.append(
                torch.tensor([name == preference.transcriber for name in self.catalogue.transcribers])
            )
        if preference.danceability is not None:
            low, high = preference.danceability
            columns.append((self.danceability >= low) & (self.danceability <= high))
        return torch.stack(columns, dim=1)

    def hashes(self, buckets: int) -> Tensor:
        """SHA-256 of family, transcriber and tune, modulo `buckets`: int64 [N]. Two tunes can share one."""
        catalogue = self.catalogue
        keys = zip(catalogue.families, catalogue.transcribers, catalogue.tunes, strict=True)
        digests = [
            hashlib.sha256(f"{family}\n{transcriber}\n{tune.source}\n{tune.title}".encode()).digest()
            for family, transcriber, tune in keys
        ]
        return torch.tensor([int.from_bytes(digest[:6], "big") % buckets for digest in digests])


class LikesListeners:
    """B listeners of one preference in lock-step, each with an order of their own.

    Args:
      shelf: what can be shown.
      preference: of all of them, as `Shelf.checked` gives it.
      count: B.
      seed: of the orders.
      shown: int64 [M], the tunes that are shown; None shows all.
      until_liked: whether an episode ends with the first tune that was played and liked.

    Attributes:
      tune: int64 [B], shown now.
    """

    def __init__(
        self,
        shelf: Shelf,
        preference: Preference,
        count: int,
        seed: int = 0,
        shown: Tensor | None = None,
        until_liked: bool = True,
    ) -> None:
        if not 1 <= count <= MOST_LISTENERS:
            raise InputError(f"{count} listeners: from 1 to {MOST_LISTENERS:,}")
        self.shelf, self.count, self.until_liked = shelf, count, until_liked
        self.tunes = shown if shown is not None else torch.arange(len(shelf))
        if not len(self.tunes):
            raise InputError("the catalogue is empty: nothing can be shown")
        self.steps = len(self.tunes)
        self.observation_size = shelf.rows.shape[1]
        says = shelf.verdicts(preference).float()  # (N, parts)
        self.likes = says.bool().all(dim=1)
        """bool [N]: whether each tune is liked."""
        agreement = (2 * says - 1).mean(dim=1)
        self.worth = torch.stack([-agreement, agreement], dim=1)
        """The reward of predicting dislike and like for each tune, float32 [N, 2]."""
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.zeros(count, self.steps, dtype=torch.int64)
        self.taken = torch.zeros(count, dtype=torch.int64)
        self.last = self.reset()

    def reset(self) -> Tensor:
        """Begins B episodes, each with a new order; their first observations."""
        self._shuffle(torch.ones(self.count, dtype=torch.bool))
        return self._observed()

    def step(self, actions: Tensor) -> Step:
        """Takes the predictions, int64 [B], 1 for like. Raises IndexError for anything but 0 and 1."""
        if int(actions.min()) < 0 or int(actions.max()) > 1:
            raise IndexError("actions are 0 (dislike) and 1 (like)")
        reward = self.worth[self.tune, actions]
        self.last = self.shelf.rows[self.tune]  # no tune follows the one that ends an episode
        self.taken += 1
        done = self.taken >= self.steps
        if self.until_liked:
            done = done | ((actions == 1) & self.likes[self.tune])
        if bool(done.any()):
            self._shuffle(done)
        return Step(self._observed(), reward, done)

    def _shuffle(self, chosen: Tensor) -> None:
        number = int(chosen.sum())
        draws = torch.rand(number, self.steps, generator=self.generator)
        self.order[chosen] = self.tunes[draws.argsort(dim=1)]
        self.taken[chosen] = 0

    def _observed(self) -> Tensor:
        self.tune = self.order[torch.arange(self.count), self.taken]
        return self.shelf.rows[self.tune]

    def tensors(self) -> dict[str, Tensor]:
        """The state of the episodes and of the generator."""
        return {"order": self.order, "taken": self.taken, "generator": self.generator.get_state()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.order, self.taken = tensors["order"], tensors["taken"]
        self.generator.set_state(tensors["generator"])
        self._observed()


def _one_hot(values: tuple[str, ...], names: list[str], others: bool = False) -> Rows:
    columns = {name: number for number, name in enumerate(names)}
    result = np.zeros((len(values), len(names) + others))
    for row, value in enumerate(values):
        if value in columns or others:
            result[row, columns.get(value, len(names))] = 1.0
    return result
