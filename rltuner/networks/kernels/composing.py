"""Composing by one kernel, shares of a batch side by side in threads: `networks.compose` up to rounding.

All random numbers are drawn beforehand, in the order in which `compose` draws them, so that shares of the melodies can be
composed side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rltuner.networks.kernels.compiled import acting
from rltuner.networks.kernels.compiled.tiles import WIDTH, Array, pack
from rltuner.networks.kernels.recurrence import uninitialised


def _packed(weight: Tensor) -> Array:
    """W transposed, of W [N, K], as the kernels want it (`tiles.pack`)."""
    columns, inner = weight.shape
    tiles = np.empty((-(-columns // WIDTH), inner, WIDTH), np.float32)
    pack(weight.t().contiguous().numpy(), tiles)
    return tiles


def _filled_up(by_gate: Tensor, units: int, inputs: int | None = None) -> Tensor:
    """Weights [4H', K'] or biases [4H'] of a layer as those of a larger one, [4 units, inputs] or [4 units]."""
    gates = by_gate.unflatten(0, (4, -1))
    missing = (0, units - gates.shape[1])
    wider = (0, inputs - gates.shape[2], *missing) if inputs is not None else missing
    return nn.functional.pad(gates, wider).flatten(0, 1)


class NetworkTensors(NamedTuple):
    """The weights of one network."""

    layers: Sequence[Sequence[Tensor]]
    """Of each LSTM layer, as `recurrence.hidden_states` takes them."""
    output: nn.Linear
    table: Tensor
    """The rows that the first layer adds up, and sums of them for places (`recurrence.with_places`)."""


@torch.no_grad()
def actor(
    networks: Sequence[NetworkTensors],
    context: Tensor,
    length: int,
    looked_back: Sequence[int],
    active: int,
    runs: Sequence[int],
    generator: torch.Generator,
    *,
    own_temperature: float = 1.0,
    temperature: float = 1.0,
    epsilon: float = 0.0,
) -> tuple[Callable[[slice], None], Tensor]:
    """A function that composes a slice of a batch, and the tensor that it writes the events to, int64 [B, T].

    Args:
      networks: whose logits are summed: softmax(log p + G) is that of the sum of both networks'. Of as many layers each,
        in float32, on the CPU.
      context: classes, int64 [B, P], P at least 1, -1 for nothing. Whether there are such classes is for the caller to
        check.
      looked_back: steps, in the order of the table's rows.
      active: at so many of these distances there can be something; of the others the places tell that there is nothing.
      runs: of events that are the same as those so long before, where the next row begins.
      generator: all random numbers are drawn at once, as `compose.compose` draws them.
      own_temperature: of the policy, by which its logits are divided.
      temperature, epsilon: as `compose.compose` has them.
    """
    batch, classes = len(context), len(networks[0].output.bias) - len(looked_back)
    race = uninitialised(length, batch, classes if temperature else 0)
    uniform = torch.full((length, batch), -1)
    for t in range(length):
        race[t].exponential_(generator=generator)
        if epsilon:
            event = torch.randint(classes, (batch,), generator=generator)
            uniform[t] = torch.where(torch.rand(batch, generator=generator) < epsilon, event, -1)
    sizes = [weight_hh.shape[1] for _, weight_hh, _, _ in networks[0].layers]
    layers, units = len(sizes), max(sizes)
    tables, inputs, biases, recurrent, output = [], [], [], [], []
    for network in networks:
        for number, layer in enumerate(network.layers):
            weight_ih, weight_hh, bias_ih, bias_hh = (weight.detach() for weight in layer)
            recurrent.append(_packed(_filled_up(weight_hh, units, units)))
            bias = _filled_up(bias_ih + bias_hh, units)
            if number:
                inputs.append(_packed(_filled_up(weight_ih, units, units)))
                biases.append(bias.numpy())
            else:
                tables.append(
                    _filled_up(network.table.detach().t(), units, len(network.table)).t().contiguous().numpy()
                )
        weight = network.output.weight.detach()
        output.append(_packed(nn.functional.pad(weight, (0, units - weight.shape[1]))))
    bias = torch.stack([network.output.bias.detach() for network in networks]).sum(dim=0)
    n, tiles = len(networks), -(-4 * units // WIDTH)
    found = torch.empty((length, batch), dtype=torch.int64)
    arguments = (
        context.t().contiguous().numpy(),
        np.array(looked_back, np.int64),
        active,
        np.array(runs, np.int64),
        np.stack(tables),
        np.array(inputs, np.float32).reshape(n, layers - 1, tiles, units, WIDTH),
        np.array(biases, np.float32).reshape(n, layers - 1, 4 * units),
        np.stack(recurrent).reshape(n, layers, tiles, units, WIDTH),
        np.stack(output),
        bias.numpy(),
        1 / (own_temperature * (temperature or 1.0)),
        race.numpy(),
        uniform.numpy(),
        found.numpy(),
    )
    return lambda share: acting.act(share.start, share.stop, *arguments), found.t()
