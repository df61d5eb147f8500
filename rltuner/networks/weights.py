"""The weights of a network as one tensor, and as the parameters that are parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
