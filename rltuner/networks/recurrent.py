"""The layers of a network: their weights, what they remember, and a step of one; there and back by the kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rltuner.interrupts import importing
from rltuner.networks.inputs.heard import Progress
from rltuner.networks.melody_rnn.attention import Attention, Layers


@dataclass(frozen=True)
class State:
    """What a network remembers of melodies."""

    layers: Layers | None
    """(h, c) of each layer, both float32 [B, H]; then what attention remembers, where there is one. None: zeros."""
    progress: Progress
    """How far they have come."""

    def chosen(self, rows: Tensor) -> State:
        """Of some of the melodies, int64 [N]."""
        layers = None if self.layers is None else [tuple(part[rows] for part in kept) for kept in self.layers]
        return State(layers, self.progress.chosen(rows))


def weights_of(layer: nn.Module) -> list[Tensor]:
    """Of an LSTM layer: W_ih [4H, V], W_hh [4H, H] and their biases [4H]; the gates are in torch's order i, f, g, o."""
    return [layer.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def table_of(layer: nn.Module, classes: int, vectors: Tensor | None = None) -> Tensor:
    """The rows that a first layer adds up (`inputs`), float32 [F + 1, 4H]: W_ih transposed after a row of zeros.

    The layer's biases are in the rows 0 to `classes`, the event heard last, of which each step has one.

    Args:
      layer: an LSTM layer.
      classes: of events.
      vectors: what the rows stand for, float32 [R, F], where that is something else: the table is then [R, 4H].
    """
    weight_ih, _, bias_ih, bias_hh = weights_of(layer)
    columns = weight_ih.t()
    table = nn.functional.pad(columns, (0, 0, 1, 0)) if vectors is None else vectors @ columns
    return torch.cat([table[: classes + 1] + (bias_ih + bias_hh), table[classes + 1 :]])


def cell(
    table: Tensor, rows: Tensor, weight: Tensor, before: tuple[Tensor, ...] | None
) -> tuple[Tensor, Tensor]:
    """One step of a layer: h and c [B, H]. W_ih x + b is the sum of table[rows[:, k]]; h and c were `before`, or 0."""
    units = weight.shape[1]
    gates = nn.functional.embedding_bag(rows, table, mode="sum")  # (B, 4H)
    if before is not None:
        gates = torch.addmm(gates, before[0], weight.t())
    i, f = gates[:, : 2 * units].sigmoid().chunk(2, dim=1)
    c = i * gates[:, 2 * units : 3 * units].tanh()
    if before is not None:
        c = torch.addcmul(c, f, before[1])
    return gates[:, 3 * units :].sigmoid() * c.tanh(), c


Cell = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, ...] | None], tuple[Tensor, Tensor]]
"""`cell`, or what computes the same."""


def stepped(
    table: Tensor, rows: Tensor, layers: Sequence[nn.Module], before: Layers | None, step_of: Cell
) -> tuple[Tensor, Layers]:
    """The last layer's hidden states after one step, float32 [B, H], and `State.layers` then.

    Args:
      table: the first layer's (`table_of`).
      rows: that it adds up, int64 [B, K].
      layers: all, first to last.
      before: `State.layers`.
      step_of: `cell`, or what computes the same.
    """
    final: Layers = []
    for position, layer in enumerate(layers):
        weight_ih, weight_hh, bias_ih, bias_hh = weights_of(layer)
        if position:
            table = nn.functional.linear(final[-1][0], weight_ih, bias_ih + bias_hh)  # (B, 4H)
            rows = torch.arange(len(rows), device=rows.device)[:, None]
        final.append(step_of(table, rows, weight_hh, None if before is None else before[position]))
    return final[-1][0], final


def unrolled(
    vectors: Tensor, layers: Sequence[nn.Module], attention: Attention | None, before: Layers | None
) -> tuple[Tensor, Layers]:
    """The last layer's hidden states, float32 [B, T, H], of input vectors float32 [B, T, F], and `State.layers` then.

    Every layer outside of attention is one fused call over all T steps.
    """
    hidden, inside = vectors, 0
    final: Layers = []
    remembered: Layers = []
    if attention is not None:
        inside = attention.shape.layers
        state = None if before is None else [*before[:inside], before[-1]]
        hidden, (*final, last) = attention.unrolled(hidden, layers[:inside], state)
        remembered = [last]
    for position, layer in enumerate(layers[inside:], inside):
        initial = None if before is None else tuple(part[None].contiguous() for part in before[position])
        hidden, (h, c) = layer(hidden, initial)  # (B, T, H)
        final.append((h[0], c[0]))
    return hidden, [*final, *remembered]


class Unroller:
    """Unrolls layers on the CPU, in float32, by compiled kernels, with a way back: what training spends its time on.

    Args:
      layers: LSTM layers, first to last.
      classes: of events.
      threads: each takes a share of the melodies.
    """

    def __init__(self, layers: Sequence[nn.Module], classes: int, threads: int) -> None:
        self._weights = [weight for layer in layers for weight in weights_of(layer)]
        self._classes, self._threads = classes, threads
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        # Not before it is needed: numba takes most of a second to import.
        with importing():
            from rltuner.networks.kernels.unrolling import Unrolled

        self._apply: Callable[..., Tensor] = Unrolled.apply

    def __call__(self, rows: Tensor) -> Tensor:
        """The last layer's hidden states, float32 [T, B, H], of rows int64 [B, T, K] (`Rows.all`).

        IndexError for a row that there is not, which the kernels would read without a check.
        """
        last = self._weights[0].shape[1]
        if rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) <= last:
            raise IndexError(f"rows outside 0 to {last}, those of the first layer")
        return self._apply(rows, self._classes, self._pool, self._threads, *self._weights)
