"""Adam's moments for a checkpoint, one entry a parameter.

An engine may let the optimiser step one flat tensor in place of a network's parameters. Stored by parameter, a run can be
resumed with any engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rltuner.networks.weights import parts_of

MOMENTS = ("exp_avg", "exp_avg_sq")


class Learned(NamedTuple):
    """A network that the optimiser changes."""

    network: nn.Module
    weights: list[Tensor]
    """The tensors that the optimiser steps: the parameters themselves, or one flat tensor that holds them in order."""


def moments_of(optimiser: torch.optim.Optimizer, learned: Sequence[Learned]) -> dict[str, Tensor]:
    """optimiser.INDEX.MOMENT of every parameter, and optimiser.INDEX.step; {} before the first step."""
    named = {}
    for first, parameters, weights in _numbered(learned):
        of_each = [optimiser.state[tensor] for tensor in weights]
        for moment in MOMENTS if of_each[0] else ():
            every = torch.cat([of_one[moment].reshape(-1) for of_one in of_each])
            for index, part in enumerate(parts_of(every, parameters), first):
                named[f"optimiser.{index}.{moment}"] = part
                named[f"optimiser.{index}.step"] = of_each[0]["step"]
    return named


def expected_moments(learned: Sequence[Learned]) -> dict[str, Tensor]:
    """The names, shapes and types of what `moments_of` gives after a step."""
    expected: dict[str, Tensor] = {}
    for first, parameters, _ in _numbered(learned):
        for index, parameter in enumerate(parameters, first):
            expected[f"optimiser.{index}.step"] = torch.empty((), device="meta")
            expected |= {f"optimiser.{index}.{moment}": parameter for moment in MOMENTS}
    return expected


def restore_moments(
    optimiser: torch.optim.Optimizer, learned: Sequence[Learned], tensors: Mapping[str, Tensor]
) -> None:
    """The inverse of `moments_of`; the tensors are as `expected_moments` says."""
    for first, parameters, weights in _numbered(learned):
        moments = {}
        for moment in MOMENTS:
            parts = [tensors[f"optimiser.{first + index}.{moment}"] for index in range(len(parameters))]
            moments[moment] = parts_of(torch.cat([part.reshape(-1) for part in parts]), weights)
        for index, tensor in enumerate(weights):
            own = {moment: moments[moment][index] for moment in MOMENTS}
            own["step"] = tensors[f"optimiser.{first}.step"]
            optimiser.state[tensor] = {n: t.to(tensor.device, copy=True) for n, t in own.items()}


def _numbered(learned: Sequence[Learned]) -> Iterator[tuple[int, list[nn.Parameter], list[Tensor]]]:
    """For each network the number of its first parameter, its parameters, and the tensors that the optimiser steps."""
    first = 0
    for network, weights in learned:
        parameters = list(network.parameters())
        yield first, parameters, weights
        first += len(parameters)
