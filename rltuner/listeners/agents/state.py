"""What networks, optimisers and generators save, so that a run goes on bit for bit; and how it is put back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def saved(
    network: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The tensors of a network, its optimiser and a generator, by name."""
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if optimizer is not None:
        for number, values in optimizer.state_dict()["state"].items():
            state |= {
                f"optimizer.{number}.{name}": torch.as_tensor(value)
                for name, value in values.items()
                if value is not None
            }
    if generator is not None:
        state["generator"] = generator.get_state()
    return state


def put_back(
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> None:
    """Goes on from what `saved` gave. Raises KeyError or RuntimeError where it does not fit."""
    network.load_state_dict(part(tensors, "network."))
    if optimizer is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in part(tensors, "optimizer.").items():
            number, _, entry = name.partition(".")
            state.setdefault(int(number), {})[entry] = tensor.clone()
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    if generator is not None:
        generator.set_state(tensors["generator"])


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, without the beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, their names beginning so."""
    return {prefix + name: tensor for name, tensor in tensors.items()}
