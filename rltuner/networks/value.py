"""The value network V."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rltuner.networks.inputs.heard import Heard
from rltuner.networks.note_rnn import NoteRNN


class ValueNetwork(nn.Module):
    """V(s_t), in nats, of every step of melodies of T events: float32 [B, T].

    One LSTM layer of `units` that begins anew by `seed`, or with 0 units a copy of the Note RNN's layers; a linear head
    that starts at zero; and an offset for each step, since how much reward is left depends on how much time is. The
    network's own output is V / `scale`, of order 1.
    """

    def __init__(self, note_rnn: NoteRNN, units: int, length: int, scale: float, seed: int) -> None:
        super().__init__()
        inputs, meter = note_rnn.inputs.names, note_rnn.meter
        of_its_own = NoteRNN(note_rnn.vocabulary, (units,), meter, seed, inputs) if units else None
        self.network = of_its_own if of_its_own is not None else copy.deepcopy(note_rnn)
        self.network.requires_grad_(True)
        self.network.output = nn.Linear(self.network.hidden_sizes[-1], 1)
        nn.init.zeros_(self.network.output.weight)
        nn.init.zeros_(self.network.output.bias)
        self.by_step = nn.Parameter(torch.zeros(length))
        self.scale = scale

    def forward(self, heard: Heard) -> Tensor:
        """V of every event that is predicted, float32 [B, T]."""
        value: Tensor = self.network.output(self.network.hidden_states(heard)).squeeze(2).t()  # (B, T)
        return (value + self.by_step[: value.shape[1]]) * self.scale
