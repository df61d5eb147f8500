"""How a Note RNN learns: the figure of merit, and everything that changes while it trains."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.melody_rnn.inputs import known_to_kernels
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import predicted
from rltuner.networks.recurrent import Unroller
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.windows import IGNORED, Windows
from rltuner.storing.checkpoints import check_tensors

VALIDATED_BARS = 16  # of the validation tunes: what is heard of a melody that people ask for
FIRST_BARS = (2, 8, 16)  # of which the figures of the test tunes are told besides


@dataclass(frozen=True)
class Fit:
    """How well a Note RNN predicts tunes."""

    nll: float
    """Negative log-likelihood in nats an event."""
    accuracy: float
    """Share of events that were the likeliest class."""
    events: int
    """Number of events predicted."""
    tunes: int
    """Number of tunes."""


@torch.no_grad()
def fit_of(model: NoteRNN, tunes: Sequence[Tune], bars: int | None = None, batch_size: int = 64) -> Fit:
    """Predicts every event of tunes from the zero state, with nothing before them. NaN without tunes.

    Args:
      bars: only so many, the first, of tunes that have as many, each as if it were a whole tune; None for whole tunes.
    """
    device = next(model.parameters()).device
    loss, right, events, count = 0.0, 0, 0, 0
    by_meter: dict[Meter, list[tuple[int, ...]]] = {}
    for tune in tunes:
        length = len(tune.events) if bars is None else bars * tune.meter.steps_per_bar
        if length <= len(tune.events):
            by_meter.setdefault(tune.meter, []).append(tune.events[:length])
    for meter, of_meter in by_meter.items():
        of_meter.sort(key=len)
        for first in range(0, len(of_meter), batch_size):
            melodies = Melodies.from_lists(of_meter[first : first + batch_size], model.vocabulary, meter)
            melodies = melodies.to(device)
            logits, targets = predicted(model, inputs_of(melodies)), melodies.events
            nll = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            loss += float(nll[melodies.valid.flatten()].sum())
            right += int(((logits.argmax(dim=2) == targets) & melodies.valid).sum())
            events += int(melodies.valid.sum())
        count += len(of_meter)
    return Fit(loss / events, right / events, events, count) if events else Fit(math.nan, math.nan, 0, 0)


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
        model = NoteRNN(hidden_sizes=config.hidden_sizes, seed=config.seed, inputs=config.inputs)
        self.model = model.to(device)
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        """An exponential moving average of the weights: what is validated and kept."""
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.windows = Windows(tunes, known_to_kernels(self.model.inputs), config.batch_events, config.seed)
        classes = self.model.vocabulary.size
        on_cpu = device.type == "cpu"
        self._unroller = Unroller([*self.model.layers], classes, config.threads) if on_cpu else None
        self.updates = 0
        self.seconds = 0.0
        """Seconds of training, those before a resume included."""
        self.best = math.inf
        """The lowest validation loss so far, nats an event."""
        self.best_weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def update(self) -> float:
        """One gradient step; returns the loss before it, nats an event. InputError where it is not finite."""
        self.optimiser.param_groups[0]["lr"] = learning_rate_at(self.updates, self.config)
        batch, device = self.windows.draw(), self.model.vectors.device
        hidden = self._hidden(batch.rows.to(device))  # (L, B, H)
        targets = batch.targets.t().flatten()
        learned = targets != IGNORED
        hidden = self._dropped(hidden.flatten(0, 1)[learned.to(device)])
        played = batch.played.transpose(0, 1).flatten(0, 1)[learned]
        logits = self.model.logits(hidden, played.to(device))
        loss = nn.functional.cross_entropy(logits, targets[learned].to(device))
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
        kept = min(self.config.averaging, self.updates / (self.updates + 9))
        with torch.no_grad():
            for mean, weight in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(weight, 1 - kept)
        return value

    def _hidden(self, rows: Tensor) -> Tensor:
        """The last layer's hidden states, float32 [L, B, H]."""
        if self._unroller is not None:
            return self._unroller(rows)
        return self.model.features(rows)[0].transpose(0, 1)

    def _dropped(self, hidden: Tensor) -> Tensor:
        """With `dropout` of them left out, the others raised. By the windows' generator, so that a training that was
        stopped goes on as it would have."""
        if not self.config.dropout:
            return hidden
        kept = torch.empty(hidden.shape).bernoulli_(1 - self.config.dropout, generator=self.windows.generator)
        return hidden * (kept / (1 - self.config.dropout)).to(hidden.device)

    def validate(self, tunes: Sequence[Tune]) -> Fit:
        """How well it predicts the tunes; the weights of the best so far are kept."""
        fit = fit_of(self.averaged, tunes, VALIDATED_BARS)
        if not fit.tunes:  # all are shorter
            fit = fit_of(self.averaged, tunes)
        if fit.nll < self.best:
            self.best = fit.nll
            self.best_weights = {name: t.clone() for name, t in self.averaged.state_dict().items()}
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
            **{f"averaged.{name}": tensor for name, tensor in self.averaged.state_dict().items()},
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
        expected = {
            f"{part}.{name}": t for part in ("model", "averaged", "best") for name, t in shapes.items()
        }
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
        self.averaged.load_state_dict({name: tensors[f"averaged.{name}"] for name in shapes})
        self.best_weights = {name: tensors[f"best.{name}"].clone() for name in shapes}
        self.optimiser.load_state_dict(optimiser)
        self.updates, self.seconds = manifest["updates"], float(seconds)
        self.best = math.inf if best is None else float(best)
