"""How a Note RNN learns: windows of tunes, the figure of merit, and everything that changes while it trains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.config import PretrainConfig
from rltuner.storing.checkpoints import check_tensors

IGNORED = -100  # target of a padded step


@dataclass(frozen=True)
class Fit:
    """How well a Note RNN predicts tunes."""

    nll: float
    """Negative log-likelihood in nats an event, whole tunes from the zero input."""
    accuracy: float
    """Share of events that were the likeliest class."""
    events: int
    """Number of events predicted."""
    tunes: int
    """Number of tunes."""


class Windows:
    """Random windows of tunes, as inputs and targets.

    Each tune is laid out as -1 (the zero input) and its events; a window of W inputs and the W events after them
    starts at the -1 with probability `from_start`, else anywhere. A tune is drawn in proportion to its length.
    """

    def __init__(self, tunes: Sequence[Tune], window: int, from_start: float, seed: int, device: str) -> None:
        rows = [torch.tensor([-1, *tune.events], dtype=torch.int64) for tune in tunes]
        self.flat = torch.cat(rows).to(device)
        self.lengths = torch.tensor([len(row) - 1 for row in rows])
        self.starts = torch.tensor([0, *(len(row) for row in rows)][:-1]).cumsum(0)
        self.window, self.from_start = window, from_start
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """inputs and targets, int64 [count, W]; targets past a tune's end are IGNORED."""
        tune = torch.multinomial(self.lengths.float(), count, replacement=True, generator=self.generator)
        length = self.lengths[tune]
        room = (length - self.window).clamp(min=0) + 1
        uniform = torch.rand((2, count), generator=self.generator)
        offset = torch.where(uniform[0] < self.from_start, 0, (uniform[1] * room).long())
        inside = offset[:, None] + torch.arange(self.window + 1)  # (count, W + 1), place in the tune
        past = inside > length[:, None]
        places = (self.starts[tune][:, None] + inside).clamp(max=len(self.flat) - 1)
        events = self.flat[places.to(self.flat.device)]
        past = past.to(self.flat.device)
        return events[:, :-1].masked_fill(past[:, :-1], 0), events[:, 1:].masked_fill(past[:, 1:], IGNORED)


@torch.no_grad()
def fit_of(model: NoteRNN, tunes: Sequence[Tune], batch_size: int = 64) -> Fit:
    """Predicts every event of whole tunes from the zero state. NaN without tunes."""
    device = next(model.parameters()).device
    loss, right, events = 0.0, 0, 0
    by_length = sorted(tunes, key=lambda tune: len(tune.events))
    for first in range(0, len(by_length), batch_size):
        rows = [
            torch.tensor([-1, *tune.events], dtype=torch.int64)
            for tune in by_length[first : first + batch_size]
        ]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED).to(device)
        inputs, targets = padded[:, :-1].clamp(min=-1), padded[:, 1:]
        logits, _ = model(inputs)
        loss += float(
            nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
            )
        )
        right += int((logits.argmax(dim=2) == targets).sum())
        events += int((targets != IGNORED).sum())
    return Fit(loss / events, right / events, events, len(tunes)) if events else Fit(math.nan, math.nan, 0, 0)


def learning_rate_at(update: int, config: PretrainConfig) -> float:
    """Warmed up over 2 % of the updates, then lowered to 0 along a cosine."""
    warm = max(1, config.updates // 50)
    if update < warm:
        return config.learning_rate * (update + 1) / warm
    return (
        config.learning_rate * 0.5 * (1 + math.cos(math.pi * (update - warm) / max(1, config.updates - warm)))
    )


class Training:
    """Everything that changes while a Note RNN learns; `tensors` and `restore` carry it through a stop."""

    def __init__(self, config: PretrainConfig, tunes: Sequence[Tune], device: torch.device) -> None:
        self.config = config
        self.model = NoteRNN(hidden_sizes=config.hidden_sizes, seed=config.seed).to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.windows = Windows(tunes, config.window, config.from_start, config.seed, config.device)
        self.updates = 0
        self.seconds = 0.0
        """Seconds of training, those before a resume included."""
        self.best = math.inf
        """The lowest validation loss so far, nats an event."""
        self.best_weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def update(self) -> float:
        """One gradient step; returns the loss before it, nats an event. InputError where it is not finite."""
        self.optimiser.param_groups[0]["lr"] = learning_rate_at(self.updates, self.config)
        inputs, targets = self.windows.draw(self.config.batch_size)
        logits, _ = self.model(inputs)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        if not math.isfinite(value := float(loss.detach())):
            raise InputError(
                f"the loss became {value} in update {self.updates + 1}; the last state saved is kept. "
                "Lower --learning-rate"
            )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        self.updates += 1
        return value

    def validate(self, tunes: Sequence[Tune]) -> Fit:
        """How well it predicts the tunes; the weights of the best so far are kept."""
        fit = fit_of(self.model, tunes)
        if fit.nll < self.best:
            self.best = fit.nll
            self.best_weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        return fit

    def tensors(self) -> dict[str, Tensor]:
        """Weights, best weights, Adam's moments and the generator's state, by name, for `storing.state.save_state`."""
        moments = {
            f"optimiser.{index}.{name}": tensor
            for index, state in self.optimiser.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        return {
            **{f"model.{name}": tensor for name, tensor in self.model.state_dict().items()},
            **{f"best.{name}": tensor for name, tensor in self.best_weights.items()},
            **moments,
            "generator": self.windows.generator.get_state(),
        }

    def restore(self, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor], where: object) -> None:
        """Sets everything to what `storing.state.load_state` gave: the inverse of `tensors`, with the manifest's numbers.

        Args:
          manifest: holds "updates", "best" (the lowest validation loss, or None) and "seconds".
          tensors: as `tensors` gives them.
          where: the place that errors name.

        Raises InputError where they do not fit the configuration.
        """
        shapes = self.model.state_dict()
        expected = {f"{part}.{name}": t for part in ("model", "best") for name, t in shapes.items()}
        if manifest["updates"]:
            for index, parameter in enumerate(self.model.parameters()):
                expected[f"optimiser.{index}.step"] = torch.empty((), device="meta")
                expected |= {f"optimiser.{index}.{m}": parameter for m in ("exp_avg", "exp_avg_sq")}
        expected["generator"] = self.windows.generator.get_state()
        check_tensors(expected, tensors, where)
        best, seconds = manifest.get("best"), manifest.get("seconds")
        if not isinstance(seconds, int | float) or not isinstance(best, int | float | None):
            raise InputError(f"{where}: best = {best!r}, seconds = {seconds!r} must be numbers")
        optimiser = self.optimiser.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, number, moment = name.split(".")
                optimiser["state"].setdefault(int(number), {})[moment] = tensor.clone()
        try:
            self.windows.generator.set_state(tensors["generator"])
        except RuntimeError as error:
            raise InputError(f"{where}: generator: {error}") from None
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in shapes})
        self.best_weights = {name: tensors[f"best.{name}"].clone() for name in shapes}
        self.optimiser.load_state_dict(optimiser)
        self.updates, self.seconds = manifest["updates"], float(seconds)
        self.best = math.inf if best is None else float(best)
