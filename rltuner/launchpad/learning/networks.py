"""The seed's two networks: Q of every action from a state's bits.

* `linear`: one layer, Q(s) = M s + b.
* `mlp`: layers of 1,024 and 512 units with ReLU, then one of an output an action.

With `dueling` (Wang et al., 2016) the last layer is two: Q(s, a) = V(s) + A(s, a) - mean over a of A(s, a).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.choices import NetworkName

UNITS = {"linear": (), "mlp": (1024, 512)}


class QNetwork(nn.Module):
    """Q of every action."""

    def __init__(self, board: Board, name: NetworkName, *, dueling: bool = False) -> None:
        super().__init__()
        self.board, self.name, self.dueling = board, name, dueling
        sizes = (board.inputs, *UNITS[name])
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.advantages = nn.Linear(sizes[-1], board.actions)
        self.value = nn.Linear(sizes[-1], 1) if dueling else None

    def forward(self, bits: Tensor) -> Tensor:
        """Q float32 [B, actions] of bits float32 [B, inputs]."""
        h = bits
        for layer in self.hidden:
            h = torch.relu(layer(h))
        advantages: Tensor = self.advantages(h)
        if self.value is None:
            return advantages
        values: Tensor = self.value(h) + advantages - advantages.mean(dim=1, keepdim=True)
        return values
