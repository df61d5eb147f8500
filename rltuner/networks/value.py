"""The value network V."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rltuner.networks.note_rnn import NoteRNN


class ValueNetwork(nn.Module):
    """V(s_t), in nats, of every step of melodies of T events: float32 [B, T].

    One LSTM layer of `units` that begins anew by `seed`, or with 0 units a copy of the Note RNN's layers; a linear head
    that starts at zero; and an offset for each step, since how much reward is left depends on how much time is. The
    network's own output is V / `scale`, of order 1.
    """

    def __init__(self, note_rnn: NoteRNN, units: int, length: int, scale: float, seed: int) -> None:
        super().__init__()
        self.network = NoteRNN(note_rnn.vocabulary, (units,), seed=seed) if units else copy.deepcopy(note_rnn)
        self.network.requires_grad_(True)
        self.network.output = nn.Linear(self.network.hidden_sizes[-1], 1)
        nn.init.zeros_(self.network.output.weight)
        nn.init.zeros_(self.network.output.bias)
        self.by_step = nn.Parameter(torch.zeros(length))
        self.scale = scale

    def forward(self, inputs: Tensor, skipped: int) -> Tensor:
        """inputs int64 [B, P + T - 1], of which the first `skipped` outputs are left out."""
        value = self.network.unrolled(inputs, skipped).squeeze(2)  # (B, T)
        return (value + self.by_step[: value.shape[1]]) * self.scale
