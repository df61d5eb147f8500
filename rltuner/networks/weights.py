"""The weights of a network as one tensor, and as the parameters that are parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def flattened(module: nn.Module) -> list[Tensor]:
    """One tensor, [..], of which all parameters of a module become parts, in their order; in a list, as of parameters."""
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    for parameter, part in zip(parameters, parts_of(flat, parameters), strict=True):
        parameter.data = part
    return [flat]


def parts_of(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a tensor [..] that have the shapes of others, in their order."""
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
