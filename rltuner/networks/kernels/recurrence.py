"""LSTM layers by `compiled.lstm`, for torch's tensors on the CPU, without gradients: torch.nn.LSTM's up to rounding.

A layer's whole unrolling is one call, which holds no GIL, so that threads do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rltuner.networks.kernels.compiled.lstm import step_forward, unroll
from rltuner.networks.kernels.compiled.tiles import Array, padded


def with_places(table: Tensor, places: Tensor, of_events: int) -> Tensor:
    """A table whose rows after `of_events` are those of `places` [N, M], added up (`Rows.with_places`)."""
    if not places.shape[1]:
        return table.contiguous()
    return torch.cat([table[: of_events + 1], nn.functional.embedding_bag(places, table, mode="sum")])


def uninitialised(*shape: int) -> Tensor:
    """A float32 tensor to be filled."""
    return torch.empty(shape, dtype=torch.float32)


def arrays_of(weights: Sequence[Tensor]) -> tuple[Array, ...]:
    """Weights as the kernels of several layers want them: all with two dimensions."""
    return tuple(np.atleast_2d(weight.detach().numpy()) for weight in weights)


def memory_for(steps: int, batch: int, sizes: Sequence[int]) -> tuple[Array, ...]:
    """Gates, cells and hidden states of each layer, not initialised (`compiled.layers`)."""
    widths = [width for units in sizes for width in (padded(4 * units), units, units)]
    return tuple(uninitialised(steps, batch, width).numpy() for width in widths)


@torch.no_grad()
def hidden_states(
    table: Tensor, places: Tensor, rows: Tensor, of_events: int, layers: Sequence[Sequence[Tensor]]
) -> Tensor:
    """The last layer's hidden states at every step from the zero state, float32 [T, B, H]; no gradients flow.

    Args:
      table: the first layer's (`note_rnn.table_of`), float32 [F + 1, 4H], on the CPU.
      places: `Rows.places`, int64 [N, M].
      rows: `Rows.with_places`, int64 [B, T, K]. Whether the table has them is for the caller to check.
      of_events: rows of the table before those of places.
      layers: of each its W_ih, W_hh [4H, H] and their biases [4H], gates in torch's order i, f, g, o.
    """
    table, rows = with_places(table, places, of_events), rows.transpose(0, 1).contiguous()
    (steps, batch, _), hidden = rows.shape, None
    for layer in layers:
        weight_ih, weight_hh, bias_ih, bias_hh = (weight.detach() for weight in layer)
        if hidden is not None:
            table = nn.functional.linear(hidden.flatten(0, 1), weight_ih, bias_ih + bias_hh)
            rows = torch.arange(steps * batch).view(steps, batch, 1)
        units = weight_hh.shape[1]
        gates, cells = uninitialised(1, batch, padded(4 * units)), uninitialised(2, batch, units)
        hidden = uninitialised(steps, batch, units)
        by_unit = weight_hh.t().contiguous()
        unroll(*(x.numpy() for x in (table, rows, by_unit, gates, cells, hidden)))
    assert hidden is not None
    return hidden


@torch.no_grad()
def cell(
    table: Tensor, rows: Tensor, weight: Tensor, before: tuple[Tensor, ...] | None
) -> tuple[Tensor, Tensor]:
    """One step of a layer, as `hidden_states` goes through many: h and c, float32 [B, H].

    Args:
      table: the layer's inputs W_x x + b are sums of its rows, float32 [.., 4H]; gates in torch's order.
      rows: which, int64 [B, K]. Whether the table has them is for the caller to check.
      weight: W, of the hidden state, float32 [4H, H].
      before: h and c before it, float32 [B, H]; None is the zero state. ValueError for another shape.
    """
    batch, units = len(rows), weight.shape[1]
    h, c = uninitialised(batch, units), uninitialised(batch, units)
    if before is None:
        gates, c_before = weight.new_zeros(batch, 4 * units), torch.zeros_like(c)
    elif before[0].shape != h.shape or before[1].shape != c.shape:
        raise ValueError(f"a state of shape {tuple(before[1].shape)} before a step of shape {tuple(c.shape)}")
    else:
        gates, c_before = before[0] @ weight.t(), before[1].contiguous()
    step_forward(*(x.numpy() for x in (table, rows.contiguous(), gates, c_before, c, h)))
    return h, c
