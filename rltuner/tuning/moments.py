"""Adam's moments for a checkpoint, one entry a parameter: so stored, a run can be resumed with any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rltuner.networks.weights import Weights

MOMENTS = ("exp_avg", "exp_avg_sq")


def moments_of(optimiser: torch.optim.Optimizer, learned: Sequence[Weights]) -> dict[str, Tensor]:
    """optimiser.INDEX.MOMENT and optimiser.INDEX.step of every parameter, counted on; {} before the first step."""
    named: dict[str, Tensor] = {}
    first = 0
    for weights in learned:
        states = [optimiser.state[tensor] for tensor in weights.tensors]
        for moment in MOMENTS if states[0] else ():
            for index, part in enumerate(weights.by_parameter([state[moment] for state in states]), first):
                named[f"optimiser.{index}.{moment}"] = part
                named[f"optimiser.{index}.step"] = states[0]["step"]
        first += len(weights.parameters)
    return named


def expected_moments(learned: Sequence[Weights]) -> dict[str, Tensor]:
    """The names, shapes and types of what `moments_of` gives after a step."""
    expected: dict[str, Tensor] = {}
    parameters = [parameter for weights in learned for parameter in weights.parameters]
    for index, parameter in enumerate(parameters):
        expected[f"optimiser.{index}.step"] = torch.empty((), device="meta")
        expected |= {f"optimiser.{index}.{moment}": parameter for moment in MOMENTS}
    return expected


def restore_moments(
    optimiser: torch.optim.Optimizer, learned: Sequence[Weights], tensors: Mapping[str, Tensor]
) -> None:
    """The inverse of `moments_of`; the tensors are as `expected_moments` says."""
    first = 0
    for weights in learned:
        numbers = range(first, first + len(weights.parameters))
        moments = {
            moment: weights.of_parameters([tensors[f"optimiser.{number}.{moment}"] for number in numbers])
            for moment in MOMENTS
        }
        for index, tensor in enumerate(weights.tensors):
            own = {moment: moments[moment][index] for moment in MOMENTS}
            own["step"] = tensors[f"optimiser.{first}.step"]
            optimiser.state[tensor] = {n: t.to(tensor.device, copy=True) for n, t in own.items()}
        first += len(weights.parameters)
