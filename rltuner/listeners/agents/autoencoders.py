"""Autoencoders of a listener's history: 5 tunes, each with d coordinates and an answer, as one code.

Two structures, both of the poster of docs/listeners.md:

* `InsideLSTM`: an LSTM reads coordinates and answers together; its last hidden state is the code. A second LSTM, given
  the code at every step, says them again. Loss: mean squared error of all d + 1 numbers.
* `PretrainedFeatures`: first a pair of layers learns to compress single tunes (mean squared error of their d
  coordinates); then an LSTM reads the compressed tunes, and the answers join its last hidden state as they are. A second
  LSTM and the layers say the coordinates again, and a linear layer on the code the answers. The code is twice the hidden
  state's part that one structure needs: 32 numbers and the 5 answers.

Losses are reported as the poster does: total mean squared error of the first; mean squared error of the pretrained layers
and share of answers said right of the second.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rltuner.listeners.environments.sessions import HISTORY

CODE, COMPRESSED = 32, 8
RATE, BATCH = 3e-3, 256


class InsideLSTM(nn.Module):
    """See above.

    Args:
      dimensions: coordinates of a tune, d.
      seed: of the initial weights.
    """

    name = "inside-lstm"

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        super().__init__()
        self.dimensions, self.code_size = dimensions, CODE
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.LSTM(dimensions + 1, CODE, batch_first=True)
            self.decoder = nn.LSTM(CODE, CODE, batch_first=True)
            self.output = nn.Linear(CODE, dimensions + 1)

    def encode(self, histories: Tensor) -> Tensor:
        """The codes, float32 [B, 32], of histories [B, 5 (d + 1)]."""
        _, (hidden, _) = self.encoder(_steps(histories, self.dimensions))
        code: Tensor = hidden[0]
        return code

    def loss(self, histories: Tensor) -> tuple[Tensor, dict[str, float]]:
        """What is minimised, and what is reported."""
        steps = _steps(histories, self.dimensions)
        said, _ = self.decoder(self.encode(histories)[:, None].expand(-1, HISTORY, -1))
        error = (self.output(said) - steps).square().mean()
        return error, {"total_mse": float(error.detach())}


class PretrainedFeatures(nn.Module):
    """See above; `learn` trains the layers of single tunes in its first half.

    Args:
      dimensions: coordinates of a tune, d.
      seed: of the initial weights.
    """

    name = "pretrained-features"

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        super().__init__()
        self.dimensions, self.code_size = dimensions, CODE + HISTORY
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.compress = nn.Sequential(nn.Linear(dimensions, 64), nn.Tanh(), nn.Linear(64, COMPRESSED))
            self.expand = nn.Sequential(nn.Linear(COMPRESSED, 64), nn.Tanh(), nn.Linear(64, dimensions))
            self.encoder = nn.LSTM(COMPRESSED, CODE, batch_first=True)
            self.decoder = nn.LSTM(CODE, COMPRESSED, batch_first=True)
            self.answers = nn.Linear(CODE + HISTORY, HISTORY)
        self.pretraining = True

    def encode(self, histories: Tensor) -> Tensor:
        """The codes, float32 [B, 37], of histories [B, 5 (d + 1)]."""
        steps = _steps(histories, self.dimensions)
        _, (hidden, _) = self.encoder(self.compress(steps[..., :-1]))
        return torch.cat([hidden[0], steps[..., -1]], dim=1)

    def loss(self, histories: Tensor) -> tuple[Tensor, dict[str, float]]:
        """What is minimised, and what is reported."""
        steps = _steps(histories, self.dimensions)
        tunes, answers = steps[..., :-1], steps[..., -1]
        compressed = self.compress(tunes)
        of_layers = (self.expand(compressed) - tunes).square().mean()
        if self.pretraining:
            return of_layers, {"layers_mse": float(of_layers.detach())}
        code = self.encode(histories)
        said, _ = self.decoder(code[:, None, :CODE].expand(-1, HISTORY, -1))
        error = (self.expand(said) - tunes).square().mean()
        logits = self.answers(code)
        right = nn.functional.binary_cross_entropy_with_logits(logits, (answers > 0).float())
        accuracy = float(((logits > 0) == (answers > 0)).float().mean())
        reported = {
            "total_mse": float(error.detach()),
            "layers_mse": float(of_layers.detach()),
            "response_accuracy": accuracy,
        }
        return error + right, reported


Autoencoder = InsideLSTM | PretrainedFeatures
AUTOENCODERS: dict[str, type[InsideLSTM] | type[PretrainedFeatures]] = {
    kind.name: kind for kind in (InsideLSTM, PretrainedFeatures)
}


def learn(autoencoder: Autoencoder, histories: Tensor, updates: int, seed: int = 0) -> dict[str, float]:
    """Trains by Adam on nine tenths of the histories; what is reported of the last tenth, which it has not seen.

    The layers of single tunes are trained in the first half of the updates, then kept.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(histories), generator=generator)
    held, seen = histories[order[: len(order) // 10]], histories[order[len(order) // 10 :]]
    optimizer = torch.optim.Adam(autoencoder.parameters(), RATE)
    for number in range(updates):
        if isinstance(autoencoder, PretrainedFeatures):
            was, autoencoder.pretraining = autoencoder.pretraining, number < updates // 2
            if was and not autoencoder.pretraining:
                autoencoder.compress.requires_grad_(False)
                autoencoder.expand.requires_grad_(False)
        chosen = seen[torch.randint(len(seen), (BATCH,), generator=generator)]
        loss, _ = autoencoder.loss(chosen)
        optimizer.param_groups[0]["lr"] = RATE * (1 - number / updates)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        reported = autoencoder.loss(held)[1]
    autoencoder.requires_grad_(False)
    return reported


def _steps(histories: Tensor, dimensions: int) -> Tensor:
    return histories.view(len(histories), HISTORY, dimensions + 1)
