"""The weights of a network as an optimiser steps them: its parameters, or one tensor that they are views of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Weights:
    """The weights of a network.

    Args:
      module: the network. Its parameters may change in place, but not be replaced.
      is_flat: whether to move all parameters into one contiguous tensor, of which they become views.
    """

    def __init__(self, module: nn.Module, is_flat: bool) -> None:
        self.parameters = list(module.parameters())
        self.tensors: list[Tensor] = flattened(module) if is_flat else [*self.parameters]
        """What an optimiser steps."""

    def by_parameter(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Something of each of `tensors`, of its shape, as something of each parameter."""
        return parts_of(torch.cat([value.reshape(-1) for value in values]), self.parameters)

    def of_parameters(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The inverse of `by_parameter`."""
        return parts_of(torch.cat([value.reshape(-1) for value in values]), self.tensors)

    def are_replaced(self) -> bool:
        """Whether the parameters are no longer those that the optimiser steps."""
        return self.parameters[0].data_ptr() != self.tensors[0].data_ptr()


def flattened(module: nn.Module) -> list[Tensor]:
    """Moves all parameters of a module into one contiguous tensor, of which they become views.

    Returns that tensor in a list, as an optimiser takes it.
    """
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    for parameter, part in zip(parameters, parts_of(flat, parameters), strict=True):
        parameter.data = part
    return [flat]


def parts_of(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """A flat tensor [N] cut into views with the shapes of other tensors, in their order; N is the sum of their sizes."""
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
