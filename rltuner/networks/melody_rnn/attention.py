"""Attention to what the first layers gave before, as TensorFlow's AttentionCellWrapper has it.

With W layers inside, a [A] and the memory M [N, A] zero at first, each step of input x computes

    x' = mix [x ; a]                               as wide as x; the W layers hear it, and give h
    s_k = score . tanh(keys M_k + query [c ; h])   of all W layers' c and h after the step
    a = softmax(s) M                               M from before this step, its rows of zeros too
    y = project [h ; a]                            is heard by the layers that follow, and joins M, whose oldest row goes

A is the units of the last layer inside, N the attention length.

Source: Bahdanau, Cho, Bengio 2015, and tf.contrib.rnn.AttentionCellWrapper of TensorFlow 1 (Apache-2.0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.errors import InputError

MOST_LENGTH = 4096  # steps remembered

Layers = list[tuple[Tensor, ...]]
"""(h, c) of each layer inside; then a, and M and keys M without their rows of zeros, float32 [B, A], [B, up to N, A]."""


@dataclass(frozen=True)
class AttentionShape:
    """How far attention reaches, and what it is around."""

    length: int = 40
    """Steps remembered, N."""
    layers: int = 1
    """The first so many layers are inside."""

    def check(self, layers: int) -> None:
        """ValueError where it does not fit a network of so many layers."""
        if type(self.length) is not int or not 1 <= self.length <= MOST_LENGTH:
            raise ValueError(f"attention: length {str(self.length)[:20]} must be in 1 to {MOST_LENGTH}")
        if type(self.layers) is not int or not 1 <= self.layers <= layers:
            raise ValueError(f"attention: around {str(self.layers)[:20]} of {layers} layers")

    @classmethod
    def of(cls, config: object) -> AttentionShape | None:
        """As a checkpoint's config.json has it, None for none; InputError where it is malformed."""
        if config is None:
            return None
        if not isinstance(config, dict) or config.keys() != {"length", "layers"}:
            raise InputError("attention: length and layers are needed")
        return cls(config["length"], config["layers"])


class Attention(nn.Module):
    """The weights of an attention; those of the layers inside are the network's.

    Args:
      shape: how far it reaches, and around how many layers.
      inputs: numbers of the network's input vector, F.
      hidden_sizes: of the network's layers.
    """

    def __init__(self, shape: AttentionShape, inputs: int, hidden_sizes: Sequence[int]) -> None:
        super().__init__()
        self.shape = shape
        inside = hidden_sizes[: shape.layers]
        size = inside[-1]
        self.mix = nn.Linear(inputs + size, inputs)
        self.query = nn.Linear(2 * sum(inside), size)
        self.keys = nn.Linear(size, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False)
        self.project = nn.Linear(2 * size, size)

    def begin(self, batch: int, layers: Sequence[nn.Module]) -> Layers:
        """The state before anything is heard: zeros."""
        like = self.mix.weight
        units = [layer.get_parameter("weight_hh_l0").shape[1] for layer in layers]
        state: Layers = [(like.new_zeros(batch, n), like.new_zeros(batch, n)) for n in units]
        remembered = like.new_zeros(batch, 0, units[-1])
        return [*state, (like.new_zeros(batch, units[-1]), remembered, remembered)]

    def unrolled(
        self, vectors: Tensor, layers: Sequence[nn.Module], state: Layers | None
    ) -> tuple[Tensor, Layers]:
        """y of every step, float32 [B, T, A], and the state after the last.

        Args:
          vectors: input vectors, float32 [B, T, F].
          layers: those inside, LSTM layers.
          state: as it was before; None as `begin` has it.
        """
        batch, time, width = vectors.shape
        state = self.begin(batch, layers) if state is None else state
        weight = self.mix.weight
        mixed = nn.functional.linear(
            vectors, weight[:, :width], self.mix.bias
        )  # (B, T, F): a's part is missing
        outputs = []
        for t in range(time):
            *inside, (a, memory, keys) = state
            hidden = torch.addmm(mixed[:, t], a, weight[:, width:].t())
            after: Layers = []
            for layer, before in zip(layers, inside, strict=True):
                names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
                h, c = torch.lstm_cell(hidden, before, *(layer.get_parameter(name) for name in names))
                after.append((h, c))
                hidden = h
            query = self.query(torch.cat([part for h, c in after for part in (c, h)], dim=1))  # (B, A)
            scores = self.score(torch.tanh(keys + query[:, None])).squeeze(2)  # (B, M)
            remembered = memory.shape[1]
            if (
                missing := self.shape.length - remembered
            ):  # rows of zeros: of one score, and nothing to add up
                zeros = self.score(torch.tanh(query)) + math.log(missing)
                scores = torch.cat([scores, zeros], dim=1)
            shares = scores.softmax(dim=1)[:, None, :remembered]
            a = torch.bmm(shares, memory).squeeze(1)
            y = self.project(torch.cat([hidden, a], dim=1))
            first = int(remembered == self.shape.length)  # the oldest goes
            memory = torch.cat([memory[:, first:], y[:, None]], dim=1)
            keys = torch.cat([keys[:, first:], self.keys(y)[:, None]], dim=1)
            state = [*after, (a, memory, keys)]
            outputs.append(y)
        if not outputs:
            return vectors.new_zeros(batch, 0, self.project.out_features), state
        return torch.stack(outputs, dim=1), state
